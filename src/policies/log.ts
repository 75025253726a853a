import { type Clock, systemClock } from '../core/clock.ts'
import type { Call, Interceptor, Next } from '../core/interceptor.ts'
import { Ring } from '../core/ring.ts'
import { targetKey } from '../core/route.ts'
import { isViaductError } from '../wire/errors.ts'
import { count, flag, given, readOptions } from './options.ts'
import { redactor } from './redact.ts'

export interface LogOptions {
  /** Entries kept; the oldest goes first. Default 1,000. */
  readonly maxEntries?: number
  /** Keep inputs and outputs as well, redacted. Default false: who called what, and how it went. */
  readonly values?: boolean
  /** Paths that are never shown, beside those that the schemas mark: `['input.password']`. */
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
  const shown = redactor(redact)
  const ring = new Ring<LogEntry>(maxEntries)

  function add(entry: LogEntry): void {
    ring.add(entry)
    try {
      write?.(entry)
    } catch {
      // What is written elsewhere is no concern of the call's.
    }
  }

  const policy = (next: Next): Next => {
    return async (call) => {
      const time = wallClock()
      const began = clock.now()
      const noted = (outcome: Partial<LogEntry>): void => {
        const traceparent = call.side === 'caller' ? call.options.traceparent : call.context.traceparent
        add({
          time,
          side: call.side,
          method: call.method.name,
          peer: call.side === 'callee' ? call.context.peer.id : targetKey(call.target),
          durationMs: clock.now() - began,
          code: 'OK',
          ...(traceparent === undefined ? {} : { traceparent }),
          ...(values ? { input: shown(call.method, 'input', call.input) } : {}),
          ...outcome,
        })
      }
      const failed = (error: unknown): void => {
        if (isViaductError(error)) noted({ code: error.code, reason: error.reason })
        else noted({ code: 'INTERNAL', reason: 'HANDLER_ERROR' })
      }
      try {
        const reply = await next(call)
        if ('items' in reply) reply.done.then(() => noted({}), failed)
        else noted(values ? { output: shown(call.method, 'output', reply.value) } : {})
        return reply
      } catch (error) {
        failed(error)
        throw error
      }
    }
  }
  return Object.assign(policy, {
    policy: 'log' as const,
    entries: () => ring.all(),
    clear: () => ring.clear(),
  })
}
