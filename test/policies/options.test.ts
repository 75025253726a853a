/** A policy that is configured wrongly fails when it is made, with the name of the option. */
import { describe, expect, it } from 'vitest'
import {
  acl,
  breaker,
  calleePolicies,
  callerPolicies,
  concurrency,
  dedupe,
  rateLimit,
  retry,
  s1RateLimits,
  timeout,
  trace,
} from '../../src/policies/index.ts'

const LIMITS = { limits: s1RateLimits }
const NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, -1, '5', null]
const OVER_ZERO = [...NUMBERS, 0]
const INTEGER = [...NUMBERS, 1.5]
const FUNCTION = [{}, 'now', 1, null]
const CLOCK = [{}, () => 0, { now: () => 0 }, null]

/** Of each option, what it may not be. */
const WRONG: Record<
  string,
  [make: (options: never) => unknown, { [option: string]: readonly unknown[] }, object?]
> = {
  retry: [
    retry,
    {
      maxRetries: INTEGER,
      initialDelayMs: NUMBERS,
      maxDelayMs: NUMBERS,
      backoffMultiplier: [...NUMBERS, 0.9],
      budget: [...OVER_ZERO, 1.1],
      reserve: INTEGER,
      clock: CLOCK,
      random: FUNCTION,
    },
  ],
  timeout: [timeout, { timeoutMs: OVER_ZERO, clock: CLOCK }],
  breaker: [breaker, { threshold: [...INTEGER, 0], halfOpenAfterMs: OVER_ZERO, clock: CLOCK }],
  concurrency: [concurrency, { limit: [...INTEGER, 0], maxWaiting: INTEGER, clock: CLOCK }],
  dedupe: [dedupe, { windowMs: OVER_ZERO, maxKeys: [...INTEGER, 0], clock: CLOCK, newKey: FUNCTION }],
  trace: [
    trace,
    {
      current: FUNCTION,
      run: FUNCTION,
      onSpan: FUNCTION,
      sample: FUNCTION,
      random: FUNCTION,
      wallClock: FUNCTION,
    },
  ],
  rateLimit: [rateLimit, { limits: [{}, 5, null], clock: CLOCK }, LIMITS],
}

function faultOf(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return 'it was made'
}

const cases = Object.entries(WRONG).flatMap(([policy, [make, options, base]]) =>
  Object.entries(options).flatMap(([option, values]) =>
    values.map((value) => [`${policy}.${option}`, value, make, { ...base, [option]: value }] as const),
  ),
)

describe('a wrong option', () => {
  it.each(cases)('%s: %s', (path, value, make, options) => {
    // What no type would let through.
    const fault = faultOf(() => Reflect.apply(make, undefined, [options]))
    expect(fault, String(value)).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD_OPTION', path })
    expect(fault).toMatchObject({
      message: expect.stringMatching(/^[\w.]+: .* will not do: give |give calls/),
    })
  })

  it.each(Object.entries(WRONG))(
    '%s: an option that is none, and options that are none',
    (policy, [make, , base]) => {
      const made = (options: unknown) => faultOf(() => Reflect.apply(make, undefined, [options]))
      expect(made({ ...base, retires: 1 })).toMatchObject({
        reason: 'BAD_OPTION',
        path: `${policy}.retires`,
        message: expect.stringContaining('there is no such option; there are '),
      })
      for (const options of [false, null, 500, 'all']) {
        expect(made(options)).toMatchObject({ reason: 'BAD_OPTION', path: policy })
      }
      if (!base) expect([made(undefined), made(true), made({})]).toEqual(Array(3).fill('it was made'))
    },
  )

  it.each([
    [{ 'pages.*': 'ai' }, 'acl.pages.*'],
    [{ 'pages.*': [1] }, 'acl.pages.*'],
    [{ 'pages*': ['ai'] }, 'acl.pages*'],
    [null, 'acl.*'],
  ])('acl: %j', (rules, path) => {
    expect(faultOf(() => Reflect.apply(acl, undefined, [rules]))).toMatchObject({
      reason: 'BAD_OPTION',
      path,
    })
  })

  it.each([
    [{ limits: { 'pages.*': 0 } }, 'rateLimit.limits.pages.*'],
    [{ limits: { 'pages.*': '5' } }, 'rateLimit.limits.pages.*'],
    [{ limits: { '*pages': 5 } }, 'rateLimit.limits.*pages'],
  ])('rateLimit: %j', (options, path) => {
    expect(faultOf(() => Reflect.apply(rateLimit, undefined, [options]))).toMatchObject({ path })
  })

  it.each([
    [callerPolicies, { rety: true }, 'callerPolicies.rety'],
    [callerPolicies, { retry: false }, 'retry'],
    [callerPolicies, { retry: { maxRetries: -1 } }, 'retry.maxRetries'],
    [callerPolicies, { tryTimeout: { timeoutMs: 0 } }, 'tryTimeout.timeoutMs'],
    [callerPolicies, { metrics: { nope: 1 } }, 'metrics.nope'],
    [callerPolicies, { codec: 'gzip' }, 'callerPolicies.codec'],
    [callerPolicies, { use: () => {} }, 'callerPolicies.use'],
    [callerPolicies, { use: [retry(), 'own'] }, 'callerPolicies.use[1]'],
    [calleePolicies, { retry: true }, 'calleePolicies.retry'],
    [calleePolicies, { validate: true }, 'calleePolicies.validate'],
    [calleePolicies, { concurrency: { limit: 0 } }, 'concurrency.limit'],
    [calleePolicies, { metrics: { nope: 1 } }, 'metrics.nope'],
  ])('%o of %j', (compose, policies, path) => {
    const fault = faultOf(() => Reflect.apply(compose, undefined, [policies]))
    expect(fault).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD_OPTION', path })
  })
})
