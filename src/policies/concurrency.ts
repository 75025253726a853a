import type { Call, Interceptor, Next } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { signalOf } from './abort.ts'
import { count, readOptions } from './options.ts'

export interface ConcurrencyOptions {
  /** Calls that may run at once; default 16. A stream runs until it ends. */
  readonly limit?: number
  /** Calls that may wait for their turn, first come first served; default 0. */
  readonly maxWaiting?: number
}

/**
 * Lets so many calls run at once and so many wait; others fail with RESOURCE_EXHAUSTED / OVERLOADED, not sent. A call
 * that is cancelled, or whose time is over, while it waits does not run.
 */
export function concurrency(options?: ConcurrencyOptions | true): Interceptor {
  const { limit, maxWaiting } = readOptions('concurrency', options, {
    limit: count(16),
    maxWaiting: count(0, 0),
  })
  const waiting = new Set<() => void>()
  let running = 0
  let refused = 0

  function leave(): void {
    const [first] = waiting
    if (!first) {
      running--
      return
    }
    waiting.delete(first)
    first()
  }

  function enter(call: Call): void | Promise<void> {
    if (running < limit) {
      running++
      return
    }
    if (waiting.size >= maxWaiting) {
      refused++
      throw new ViaductError(
        'RESOURCE_EXHAUSTED',
        `${call.method.name}: ${running} calls run and ${waiting.size} wait, which is all that may`,
        { reason: 'OVERLOADED', fate: 'not-sent' },
      )
    }
    const signal = signalOf(call)
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const abort = (): void => {
        waiting.delete(begin)
        reject(
          new ViaductError('CANCELLED', `${call.method.name}: cancelled before its turn came`, {
            fate: 'not-sent',
            cause: signal?.reason,
          }),
        )
      }
      if (signal?.aborted) return abort()
      waiting.add(begin)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  const policy = (next: Next): Next => {
    return async (call) => {
      if (call.side === 'caller' && call.oneWay) return next(call)
      await enter(call)
      let streams = false
      try {
        const reply = await next(call)
        if ('items' in reply) {
          streams = true
          reply.done.then(leave, leave)
        }
        return reply
      } finally {
        if (!streams) leave()
      }
    }
  }
  return Object.assign(policy, {
    policy: 'concurrency',
    stats: () => ({ running, waiting: waiting.size, refused }),
  })
}
