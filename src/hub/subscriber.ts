import type { Overflow } from '../core/method.ts'
import type { Sender } from '../core/sender.ts'
import {
  HIGH_WATER_SHARE,
  LOW_WATER_SHARE,
  QUEUE_CAPACITY,
  SUBSCRIPTION_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { EventQueue } from './eventQueue.ts'
import type { Port } from './port.ts'
import type { Topic } from './topicIndex.ts'
import type { Traffic } from './traffic.ts'

/** One subscription of a peer, and what waits for it. */
export interface Subscriber {
  readonly port: Port
  readonly id: number
  /** The topic, or the pattern. */
  readonly name: string
  /** Undefined for a pattern. */
  readonly topic: Topic | undefined
  /** Its members share the events: one name for peers of one type. */
  readonly group: string | undefined
  readonly lane: number
  readonly overflow: Overflow
  /** What waits longer is dropped; infinity: never. */
  readonly maxAgeMs: number
  readonly sender: Sender
  /** What its reader granted in the beginning. */
  readonly window: number
  readonly traffic: Traffic
  readonly queue: EventQueue
  dropped: number
  /** Publishers that are not read because of this subscriber. */
  readonly held: Set<Port>
  /** Its queue is being written now. */
  pumping: boolean
  ended: boolean
}

/** Whether a queue is so long that publishers wait for it. */
export function isHigh({ queue }: Subscriber): boolean {
  return (
    queue.length >= QUEUE_CAPACITY * HIGH_WATER_SHARE ||
    queue.bytes >= SUBSCRIPTION_QUEUE_BYTES * HIGH_WATER_SHARE
  )
}

/** Whether it has run down, so that they go on. */
export function isLow({ queue }: Subscriber): boolean {
  return (
    queue.length <= QUEUE_CAPACITY * LOW_WATER_SHARE &&
    queue.bytes <= SUBSCRIPTION_QUEUE_BYTES * LOW_WATER_SHARE
  )
}

/** Bytes under way to its reader: how much it has to do. */
export function loadOf({ window, sender }: Subscriber): number {
  return window - sender.credit
}
