import { fnv1a64 } from '../contract/fingerprint.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Interceptor, Next, Reply } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { pack } from '../wire/packed.ts'
import { count, given, positive, readOptions } from './options.ts'

export interface DedupeOptions {
  /** Callee: how long an answer is kept after the call has ended; default 60,000 ms. */
  readonly windowMs?: number
  /** Callee: answers kept at once, of all callers; the oldest is forgotten. Default 1,000. */
  readonly maxKeys?: number
  readonly clock?: Clock
  /** Caller: makes a key of at most 64 bytes that no other call has; default: 128 random bits. */
  readonly newKey?: () => string
}

interface Known {
  readonly input: string
  readonly reply: Promise<Reply>
  forgetAt: number
}

/**
 * Runs a call once for each idempotency key, however often it comes. At the caller it gives every call a key, if it has
 * none; before `retry`, so that all tries have the same. At the callee it answers a key of the same caller and method
 * with what the first call gave, an error too, and waits for one that still runs. The same key with another input is
 * refused with INVALID_ARGUMENT / KEY_REUSED. Calls without a key, streams and one-way calls are left alone.
 */
export function dedupe(options?: DedupeOptions | true): Interceptor {
  const { windowMs, maxKeys, clock, newKey } = readOptions('dedupe', options, {
    windowMs: positive(60_000),
    maxKeys: count(1_000),
    clock: given<Clock>(systemClock, 'a clock'),
    newKey: given<() => string>(randomKey, 'a function'),
  })
  const known = new Map<string, Known>()
  let repeated = 0

  function forget(): void {
    const now = clock.now()
    for (const [key, { forgetAt }] of known) {
      if (known.size < maxKeys && forgetAt > now) break
      known.delete(key)
    }
  }

  const policy = (next: Next): Next => {
    return (call) => {
      if (call.method.kind === 'stream') return next(call)
      if (call.side === 'caller') {
        if (call.oneWay || call.options.idempotencyKey !== undefined) return next(call)
        return next({ ...call, options: { ...call.options, idempotencyKey: newKey() } })
      }
      const { idempotencyKey, peer } = call.context
      if (idempotencyKey === undefined) return next(call)
      const key = `${peer.id}\n${call.method.name}\n${idempotencyKey}`
      const input = fnv1a64(pack(call.input))
      const before = known.get(key)
      if (before && before.forgetAt > clock.now()) {
        if (before.input !== input) {
          throw new ViaductError(
            'INVALID_ARGUMENT',
            `${call.method.name}: this key came with another input before`,
            {
              reason: 'KEY_REUSED',
              fate: 'not-sent',
            },
          )
        }
        repeated++
        return before.reply
      }
      forget()
      const entry: Known = { input, reply: (async () => next(call))(), forgetAt: Number.POSITIVE_INFINITY }
      const ended = (): void => {
        entry.forgetAt = clock.now() + windowMs
      }
      entry.reply.then(ended, ended)
      known.delete(key)
      known.set(key, entry)
      return entry.reply
    }
  }
  return Object.assign(policy, { policy: 'dedupe', stats: () => ({ repeated, keys: known.size }) })
}

function randomKey(): string {
  let key = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) key += byte.toString(16).padStart(2, '0')
  return key
}
