import type { Code, Fate } from './errors.ts'

/**
 * Reasons that links and hubs give without a codec: a bare ERROR carries the number (PROTOCOL.md, section 8). Their
 * texts, made where they are read, stand in linkError.ts.
 */
interface Reason {
  readonly number: number
  readonly code: Code
}

/** In the order of their numbers, which begin at 1. */
export const CODE_OF = {
  TARGET_UNAVAILABLE: 'UNAVAILABLE',
  PERMISSION_DENIED: 'PERMISSION_DENIED',
  METHOD_NOT_FOUND: 'UNIMPLEMENTED',
  ROUTE_UNKNOWN: 'FAILED_PRECONDITION',
  SKEW: 'FAILED_PRECONDITION',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  QUEUE_FULL: 'RESOURCE_EXHAUSTED',
  RATE_LIMITED: 'RESOURCE_EXHAUSTED',
  DRAINING: 'UNAVAILABLE',
  MESSAGE_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  CANCELLED: 'CANCELLED',
  OVERFLOW: 'RESOURCE_EXHAUSTED',
  LINK_LOST: 'UNAVAILABLE',
  TOO_MANY_CALLS: 'RESOURCE_EXHAUSTED',
  HANDLER_ERROR: 'UNKNOWN',
  WITHDRAWN: 'UNAVAILABLE',
  LEASE_ENDED: 'FAILED_PRECONDITION',
} as const satisfies Record<string, Code>

export type ReasonName = keyof typeof CODE_OF

// The compiler does not follow keys through keys() and fromEntries().
const NAMES = Object.keys(CODE_OF) as ReasonName[]

export const REASONS = /* @__PURE__ */ Object.fromEntries(
  /* @__PURE__ */ NAMES.map((name, index) => [name, { number: index + 1, code: CODE_OF[name] }]),
) as Readonly<Record<ReasonName, Reason>>

export function isReasonName(name: string): name is ReasonName {
  return Object.hasOwn(REASONS, name)
}

/** The name behind a bare ERROR's number; unknown numbers of a newer peer read as TARGET_UNAVAILABLE. */
export function reasonName(number: number): ReasonName {
  return NAMES[number - 1] ?? 'TARGET_UNAVAILABLE'
}

/** What an ERROR's header says of a reason; 0 of one that is none of these. */
export function reasonNumber(reason: string): number {
  const names: readonly string[] = NAMES
  return names.indexOf(reason) + 1
}

export const FATE = { 'not-sent': 1, unknown: 2 } as const satisfies Record<Fate, number>
