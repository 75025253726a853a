import { type Clock, systemClock } from '../core/clock.ts'
import type { Interceptor, Next } from '../core/interceptor.ts'
import { type Code, isViaductError, ViaductError } from '../wire/errors.ts'
import { count, given, positive, readOptions } from './options.ts'

export interface BreakerOptions {
  /** Failures in a row that open it; default 5. */
  readonly threshold?: number
  /** Milliseconds until one call may try again; default 5,000. */
  readonly halfOpenAfterMs?: number
  readonly clock?: Clock
}

type State = 'closed' | 'open' | 'half-open'

/** What tells of the target's health; what a handler throws, or a caller did wrong, does not. */
const FAILURES: ReadonlySet<Code> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'])
/** Methods that are told apart; further ones share one breaker. */
const MAX_METHODS = 1_000

interface Breaker {
  state: State
  failures: number
  openedAt: number
}

/**
 * Stops calling what keeps failing: after `threshold` failures in a row of a method, its calls fail at once with
 * UNAVAILABLE / BREAKER_OPEN, not sent, and `retryAfterMs`. After `halfOpenAfterMs` one call goes through and
 * decides. Each method has a breaker of its own, each instance of this policy knows one target.
 */
export function breaker(options?: BreakerOptions | true): Interceptor {
  const { threshold, halfOpenAfterMs, clock } = readOptions('breaker', options, {
    threshold: count(5),
    halfOpenAfterMs: positive(5_000),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  const breakers = new Map<string, Breaker>()
  let opened = 0
  let refused = 0

  function of(method: string): Breaker {
    const name = breakers.has(method) || breakers.size < MAX_METHODS ? method : '*'
    let found = breakers.get(name)
    if (!found) {
      found = { state: 'closed', failures: 0, openedAt: 0 }
      breakers.set(name, found)
    }
    return found
  }

  function enter(one: Breaker, method: string): void {
    if (one.state === 'closed') return
    const leftMs = one.openedAt + halfOpenAfterMs - clock.now()
    if (one.state === 'open' && leftMs <= 0) {
      one.state = 'half-open'
      return
    }
    refused++
    throw new ViaductError(
      'UNAVAILABLE',
      `${method}: not called, since it failed ${one.failures} times in a row`,
      {
        reason: 'BREAKER_OPEN',
        fate: 'not-sent',
        retryAfterMs: Math.max(1, Math.ceil(leftMs)),
      },
    )
  }

  function failed(one: Breaker, error: unknown): void {
    if (!isViaductError(error) || !FAILURES.has(error.code)) return succeeded(one)
    one.failures++
    if (one.state !== 'half-open' && one.failures < threshold) return
    if (one.state !== 'open') opened++
    one.state = 'open'
    one.openedAt = clock.now()
  }

  function succeeded(one: Breaker): void {
    one.state = 'closed'
    one.failures = 0
  }

  const policy = (next: Next): Next => {
    return async (call) => {
      if (call.side === 'caller' && call.oneWay) return next(call)
      const one = of(call.method.name)
      enter(one, call.method.name)
      try {
        const reply = await next(call)
        if (!('items' in reply)) succeeded(one)
        else {
          reply.done.then(
            () => succeeded(one),
            (error) => failed(one, error),
          )
        }
        return reply
      } catch (error) {
        failed(one, error)
        throw error
      }
    }
  }
  const stats = (): Record<string, number | string> => {
    const states = [...breakers]
      .filter(([, one]) => one.state !== 'closed')
      .map(([name, one]) => `${name} ${one.state}`)
    return { state: states.slice(0, 8).join(', ') || 'closed', opened, refused }
  }
  return Object.assign(policy, { policy: 'breaker', stats })
}
