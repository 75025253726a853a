import { type Fate, ViaductError } from './errors.ts'
import { REASONS, type ReasonName } from './reasons.ts'

/** What a reason says to people: what happened and, where that helps, what to do. */
export const REASON_TEXTS: { readonly [Name in ReasonName]: string } = {
  TARGET_UNAVAILABLE: 'the target is not there or its link ended; see `viaduct who`',
  PERMISSION_DENIED: 'no rule of the manifest allows this; add one for this peer and method',
  METHOD_NOT_FOUND: 'the target does not serve this method; see `viaduct describe`',
  ROUTE_UNKNOWN: 'the route was never opened, or was dropped',
  SKEW: 'caller and server hold different versions of this method',
  DEADLINE_EXCEEDED: 'no answer came in time',
  QUEUE_FULL: 'the target does not keep up: its queue is full',
  RATE_LIMITED: 'the rate limit of this sender and method is used up',
  DRAINING: 'the target is going away and takes no new calls',
  MESSAGE_TOO_LARGE: 'the message is over the receiver’s limit; send it as a stream',
  CANCELLED: 'the caller cancelled',
  OVERFLOW: 'the subscription fell behind and its topic does not drop',
  LINK_LOST: 'the link ended before the answer came',
  TOO_MANY_CALLS: 'every exchange slot of this link is taken',
  HANDLER_ERROR: 'the handler threw',
  WITHDRAWN: 'the method was withdrawn while the call ran, and its grace is over',
  LEASE_ENDED:
    'the function was released, its call has ended or its lease is over; keep it while the handler runs',
}

/** An error that a link or hub made about one call. */
export function linkError(reason: ReasonName, what: string, fate: Fate, retryAfterMs?: number): ViaductError {
  return new ViaductError(REASONS[reason].code, `${what}: ${REASON_TEXTS[reason]}`, {
    reason,
    fate,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
