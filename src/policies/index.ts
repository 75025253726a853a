/** Policies: what shapes a call on its way, each an interceptor of its own. Imports nothing of Node. */

export { validate } from '../contract/serve.ts'
export { ContextView } from '../core/contextView.ts'
export type {
  Call,
  IncomingCall,
  Interceptor,
  ItemsReply,
  Next,
  OutgoingCall,
  PolicyStats,
  Reply,
  ValueReply,
} from '../core/interceptor.ts'
export type { IPCMetrics } from '../core/ipcMetrics.ts'
export { type RateLimits, s1RateLimits } from '../core/rates.ts'
export { type AclRules, type Allowed, acl } from './acl.ts'
export { type BatchOptions, batch } from './batch.ts'
export { type Batched, type BatchedOptions, batched } from './batched.ts'
export { type BreakerOptions, breaker } from './breaker.ts'
export { type Cache, type CacheOptions, type CacheOthers, cache } from './cache.ts'
export type { CacheEntry, CacheStore } from './cacheLayers.ts'
export { type ConcurrencyOptions, concurrency } from './concurrency.ts'
export { type DedupeOptions, dedupe } from './dedupe.ts'
export { cacheTopics, invalidateWith } from './invalidation.ts'
export { type Log, type LogEntry, type LogOptions, log } from './log.ts'
export { type MetricsPolicy, type MetricsPolicyOptions, type MetricsSnapshot, metrics } from './metrics.ts'
export {
  CALLEE_ORDER,
  CALLER_ORDER,
  type CalleePolicies,
  type CallerPolicies,
  calleePolicies,
  callerPolicies,
} from './order.ts'
export { type RateLimitOptions, rateLimit } from './rateLimit.ts'
export { isRetryable, type RetryOptions, retry } from './retry.ts'
export { throughCaller, throughServer } from './through.ts'
export { type TimeoutOptions, timeout } from './timeout.ts'
export { type Span, type TraceOptions, trace } from './trace.ts'
