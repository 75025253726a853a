import { z } from 'zod'

export const CATEGORIES = ['software', 'business', 'health', 'sports', 'travel'] as const
export const ENTITY_KINDS = ['person', 'place', 'organisation'] as const

const count = z.int().min(0)
const share = z.number().min(0).max(1)

export const DocumentKind = z.enum(['markdown', 'html', 'text'])
export type DocumentKind = z.infer<typeof DocumentKind>

export const Heading = z.object({ level: z.int().min(1).max(6), text: z.string() })
export type Heading = z.infer<typeof Heading>

export const Link = z.object({ href: z.string(), text: z.string() })
export type Link = z.infer<typeof Link>

/** One parsed document. `headings` and `links` are bounded lists, `headingCount` and `linkCount` are not. */
export const Page = z.object({
  path: z.string(),
  kind: DocumentKind,
  title: z.string(),
  headings: z.array(Heading),
  headingCount: count,
  links: z.array(Link),
  linkCount: count,
  words: count,
  sentences: count,
  paragraphs: count,
  /** At 238 words a minute. */
  readingSeconds: count,
  /** The prose without headings and code, one block a line; at most 200,000 characters. */
  text: z.string(),
  /** What was left out, in one sentence; empty when nothing was. */
  notice: z.string(),
})
export type Page = z.infer<typeof Page>

export const Entity = z.object({
  name: z.string(),
  kind: z.enum(ENTITY_KINDS),
  count: count,
  /** Where it stands first: `text.slice(index, index + name.length) === name`. */
  index: count,
})
export type Entity = z.infer<typeof Entity>

/** `score` from -1 to 1; `positive` and `negative` are how many words said so. */
export const Sentiment = z.object({
  label: z.enum(['positive', 'neutral', 'negative']),
  score: z.number().min(-1).max(1),
  positive: count,
  negative: count,
})
export type Sentiment = z.infer<typeof Sentiment>

/** `unknown` with confidence 0 when no word of the document was ever seen in training. */
export const Verdict = z.object({ category: z.enum([...CATEGORIES, 'unknown']), confidence: share })
export type Verdict = z.infer<typeof Verdict>

export const AnalysisInput = z.object({
  title: z.string(),
  headings: z.array(z.string()),
  text: z.string(),
})
export type AnalysisInput = z.infer<typeof AnalysisInput>

export const Analysis = Verdict.extend({ sentiment: Sentiment, entities: z.array(Entity) })
export type Analysis = z.infer<typeof Analysis>

/** Why a document has no result. `code` is viaduct's, `reason` the stable word below it. */
export const Failure = z.object({ code: z.string(), reason: z.string(), message: z.string() })
export type Failure = z.infer<typeof Failure>

/** One line of the results table. */
export const Row = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    path: z.string(),
    title: z.string(),
    words: count,
    sentences: count,
    readingSeconds: count,
    ...Verdict.shape,
    sentiment: Sentiment,
    entities: z.array(Entity),
    notice: z.string(),
    elapsedMs: z.number(),
  }),
  z.object({ ok: z.literal(false), path: z.string(), failure: Failure, elapsedMs: z.number() }),
])
export type Row = z.infer<typeof Row>

/** What the history keeps. A second entry with the same key changes nothing. */
export const HistoryEntry = z.object({ key: z.string().min(1).max(4_200), at: z.iso.datetime(), row: Row })
export type HistoryEntry = z.infer<typeof HistoryEntry>

/** What the plugin tried and what came of it. */
export const Attempt = z.object({
  method: z.string(),
  allowed: z.boolean(),
  code: z.string(),
  message: z.string(),
})
export type Attempt = z.infer<typeof Attempt>
