import { isNameOrPattern, isPattern, matches } from '../core/pattern.ts'
import { ViaductError } from '../wire/errors.ts'
import { QUEUE_CAPACITY, SUBSCRIPTION_QUEUE_BYTES } from '../wire/limits.ts'

/** What a hub keeps of one topic for subscribers that come back. */
export interface ReplayBounds {
  /** Events, at most QUEUE_CAPACITY; 0: none. */
  readonly count: number
  /** Bytes of them, at most and by default SUBSCRIPTION_QUEUE_BYTES. */
  readonly bytes?: number
  /** Older ones are not replayed. Default: however old. */
  readonly ageMs?: number
}

/** Bounds by topic, `pages.opened`, or pattern, `pages.*`; the longest that matches counts, none keeps nothing. */
export type ReplayRules = Readonly<Record<string, ReplayBounds>>

/** What is kept when nothing is said: enough for a link that is lost and dialled again. */
export const DEFAULT_REPLAY: ReplayRules = { '*': { count: 100, ageMs: 60_000 } }

export const NOTHING_KEPT: Required<ReplayBounds> = { count: 0, bytes: 0, ageMs: 0 }

/**
 * Checks rules of replay.
 *
 * @throws ViaductError INVALID_ARGUMENT / REPLAY_INVALID with the path of the fault.
 */
export function replayRules(rules: ReplayRules): ReplayRules {
  for (const [name, bounds] of Object.entries(rules)) {
    if (!isNameOrPattern(name)) invalid(name, 'a topic as "pages.opened", "pages.*" or "*"')
    const most: Readonly<Record<string, number>> = {
      count: QUEUE_CAPACITY,
      bytes: SUBSCRIPTION_QUEUE_BYTES,
      ageMs: Number.MAX_SAFE_INTEGER,
    }
    if (typeof bounds !== 'object' || bounds === null || !('count' in bounds))
      invalid(name, 'an object with count, and perhaps bytes and ageMs')
    for (const [key, value] of Object.entries(bounds)) {
      const limit = Object.hasOwn(most, key) ? most[key] : undefined
      if (limit === undefined) invalid(`${name}.${key}`, 'unknown; known are count, bytes and ageMs')
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > limit)
        invalid(`${name}.${key}`, `a whole number from 0 to ${limit}`)
    }
  }
  return rules
}

/** The bounds of a topic: those under its own name, or under the longest pattern. */
export function boundsOf(rules: ReplayRules, topic: string): Required<ReplayBounds> {
  let best: string | undefined
  for (const rule of Object.keys(rules)) {
    if (!matches(rule, topic)) continue
    if (best === undefined || rule.length > best.length || !isPattern(rule)) best = rule
    if (best === topic) break
  }
  const bounds = best === undefined ? undefined : rules[best]
  if (!bounds || bounds.count === 0) return NOTHING_KEPT
  return { bytes: SUBSCRIPTION_QUEUE_BYTES, ageMs: Number.POSITIVE_INFINITY, ...bounds }
}

function invalid(path: string, text: string): never {
  throw new ViaductError('INVALID_ARGUMENT', `replay: ${path}: ${text}`, { reason: 'REPLAY_INVALID', path })
}
