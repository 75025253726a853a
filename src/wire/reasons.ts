import type { Code, Fate } from './errors.ts'

/**
 * Reasons that links and hubs give without a codec: a bare ERROR carries the number (PROTOCOL.md, section 8). Their
 * texts, made where they are read, stand in linkError.ts.
 */
interface Reason {
  readonly number: number
  readonly code: Code
}

/** In the order of their numbers, none left out. */
export const REASONS = {
  TARGET_UNAVAILABLE: { number: 1, code: 'UNAVAILABLE' },
  PERMISSION_DENIED: { number: 2, code: 'PERMISSION_DENIED' },
  METHOD_NOT_FOUND: { number: 3, code: 'UNIMPLEMENTED' },
  ROUTE_UNKNOWN: { number: 4, code: 'FAILED_PRECONDITION' },
  SKEW: { number: 5, code: 'FAILED_PRECONDITION' },
  DEADLINE_EXCEEDED: { number: 6, code: 'DEADLINE_EXCEEDED' },
  QUEUE_FULL: { number: 7, code: 'RESOURCE_EXHAUSTED' },
  RATE_LIMITED: { number: 8, code: 'RESOURCE_EXHAUSTED' },
  DRAINING: { number: 9, code: 'UNAVAILABLE' },
  MESSAGE_TOO_LARGE: { number: 10, code: 'RESOURCE_EXHAUSTED' },
  CANCELLED: { number: 11, code: 'CANCELLED' },
  OVERFLOW: { number: 12, code: 'RESOURCE_EXHAUSTED' },
  LINK_LOST: { number: 13, code: 'UNAVAILABLE' },
  TOO_MANY_CALLS: { number: 14, code: 'RESOURCE_EXHAUSTED' },
  HANDLER_ERROR: { number: 15, code: 'UNKNOWN' },
  WITHDRAWN: { number: 16, code: 'UNAVAILABLE' },
  LEASE_ENDED: { number: 17, code: 'FAILED_PRECONDITION' },
} as const satisfies Record<string, Reason>

export type ReasonName = keyof typeof REASONS

const NAMES = Object.keys(REASONS)

export function isReasonName(name: string): name is ReasonName {
  return Object.hasOwn(REASONS, name)
}

/** The name behind a bare ERROR's number; unknown numbers of a newer peer read as TARGET_UNAVAILABLE. */
export function reasonName(number: number): ReasonName {
  const name = NAMES[number - 1] ?? ''
  return isReasonName(name) ? name : 'TARGET_UNAVAILABLE'
}

export const FATE = { 'not-sent': 1, unknown: 2 } as const satisfies Record<Fate, number>
