import { contract, method, stream, topic } from 'viaduct'
import { z } from 'zod'
import { TEXT_CHARS } from './limits.ts'
import { Analysis, AnalysisInput, Attempt, DocumentKind, Entity, HistoryEntry, Page } from './schemas.ts'

const File = z.object({ path: z.string().min(1).max(4_096) })
const Summary = z.object({ bytes: z.int().min(0), encoding: z.enum(['utf-8', 'utf-16le', 'utf-16be']) })

/**
 * Served by the network process. A file that cannot be read ends the stream with the code, reason and
 * message of its `DocumentError`.
 */
export const documents = contract('documents', {
  /** Chunks of about 64 KiB. */
  text: stream({ input: File, item: z.string(), output: Summary }),
  /** Lines without their ends; very long ones in pieces. */
  lines: stream({ input: File, item: z.string(), output: Summary }),
  /** Markdown files below the folder the process was started for. */
  list: method({
    input: z.object({ max: z.int().min(1).max(500) }),
    output: z.array(z.string()),
    idempotent: true,
  }),
})

/** Served by the renderers, which pull the text from the network process themselves. */
export const pages = contract('pages', {
  /** Progress values are `{ chars }`, the characters read so far. */
  parse: method({ input: File, output: Page, idempotent: true }),
  opened: topic({ data: z.object({ path: z.string(), kind: DocumentKind }) }),
  /** Published with the path as its key: a slow reader gets the latest of each document. */
  progress: topic({ data: z.object({ path: z.string(), chars: z.int().min(0) }), overflow: 'conflate' }),
})

/** Served by the AI process. */
export const analysis = contract('analysis', {
  analyze: method({
    input: AnalysisInput,
    output: Analysis,
    errors: { TooLong: z.object({ max: z.literal(TEXT_CHARS) }) },
    idempotent: true,
  }),
})

/** What the AI process asks when it runs in Python, where the libraries for these are not to be had. */
export const lexicon = contract('lexicon', {
  /** Words with a valence from -5 to 5. */
  valences: method({ output: z.record(z.string(), z.int()), idempotent: true }),
  /** People, places and organisations in a text. */
  names: method({ input: z.object({ text: z.string() }), output: z.array(Entity), idempotent: true }),
})

/** Served by the history process, which appends to a file. */
export const history = contract('history', {
  /** Kept on disk until the history has it, whoever dies meanwhile. A key that it has changes nothing. */
  append: method({ input: HistoryEntry, delivery: 'at-least-once' }),
  recent: method({
    input: z.object({ limit: z.int().min(1).max(1_000) }),
    output: z.array(HistoryEntry),
    idempotent: true,
  }),
})

/** Served by the plugin: it tries what it may and may not do and says what the hub answered. */
export const plugin = contract('plugin', {
  attempts: method({ input: File, output: z.array(Attempt), idempotent: true }),
})
