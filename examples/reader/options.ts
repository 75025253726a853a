import { isAbsolute, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface Options {
  /** Absolute paths, as given, without doubles; empty: this repository's own Markdown. */
  readonly files: readonly string[]
  /** Kills children on purpose while it runs. */
  readonly chaos: boolean
  /** Order and moments of the kills. */
  readonly seed: number
  /** Stay until Ctrl-C when all is read, so that others may look around. */
  readonly stay: boolean
  readonly json: boolean
  /** The AI process in Python. */
  readonly python: boolean
  /** Name of the hub: two readers at once need two names. */
  readonly app: string
  readonly help: boolean
}

export const USAGE = `Reads documents by eight processes and says what is in them.

  npm start -- [OPTION…] [FILE…]

  FILE         Markdown, HTML or plain text; without one, this repository's own Markdown
  --chaos      kill -9 every child on purpose, in the middle of its work; the rows stay the same
  --python     run the AI process in Python; the rows stay the same
  --seed N     order and moments of those kills (default 1)
  --stay       stay when all is read, until Ctrl-C, so that you can look around
  --json       print the rows as JSON, one a line, instead of the tables
  --app NAME   name of the hub (default reader); two readers at once need two names
  --help       print this

Exit code: 0, also when some files could not be read: their rows say why · 1 none could be read, or the
processes did not start · 2 wrong use · 130, 143 stopped by Ctrl-C, SIGTERM
`

/** Wrong use of the command line: print the message and the usage, exit with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * Options of the command line. Files are found from `folder`, where the user stands: npm moves into the
 * package and leaves that folder in `INIT_CWD`.
 * @throws {UsageError} for an option that is not known
 */
export function readOptions(
  args: readonly string[],
  folder: string = process.env.INIT_CWD ?? process.cwd(),
): Options {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        chaos: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        stay: { type: 'boolean', default: false },
        python: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        app: { type: 'string', default: 'reader' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const files = [...new Set(positionals.map((file) => resolve(folder, file)))]
    if (!/^\d{1,9}$/.test(values.seed)) throw new Error(`--seed takes a whole number, not '${values.seed}'`)
    return { ...values, files, seed: Number(values.seed) }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** A path as the user would write it: relative where it lies below the folder, else absolute. */
export function shownPath(path: string, folder: string): string {
  const short = relative(folder, path)
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short
}
