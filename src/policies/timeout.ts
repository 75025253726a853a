import { type Clock, systemClock } from '../core/clock.ts'
import { isThenable } from '../core/guards.ts'
import type { Interceptor, Next, Reply } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { given, positive, readOptions } from './options.ts'

export interface TimeoutOptions {
  /** Milliseconds; a call that asks for less gets less. Default CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/**
 * Bounds what stands behind it: before `retry` all tries together, behind it each of them. The call carries the
 * bound as its deadline; a policy that holds it back longer is not waited for. Streams are bounded in their opening.
 */
export function timeout(options?: TimeoutOptions | true): Interceptor {
  const { timeoutMs, clock } = readOptions('timeout', options, {
    timeoutMs: positive(CALL_TIMEOUT_MS),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  let passed = 0
  const policy = (next: Next): Next => {
    return (call) => {
      if (call.side === 'callee' || call.oneWay) return next(call)
      const asked = call.options.timeoutMs ?? CALL_TIMEOUT_MS
      const ms = asked === 0 ? timeoutMs : Math.min(asked, timeoutMs)
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
  return Object.assign(policy, { policy: 'timeout', stats: () => ({ passed }) })
}
