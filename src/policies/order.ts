import { validate } from '../contract/serve.ts'
import type { Interceptor } from '../core/interceptor.ts'
import { type AclRules, acl } from './acl.ts'
import { type BatchOptions, batch } from './batch.ts'
import { type BreakerOptions, breaker } from './breaker.ts'
import { type CacheOptions, cache } from './cache.ts'
import { type ConcurrencyOptions, concurrency } from './concurrency.ts'
import { type DedupeOptions, dedupe } from './dedupe.ts'
import { type LogOptions, log } from './log.ts'
import { type MetricsPolicyOptions, metrics } from './metrics.ts'
import { badOption } from './options.ts'
import { type RateLimitOptions, rateLimit } from './rateLimit.ts'
import { type RetryOptions, retry } from './retry.ts'
import { type TimeoutOptions, timeout, timeoutNamed } from './timeout.ts'
import { type TraceOptions, trace } from './trace.ts'

/** Options of a policy, or one that was made before, to be shared or asked. */
type Given<Options> = Options | Interceptor

/** What shapes calls at the side that makes them, in the order in which a call passes. */
export interface CallerPolicies {
  readonly trace?: Given<TraceOptions | true>
  readonly log?: Given<LogOptions | true>
  readonly metrics?: Given<MetricsPolicyOptions | true>
  /** Bounds all tries together. */
  readonly timeout?: Given<TimeoutOptions | true>
  readonly cache?: Given<CacheOptions>
  readonly dedupe?: Given<DedupeOptions | true>
  readonly batch?: Given<BatchOptions>
  readonly retry?: Given<RetryOptions | true>
  readonly breaker?: Given<BreakerOptions | true>
  /** Bounds each try. */
  readonly tryTimeout?: Given<TimeoutOptions | true>
  /** Yours: before the codecs, behind all others. */
  readonly use?: readonly Interceptor[]
  /** What makes bytes of values for the other end alone. */
  readonly codec?: Interceptor
}

/** What shapes calls at the side that answers them, in the order in which a call passes. */
export interface CalleePolicies {
  readonly codec?: Interceptor
  readonly batch?: Given<BatchOptions>
  readonly trace?: Given<TraceOptions | true>
  readonly log?: Given<LogOptions | true>
  readonly metrics?: Given<MetricsPolicyOptions | true>
  readonly acl?: Given<AclRules>
  readonly rateLimit?: Given<RateLimitOptions>
  /** Yours: behind what says who may, before input is checked. */
  readonly use?: readonly Interceptor[]
  readonly dedupe?: Given<DedupeOptions | true>
  readonly concurrency?: Given<ConcurrencyOptions | true>
  readonly cache?: Given<CacheOptions>
}

export const CALLER_ORDER = [
  'trace',
  'log',
  'metrics',
  'timeout',
  'cache',
  'dedupe',
  'batch',
  'retry',
  'breaker',
  'tryTimeout',
  'use',
  'codec',
] as const satisfies readonly (keyof CallerPolicies)[]

/** `validate` is always there: what is before it sees what came, what is behind it what the schemas gave. */
export const CALLEE_ORDER = [
  'codec',
  'batch',
  'trace',
  'log',
  'metrics',
  'acl',
  'rateLimit',
  'use',
  'validate',
  'dedupe',
  'concurrency',
  'cache',
] as const satisfies readonly (keyof CalleePolicies | 'validate')[]

/**
 * Policies for `client(…, { policies })`, in their order.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path of what is wrong.
 */
export function callerPolicies(policies: CallerPolicies): Interceptor[] {
  checkNames('callerPolicies', policies, CALLER_ORDER)
  return [
    ...made(policies.trace, trace),
    ...made(policies.log, log),
    ...made(policies.metrics, metrics),
    ...made(policies.timeout, timeout),
    ...made(policies.cache, cache),
    ...made(policies.dedupe, dedupe),
    ...made(policies.batch, batch),
    ...made(policies.retry, retry),
    ...made(policies.breaker, breaker),
    ...made(policies.tryTimeout, (options) => timeoutNamed('tryTimeout', options)),
    ...own('callerPolicies', policies.use),
    ...asGiven('callerPolicies', 'codec', policies.codec),
  ]
}

/**
 * Policies for `serve(…, { policies })`, in their order.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path of what is wrong.
 */
export function calleePolicies(policies: CalleePolicies): Interceptor[] {
  checkNames(
    'calleePolicies',
    policies,
    CALLEE_ORDER.filter((name) => name !== 'validate'),
  )
  return [
    ...asGiven('calleePolicies', 'codec', policies.codec),
    ...made(policies.batch, batch),
    ...made(policies.trace, trace),
    ...made(policies.log, log),
    ...made(policies.metrics, metrics),
    ...made(policies.acl, acl),
    ...made(policies.rateLimit, rateLimit),
    ...own('calleePolicies', policies.use),
    validate,
    ...made(policies.dedupe, dedupe),
    ...made(policies.concurrency, concurrency),
    ...made(policies.cache, cache),
  ]
}

function made<Options>(
  options: Given<Options> | undefined,
  policy: (options: Options) => Interceptor,
): readonly Interceptor[] {
  if (options === undefined) return []
  return [isInterceptor(options) ? options : policy(options)]
}

function asGiven(composer: string, name: string, policy: Interceptor | undefined): readonly Interceptor[] {
  if (policy === undefined) return []
  if (typeof policy !== 'function')
    throw badOption(composer, name, 'give an interceptor, which is a function')
  return [policy]
}

function own(composer: string, policies: readonly Interceptor[] = []): readonly Interceptor[] {
  if (!Array.isArray(policies)) throw badOption(composer, 'use', 'give a list of interceptors')
  return policies.flatMap((policy, index) => asGiven(composer, `use[${index}]`, policy))
}

function isInterceptor<Options>(given: Given<Options>): given is Interceptor {
  return typeof given === 'function'
}

function checkNames(composer: string, given: object, names: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!names.includes(name))
      throw badOption(composer, name, `there is no such policy; there are ${names.join(', ')}`)
  }
}
