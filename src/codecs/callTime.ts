import type { CallOptions } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import type { OutgoingCall } from '../core/interceptor.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'

/** The call's options, less the time that the agreement took. */
export function timeLeft({ method, options }: OutgoingCall, tookMs: number): CallOptions {
  const left = (ms: number): number => {
    if (ms === 0) return 0
    if (tookMs >= ms) throw linkError('DEADLINE_EXCEEDED', method.name, 'not-sent')
    return ms - tookMs
  }
  const { timeoutMs = CALL_TIMEOUT_MS, totalTimeoutMs } = options
  return {
    ...options,
    timeoutMs: left(timeoutMs),
    ...(totalTimeoutMs === undefined ? {} : { totalTimeoutMs: left(totalTimeoutMs) }),
  }
}

/** The promise, unless the call's time is over or its signal aborted before it settles. */
export function within<T>(clock: Clock, { method, options }: OutgoingCall, promise: Promise<T>): Promise<T> {
  const { timeoutMs = CALL_TIMEOUT_MS, signal } = options
  return new Promise((resolve, reject) => {
    const cancel = timeoutMs > 0 ? clock.after(timeoutMs, () => fail('DEADLINE_EXCEEDED')) : () => {}
    const aborted = (): void => fail('CANCELLED')
    const fail = (reason: 'DEADLINE_EXCEEDED' | 'CANCELLED'): void => {
      end()
      reject(linkError(reason, method.name, 'not-sent'))
    }
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', aborted)
    }
    if (signal?.aborted) return aborted()
    signal?.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(end)
  })
}
