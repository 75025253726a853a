import { type Clock, systemClock } from '../core/clock.ts'
import type { Interceptor, Next } from '../core/interceptor.ts'
import { isNameOrPattern } from '../core/pattern.ts'
import { type RateLimits, Rates } from '../core/rates.ts'
import { ViaductError } from '../wire/errors.ts'
import { badOption, given, positive, readOptions } from './options.ts'

export interface RateLimitOptions extends RateLimits {
  readonly clock?: Clock
}

/**
 * Bounds the calls a second of each sender and method at the callee, by a token bucket that holds a second's worth.
 * What is over it gets RESOURCE_EXHAUSTED / RATE_LIMITED, not sent, with `retryAfterMs`. A hub does the same before
 * the callee is reached, by its option `rates`.
 */
export function rateLimit(options: RateLimitOptions): Interceptor {
  const { limits, other, clock } = readOptions('rateLimit', options, {
    limits: given<NonNullable<RateLimits['limits']>>({}, 'calls a second by method'),
    other: positive(Number.POSITIVE_INFINITY),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  checkLimits('rateLimit', limits)
  const rates = new Rates({ limits, other })
  let refused = 0
  const policy = (next: Next): Next => {
    return (call) => {
      if (call.side === 'caller') return next(call)
      const { peer } = call.context
      const retryAfterMs = rates.take(peer.id, call.method.name, clock.now())
      if (retryAfterMs === 0) return next(call)
      refused++
      throw new ViaductError(
        'RESOURCE_EXHAUSTED',
        `${call.method.name}: ${peer.id || 'this caller'} makes over ${rates.of(call.method.name)} calls a second`,
        { reason: 'RATE_LIMITED', fate: 'not-sent', retryAfterMs },
      )
    }
  }
  return Object.assign(policy, { policy: 'rateLimit', stats: () => ({ refused }) })
}

/** @throws ViaductError INVALID_ARGUMENT / BAD_OPTION */
export function checkLimits(policy: string, limits: object): void {
  for (const [name, perSecond] of Object.entries(limits)) {
    const path = `limits.${name}`
    if (!isNameOrPattern(name)) throw badOption(policy, path, 'give a method, or a pattern as "pages.*"')
    if (typeof perSecond === 'number' && perSecond > 0) continue
    throw badOption(policy, path, `${String(perSecond)} will not do: give calls a second, a number over 0`)
  }
}
