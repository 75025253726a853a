import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type CallOptions, Hub } from 'viaduct'
import { type Mailboxes, mailboxes } from 'viaduct/mailbox'
import { Chaos, type Work } from './chaos.ts'
import { analysis, documents, history, pages, plugin } from './contract.ts'
import { corpusFolder, packageRoot } from './corpus.ts'
import { MAX_DOCUMENTS } from './limits.ts'
import { rules } from './manifest.ts'
import { type Options, shownPath } from './options.ts'
import { type RetryOptions, readAll, retrying, type Services } from './pipeline.ts'
import { processesOf, specOf } from './processes.ts'
import { ProgressBar } from './progress.ts'
import type { Outcome } from './report.ts'

/** A large file takes its time; a process that hangs is found by its heartbeats, long before this. */
const CALL_MS = 120_000
/** With chaos a call may die with its process many times in a row. */
const CHAOS_ATTEMPTS = 40
/** Chaos kills more often than a program that should be given up, and waits less. */
const CHAOS_RESTART = { max: Number.POSITIVE_INFINITY, initialDelayMs: 20, maxDelayMs: 200 }

/** A longer history makes way for a new one when the reader starts. */
const HISTORY_BYTES = 4 * 1024 * 1024

export interface Face {
  /** Where the user stands: paths are shown from there. */
  readonly folder: string
  /** When all is known and every process still runs. */
  onOutcome(outcome: Outcome): Promise<void> | void
}

/**
 * Starts the processes, reads the documents, hands over what came of them, and stops the processes in order,
 * whatever happens. Rejects with the signal's reason, or with what kept it from starting.
 */
export async function read(options: Options, face: Face, stopped: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  const root = packageRoot()
  const processes = processesOf(options.python)
  const hub = await Hub.launch({ app: options.app, manifest: rules })
  const over = new AbortController()
  const signal = AbortSignal.any([stopped, over.signal])
  let bar: ProgressBar | undefined
  let durable: Mailboxes | undefined
  let emptied: string | undefined
  try {
    const lost = hub.peer.closed.then((reason) => {
      throw new Error(`the hub has gone (${reason}): start again`)
    })
    await Promise.race([lost, aborted(signal), work()])
  } finally {
    over.abort(new Error('the reader has ended'))
    bar?.finish()
    await hub.close()
    await durable?.close()
    // Entries that still wait in it are the next reader's to keep.
    if (emptied !== undefined) await rm(emptied, { recursive: true })
  }

  async function work(): Promise<void> {
    const path = await historyPath(root, options.app)
    const files = { root, history: path, mail: path.replace(/jsonl$/, 'mail') }
    durable = await mailboxes({ root: files.mail })
    const how = { python: options.python, ...(options.chaos && { restart: CHAOS_RESTART }) }
    for (const child of processes) await hub.supervise(child.id, specOf(child, files, how))
    // Nobody waits for this: calls to a process that is starting wait in the hub.
    const ready = Promise.all(processes.map(({ id }) => hub.whenReady(id))).then(processLine)
    ready.catch(() => {})
    const { paths, folder } = await toRead()
    const display = (path: string): string => shownPath(path, folder)
    const chaos = options.chaos
      ? new Chaos(hub, processes, { seed: options.seed, calls: paths.length * 3 })
      : undefined
    const retry = { signal, ...(chaos && { attempts: CHAOS_ATTEMPTS }) }
    const shown = new ProgressBar(paths.length)
    bar = shown
    const told = ready.then((line) => shown.say(line))
    let done = 0
    void showProgress((path) => shown.update(done, display(path)))
    shown.update(0)
    const readingAt = performance.now()
    const trying = tried(paths[0] ?? root, retry, chaos)
    const kept: Promise<void>[] = []
    const reading = readAll(paths, servicesOf(durable, kept, chaos), {
      run: `${Date.now()}-${process.pid}`,
      signal,
      display,
      retry,
      onRow: (row, count) => {
        done = count
        shown.update(done, row.path)
      },
    })
    const [rows, attempts] = await Promise.all([reading, trying, told])
    const readMs = performance.now() - readingAt
    await chaos?.end()
    await Promise.all(kept)
    emptied = files.mail
    const [stats, children] = await Promise.all([hub.stats(), hub.children()])
    const wholeMs = performance.now() - startedAt
    const labelledFolder = join(corpusFolder(root), 'labelled')
    shown.finish()
    const kills = chaos?.kills
    const times = { readMs, wholeMs }
    const counts = { kills, kept: kept.length }
    await face.onOutcome({ rows, paths, attempts, stats, children, labelledFolder, ...counts, ...times })
  }

  async function processLine(): Promise<string> {
    const ready = performance.now() - startedAt
    const known = new Map((await hub.who()).map(({ id, pid }) => [id, pid]))
    const each = ['main', ...processes.map(({ id }) => id)].map((id) => `${id} ${known.get(id) ?? '?'}`)
    return `Ready after ${Math.round(ready)} ms: ${each.join(', ')} and the hub.`
  }

  /** The files named, or this repository's own Markdown, as the network process finds it. */
  async function toRead(): Promise<{ paths: readonly string[]; folder: string }> {
    if (options.files.length > 0) return { paths: options.files, folder: face.folder }
    const network = hub.client(documents, { type: 'network' })
    const found = await network.list({ max: MAX_DOCUMENTS }, { signal })
    return { paths: found.map((path) => join(root, path)), folder: root }
  }

  /** @param kept gets a promise for each entry, which settles when the history has it */
  function servicesOf(durable: Mailboxes, kept: Promise<void>[], chaos: Chaos | undefined): Services {
    const renderers = hub.client(pages, { type: 'renderer' })
    const ai = hub.client(analysis, { type: 'ai' })
    const keeper = hub.client(history, { type: 'worker' }, { durable })
    const limits: CallOptions = { signal, timeoutMs: CALL_MS }
    return {
      parse: (input) => begun('parse', renderers.parse(input, limits), chaos),
      analyze: (input) => begun('analyze', ai.analyze(input, limits), chaos),
      append: async (entry) => {
        const receipt = await begun('append', keeper.append(entry, { requiresAck: true }), chaos)
        const handled = durable.handled(receipt, { signal })
        // Looked at when all is read.
        handled.catch(() => {})
        kept.push(handled)
      },
    }
  }

  function tried(path: string, retry: RetryOptions, chaos: Chaos | undefined) {
    const guest = hub.client(plugin, { id: 'plugin-1' })
    return retrying(
      () => begun('attempts', guest.attempts({ path }, { signal, timeoutMs: CALL_MS }), chaos),
      retry,
    )
  }

  /** Until the link ends, which is nothing to tell of here. */
  async function showProgress(show: (path: string) => void): Promise<void> {
    try {
      for await (const { path } of hub.subscribe(pages.progress)) show(path)
    } catch {}
  }
}

/** Within the repository, out of version control. No other reader has it: the hub of this name is ours. */
async function historyPath(root: string, app: string): Promise<string> {
  const folder = join(root, '.cache', 'reader')
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${app}.jsonl`)
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  if (size > HISTORY_BYTES) await rename(path, join(folder, `${app}.old.jsonl`))
  return path
}

function begun<Output>(work: Work, call: Promise<Output>, chaos: Chaos | undefined): Promise<Output> {
  chaos?.begun(work)
  return call
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
