import type { Call } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'

/** Aborted when nobody waits for the call any more. */
export function signalOf(call: Call): AbortSignal | undefined {
  return call.side === 'caller' ? call.options.signal : call.context.signal
}

/** What a promise gives, unless the signal is aborted first: CANCELLED then. The promise goes on alone. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(new ViaductError('CANCELLED', `${what}: cancelled`, { fate: 'unknown', cause: signal.reason }))
    }
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
