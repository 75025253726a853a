import type { Arrival } from './message.ts'
import { OrderedHeap } from './orderedHeap.ts'
import type { Body } from './store.ts'

/** A file that was found in `messages/` and is not settled. */
export interface Entry {
  readonly arrival: Arrival
  readonly identity: string
  /** The scan that found it. */
  readonly foundBy: number
  /** What it is ordered by among those without a sender. */
  readonly orderMs: number
  /** The last scan that saw it. */
  seenBy: number
  body: Body | undefined
  state: 'waiting' | 'returned' | 'dropped'
}

/** Beyond so many senders those that have nothing waiting are forgotten: it costs one scan when they come again. */
const MAX_IDLE_LANES = 1024

/**
 * Files that were found, in the order in which they are to be returned: each sender's by sequence, others by time and
 * name, the senders taking turns. A sender makes its files in order, but a folder that is read while it changes may
 * show the later of two and not the earlier. So one that follows a gap waits until a scan has ended that began after
 * it was found: by then all before it were seen.
 */
export class FolderIndex {
  readonly #lanes = new Map<string, Lane>()
  #ring: Lane[] = []
  #turn = 0
  #ended = 0

  add(entry: Entry): void {
    const { sender } = entry.arrival
    let lane = this.#lanes.get(sender)
    if (!lane) {
      if (this.#ring.length >= MAX_IDLE_LANES) this.#tidy()
      lane = new Lane(sender)
      this.#lanes.set(sender, lane)
      this.#ring.push(lane)
    }
    lane.heap.add(entry)
  }

  /** A scan has ended; scans have numbers from 1 on. */
  ended(scan: number): void {
    this.#ended = scan
  }

  take(max: number): Arrival[] {
    const taken: Arrival[] = []
    for (let idle = 0; taken.length < max && idle < this.#ring.length; ) {
      this.#turn = (this.#turn + 1) % this.#ring.length
      const entry = this.#ring[this.#turn]?.take(this.#ended)
      if (entry) {
        entry.state = 'returned'
        taken.push(entry.arrival)
        idle = 0
      } else idle++
    }
    return taken
  }

  /** Whether something waits for nothing but another scan. */
  get isHeld(): boolean {
    return this.#ring.some((lane) => lane.first !== undefined)
  }

  forget(sender: string): void {
    if (!this.#lanes.get(sender)?.first) this.#lanes.delete(sender)
    this.#ring = [...this.#lanes.values()]
  }

  #tidy(): void {
    for (const [sender, lane] of this.#lanes) if (!lane.first) this.#lanes.delete(sender)
    this.#ring = [...this.#lanes.values()]
  }
}

class Lane {
  readonly heap: OrderedHeap<Entry>
  readonly #isOrdered: boolean
  #expected = 1

  constructor(sender: string) {
    this.#isOrdered = sender !== ''
    this.heap = new OrderedHeap(this.#isOrdered ? isEarlier : isOlder)
  }

  get first(): Entry | undefined {
    while (this.heap.first?.state === 'dropped') this.heap.take()
    return this.heap.first
  }

  take(endedScan: number): Entry | undefined {
    const { first } = this
    if (!first) return undefined
    const { sequence } = first.arrival
    if (this.#isOrdered && sequence > this.#expected && first.foundBy >= endedScan) return undefined
    this.#expected = Math.max(this.#expected, sequence + 1)
    return this.heap.take()
  }
}

function isEarlier(one: Entry, other: Entry): boolean {
  const [a, b] = [one.arrival, other.arrival]
  return a.sequence < b.sequence || (a.sequence === b.sequence && a.place < b.place)
}

function isOlder(one: Entry, other: Entry): boolean {
  return (
    one.orderMs < other.orderMs || (one.orderMs === other.orderMs && one.arrival.place < other.arrival.place)
  )
}
