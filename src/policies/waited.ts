import type { Clock } from '../core/clock.ts'
import type { Call } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { orAborted, signalOf } from './abort.ts'

/** Milliseconds that a call may take by its options; the signal of one that came in knows its deadline by itself. */
export function patienceMs(call: Call): number {
  if (call.side === 'callee') return Number.POSITIVE_INFINITY
  const { timeoutMs = CALL_TIMEOUT_MS, totalTimeoutMs = 0 } = call.options
  return Math.min(timeoutMs || Number.POSITIVE_INFINITY, totalTimeoutMs || Number.POSITIVE_INFINITY)
}

/**
 * What a promise gives that was not made for this call alone: unless its caller gives up first, CANCELLED, or its time
 * is over, DEADLINE_EXCEEDED. The promise goes on for the others.
 */
export function waited<T>(promise: Promise<T>, call: Call, ms: number, clock: Clock): Promise<T> {
  const { name } = call.method
  const answer = orAborted(promise, signalOf(call), name)
  if (ms === Number.POSITIVE_INFINITY) return answer
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => {
      reject(new ViaductError('DEADLINE_EXCEEDED', `${name}: no answer within ${ms} ms`, { fate: 'unknown' }))
    })
    answer.then(resolve, reject).finally(cancel)
  })
}
