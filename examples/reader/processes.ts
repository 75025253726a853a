import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChildSpec } from 'viaduct'

/** The processes that the hub starts and watches: ids and types. The hub and `main` come on top. */
export const PROCESSES = [
  { id: 'network-1', type: 'network' },
  { id: 'renderer-1', type: 'renderer' },
  { id: 'renderer-2', type: 'renderer' },
  { id: 'ai-1', type: 'ai' },
  { id: 'plugin-1', type: 'plugin' },
  { id: 'history-1', type: 'worker' },
] as const

/** The language process loads its words first, which takes a busy machine a while. */
const READY_MS = 30_000

export type ProcessId = (typeof PROCESSES)[number]['id']

export interface ProcessFiles {
  /** The folder that `documents.list` lists. */
  readonly root: string
  /** The file that keeps the history. */
  readonly history: string
}

/** What a process is started with: this folder's program of its name, under the same Node. */
export function specOf(
  { id, type }: (typeof PROCESSES)[number],
  files: ProcessFiles,
  restart?: ChildSpec['restart'],
): ChildSpec {
  const here = fileURLToPath(import.meta.url)
  const program = join(here, '..', id.replace(/-\d+$/, extname(here)))
  const argument = { network: [files.root], worker: [files.history], renderer: [], ai: [], plugin: [] }
  return {
    type,
    run: [process.execPath, program, ...argument[type]],
    readyTimeoutMs: READY_MS,
    ...(restart === undefined ? {} : { restart }),
  }
}
