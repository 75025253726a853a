import { type EventPosition, positionOf } from '../core/eventId.ts'
import type { Overflow } from '../core/method.ts'
import type { Port } from './port.ts'

/** What the body of a subscription asks for. */
export interface SubscriptionWish {
  readonly overflow: Overflow
  readonly maxAgeMs: number
  readonly group: string | undefined
  readonly after: EventPosition | undefined
}

/** What a field has to be. */
export interface WishFault {
  readonly path: string
  readonly wanted: string
}

const OVERFLOWS: ReadonlySet<string> = new Set<Overflow>([
  'block',
  'drop-oldest',
  'drop-newest',
  'error',
  'conflate',
])
const GROUP_CHARACTERS = 64
/** Only a peer that is trusted to keep up may slow others down. */
const MAY_BLOCK: ReadonlySet<string> = new Set(['hub', 'trusted', 'semi'])

/** Reads the body of a subscription, as far as its subscriber may have what it asks for. */
export function readWish(
  subscriber: Port,
  body: Readonly<Record<string, unknown>>,
): SubscriptionWish | WishFault {
  const { overflow = 'drop-oldest', maxAgeMs = Number.POSITIVE_INFINITY, group, lastEventId } = body
  if (!isOverflow(overflow)) return { path: 'overflow', wanted: `one of ${[...OVERFLOWS].join(', ')}` }
  if (typeof maxAgeMs !== 'number' || !(maxAgeMs > 0))
    return { path: 'maxAgeMs', wanted: 'milliseconds over 0' }
  if (group !== undefined && !isGroup(group))
    return { path: 'group', wanted: `1 to ${GROUP_CHARACTERS} characters` }
  const after = lastEventId === undefined ? undefined : positionOf(lastEventId)
  if (lastEventId !== undefined && !after) return { path: 'lastEventId', wanted: 'the id of an event' }
  if (after && group !== undefined)
    return { path: 'lastEventId', wanted: 'left out with a group: its other members had those events' }
  return {
    overflow: overflow === 'block' && !MAY_BLOCK.has(subscriber.info.zone) ? 'drop-newest' : overflow,
    maxAgeMs,
    // Peers of one type only: nobody takes the events of another type's group.
    group: group === undefined ? undefined : `${subscriber.info.type} ${group}`,
    after,
  }
}

function isOverflow(value: unknown): value is Overflow {
  return typeof value === 'string' && OVERFLOWS.has(value)
}

function isGroup(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= GROUP_CHARACTERS
}
