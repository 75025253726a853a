import type { Clock } from '../core/clock.ts'
import type { Call, Interceptor, Next } from '../core/interceptor.ts'
import { targetKey } from '../core/route.ts'
import { type Code, isViaductError, ViaductError } from '../wire/errors.ts'
import { count, positive, readOptions, time } from './options.ts'

export interface BreakerOptions {
  /** Failures in a row that open it; default 5. */
  readonly threshold?: number
  /** Milliseconds until one call may try again; default 5,000. */
  readonly halfOpenAfterMs?: number
  readonly clock?: Clock
}

type State = 'closed' | 'open' | 'half-open'

/** What tells of the target's health; what a handler throws, or a caller did wrong, says that it is well. */
const FAILURES: ReadonlySet<Code> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'])
/** What says nothing of it: the caller's own doing. */
const OWN_FAULTS: ReadonlySet<string> = new Set(['CANCELLED', 'RATE_LIMITED', 'MESSAGE_TOO_LARGE'])
/** Targets and methods that are told apart; further ones share one breaker. */
const MAX_BREAKERS = 1_000

interface Breaker {
  state: State
  failures: number
  /** When it opened, or when the last call went to try. */
  since: number
  /** One more with each change of state: what began before it tells nothing any more. */
  epoch: number
}

/**
 * Stops calling what keeps failing: after `threshold` failures in a row of a method of a target, its calls fail at once
 * with UNAVAILABLE / BREAKER_OPEN, not sent, and `retryAfterMs`. After `halfOpenAfterMs` one call goes through and
 * decides; if it takes as long again, another one may try. For callers; one-way calls are left alone.
 */
export function breaker(options?: BreakerOptions | true): Interceptor {
  const { threshold, halfOpenAfterMs, clock } = readOptions('breaker', options, {
    threshold: count(5),
    halfOpenAfterMs: positive(5_000),
    clock: time(),
  })
  const breakers = new Map<string, Breaker>()
  let opened = 0
  let refused = 0

  function of(call: Call): Breaker {
    const target = call.side === 'caller' ? targetKey(call.target) : ''
    const wanted = target === '' ? call.method.name : `${call.method.name} on ${target}`
    const name = breakers.has(wanted) || breakers.size < MAX_BREAKERS ? wanted : 'others'
    let found = breakers.get(name)
    if (!found) {
      found = { state: 'closed', failures: 0, since: 0, epoch: 0 }
      breakers.set(name, found)
    }
    return found
  }

  function turn(one: Breaker, state: State): void {
    one.state = state
    one.since = clock.now()
    one.epoch++
  }

  function enter(one: Breaker, method: string): void {
    if (one.state === 'closed') return
    const leftMs = one.since + halfOpenAfterMs - clock.now()
    if (leftMs <= 0) return turn(one, 'half-open')
    refused++
    throw new ViaductError(
      'UNAVAILABLE',
      `${method}: not called, since it failed ${one.failures} times in a row`,
      { reason: 'BREAKER_OPEN', fate: 'not-sent', retryAfterMs: Math.ceil(leftMs) },
    )
  }

  function failed(one: Breaker, epoch: number, error: unknown): void {
    if (one.epoch !== epoch) return
    if (!isViaductError(error) || !(FAILURES.has(error.code) || OWN_FAULTS.has(error.reason))) {
      return succeeded(one, epoch)
    }
    if (OWN_FAULTS.has(error.reason)) {
      // The call that went to try came to no verdict: the next one may.
      if (one.state === 'half-open') one.since = Number.NEGATIVE_INFINITY
      return
    }
    one.failures++
    if (one.state === 'closed' && one.failures < threshold) return
    opened++
    turn(one, 'open')
  }

  function succeeded(one: Breaker, epoch: number): void {
    if (one.epoch !== epoch) return
    one.failures = 0
    if (one.state !== 'closed') turn(one, 'closed')
  }

  async function watch(call: Call, next: Next) {
    const one = of(call)
    enter(one, call.method.name)
    const { epoch } = one
    try {
      const reply = await next(call)
      if ('items' in reply) {
        reply.done.then(
          () => succeeded(one, epoch),
          (error) => failed(one, epoch, error),
        )
      } else succeeded(one, epoch)
      return reply
    } catch (error) {
      failed(one, epoch, error)
      throw error
    }
  }

  const policy = (next: Next): Next => {
    return (call) => (call.side === 'callee' || call.oneWay ? next(call) : watch(call, next))
  }
  const stats = (): Record<string, number | string> => {
    const states = [...breakers]
      .filter(([, one]) => one.state !== 'closed')
      .map(([name, one]) => `${name} ${one.state}`)
    return { state: states.slice(0, 8).join(', ') || 'closed', opened, refused }
  }
  return Object.assign(policy, { policy: 'breaker', stats })
}
