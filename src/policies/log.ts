import { type Clock, systemClock } from '../core/clock.ts'
import { isThenable } from '../core/guards.ts'
import type { Call, Interceptor, Next, PolicyStats, Reply } from '../core/interceptor.ts'
import { Ring } from '../core/ring.ts'
import { targetKey } from '../core/route.ts'
import { isViaductError } from '../wire/errors.ts'
import { badOption, count, flag, given, readOptions } from './options.ts'
import { redactor } from './redact.ts'

export interface LogOptions {
  /** Entries kept; the oldest goes first. Default 1,000. */
  readonly maxEntries?: number
  /** Keep inputs and outputs as well, redacted. Default false: who called what, and how it went. */
  readonly values?: boolean
  /**
   * Paths that are never shown, beside those that the schemas mark: `['input.users[].token', 'output.headers.*']`.
   */
  readonly redact?: readonly string[]
  /** Told of each entry as it is made, to be written somewhere. What it throws ends nothing. */
  readonly write?: (entry: LogEntry) => void
  readonly clock?: Clock
  /** Milliseconds since 1970; default Date.now. */
  readonly wallClock?: () => number
}

export interface LogEntry {
  /** Milliseconds since 1970, when the call began. */
  readonly time: number
  readonly side: Call['side']
  readonly method: string
  /** The far side: who asked, or whom was asked; '' for the far end of a link without a hub. */
  readonly peer: string
  readonly durationMs: number
  /** `OK`, or the code of the error. */
  readonly code: string
  readonly reason?: string
  readonly traceparent?: string
  readonly input?: unknown
  readonly output?: unknown
}

export interface Log extends Interceptor {
  readonly policy: 'log'
  readonly stats: () => PolicyStats
  /** The last entries, the oldest first. */
  entries(): LogEntry[]
  clear(): void
}

/**
 * Keeps the last calls in memory: who, what, how long, how it went. Values are kept only if asked for, without what
 * their JSON Schema marks as `writeOnly` or with the format `password`, and cut to what a line can show.
 */
export function log(options?: LogOptions | true): Log {
  const { maxEntries, values, redact, write, clock, wallClock } = readOptions('log', options, {
    maxEntries: count(1_000),
    values: flag(false),
    redact: given<readonly string[]>([], 'a list of paths'),
    write: given<LogOptions['write']>(undefined, 'a function'),
    clock: given<Clock>(systemClock, 'a clock'),
    wallClock: given<() => number>(Date.now, 'a function'),
  })
  if (!redact.every((path) => /^(input|output)\b/.test(path))) {
    throw badOption('log', 'redact', 'give paths that begin with input or output, as ["input.password"]')
  }
  const shown = redactor(redact)
  const ring = new Ring<LogEntry>(maxEntries)
  let calls = 0
  let failures = 0

  function add(entry: LogEntry): void {
    calls++
    if (entry.code !== 'OK') failures++
    ring.add(entry)
    try {
      const written: unknown = write?.(entry)
      if (isThenable(written)) Promise.resolve(written).catch(() => {})
    } catch {
      // What is written elsewhere is no concern of the call's.
    }
  }

  /** Returns what writes down how the call went. */
  function begin(call: Call): (outcome: Pick<LogEntry, 'code' | 'reason' | 'output'>) => void {
    const time = wallClock()
    const began = clock.now()
    const input = values ? { input: shown(call.method, 'input', call.input) } : {}
    const traceparent = call.side === 'caller' ? call.options.traceparent : call.context.traceparent
    return (outcome) =>
      add({
        time,
        side: call.side,
        method: call.method.name,
        peer: call.side === 'callee' ? call.context.peer.id : targetKey(call.target),
        durationMs: clock.now() - began,
        ...(traceparent === undefined ? {} : { traceparent }),
        ...input,
        ...outcome,
      })
  }

  const policy = (next: Next): Next => {
    return (call) => {
      const noted = begin(call)
      const failed = (error: unknown): never => {
        if (isViaductError(error)) noted({ code: error.code, reason: error.reason })
        else noted({ code: 'UNKNOWN', reason: 'HANDLER_ERROR' })
        throw error
      }
      const answered = (reply: Reply): Reply => {
        if ('items' in reply) reply.done.then(() => noted({ code: 'OK' }), failed).catch(() => {})
        else if (call.side === 'caller' && call.oneWay) noted(reply.value === true ? OK : NOT_TAKEN)
        else noted(values ? { ...OK, output: shown(call.method, 'output', reply.value) } : OK)
        return reply
      }
      let reply: Reply | PromiseLike<Reply>
      try {
        reply = next(call)
      } catch (error) {
        return failed(error)
      }
      return isThenable(reply) ? Promise.resolve(reply).then(answered, failed) : answered(reply)
    }
  }
  return Object.assign(policy, {
    policy: 'log' as const,
    stats: () => ({ calls, failures }),
    entries: () => ring.all(),
    clear: () => ring.clear(),
  })
}

const OK = { code: 'OK' }
/** A one-way message that the link had no room for. */
const NOT_TAKEN = { code: 'RESOURCE_EXHAUSTED', reason: 'NOT_TAKEN' }
