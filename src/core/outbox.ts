import { FRAGMENT_BYTES, GATHER_BYTES, MAX_FRAME_BYTES } from '../wire/limits.ts'
import type { Clock } from './clock.ts'

const SLAB_BYTES = 64 * 1024
const LANE_COUNT = 4
const LOW = 3
/** Low gets one byte in so many, however busy the lanes above it are. */
const LOW_SHARE = 16

/** Bytes that wait: one or more whole frames back to back, the last of which may go on in `tail`. */
export class Entry {
  /** They lie at memory[from … to). */
  readonly memory: Uint8Array
  readonly from: number
  to: number
  readonly tail: Uint8Array | undefined
  readonly heldSince: number
  messages = 1
  /** Set when the transport has it; until then its frames may still be called off. */
  sent = false

  constructor(
    memory: Uint8Array,
    from: number,
    to: number,
    tail: Uint8Array | undefined,
    heldSince = Number.POSITIVE_INFINITY,
  ) {
    this.memory = memory
    this.from = from
    this.to = to
    this.tail = tail
    this.heldSince = heldSince
  }

  /** All but the tail. A view is dear: it is made when it is written, not when another frame is added. */
  get bytes(): Uint8Array {
    return this.memory.subarray(this.from, this.to)
  }

  /** Bytes of all. */
  get size(): number {
    return this.to - this.from + (this.tail?.length ?? 0)
  }
}

/** Something that hands out frames in order: a queue of made frames, or a large message being cut. */
export interface Feed {
  /** The next frames, or undefined when there are none now. */
  take(): Entry | undefined
  /** Bytes it may still send before the next feed of its lane has its turn; the outbox's own. */
  deficit: number
  /** Whether it stands in a lane now; the outbox's own. */
  active: boolean
  /** A made frame of its lane that has to leave before anything of it. */
  behind?: Entry | undefined
}

/** Frames that came within so long of one another are written, and counted as held, together. */
const MERGE_MS = 1

/** Made frames that wait for the transport, in order. Neighbours in memory become one write. */
export class Fifo implements Feed {
  deficit = 0
  active = false
  bytes = 0
  messages = 0
  #entries: Entry[] = []
  #head = 0
  readonly #onTake: ((entry: Entry) => void) | undefined

  constructor(onTake?: (entry: Entry) => void) {
    this.#onTake = onTake
  }

  get last(): Entry | undefined {
    return this.#entries.length > this.#head ? this.#entries[this.#entries.length - 1] : undefined
  }

  push(memory: Uint8Array, from: number, to: number, tail: Uint8Array | undefined, now: number): Entry {
    this.bytes += to - from + (tail?.length ?? 0)
    this.messages++
    const { last } = this
    if (
      last &&
      last.memory === memory &&
      last.to === from &&
      last.tail === undefined &&
      tail === undefined &&
      last.to - last.from < FRAGMENT_BYTES &&
      // One entry is held as long as all that is in it.
      now - last.heldSince < MERGE_MS
    ) {
      last.to = to
      last.messages++
      return last
    }
    const entry = new Entry(memory, from, to, tail, now)
    this.#entries.push(entry)
    return entry
  }

  take(): Entry | undefined {
    const entry = this.#entries[this.#head]
    if (!entry) return undefined
    this.#head++
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    this.bytes -= entry.size
    this.messages -= entry.messages
    this.#onTake?.(entry)
    return entry
  }
}

class Lane {
  readonly fifo = new Fifo()
  /** Feeds with something to say, the one whose turn it is first. */
  readonly feeds: Feed[] = []
}

/**
 * Everything that one end writes to one link. While the transport keeps up, frames are built in a slab and
 * leave in gathered writes; when it is full they wait in four lanes (control, high, normal, low), served by
 * deficit round-robin over feeds within a lane (PROTOCOL.md, section 5).
 *
 * A frame is written in three steps: {@link room}, fill `slab` from there, {@link commit}.
 */
export class Outbox {
  readonly #transmit: (bytes: Uint8Array, tail: Uint8Array | undefined) => boolean
  readonly clock: Clock
  readonly #lanes: readonly Lane[] = Array.from({ length: LANE_COUNT }, () => new Lane())
  readonly #endTurn = () => {
    this.#inTurn = false
    this.flush()
  }

  slab = new Uint8Array(SLAB_BYTES)
  /** Gathered and not yet written: slab[#start … #end). */
  #start = 0
  #end = 0
  #inTurn = false
  #corked = 0
  #ready = true
  #closed = false
  #draining = false
  #lowDebt = 0

  /** Bytes and messages that wait because the transport is full. Feeds that cut count as they are cut. */
  queuedBytes = 0
  queuedMessages = 0
  /** Bytes of large messages that senders hold until the transport takes them; items are not counted. */
  heldBytes = 0
  /** All that was ever handed to the transport. */
  bytesWritten = 0
  writes = 0
  /** Called when what waited has gone. */
  ondrain: (() => void) | undefined
  /** Called with frames that had to wait, before they are written, so that their time can be lowered. */
  onheld: ((entry: Entry) => void) | undefined
  /** Called with all that waited or was cut, as it leaves: only then is its order known. */
  onleave: ((entry: Entry) => void) | undefined

  /** @param transmit hands frames to the transport; false when that is full. */
  constructor(transmit: (bytes: Uint8Array, tail: Uint8Array | undefined) => boolean, clock: Clock) {
    this.#transmit = transmit
    this.clock = clock
  }

  /** Bytes of the link's own control frames that wait: what the far end caused and does not read. */
  get controlBytes(): number {
    return this.#lane(0).fifo.bytes
  }

  /** Whether frames have to wait now. */
  get congested(): boolean {
    return !this.#ready || this.queuedMessages > 0
  }

  /** Offset into {@link slab} from which at least `bytes` are free. */
  room(bytes: number): number {
    if (this.slab.length - this.#end < bytes) {
      this.flush()
      this.slab = new Uint8Array(Math.max(SLAB_BYTES, bytes))
      this.#start = 0
      this.#end = 0
    }
    return this.#end
  }

  /** Memory of the slab for a frame that a feed makes: not gathered, but handed out as an entry. */
  reserve(bytes: number): Uint8Array {
    this.flush()
    const at = this.room(bytes)
    this.#start = this.#end = at + bytes
    return this.slab.subarray(at, at + bytes)
  }

  /**
   * Takes a whole frame that lies in memory which nobody writes to before the transport is done with it.
   *
   * @returns the entry it waits in, or undefined when it is on its way.
   */
  lend(frame: Uint8Array, lane: number, fifo?: Fifo): Entry | undefined {
    if (this.#closed) return undefined
    this.flush()
    if (this.congested) return this.#enqueue(frame, 0, frame.length, undefined, lane, fifo)
    this.#send(frame, undefined)
    return undefined
  }

  /**
   * Takes the frame at slab[at … end), with its `tail` if it has one.
   *
   * @param eager write now unless something was written in this turn already.
   * @returns the entry it waits in, or undefined when it is on its way.
   */
  commit(
    at: number,
    end: number,
    lane: number,
    eager: boolean,
    tail?: Uint8Array,
    fifo?: Fifo,
  ): Entry | undefined {
    if (this.#closed) return undefined
    if (!this.#ready || this.queuedMessages > 0) {
      this.flush()
      this.#start = end
      this.#end = end
      return this.#enqueue(this.slab, at, end, tail, lane, fifo)
    }
    this.#end = end
    if (tail) {
      this.#write(tail)
    } else if (this.#corked === 0 && end - this.#start >= GATHER_BYTES) {
      this.flush()
    } else if (!this.#inTurn) {
      this.#inTurn = true
      this.clock.afterTurn(this.#endTurn)
      if (eager && this.#corked === 0) this.flush()
    }
    return undefined
  }

  #enqueue(
    memory: Uint8Array,
    from: number,
    to: number,
    tail: Uint8Array | undefined,
    number: number,
    given?: Fifo,
  ): Entry {
    const lane = this.#lane(number)
    const fifo = given ?? lane.fifo
    const entry = fifo.push(memory, from, to, tail, this.clock.now())
    this.queuedBytes += to - from + (tail?.length ?? 0)
    this.queuedMessages++
    if (!fifo.active) this.#line(fifo, lane)
    return entry
  }

  /** Puts a feed that has something to say into its lane. */
  activate(feed: Feed, lane: number): void {
    if (this.#closed || feed.active) return
    this.#line(feed, this.#lane(lane))
    if (this.#ready && !this.#draining) this.#drain()
  }

  /** The made frame that waits in a lane and was made last. */
  lastWaiting(lane: number): Entry | undefined {
    return this.#lane(lane).fifo.last
  }

  #line(feed: Feed, lane: Lane): void {
    feed.active = true
    feed.deficit = FRAGMENT_BYTES
    lane.feeds.push(feed)
  }

  #lane(number: number): Lane {
    return this.#lanes[number] as Lane
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#end > this.#start && this.#ready) this.#write(undefined)
  }

  #write(tail: Uint8Array | undefined): void {
    const bytes = this.slab.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#send(bytes, tail)
  }

  #send(bytes: Uint8Array, tail: Uint8Array | undefined): void {
    this.bytesWritten += bytes.length + (tail?.length ?? 0)
    this.writes++
    if (!this.#transmit(bytes, tail)) this.#ready = false
  }

  /** Everything that `make` writes leaves together. */
  cork<T>(make: () => T): T {
    this.#corked++
    try {
      return make()
    } finally {
      this.#corked--
      if (this.#corked === 0) this.flush()
    }
  }

  /** Holds everything back until {@link drained}: before admission, and while a path changes. */
  hold(): void {
    this.flush()
    this.#ready = false
  }

  /** Writes one frame past everything that is held back: admission's own. */
  bypass(frame: Uint8Array): void {
    if (!this.#closed) this.#transmit(frame, undefined)
  }

  /** The transport takes more. */
  drained(): void {
    this.#ready = true
    this.#drain()
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.flush()
    while (this.#ready && !this.#closed) {
      const entry = this.#next()
      if (!entry) break
      if (this.onheld && this.clock.now() - entry.heldSince >= 1) this.onheld(entry)
      entry.sent = true
      this.onleave?.(entry)
      this.#send(entry.bytes, entry.tail)
    }
    this.#draining = false
    if (this.#ready && this.queuedMessages === 0) this.ondrain?.()
  }

  /** The next entry by lane and turn. */
  #next(): Entry | undefined {
    if (this.#lowDebt >= FRAGMENT_BYTES * (LOW_SHARE - 1)) {
      const entry = this.#from(this.#lane(LOW))
      // Small frames are not paid with the share of a large one.
      this.#lowDebt = entry ? Math.max(0, this.#lowDebt - entry.size * (LOW_SHARE - 1)) : 0
      if (entry) return entry
    }
    for (let number = 0; number < LANE_COUNT; number++) {
      const entry = this.#from(this.#lane(number))
      if (!entry) continue
      this.#lowDebt = number === LOW ? 0 : this.#lowDebt + entry.size
      return entry
    }
    return undefined
  }

  #from(lane: Lane): Entry | undefined {
    for (;;) {
      const feed = lane.feeds[0]
      if (!feed) return undefined
      if (feed.behind?.sent === false && lane.feeds.length > 1) {
        lane.feeds.shift()
        lane.feeds.push(feed)
        continue
      }
      const entry = feed.take()
      if (!entry) {
        feed.active = false
        lane.feeds.shift()
        continue
      }
      feed.deficit -= entry.size
      if (feed.deficit <= 0) {
        feed.deficit += FRAGMENT_BYTES
        if (lane.feeds.length > 1) {
          lane.feeds.shift()
          lane.feeds.push(feed)
        }
      }
      if (feed instanceof Fifo) {
        this.queuedBytes -= entry.size
        this.queuedMessages -= entry.messages
      }
      return entry
    }
  }

  close(): void {
    this.flush()
    this.#closed = true
    this.#ready = false
    for (const lane of this.#lanes) lane.feeds.length = 0
    this.queuedBytes = 0
    this.queuedMessages = 0
  }
}

/** What a writer asks room for when it does not know the size: the longest frame. */
export const FRAME_ROOM = MAX_FRAME_BYTES
