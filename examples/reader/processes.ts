import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChildSpec } from 'viaduct'
import { packageRoot } from './corpus.ts'

/** A process that the hub starts and watches. */
export interface ReaderProcess {
  readonly id: string
  readonly type: keyof typeof PROGRAMS
}

/** By type, which program a process is: in this folder, under the same Node. */
const PROGRAMS = {
  network: 'network',
  renderer: 'renderer',
  ai: 'ai',
  plugin: 'plugin',
  worker: 'history',
  lexicon: 'lexicon',
}
const USUAL: readonly ReaderProcess[] = [
  { id: 'network-1', type: 'network' },
  { id: 'renderer-1', type: 'renderer' },
  { id: 'renderer-2', type: 'renderer' },
  { id: 'ai-1', type: 'ai' },
  { id: 'plugin-1', type: 'plugin' },
  { id: 'history-1', type: 'worker' },
]

/** The language process loads its words first, which takes a busy machine a while. */
const READY_MS = 30_000

export interface ProcessFiles {
  /** The folder that `documents.list` lists. */
  readonly root: string
  /** The file that keeps the history. */
  readonly history: string
  /** The folder in which entries wait for it. */
  readonly mail: string
}

/** The processes of a run; the hub and `main` come on top. Python's AI has a lexicon to ask. */
export function processesOf(python: boolean): readonly ReaderProcess[] {
  return python ? [...USUAL, { id: 'lexicon-1', type: 'lexicon' }] : USUAL
}

export function specOf(
  { type }: ReaderProcess,
  files: ProcessFiles,
  options: { readonly python: boolean; readonly restart?: ChildSpec['restart'] },
): ChildSpec {
  const { restart } = options
  const shared = { type, readyTimeoutMs: READY_MS, ...(restart === undefined ? {} : { restart }) }
  if (options.python && type === 'ai') return { ...shared, ...pythonAi() }
  const here = fileURLToPath(import.meta.url)
  const program = join(here, '..', `${PROGRAMS[type]}${extname(here)}`)
  const argument = { network: [files.root], worker: [files.history, files.mail] }
  const given = type === 'network' || type === 'worker' ? argument[type] : []
  return { ...shared, run: [process.execPath, program, ...given] }
}

/** The same service in another language. The package is taken from this repository: nothing is installed. */
function pythonAi(): Pick<ChildSpec, 'run' | 'env'> {
  const root = packageRoot()
  const path = [join(root, 'python', 'src'), process.env.PYTHONPATH].filter(Boolean).join(':')
  return {
    run: [process.env.PYTHON ?? 'python3', join(root, 'examples', 'reader', 'python', 'ai.py')],
    env: { PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' },
  }
}
