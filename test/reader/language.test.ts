import { describe, expect, it } from 'vitest'
import { CategoryModel } from '../../examples/reader/category.ts'
import { labelledDocuments, trainingPassages } from '../../examples/reader/corpus.ts'
import { Language } from '../../examples/reader/language.ts'
import { parsePage } from '../../examples/reader/parse.ts'
import { Analysis, type AnalysisInput, CATEGORIES } from '../../examples/reader/schemas.ts'
import { sentimentOf } from '../../examples/reader/sentiment.ts'
import { stem, wordsOf } from '../../examples/reader/tokens.ts'
import { processorMs } from '../support/processor.ts'
import { chunked } from './folder.ts'

const model = CategoryModel.train(trainingPassages())
const language = new Language(model)
const analyze = async (text: string, title = ''): Promise<Analysis> =>
  Analysis.parse(await language.analyze({ title, headings: [], text }))
const readAndAnalyze = async (
  path: string,
  text: string,
): Promise<{ input: AnalysisInput; analysis: Analysis }> => {
  const page = await parsePage(path, chunked(text))
  const input = { title: page.title, headings: page.headings.map((each) => each.text), text: page.text }
  return { input, analysis: Analysis.parse(await language.analyze(input)) }
}

describe('category', () => {
  it('is right for at least 16 of 20 labelled documents that it was not trained on', async () => {
    const documents = labelledDocuments()
    expect(documents).toHaveLength(20)
    let right = 0
    let squares = 0
    const lines: string[] = []
    for (const { name, category, text } of documents) {
      const { analysis } = await readAndAnalyze(name, text)
      const hit = analysis.category === category
      if (hit) right++
      squares += (analysis.confidence - Number(hit)) ** 2
      lines.push(`${hit ? ' ' : '✗'} ${name}: ${analysis.category} ${Math.round(analysis.confidence * 100)}%`)
    }
    const accuracy = right / documents.length
    console.log(
      `${lines.join('\n')}\naccuracy ${accuracy.toFixed(2)} (${right} of ${documents.length}), Brier score ${(squares / documents.length).toFixed(3)}`,
    )
    expect(accuracy).toBeGreaterThanOrEqual(0.8)
    // Confidence is worth something: always guessing at the share of hits would score accuracy × (1 - accuracy) or more.
    expect(squares / documents.length).toBeLessThan(0.16)
  })

  it('was trained on none of the labelled documents, and on every category alike', () => {
    const passages = trainingPassages()
    const counts = CATEGORIES.map((category) => passages.filter((each) => each.category === category).length)
    expect(new Set(counts).size).toBe(1)
    const fives = (text: string): string[] => {
      const words = [...wordsOf(text)]
      return words.slice(4).map((_, at) => words.slice(at, at + 5).join(' '))
    }
    const trained = new Set(passages.flatMap(({ text }) => fives(text)))
    for (const { name, text } of labelledDocuments()) {
      const shared = fives(text).filter((five) => trained.has(five))
      expect(shared.length, `${name}: ${shared.join(' | ')}`).toBeLessThan(3)
    }
  })

  it('is unknown without a known word, unsure with one, surer with more', () => {
    expect(model.classify('')).toEqual({ category: 'unknown', confidence: 0 })
    expect(model.classify('zzgrmpf 漢字 12345')).toEqual({ category: 'unknown', confidence: 0 })
    const one = model.classify('goal')
    const more = model.classify(
      'The striker scored a goal, the goalkeeper saved a penalty, and the team won the match',
    )
    expect(more.category).toBe('sports')
    expect(more.confidence).toBeGreaterThan(one.confidence)
    expect(one.confidence).toBeLessThan(0.9)
  })

  it('does not depend on how often a text is repeated', () => {
    const text = 'The train stops at a village by the sea, and the server returns an error.'
    const once = model.classify(text)
    const often = model.classify(text.repeat(100))
    expect(often.category).toBe(once.category)
    expect(often.confidence).toBeLessThan(1)
  })

  it('takes words for words that every object has', () => {
    expect(
      model.classify('constructor __proto__ toString valueOf hasOwnProperty').confidence,
    ).toBeLessThanOrEqual(1)
  })

  it('stems alike what belongs together', () => {
    for (const [a, b] of [
      ['running', 'runs'],
      ['cities', 'city'],
      ['matches', 'match'],
      ['prices', 'price'],
      ['stopped', 'stops'],
    ] as const)
      expect(stem(a)).toBe(stem(b))
    expect(stem('bus')).toBe('bus')
  })
})

describe('sentiment', () => {
  it('tells opposite tones apart, and turns with a negation', () => {
    const good = sentimentOf('A wonderful, excellent stay. The staff were kind and the food was superb.')
    const bad = sentimentOf('A terrible, awful stay. The staff were rude and the food was disgusting.')
    const plain = sentimentOf('The room is on the second floor. Breakfast is at eight.')
    expect([good.label, bad.label, plain.label]).toEqual(['positive', 'negative', 'neutral'])
    expect(good.score).toBeGreaterThan(0.5)
    expect(bad.score).toBeLessThan(-0.5)
    expect(plain).toEqual({ label: 'neutral', score: 0, positive: 0, negative: 0 })
    expect(sentimentOf('This was not good.').score).toBeLessThan(0)
    expect(sentimentOf('This wasn’t bad at all.').score).toBeGreaterThan(0)
    expect(sentimentOf('It was not. Good evening.').score).toBeGreaterThan(0)
  })

  it('does not grow with length and knows no word of an object’s own', () => {
    const one = sentimentOf('A good day. ')
    const many = sentimentOf('A good day. '.repeat(1_000))
    expect(many.score).toBeLessThanOrEqual(1)
    expect(many.label).toBe('positive')
    expect(one.score).toBeGreaterThan(0)
    expect(sentimentOf('constructor toString __proto__ valueOf').score).toBe(0)
  })
})

describe('entities', () => {
  const text = `Maria Lindgren flew from Lisbon to New York City with Tim O'Neill. Lindgren works for Microsoft and the
World Health Organization. "Lisbon," she said on Monday, "is lovely." Dr. Ada Lovelace's notes are in Oxford.`

  it('are the people, places and organisations that the text names', async () => {
    const { entities } = await analyze(text)
    const found = (kind: string): string[] =>
      entities.filter((each) => each.kind === kind).map((each) => each.name)
    expect(found('person')).toEqual(
      expect.arrayContaining(['Maria Lindgren', "Tim O'Neill", 'Dr. Ada Lovelace']),
    )
    expect(found('place')).toEqual(expect.arrayContaining(['Lisbon', 'New York City', 'Oxford']))
    expect(found('organisation')).toEqual(expect.arrayContaining(['Microsoft', 'World Health Organization']))
    expect(entities.find((each) => each.name === 'Lisbon')?.count).toBe(2)
    expect(entities.map((each) => each.name)).not.toContain('Monday')
  })

  it('stand in the text where they say', async () => {
    const samples = [
      text,
      ...labelledDocuments().map((each) => each.text),
      ...trainingPassages().map((each) => each.text),
    ]
    let checked = 0
    for (const sample of samples) {
      const { input, analysis } = await readAndAnalyze('a.md', sample)
      for (const { name, index } of analysis.entities) {
        expect(input.text.slice(index, index + name.length)).toBe(name)
        checked++
      }
    }
    expect(checked).toBeGreaterThan(10)
  })

  it('are not words that the text writes small elsewhere', async () => {
    const { entities } = await analyze('Washington is rainy. We went washington style. Berlin is dry.')
    expect(entities.map((each) => each.name)).toEqual(['Berlin'])
  })
})

describe('documents made to differ', () => {
  it('give rows that differ accordingly', async () => {
    const happy = await readAndAnalyze(
      'happy.md',
      '# A day at the stadium\n\nThe team won the match with a brilliant goal, and the fans in Madrid were happy and proud. Anna Berger loved it.',
    )
    const sad = await readAndAnalyze(
      'sad.md',
      '# Losses\n\nThe bank failed. Investors in Chicago lost their savings, the shares collapsed, and the terrible crisis hurt Robert Miller badly.',
    )
    expect([happy.analysis.category, sad.analysis.category]).toEqual(['sports', 'business'])
    expect([happy.analysis.sentiment.label, sad.analysis.sentiment.label]).toEqual(['positive', 'negative'])
    const names = (analysis: Analysis): string[] => analysis.entities.map((each) => each.name)
    expect(names(happy.analysis)).toEqual(expect.arrayContaining(['Madrid', 'Anna Berger']))
    expect(names(sad.analysis)).toEqual(expect.arrayContaining(['Chicago', 'Robert Miller']))
    expect(names(sad.analysis)).not.toContain('Madrid')
  })
})

describe('bad input', () => {
  it.each([
    ['nothing', ''],
    ['white space', ' \n\t '],
    ['one long word', 'a'.repeat(200_000)],
    ['one long sentence', 'word '.repeat(40_000)],
    ['names without end', 'Anna Smith, '.repeat(10_000)],
    ['other scripts', '漢字かな交じり文。'.repeat(2_000)],
    ['half characters', '\ud83e Paris \udd00 '.repeat(500)],
    ['control characters', 'Paris\u0000\u001b[31m Berlin\u202e '.repeat(200)],
  ])('%s is answered in time, in small steps', async (_, text) => {
    let longest = 0
    let last = processorMs()
    const timer = setInterval(() => {
      longest = Math.max(longest, processorMs() - last)
      last = processorMs()
    }, 5)
    const analysis = await analyze(text)
    clearInterval(timer)
    for (const { name, index } of analysis.entities) expect(text.startsWith(name, index)).toBe(true)
    expect(longest).toBeLessThan(1_500)
  })

  it('stops when the signal says so', async () => {
    const controller = new AbortController()
    const input = { title: '', headings: [], text: 'Anna Smith lives in Berlin. '.repeat(5_000) }
    const analysing = language.analyze(input, controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(analysing).rejects.toThrow('enough')
  })
})
