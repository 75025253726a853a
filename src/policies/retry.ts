import type { Clock } from '../core/clock.ts'
import type { Interceptor, Next, OutgoingCall, Reply } from '../core/interceptor.ts'
import { type Code, isViaductError, ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { callback, count, positive, readOptions, share, time } from './options.ts'

export interface RetryOptions {
  /** Further tries after the first; default 3. */
  readonly maxRetries?: number
  /** Longest wait before the first further try; default 100 ms. The wait is drawn from 0 … this: full jitter. */
  readonly initialDelayMs?: number
  /** Default 5,000 ms. */
  readonly maxDelayMs?: number
  /** How much longer the next wait may be; default 2. */
  readonly backoffMultiplier?: number
  /** Further tries as a share of the calls of the last ten seconds; default 0.2. */
  readonly budget?: number
  /** Further tries in ten seconds that are allowed however few calls there were; default 10. */
  readonly reserve?: number
  readonly clock?: Clock
  /** 0 … 1; default Math.random. */
  readonly random?: () => number
}

const BUDGET_WINDOW_MS = 10_000
const RETRYABLE: ReadonlySet<Code> = new Set([
  'UNAVAILABLE',
  'RESOURCE_EXHAUSTED',
  'ABORTED',
  'DEADLINE_EXCEEDED',
])

/** The longest that a timer can wait. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** Whether a call that failed so may be made again: it is worth it, and it cannot run twice or may. */
export function isRetryable(error: unknown, idempotent: boolean): error is ViaductError {
  if (!isViaductError(error) || !RETRYABLE.has(error.code)) return false
  // Another try would be as long.
  if (error.reason === 'MESSAGE_TOO_LARGE') return false
  return error.fate === 'not-sent' || idempotent
}

/**
 * Makes a call again that failed and may be made again: it never reached its handler, or its method is idempotent.
 * The call's `timeoutMs` and `totalTimeoutMs` bound all tries together; a wait that would pass them is not begun, and
 * the last error is thrown. What an error says in `retryAfterMs` is waited as well. Streams, calls with an upload
 * and one-way calls are left alone: what was read of an upload cannot be read again.
 */
export function retry(options?: RetryOptions | true): Interceptor {
  const { maxRetries, initialDelayMs, maxDelayMs, backoffMultiplier, budget, reserve, clock, random } =
    readOptions('retry', options, {
      maxRetries: count(3, 0),
      initialDelayMs: positive(100, 0),
      maxDelayMs: positive(5_000, 0),
      backoffMultiplier: positive(2, 1),
      budget: share(0.2),
      reserve: count(10, 0),
      clock: time(),
      random: callback<() => number>(Math.random),
    })
  const counts = { calls: 0, retries: 0, recovered: 0, exhausted: 0 }
  const window = { endsAt: 0, calls: 0, retries: 0 }

  function turn(): void {
    const now = clock.now()
    if (now < window.endsAt) return
    window.endsAt = now + BUDGET_WINDOW_MS
    window.calls = 0
    window.retries = 0
  }

  function mayRetry(): boolean {
    turn()
    if (window.retries >= Math.max(reserve, Math.floor(budget * window.calls))) {
      counts.exhausted++
      return false
    }
    window.retries++
    counts.retries++
    return true
  }

  async function tries(call: OutgoingCall, next: Next): Promise<Reply> {
    const { timeoutMs = CALL_TIMEOUT_MS, totalTimeoutMs = Number.POSITIVE_INFINITY, signal } = call.options
    const deadline =
      clock.now() + Math.min(timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs, totalTimeoutMs)
    let now = call
    for (let tried = 0; ; tried++) {
      try {
        const reply = await next(now)
        if (tried > 0) counts.recovered++
        return reply
      } catch (error) {
        if (tried >= maxRetries || signal?.aborted || !isRetryable(error, call.method.idempotent)) throw error
        const longest = Math.min(maxDelayMs, initialDelayMs * backoffMultiplier ** tried)
        // On top of what the far side asks for, lest all whom it told the same come at once.
        const delayMs = Math.max(0, error.retryAfterMs ?? 0) + random() * longest
        const isInTime = delayMs <= MAX_DELAY_MS && clock.now() + delayMs < deadline
        if (!isInTime || !mayRetry()) throw error
        await wait(clock, delayMs, signal)
        const leftMs = deadline - clock.now()
        if (leftMs <= 0) throw error
        if (leftMs !== Number.POSITIVE_INFINITY)
          now = { ...call, options: { ...call.options, timeoutMs: leftMs } }
      }
    }
  }

  const policy = (next: Next): Next => {
    return (call) => {
      if (call.side === 'callee' || call.oneWay || call.options.upload || call.method.kind === 'stream') {
        return next(call)
      }
      turn()
      window.calls++
      counts.calls++
      return tries(call, next)
    }
  }
  return Object.assign(policy, { policy: 'retry', stats: () => ({ ...counts }) })
}

/** @throws ViaductError CANCELLED when the signal is aborted first. */
function wait(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel()
      reject(
        new ViaductError('CANCELLED', 'cancelled while waiting for another try', { cause: signal?.reason }),
      )
    }
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}
