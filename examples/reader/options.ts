import { isAbsolute, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface Options {
  /** Absolute paths, as given, without doubles; empty: this repository's own Markdown. */
  readonly files: readonly string[]
  /** Kills children on purpose while it runs. */
  readonly chaos: boolean
  readonly json: boolean
  readonly help: boolean
}

export const USAGE = `Reads documents by seven processes and says what is in them.

  npm start -- [--chaos] [--json] [FILE…]

  FILE      Markdown, HTML or plain text; without one, this repository's own Markdown
  --chaos   kill a child now and then; the table is the same
  --json    print the rows as JSON, one a line, instead of the tables
  --help    print this
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
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const files = [...new Set(positionals.map((file) => resolve(folder, file)))]
    return { files, chaos: values.chaos, json: values.json, help: values.help }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** A path as the user would write it: relative where it lies below the folder, else absolute. */
export function shownPath(path: string, folder: string): string {
  const short = relative(folder, path)
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short
}
