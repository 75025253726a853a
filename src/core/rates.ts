import { matches } from './pattern.ts'

/**
 * Calls a second by method: a full name, or a pattern as `ai.*`; the first that matches is used. `'*'` is for all that
 * no other matches, each method by itself, but for the hub's own. What nothing matches is not limited.
 */
export interface RateLimits {
  readonly [method: string]: number
}

/** The limits of S1, for one sender and message type. */
export const s1RateLimits: RateLimits = {
  ai_analyze: 10,
  navigation_request: 5,
  sync_data: 20,
  '*': 100,
}

/** Buckets kept; beyond, the one that was made first is forgotten. */
const MAX_BUCKETS = 10_000

interface Bucket {
  tokens: number
  filledAt: number
}

/**
 * Token buckets, one for each sender and method: a second's worth at once, then as many as come in a second. Names
 * that nobody serves share one bucket a sender, so that inventing names gains nothing.
 */
export class Rates {
  readonly #limits: [rule: string, perSecond: number][]
  readonly #other: number
  readonly #buckets = new Map<string, Bucket>()

  constructor({ '*': other = Number.POSITIVE_INFINITY, ...limits }: RateLimits) {
    this.#limits = Object.entries(limits)
    this.#other = other
  }

  /** Calls a second of a method; `Infinity` when it is not limited. */
  of(method: string): number {
    // A peer says what it serves, and that it is ready, by methods of the hub's: the rest is not meant for them.
    return this.#ruleOf(method)?.[1] ?? (method.startsWith('$') ? Number.POSITIVE_INFINITY : this.#other)
  }

  /** Whether a limit names the method, or a pattern that it fits; `'*'` names none. */
  names(method: string): boolean {
    return this.#ruleOf(method) !== undefined
  }

  #ruleOf(method: string) {
    return this.#limits.find(([rule]) => matches(rule, method))
  }

  /**
   * Takes one call.
   * @param nowMs monotonic.
   * @returns 0 when it may pass, else milliseconds until the next one may.
   */
  take(sender: string, method: string, nowMs: number, isServed = true): number {
    const perSecond = isServed ? this.of(method) : this.#other
    if (perSecond === Number.POSITIVE_INFINITY) return 0
    const bucket = this.#bucket(isServed ? `${sender}\n${method}` : `${sender}\n`, perSecond, nowMs)
    const most = Math.max(1, perSecond)
    bucket.tokens = Math.min(most, bucket.tokens + ((nowMs - bucket.filledAt) * perSecond) / 1000)
    bucket.filledAt = nowMs
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 1000) / perSecond)
    bucket.tokens--
    return 0
  }

  #bucket(key: string, perSecond: number, nowMs: number): Bucket {
    let bucket = this.#buckets.get(key)
    if (bucket) return bucket
    if (this.#buckets.size >= MAX_BUCKETS) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest)
        break
      }
    }
    bucket = { tokens: Math.max(1, perSecond), filledAt: nowMs }
    this.#buckets.set(key, bucket)
    return bucket
  }
}
