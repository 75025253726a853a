import type { Clock } from '../core/clock.ts'
import type { Interceptor, Next } from '../core/interceptor.ts'
import { isNameOrPattern } from '../core/pattern.ts'
import { type RateLimits, Rates } from '../core/rates.ts'
import { ViaductError } from '../wire/errors.ts'
import { badOption, given, readOptions, time } from './options.ts'

export interface RateLimitOptions {
  /** Calls a second of each sender by method, as {@link s1RateLimits}. */
  readonly limits: RateLimits
  readonly clock?: Clock
}

/**
 * Bounds the calls a second of each sender and method at the callee, by a token bucket that holds a second's worth.
 * What is over it does not run and gets RESOURCE_EXHAUSTED / RATE_LIMITED with `retryAfterMs`. A hub does the same
 * before the callee is reached, by `rates` of its manifest.
 */
export function rateLimit(options: RateLimitOptions): Interceptor {
  const { limits, clock } = readOptions('rateLimit', options, {
    limits: given<RateLimits>({}, 'calls a second by method'),
    clock: time(),
  })
  checkLimits('rateLimit', limits)
  const rates = new Rates(limits)
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
  if (Object.keys(limits).length === 0) throw badOption(policy, 'limits', 'give calls a second by method')
  for (const [name, perSecond] of Object.entries(limits)) {
    const path = `limits.${name}`
    if (!isNameOrPattern(name)) throw badOption(policy, path, 'give a method, or a pattern as "pages.*"')
    if (typeof perSecond === 'number' && perSecond > 0) continue
    throw badOption(policy, path, `${String(perSecond)} will not do: give calls a second, a number over 0`)
  }
}
