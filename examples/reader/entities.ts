import nlp from 'compromise'
import { ENTITY_CHARS, MAX_ENTITIES } from './limits.ts'
import type { Entity } from './schemas.ts'
import { sentencesOf } from './sentences.ts'

type Kind = Entity['kind']
interface Found {
  readonly term: string
  readonly kind: Kind
  readonly at: number
}

/** Given to compromise at once: its time grows with the square of a long text, and nothing runs meanwhile. */
const SLICE_CHARS = 2_000
/** Capitalised words, with the small ones that names hold: `Bank of England`, `Ludwig van Beethoven`. */
const NAME =
  /^\p{Lu}[\p{L}\p{M}.'’-]*(?: (?:(?:of|the|and|for|de|da|del|di|la|le|van|von|der|den|y|&) ){0,2}\p{Lu}[\p{L}\p{M}.'’-]*){0,6}$/u
/** Alone these are no names. */
const NO_NAME =
  /^(?:Mr|Mrs|Ms|Dr|Prof|Inc|Ltd|Corp)\.?$|^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day$|^(?:January|February|March|April|May|June|July|August|September|October|November|December)$/

/**
 * People, places and organisations that a text names, the most frequent first. Every one stands in the
 * text letter for letter, at its `index`. English; of other languages it finds little.
 */
export function* findEntities(text: string): Generator<void, Entity[]> {
  const found: Found[] = []
  const head = text.slice(0, ENTITY_CHARS)
  for (const slice of slicesOf(head)) {
    found.push(...recognise(slice))
    yield
  }
  return rank(
    found.filter(({ term }) => !alsoCommon(term, head)),
    head,
  )
}

function recognise({ text, start }: { text: string; start: number }): Found[] {
  const document = nlp(text)
  const views: [Kind, { json(options: object): unknown }][] = [
    ['person', document.people()],
    ['place', document.places()],
    ['organisation', document.organizations()],
  ]
  return views.flatMap(([kind, view]) =>
    spans(view.json({ offset: true, terms: false })).flatMap(({ from, length }) => {
      const raw = text.slice(from, from + length)
      return namesIn(raw, kind).map(({ term, at }) => ({ kind, term, at: start + from + at }))
    }),
  )
}

/** compromise says where in the given text a match lies. Its types do not, so it is checked here. */
function spans(json: unknown): { from: number; length: number }[] {
  if (!Array.isArray(json)) return []
  return json.flatMap((match: { offset?: { start?: unknown; length?: unknown } }) => {
    const { start, length } = match.offset ?? {}
    return typeof start === 'number' && typeof length === 'number' ? [{ from: start, length }] : []
  })
}

/** Cuts `Lisbon, Portugal.` in two, takes edges and possessives off, drops what does not look like a name. */
function namesIn(raw: string, kind: Kind): { term: string; at: number }[] {
  const names: { term: string; at: number }[] = []
  for (const { 0: part, index } of raw.matchAll(/[^,;:()[\]"“”«»\n]+/gu)) {
    const lead = /^[\s'‘’.*_-]*/u.exec(part)?.[0].length ?? 0
    let term = part
      .slice(lead)
      .trimEnd()
      .replace(/['’]s$/u, '')
      .replace(/[\s'’!?*_-]+$/u, '')
    if (!/\b(?:\p{Lu}|Inc|Ltd|Co|Corp|Jr|Sr)\.$/u.test(term)) term = term.replace(/\.+$/u, '')
    if (term.length < 2 || term.length > 60 || !NAME.test(term) || NO_NAME.test(term)) continue
    if (kind === 'person' && term.length < 3) continue
    names.push({ term, at: index + lead })
  }
  return names
}

/** A single word that the text also writes in lower case is no name: `Hub` at the start of a sentence. */
function alsoCommon(term: string, text: string): boolean {
  if (term.includes(' ')) return false
  const lower = term.toLowerCase()
  for (let at = text.indexOf(lower); at !== -1; at = text.indexOf(lower, at + 1)) {
    const before = text[at - 1] ?? ' '
    const after = text[at + lower.length] ?? ' '
    if (!/[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after)) return true
  }
  return false
}

function rank(found: readonly Found[], text: string): Entity[] {
  const entities = new Map<string, { kinds: Map<Kind, number>; count: number; index: number }>()
  for (const { term, kind, at } of found) {
    const index = text.startsWith(term, at) ? at : text.indexOf(term)
    if (index === -1) continue
    const entity = entities.get(term) ?? { kinds: new Map<Kind, number>(), count: 0, index }
    entity.kinds.set(kind, (entity.kinds.get(kind) ?? 0) + 1)
    entity.count++
    entity.index = Math.min(entity.index, index)
    entities.set(term, entity)
  }
  return [...entities]
    .map(([name, { kinds, count, index }]) => ({ name, kind: mostFrequent(kinds), count, index }))
    .sort((a, b) => b.count - a.count || a.index - b.index)
    .slice(0, MAX_ENTITIES)
}

function mostFrequent(kinds: ReadonlyMap<Kind, number>): Kind {
  return [...kinds].reduce((best, each) => (each[1] > best[1] ? each : best), ['place', 0] as [
    Kind,
    number,
  ])[0]
}

/** Whole sentences, at most 2,000 characters together, and where they begin. */
function* slicesOf(text: string): Generator<{ text: string; start: number }> {
  let start = 0
  let end = 0
  for (const sentence of text.split('\n').flatMap((block) => [...sentencesOf(block)])) {
    const at = text.indexOf(sentence, end)
    if (at === -1) continue
    if (at + sentence.length - start > SLICE_CHARS && end > start) {
      yield { text: text.slice(start, end), start }
      start = at
    }
    end = at + sentence.length
  }
  if (end > start) yield { text: text.slice(start, end), start }
}
