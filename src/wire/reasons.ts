import type { Code, Fate } from './errors.ts'
import { ViaductError } from './errors.ts'

/**
 * Reasons that links and hubs give without a codec: a bare ERROR carries the number (PROTOCOL.md,
 * section 8). The text is made where it is read.
 */
interface Reason {
  readonly number: number
  readonly code: Code
  readonly text: string
}

export const REASONS = {
  TARGET_UNAVAILABLE: {
    number: 1,
    code: 'UNAVAILABLE',
    text: 'the target is not there or its link ended; see `viaduct who`',
  },
  PERMISSION_DENIED: {
    number: 2,
    code: 'PERMISSION_DENIED',
    text: 'no rule of the manifest allows this; add one for this peer and method',
  },
  METHOD_NOT_FOUND: {
    number: 3,
    code: 'UNIMPLEMENTED',
    text: 'the target does not serve this method; see `viaduct describe`',
  },
  ROUTE_UNKNOWN: {
    number: 4,
    code: 'FAILED_PRECONDITION',
    text: 'the route was never opened, or was dropped',
  },
  SKEW: {
    number: 5,
    code: 'FAILED_PRECONDITION',
    text: 'caller and server hold different versions of this method',
  },
  DEADLINE_EXCEEDED: { number: 6, code: 'DEADLINE_EXCEEDED', text: 'no answer came in time' },
  QUEUE_FULL: {
    number: 7,
    code: 'RESOURCE_EXHAUSTED',
    text: 'the target does not keep up: its queue is full',
  },
  RATE_LIMITED: {
    number: 8,
    code: 'RESOURCE_EXHAUSTED',
    text: 'the rate limit of this sender and method is used up',
  },
  DRAINING: { number: 9, code: 'UNAVAILABLE', text: 'the target is going away and takes no new calls' },
  MESSAGE_TOO_LARGE: {
    number: 10,
    code: 'RESOURCE_EXHAUSTED',
    text: 'the message is over the receiver’s limit; send it as a stream',
  },
  CANCELLED: { number: 11, code: 'CANCELLED', text: 'the caller cancelled' },
  OVERFLOW: {
    number: 12,
    code: 'RESOURCE_EXHAUSTED',
    text: 'the subscription fell behind and its topic does not drop',
  },
  LINK_LOST: { number: 13, code: 'UNAVAILABLE', text: 'the link ended before the answer came' },
  TOO_MANY_CALLS: {
    number: 14,
    code: 'RESOURCE_EXHAUSTED',
    text: 'every exchange slot of this link is taken',
  },
  HANDLER_ERROR: { number: 15, code: 'UNKNOWN', text: 'the handler threw' },
  WITHDRAWN: {
    number: 16,
    code: 'UNAVAILABLE',
    text: 'the method was withdrawn while the call ran, and its grace is over',
  },
  LEASE_ENDED: {
    number: 17,
    code: 'FAILED_PRECONDITION',
    text: 'the function was released, its call has ended or its lease is over; keep it while the handler runs',
  },
} as const satisfies Record<string, Reason>

export type ReasonName = keyof typeof REASONS

const BY_NUMBER = new Map<number, ReasonName>()
for (const [name, reason] of Object.entries(REASONS)) {
  if (isReasonName(name)) BY_NUMBER.set(reason.number, name)
}

export function isReasonName(name: string): name is ReasonName {
  return Object.hasOwn(REASONS, name)
}

/** The name behind a bare ERROR's number; unknown numbers of a newer peer read as TARGET_UNAVAILABLE. */
export function reasonName(number: number): ReasonName {
  return BY_NUMBER.get(number) ?? 'TARGET_UNAVAILABLE'
}

/** An error that a link or hub made about one call. */
export function linkError(reason: ReasonName, what: string, fate: Fate, retryAfterMs?: number): ViaductError {
  const { code, text } = REASONS[reason]
  return new ViaductError(code, `${what}: ${text}`, {
    reason,
    fate,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

export const FATE = { 'not-sent': 1, unknown: 2 } as const satisfies Record<Fate, number>
