import { fnv1a64 } from '../contract/fingerprint.ts'
import type { Clock } from '../core/clock.ts'
import type { IncomingCall, Interceptor, Next, Reply } from '../core/interceptor.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { hex } from '../wire/hex.ts'
import { callback, count, positive, readOptions, time } from './options.ts'

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
  readonly input: string | undefined
  readonly reply: Promise<Reply>
  /** `Infinity` while it runs. */
  forgetAt: number
  /** It came to no answer, so the next one of its key runs. */
  isVoid: boolean
}

/**
 * Runs a call once for each idempotency key, however often it comes. At the caller it gives every call a key, if it has
 * none; before `retry`, so that all tries have the same. At the callee it answers a key of the same caller and method
 * with what the first call gave, an error of the handler too, and waits for one that still runs. Not remembered is a
 * call that was aborted before it was answered, as when the caller's link ended, or that failed with the fate
 * not-sent. The same key with another input is refused with INVALID_ARGUMENT / KEY_REUSED. Calls without a key, with an
 * upload, streams and one-way calls are left alone.
 */
export function dedupe(options?: DedupeOptions | true): Interceptor {
  const { windowMs, maxKeys, clock, newKey } = readOptions('dedupe', options, {
    windowMs: positive(60_000),
    maxKeys: count(1_000),
    clock: time(),
    newKey: callback<() => string>(randomKey),
  })
  const known = new Map<string, Known>()
  let repeated = 0

  /** Makes room for one more. What still runs is kept, or it would run twice. */
  function forget(): void {
    const now = clock.now()
    for (const [key, { forgetAt }] of known) {
      if (known.size < maxKeys && forgetAt > now) break
      if (forgetAt !== Number.POSITIVE_INFINITY) known.delete(key)
    }
  }

  async function once(call: IncomingCall, idempotencyKey: string, next: Next): Promise<Reply> {
    const { peer } = call.context
    const key = `${peer.id}\n${call.method.name}\n${idempotencyKey}`
    const input = digestOf(call.input)
    for (;;) {
      const before = known.get(key)
      if (!before || before.isVoid || before.forgetAt <= clock.now()) break
      if (before.input !== input) throw reused(call)
      repeated++
      try {
        return await before.reply
      } catch (error) {
        if (!before.isVoid) throw error
      }
    }
    known.delete(key)
    forget()
    const entry: Known = {
      input,
      reply: run(call, next, (isVoid) => {
        entry.isVoid = isVoid
        entry.forgetAt = isVoid ? 0 : clock.now() + windowMs
      }),
      forgetAt: Number.POSITIVE_INFINITY,
      isVoid: false,
    }
    known.set(key, entry)
    return entry.reply
  }

  const policy = (next: Next): Next => {
    return (call) => {
      if (call.method.kind === 'stream' || call.method.upload) return next(call)
      if (call.side === 'caller') {
        if (call.oneWay || call.options.idempotencyKey !== undefined) return next(call)
        return next({ ...call, options: { ...call.options, idempotencyKey: newKey() } })
      }
      const { idempotencyKey } = call.context
      return idempotencyKey === undefined ? next(call) : once(call, idempotencyKey, next)
    }
  }
  return Object.assign(policy, { policy: 'dedupe', stats: () => ({ repeated, keys: known.size }) })
}

function randomKey(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)))
}

/** @param ended told when it is over, and whether it came to nothing that could be answered again. */
async function run(call: IncomingCall, next: Next, ended: (isVoid: boolean) => void): Promise<Reply> {
  const { signal } = call.context
  // So that nothing is told before this has returned.
  await undefined
  try {
    const reply = await next(call)
    ended(false)
    return reply
  } catch (error) {
    ended(signal.aborted || (isViaductError(error) && error.fate === 'not-sent'))
    throw error
  }
}

/** Tells inputs apart, as far as their text does; undefined for what has none, as a cycle. */
function digestOf(input: unknown): string | undefined {
  try {
    return fnv1a64(JSON.stringify(input, plain) ?? '')
  } catch {
    return undefined
  }
}

/** What JSON would leave out. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Map || value instanceof Set) return [...value]
  if (value instanceof ArrayBuffer) return fnv1a64(new Uint8Array(value))
  if (!ArrayBuffer.isView(value)) return value
  return fnv1a64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
}

function reused({ method }: IncomingCall): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${method.name}: this key came with another input before`, {
    reason: 'KEY_REUSED',
    fate: 'not-sent',
  })
}
