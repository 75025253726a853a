import type { Category, Labelled } from './corpus.ts'
import { CATEGORIES, type Verdict } from './schemas.ts'
import { termsOf } from './tokens.ts'

/** Added to every count, so that no word rules a category out (Lidstone). */
const SMOOTHING = 0.3
/** Lengths, in terms, at which the calibration looks at each passage. */
const LENGTHS = [4, 12, Number.POSITIVE_INFINITY]
const SHRINK = [2, 5, 10, 20]
const SHARPNESS = [1, 2, 4, 6, 8, 12, 16, 24, 32]

interface Counts {
  readonly terms: Map<string, number>
  total: number
}

/**
 * Multinomial naive Bayes with calibrated confidence. Its raw odds grow with a document's length and are
 * far too sure; here the mean evidence a term is shrunk by `n / (n + shrink)` and sharpened by a factor,
 * and both numbers are those with the least log loss when each training passage is judged by a model that
 * has not seen it.
 */
export class CategoryModel {
  readonly #counts = new Map<Category, Counts>(
    CATEGORIES.map((category) => [category, { terms: new Map(), total: 0 }]),
  )
  readonly #vocabulary = new Map<string, number>()
  #shrink = 5
  #sharpness = 8

  static train(passages: readonly Labelled[]): CategoryModel {
    const model = new CategoryModel()
    const documents = passages.map(({ category, text }) => ({ category, terms: [...termsOf(text)] }))
    for (const { category, terms } of documents) model.#add(category, terms, 1)
    model.#calibrate(documents)
    return model
  }

  /** The most likely category and how likely it is, 0 to 1 in millionths. */
  classify(text: string): Verdict {
    const { evidence, known } = this.#evidence(termsOf(text))
    if (known === 0) return { category: 'unknown', confidence: 0 }
    let best: Category = CATEGORIES[0]
    let confidence = 0
    for (const [category, share] of probabilities(evidence, known, this.#shrink, this.#sharpness)) {
      if (share <= confidence) continue
      best = category
      confidence = share
    }
    return { category: best, confidence: Math.round(confidence * 1e6) / 1e6 }
  }

  #add(category: Category, terms: readonly string[], sign: 1 | -1): void {
    const counts = this.#counts.get(category)
    if (counts === undefined) return
    for (const term of terms) {
      bump(counts.terms, term, sign)
      bump(this.#vocabulary, term, sign)
    }
    counts.total += sign * terms.length
  }

  /** Sum over the known terms of each category's log likelihood. */
  #evidence(terms: Iterable<string>): { evidence: Map<Category, number>; known: number } {
    const evidence = new Map<Category, number>(CATEGORIES.map((category) => [category, 0]))
    const space = SMOOTHING * this.#vocabulary.size
    let known = 0
    for (const term of terms) {
      if (!this.#vocabulary.has(term)) continue
      known++
      for (const [category, { terms: seen, total }] of this.#counts) {
        const likelihood = ((seen.get(term) ?? 0) + SMOOTHING) / (total + space)
        evidence.set(category, (evidence.get(category) ?? 0) + Math.log(likelihood))
      }
    }
    return { evidence, known }
  }

  #calibrate(documents: readonly { category: Category; terms: string[] }[]): void {
    const judged = documents.flatMap(({ category, terms }) => {
      this.#add(category, terms, -1)
      const views = LENGTHS.map((length) => ({ category, ...this.#evidence(terms.slice(0, length)) }))
      this.#add(category, terms, 1)
      return views
    })
    let least = Number.POSITIVE_INFINITY
    for (const shrink of SHRINK) {
      for (const sharpness of SHARPNESS) {
        let loss = 0
        for (const { category, evidence, known } of judged)
          loss -= Math.log(probabilities(evidence, known, shrink, sharpness).get(category) ?? 0)
        if (loss >= least) continue
        least = loss
        this.#shrink = shrink
        this.#sharpness = sharpness
      }
    }
  }
}

/** Softmax of the shrunk, sharpened mean evidence. */
function probabilities(
  evidence: ReadonlyMap<Category, number>,
  known: number,
  shrink: number,
  sharpness: number,
): Map<Category, number> {
  const scale = sharpness / (known + shrink)
  const most = Math.max(...evidence.values())
  const odds = [...evidence].map(([category, sum]) => [category, Math.exp((sum - most) * scale)] as const)
  const total = odds.reduce((sum, [, odd]) => sum + odd, 0)
  return new Map(odds.map(([category, odd]) => [category, odd / total]))
}

function bump(counts: Map<string, number>, term: string, by: number): void {
  const count = (counts.get(term) ?? 0) + by
  if (count === 0) counts.delete(term)
  else counts.set(term, count)
}
