import type { Clock } from '../core/clock.ts'
import { isThenable } from '../core/guards.ts'
import type { Interceptor, Next, Reply } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { positive, readOptions, time } from './options.ts'

export interface TimeoutOptions {
  /** Milliseconds; a call that asks for less by its own `timeoutMs` gets less. Default CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/**
 * Bounds what stands behind it: before `retry` all tries together, behind it each of them. The call carries the
 * bound as its deadline; a policy that holds it back longer is not waited for. Streams are bounded in their opening.
 */
export function timeout(options?: TimeoutOptions | true): Interceptor {
  return timeoutNamed('timeout', options)
}

/** The same by another name, where there are two. */
export function timeoutNamed(name: string, options?: TimeoutOptions | true): Interceptor {
  const { timeoutMs, clock } = readOptions(name, options, {
    timeoutMs: positive(CALL_TIMEOUT_MS),
    clock: time(),
  })
  let passed = 0
  const policy = (next: Next): Next => {
    return (call) => {
      if (call.side === 'callee' || call.oneWay) return next(call)
      // A call that asks for nothing, or for no bound, gets this one.
      const ms = Math.min(call.options.timeoutMs || timeoutMs, timeoutMs)
      const reply = next({ ...call, options: { ...call.options, timeoutMs: ms } })
      if (call.method.kind === 'stream' || !isThenable(reply)) return reply
      return new Promise<Reply>((resolve, reject) => {
        const cancel = clock.after(ms, () => {
          passed++
          reject(
            new ViaductError('DEADLINE_EXCEEDED', `${call.method.name}: no answer within ${ms} ms`, {
              fate: 'unknown',
            }),
          )
        })
        Promise.resolve(reply).then(resolve, reject).finally(cancel)
      })
    }
  }
  return Object.assign(policy, { policy: name, stats: () => ({ passed }) })
}
