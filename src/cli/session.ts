import type { Peer } from '../contract/peer.ts'
import type { Target } from '../core/call.ts'
import { join } from '../host/join.ts'
import type { Description, PeerStatus } from '../hub/answers.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { EXIT, exitOf, Failure, UsageError } from './failure.ts'
import { type Found, findHub, runningHubs } from './findHub.ts'
import { near } from './near.ts'
import type { Output } from './output.ts'

/** Whom a word of the command line names. */
export type NamedTarget = Exclude<Target, { readonly any: true }>

/** The id of the command line; the hub writes its key into the runtime folder when it starts. */
const ID = 'cli'
const DEFAULT_TIMEOUT_MS = 5000
/** A hub may take so long to let this in, however short a time is given for the call. */
const MIN_JOIN_MS = 1000

export interface CommonFlags {
  readonly app?: string | undefined
  readonly base?: string | undefined
  readonly timeout?: string | undefined
}

/** A command's link to its hub. */
export class Session {
  readonly peer: Peer
  readonly app: string
  readonly timeoutMs: number
  readonly out: Output

  constructor(peer: Peer, app: string, timeoutMs: number, out: Output) {
    this.peer = peer
    this.app = app
    this.timeoutMs = timeoutMs
    this.out = out
  }

  /** Calls one of the hub's own methods. */
  ask(method: string, input?: unknown): Promise<unknown> {
    return this.peer.call(`$hub.${method}`, input, { timeoutMs: this.timeoutMs })
  }

  async who(): Promise<PeerStatus[]> {
    return listOf(await this.ask('who'), isPeerStatus)
  }

  async describe(target?: NamedTarget): Promise<Description[]> {
    return listOf(await this.ask('describe', target ?? {}), isDescription)
  }

  /** What to do about a target that is not there: peers and types of like names. Never fails. */
  async adviceOnTarget(target: NamedTarget): Promise<string[]> {
    const peers = await this.who().catch(() => [])
    const ids = peers.map(({ id }) => id)
    const types = [...new Set(peers.map(({ type }) => type))]
    if ('id' in target) {
      if (ids.includes(target.id)) return []
      const advice = types.includes(target.id)
        ? [`${target.id} is a type: use type:${target.id}`]
        : near(target.id, ids).map((id) => `did you mean ${id}?`)
      return [...advice, 'viaduct who']
    }
    if (types.includes(target.type)) return []
    const advice = ids.includes(target.type)
      ? [`${target.type} is an id: use it without type:`]
      : near(target.type, types).map((type) => `did you mean type:${type}?`)
    return [...advice, 'viaduct who']
  }

  /** The same for a method that its target does not serve. */
  async adviceOnMethod(target: NamedTarget, method: string): Promise<string[]> {
    const described = await this.describe(target).catch(() => [])
    const names = described.flatMap(({ methods }) => methods.map(({ name }) => name))
    if (names.includes(method)) return []
    const likely = near(method, names).map((name) => `did you mean ${name}?`)
    return [...likely, `viaduct describe ${targetText(target)}`]
  }

  close(): void {
    this.peer.close()
  }
}

/**
 * Finds the hub and joins it.
 *
 * @throws Failure with what to do next.
 */
export async function openSession(flags: CommonFlags, out: Output): Promise<Session> {
  const timeoutMs = flags.timeout === undefined ? DEFAULT_TIMEOUT_MS : duration(flags.timeout)
  const { base } = flags
  const found = await findHub({
    app: flags.app,
    base,
    folder: process.cwd(),
    context: process.env.VIADUCT_CONTEXT,
  })
  const joining = joinReady(found.app, base)
  try {
    const peer = await inTime(joining, timeoutMs === 0 ? 0 : Math.max(timeoutMs, MIN_JOIN_MS), found.app)
    return new Session(peer, found.app, timeoutMs, out)
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), {
      exit: isViaductError(error) && error.reason === 'BAD_APP_NAME' ? EXIT.USAGE : exitOf(error),
      next: await adviceOnHub(error, found, base),
      cause: error,
    })
  }
}

async function adviceOnHub(error: unknown, { app, by }: Found, base: string | undefined): Promise<string[]> {
  if (!isViaductError(error)) return []
  const running = (await runningHubs(base).catch(() => [])).filter((name) => name !== app)
  return [
    ...(by.startsWith('the only') ? [] : [`the app name ${app} comes from ${by}`]),
    ...(running.length > 0 ? [`running now: ${running.join(', ')}; choose with --app`] : []),
    `viaduct explain ${error.reason}`,
  ]
}

async function joinReady(app: string, base: string | undefined): Promise<Peer> {
  const peer = await join({
    app,
    id: ID,
    ready: false,
    reconnect: false,
    ...(base === undefined ? {} : { base }),
  })
  await peer.ready()
  return peer
}

/** The same promise, or an error after so long: a hub that hangs accepts connections all the same. */
async function inTime(joining: Promise<Peer>, ms: number, app: string): Promise<Peer> {
  if (ms === 0) return joining
  let late = false
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true
      const text = `the hub of ${app} did not answer within ${ms} ms: it hangs, or is stopped`
      reject(new ViaductError('DEADLINE_EXCEEDED', text, { reason: 'DEADLINE_EXCEEDED', fate: 'not-sent' }))
    }, ms)
  })
  joining.then(
    (peer) => late && peer.close(),
    () => {},
  )
  try {
    return await Promise.race([joining, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** `PEER` or `type:TYPE`. */
export function targetOf(word: string): NamedTarget {
  if (!word.startsWith('type:')) return { id: word }
  const type = word.slice('type:'.length)
  if (type === '') throw new UsageError('type: needs a type behind it, as type:ai')
  return { type }
}

export function targetText(target: NamedTarget): string {
  return 'id' in target ? target.id : `type:${target.type}`
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `2s`, `1m`, `12h`, `7d` in milliseconds; 0 is no bound. */
export function duration(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  if (text === '0') return 0
  if (digits === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is no time: write it as 500ms, 2s or 1m, or 0 for no bound`)
  }
  return Math.round(Number(digits) * (UNITS[unit ?? ''] ?? 1))
}

function listOf<T>(value: unknown, is: (entry: unknown) => entry is T): T[] {
  return Array.isArray(value) ? value.filter(is) : []
}

function isPeerStatus(value: unknown): value is PeerStatus {
  return typeof value === 'object' && value !== null && 'id' in value && 'type' in value && 'calls' in value
}

function isDescription(value: unknown): value is Description {
  return typeof value === 'object' && value !== null && 'id' in value && 'methods' in value
}
