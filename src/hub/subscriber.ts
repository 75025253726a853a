import type { Overflow } from '../core/method.ts'
import type { Sender } from '../core/sender.ts'
import {
  HIGH_WATER_SHARE,
  LOW_WATER_SHARE,
  QUEUE_CAPACITY,
  SUBSCRIPTION_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { Port } from './port.ts'
import type { Traffic } from './traffic.ts'

/** A publication as it is shared by all its subscribers: everything behind the head. */
export interface Publication {
  readonly payload: Uint8Array
  readonly segments: number
  readonly source: Uint8Array
  readonly id: number
  readonly sequence: number
  readonly key: string | undefined
  /** What holding it costs: payload and key. */
  readonly bytes: number
}

/** A name that events are published under, and who gets them. */
export interface Topic {
  readonly name: string
  sequence: number
  readonly subscriptions: Set<Subscriber>
}

/** One subscription of a peer, and what waits for it. */
export interface Subscriber {
  readonly port: Port
  readonly id: number
  readonly topic: Topic
  readonly lane: number
  readonly overflow: Overflow
  readonly sender: Sender
  readonly traffic: Traffic
  queue: Publication[]
  queuedBytes: number
  dropped: number
  /** Publishers that are not read because of this subscriber. */
  readonly held: Set<Port>
  /** Its queue is being written now. */
  pumping: boolean
}

/** Whether a queue is so long that publishers wait for it. */
export function isHigh({ queue, queuedBytes }: Subscriber): boolean {
  return (
    queue.length >= QUEUE_CAPACITY * HIGH_WATER_SHARE ||
    queuedBytes >= SUBSCRIPTION_QUEUE_BYTES * HIGH_WATER_SHARE
  )
}

/** Whether it has run down, so that they go on. */
export function isLow({ queue, queuedBytes }: Subscriber): boolean {
  return (
    queue.length <= QUEUE_CAPACITY * LOW_WATER_SHARE &&
    queuedBytes <= SUBSCRIPTION_QUEUE_BYTES * LOW_WATER_SHARE
  )
}

/** Only a peer that is trusted to keep up may slow others down. */
const MAY_BLOCK: ReadonlySet<string> = new Set(['hub', 'trusted', 'semi'])

/** The overflow that a subscription asks for, as far as its subscriber may have it. */
export function overflowFor(subscriber: Port, wish: unknown): Overflow {
  const overflow = overflowOf(wish)
  return overflow === 'block' && !MAY_BLOCK.has(subscriber.info.zone) ? 'drop-newest' : overflow
}

function overflowOf(value: unknown): Overflow {
  switch (value) {
    case 'block':
    case 'drop-newest':
    case 'error':
    case 'conflate':
      return value
    default:
      return 'drop-oldest'
  }
}
