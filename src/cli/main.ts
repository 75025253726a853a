#!/usr/bin/env node
/** The program `viaduct`: reads its arguments, runs one verb, and says how it went by its exit code. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { errnoOf } from '../host/errno.ts'
import { EXIT, exitOf, UsageError } from './failure.ts'
import { generalHelp, VERBS, verbHelp } from './help.ts'
import { readInput } from './input.ts'
import { near } from './near.ts'
import { Output } from './output.ts'
import { openSession, type Session, targetOf } from './session.ts'
import { call } from './verbs/call.ts'
import { describe } from './verbs/describe.ts'
import { explain } from './verbs/explain.ts'
import { mailbox } from './verbs/mailbox.ts'
import { ping } from './verbs/ping.ts'
import { tap } from './verbs/tap.ts'
import { watchPeers } from './verbs/watch.ts'
import { who } from './verbs/who.ts'

const COMMON = {
  app: { type: 'string' },
  base: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Options of single verbs. */
const OWN = {
  data: { type: 'string', short: 'd' },
  raw: { type: 'boolean' },
  stream: { type: 'boolean' },
  peer: { type: 'string' },
  method: { type: 'string' },
  count: { type: 'string' },
  watch: { type: 'boolean' },
  root: { type: 'string' },
  store: { type: 'string' },
  ack: { type: 'boolean' },
  delay: { type: 'string' },
  reason: { type: 'string' },
  limit: { type: 'string' },
  all: { type: 'boolean' },
  yes: { type: 'boolean' },
  'older-than': { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const

/** Which verb takes which of them. */
const OPTIONS: Readonly<Record<string, readonly (keyof typeof OWN)[]>> = {
  call: ['data', 'raw', 'stream'],
  ping: ['count'],
  who: ['watch'],
  tap: ['peer', 'method', 'count'],
}

type Flags = ReturnType<typeof parse>['values']

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...OWN }, allowPositionals: true })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new UsageError(text.split(/\.\s/)[0] ?? text, 'viaduct help')
  }
}

/** A hub's link while there is one, so that an interrupt can end it. */
let open: Session | undefined

async function run(args: readonly string[], out: Output): Promise<void> {
  const { values: flags, positionals } = parse(args)
  const [verb, ...words] = positionals
  if (flags.version) return out.line(version())
  if (verb === undefined && !flags.help) throw new UsageError('a verb is missing', 'viaduct help')
  if (flags.help || verb === 'help') return help(out, flags.help ? verb : words[0])
  if (verb === undefined || !Object.hasOwn(VERBS, verb)) throw unknownVerb(verb ?? '')
  if (verb === 'mailbox') return mailbox(out, flags, words)
  checkFlags(verb, flags)
  switch (verb) {
    case 'explain':
      atMost(verb, words, 1)
      return explain(out, words[0])
    case 'who':
      atMost(verb, words, 0)
      return withSession(flags, out, flags.watch ? watchPeers : who)
    case 'ping':
      atMost(verb, words, 1)
      return withSession(flags, out, (session) => ping(session, words[0], flags.count))
    case 'describe':
      atMost(verb, words, 1)
      return withSession(flags, out, (session) => describe(session, words[0]))
    case 'tap':
      atMost(verb, words, 0)
      return runTap(flags, out)
    default:
      return runCall(flags, out, words)
  }
}

async function runCall(flags: Flags, out: Output, words: readonly string[]): Promise<void> {
  const [target, method, ...rest] = words
  if (target === undefined || method === undefined) {
    throw new UsageError('call needs a peer and a method', `usage: ${VERBS.call?.usage ?? ''}`)
  }
  const order = {
    target: targetOf(target),
    method,
    input: await readInput(flags.data, rest),
    stream: flags.stream ?? false,
    raw: flags.raw ?? false,
  }
  return withSession(flags, out, (session) => call(session, order))
}

function runTap(flags: Flags, out: Output): Promise<void> {
  const count = flags.count === undefined ? undefined : Number(flags.count)
  if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) {
    throw new UsageError(`--count ${JSON.stringify(flags.count)}: a whole number above 0`)
  }
  return withSession(flags, out, (session) => tap(session, { peer: flags.peer, method: flags.method, count }))
}

async function withSession(
  flags: Flags,
  out: Output,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  open = await openSession(flags, out)
  try {
    await work(open)
  } finally {
    open.close()
  }
}

function help(out: Output, verb: string | undefined): Promise<void> {
  const known = verb === undefined ? undefined : VERBS[verb]
  if (verb === undefined || verb === 'help') return out.line(generalHelp())
  if (!known || !Object.hasOwn(VERBS, verb)) throw unknownVerb(verb)
  return out.line(verbHelp(known))
}

function unknownVerb(verb: string): UsageError {
  const likely = near(verb, Object.keys(VERBS)).map((name) => `did you mean ${name}?`)
  return new UsageError(`${JSON.stringify(verb)} is no verb`, ...likely, 'viaduct help')
}

function checkFlags(verb: string, flags: Flags): void {
  const allowed: readonly string[] = [...Object.keys(COMMON), ...(OPTIONS[verb] ?? [])]
  const wrong = Object.keys(flags).find((name) => !allowed.includes(name))
  if (wrong !== undefined) throw new UsageError(`${verb} has no option --${wrong}`, `viaduct help ${verb}`)
}

function atMost(verb: string, words: readonly string[], most: number): void {
  const extra = words[most]
  if (extra === undefined) return
  throw new UsageError(
    `${verb}: ${JSON.stringify(extra)} is one word too many`,
    `usage: ${VERBS[verb]?.usage ?? ''}`,
  )
}

function version(): string {
  const found: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof found === 'object' && found !== null && 'version' in found ? String(found.version) : 'unknown'
}

/** Lets what was written reach its reader, then ends. */
function end(code: number): void {
  process.stdout.write('', () => process.exit(code))
}

function main(): void {
  const args = process.argv.slice(2)
  // Known before the arguments are, so that a mistake in them is told in the form that was asked for.
  const upTo = args.indexOf('--')
  const out = new Output((upTo < 0 ? args : args.slice(0, upTo)).includes('--json'))
  // `viaduct tap | head` ends when head has seen enough: that is no error.
  process.stdout.on('error', (error) => process.exit(errnoOf(error) === 'EPIPE' ? EXIT.OK : EXIT.ERROR))
  process.stderr.on('error', () => {})
  process.on('SIGINT', () => {
    // The hub cancels what this end has open when the link ends.
    open?.close()
    process.exit(EXIT.INTERRUPTED)
  })
  run(args, out).then(
    () => end(EXIT.OK),
    (error: unknown) => {
      out.error(error)
      end(exitOf(error))
    },
  )
}

main()
