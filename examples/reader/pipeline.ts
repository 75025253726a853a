import { documentError } from './documentError.ts'
import { MAX_HEADINGS } from './limits.ts'
import type { Analysis, AnalysisInput, Failure, HistoryEntry, Page, Row } from './schemas.ts'

/** What the reader asks of the other processes; in `main.ts` these are clients of the contract. */
export interface Services {
  parse(input: { path: string }, signal: AbortSignal | undefined): Promise<Page>
  analyze(input: AnalysisInput, signal: AbortSignal | undefined): Promise<Analysis>
  append(entry: HistoryEntry, signal: AbortSignal | undefined): Promise<unknown>
}

export interface PipelineOptions {
  /** Names this run in the history's keys; the same run never enters a document twice. */
  readonly run: string
  /** Documents under way at once; default 4. */
  readonly concurrency?: number
  readonly signal?: AbortSignal
  /** How the rows name a file; the services get the path itself. */
  readonly display?: (path: string) => string
  readonly onRow?: (row: Row, done: number) => void
  readonly retry?: RetryOptions
}

/**
 * Reads every document and gives one row for each, in the order of the paths: a result, or the reason why
 * there is none. Rejects only with the signal's reason. A call that a dying process left unanswered is
 * made again, which all of these allow; rows are the same as if nobody had died.
 */
export async function readAll(
  paths: readonly string[],
  services: Services,
  options: PipelineOptions,
): Promise<Row[]> {
  const rows = new Map<number, Row>()
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < paths.length; at = next++) {
      const path = paths[at]
      if (path === undefined) continue
      const row = await readOne(path, at, services, options)
      rows.set(at, row)
      options.onRow?.(row, rows.size)
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.concurrency ?? 4, paths.length) }, lane))
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
}

async function readOne(path: string, at: number, services: Services, options: PipelineOptions): Promise<Row> {
  const { signal, run, display } = options
  const retry: RetryOptions = { ...options.retry, ...(signal && { signal }) }
  const startedAt = performance.now()
  const elapsed = (): number => performance.now() - startedAt
  const shown = display?.(path) ?? path
  let row: Row
  try {
    const page = await retrying(() => services.parse({ path }, signal), retry)
    const headings = page.headings.slice(0, MAX_HEADINGS).map(({ text }) => text)
    const input = { title: page.title, headings, text: page.text }
    const analysis = await retrying(() => services.analyze(input, signal), retry)
    const { title, words, sentences, readingSeconds, notice } = page
    row = {
      ok: true,
      path: shown,
      title,
      words,
      sentences,
      readingSeconds,
      notice,
      ...analysis,
      elapsedMs: elapsed(),
    }
  } catch (error) {
    signal?.throwIfAborted()
    row = { ok: false, path: shown, failure: failureOf(error), elapsedMs: elapsed() }
  }
  try {
    const entry = { key: `${run}:${at}:${path}`, at: new Date().toISOString(), row }
    await retrying(() => services.append(entry, signal), retry)
    return row
  } catch (error) {
    signal?.throwIfAborted()
    const { code, reason, message } = failureOf(error)
    return {
      ok: false,
      path: shown,
      failure: { code, reason, message: `not kept in the history: ${message}` },
      elapsedMs: elapsed(),
    }
  }
}

export interface RetryOptions {
  /** Attempts in all; default 8. */
  readonly attempts?: number
  /** The longest first pause; doubled each time, up to 2 s, and then shortened by chance. Default 100. */
  readonly delayMs?: number
  readonly signal?: AbortSignal
  readonly random?: () => number
}

/** Makes an idempotent call again while its target is away (code `UNAVAILABLE`), and for nothing else. */
export async function retrying<Output>(
  call: () => Promise<Output>,
  options: RetryOptions = {},
): Promise<Output> {
  const { attempts = 8, delayMs = 100, signal, random = Math.random } = options
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await call()
    } catch (error) {
      if (attempt >= attempts || codeOf(error) !== 'UNAVAILABLE') throw error
    }
    await pause(Math.min(2_000, delayMs * 2 ** (attempt - 1)) * random(), signal)
  }
}

/** Code, reason and message of whatever was thrown, by a process or by the file system. */
export function failureOf(error: unknown): Failure {
  const code = codeOf(error)
  if (code === undefined || /^(?:E[A-Z0-9]+|ERR_\w+)$/.test(code)) {
    if (code === undefined) return { code: 'UNKNOWN', reason: 'UNKNOWN', message: messageOf(error) }
    const known = documentError(error)
    return { code: known.code, reason: known.reason, message: known.message }
  }
  const reason = field(error, 'reason')
  return { code, reason: reason ?? code, message: messageOf(error) }
}

function codeOf(error: unknown): string | undefined {
  return field(error, 'code')
}

function field(value: unknown, name: 'code' | 'reason'): string | undefined {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined
  const found = (value as Record<typeof name, unknown>)[name]
  return typeof found === 'string' ? found : undefined
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message === '' ? 'failed without saying why; run again with DEBUG_IPC=true' : message
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
