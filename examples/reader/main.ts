import { constants } from 'node:os'
import { isViaductError, onShutdown } from 'viaduct'
import { type Options, readOptions, USAGE, UsageError } from './options.ts'
import { read } from './reader.ts'
import { endLines, type Outcome, report } from './report.ts'
import { colorsFor } from './terminal.ts'

const WIDTH = 120
const FAILED = 1
const MISUSED = 2

/** Ctrl-C, or somebody's SIGTERM. */
class Stopped extends Error {
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.signal = signal
  }
}

function show(outcome: Outcome, { json, app, stay }: Options): void {
  const colors = colorsFor(process.stdout)
  if (json) {
    for (const row of outcome.rows) process.stdout.write(`${JSON.stringify(row)}\n`)
    process.stderr.write(`${endLines(outcome, colorsFor(process.stderr)).join('\n')}\n`)
  } else {
    const width = process.stdout.columns ?? (Number(process.env.COLUMNS) || WIDTH)
    process.stdout.write(`\n${report(outcome, { width, colors }).join('\n')}\n`)
  }
  const name = app === 'reader' ? '' : ` --app ${app}`
  const ways = [
    `npx viaduct who --app ${app}`,
    `npx viaduct tap --app ${app}`,
    `npx viaduct call --app ${app} history-1 history.recent limit=1`,
  ]
  const lines = stay
    ? ['All processes stay until Ctrl-C. Look around from another terminal, in this folder:']
    : [`To look around while the processes run: npm start -- --stay${name}, and from another terminal:`]
  process.stderr.write(`\n${[...lines, ...ways.map((way) => `  ${way}`)].join('\n')}\n`)
}

async function run(args: readonly string[]): Promise<number> {
  const options = readOptions(args)
  if (options.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const stop = new AbortController()
  let allFailed = false
  const reading = read(
    options,
    {
      folder: process.env.INIT_CWD ?? process.cwd(),
      onOutcome: async (outcome) => {
        allFailed = outcome.rows.every(({ ok }) => !ok)
        show(outcome, options)
        if (options.stay) await new Promise(() => {})
      },
    },
    stop.signal,
  )
  const over = reading.catch(() => {})
  const forget = onShutdown(async (signal) => {
    stop.abort(new Stopped(signal))
    await over
  })
  try {
    await reading
    return allFailed ? FAILED : 0
  } finally {
    forget()
  }
}

function explain(error: unknown): number {
  if (error instanceof Stopped) {
    process.stderr.write(`${error.message}: every process has ended\n`)
    return 128 + constants.signals[error.signal]
  }
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    return MISUSED
  }
  const message = error instanceof Error ? error.message : String(error)
  const reason = isViaductError(error) ? error.reason : ''
  const help =
    reason === 'HUB_RUNNING' ? '\nTwo readers at once need two names: npm start -- --app reader-2 FILE…' : ''
  process.stderr.write(`The reader did not run: ${message}${help}\n`)
  return reason === 'BAD_APP_NAME' ? MISUSED : FAILED
}

// A reader of our output who leaves early (`| head`) is no reason to leave processes behind.
process.stdout.on('error', () => {})
process.exitCode = await run(process.argv.slice(2)).catch(explain)
