import type { Clock } from '../core/clock.ts'
import type { Call, Interceptor, Next, Reply } from '../core/interceptor.ts'
import { type Code, ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { signalOf } from './abort.ts'
import { count, readOptions, time } from './options.ts'

export interface ConcurrencyOptions {
  /** Calls that may run at once; default 16. A stream runs until it ends. */
  readonly limit?: number
  /** Calls that may wait for their turn, first come first served; default 0. */
  readonly maxWaiting?: number
  readonly clock?: Clock
}

/**
 * Lets so many calls run at once and so many wait; others do not run and fail with RESOURCE_EXHAUSTED / OVERLOADED. A
 * call that is cancelled, or whose time is over, while it waits does not run. One-way calls are left alone at the
 * caller.
 */
export function concurrency(options?: ConcurrencyOptions | true): Interceptor {
  const { limit, maxWaiting, clock } = readOptions('concurrency', options, {
    limit: count(16),
    maxWaiting: count(0, 0),
    clock: time(),
  })
  const waiting = new Set<() => void>()
  let running = 0
  let refused = 0

  /** Its place goes to the one that has waited longest. */
  function leave(): void {
    const [first] = waiting
    if (first) first()
    else running--
  }

  /** The call when its turn has come, with the time that is left to it. */
  function turn(call: Call): Promise<Call> {
    const { name } = call.method
    if (waiting.size >= maxWaiting) {
      refused++
      throw new ViaductError(
        'RESOURCE_EXHAUSTED',
        `${name}: ${running} calls run and ${waiting.size} wait, which is all that may`,
        { reason: 'OVERLOADED', fate: 'not-sent' },
      )
    }
    const signal = signalOf(call)
    // At the callee the signal tells of the deadline too.
    const timeoutMs = call.side === 'caller' ? (call.options.timeoutMs ?? CALL_TIMEOUT_MS) : 0
    const began = clock.now()
    return new Promise((resolve, reject) => {
      const refuse = (code: Code, text: string, cause?: unknown): void => {
        settled()
        reject(new ViaductError(code, `${name}: ${text} before its turn came`, { fate: 'not-sent', cause }))
      }
      const abort = (): void => refuse('CANCELLED', 'cancelled', signal?.reason)
      const begin = (): void => {
        settled()
        if (call.side === 'callee' || timeoutMs === 0) return resolve(call)
        const leftMs = Math.max(1, timeoutMs - (clock.now() - began))
        resolve({ ...call, options: { ...call.options, timeoutMs: leftMs } })
      }
      const cancel =
        timeoutMs > 0
          ? clock.after(timeoutMs, () => refuse('DEADLINE_EXCEEDED', 'its time was over'))
          : undefined
      const settled = (): void => {
        cancel?.()
        waiting.delete(begin)
        signal?.removeEventListener('abort', abort)
      }
      if (signal?.aborted) return abort()
      waiting.add(begin)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  async function run(call: Call, next: Next): Promise<Reply> {
    let mine = call
    if (running < limit) running++
    else mine = await turn(call)
    let streams = false
    try {
      const reply = await next(mine)
      if ('items' in reply) {
        streams = true
        reply.done.then(leave, leave)
      }
      return reply
    } finally {
      if (!streams) leave()
    }
  }

  const policy = (next: Next): Next => {
    return (call) => (call.side === 'caller' && call.oneWay ? next(call) : run(call, next))
  }
  return Object.assign(policy, {
    policy: 'concurrency',
    stats: () => ({ running, waiting: waiting.size, refused }),
  })
}
