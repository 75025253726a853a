import type { Clock } from '../core/clock.ts'
import * as FLAG from '../wire/flag.ts'
import { padded } from '../wire/frame.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES, GATHER_BYTES, HEADER_BYTES, MAX_FRAME_BYTES } from '../wire/limits.ts'

/** A message on its way out: the fields of its header and its whole payload. What is left out is 0. */
export interface Message {
  readonly kind: number
  readonly id?: number
  readonly method?: number
  readonly route?: number
  readonly window?: number
  readonly flags?: number
  readonly payload?: Uint8Array
  readonly layout?: number
  /** By when it has to be answered; what is left of that when it leaves is its `timeLeft`. */
  readonly deadline?: number
}

/** A message that waits, or what has not left of one that was cut. */
interface Waiting extends Message {
  readonly payload: Uint8Array
  /** What it counts among the bytes held until all of it has left; 0: it is an item, and leaves by its reader's credit. */
  readonly cost: number
}

/** What one direction of one exchange has to say, in order. One message of it is under way at a time. */
export interface Flow {
  readonly lane: number
  /** Item bytes that the far end still takes. */
  credit: number
  /** Called when nothing is left to send and the turn is over, or when credit has come. */
  onidle?: (() => void) | undefined
  /** The how manieth CALL of the link it began with; NaN until that has left. */
  number: number
  readonly waiting: Waiting[]
  /** Bytes that wait, but for items: those wait for their reader. */
  held: number
}

export function flowOf(lane: number, credit = 0): Flow {
  return { lane, credit, number: NaN, waiting: [], held: 0 }
}

export interface Outbox {
  /** Adds a message behind what its flow has to say; it leaves with what else is said in this turn. */
  write(flow: Flow, message: Message): void
  /** The far end takes so many bytes of items more. */
  grant(flow: Flow, bytes: number): void
  /** Forgets what has not left. @returns whether that was a CALL of which nothing at all had. */
  clear(flow: Flow): boolean
  /** The transport takes more. @returns whether it still does once all that waited has left. */
  drained(): boolean
  /** What `make` writes leaves together, up to a frame's length. */
  batch<T>(make: () => T): T
  /** Called when the transport takes frames and nothing waits for it. */
  onidle?: () => void
  /** Whether frames have to wait now. */
  full(): boolean
  /** Bytes that wait for the transport; items wait for their reader, and are not counted. */
  held(): number
  /** Drops what waits, lets out a last message, and takes nothing more. */
  close(last: Message | false): void
}

/** Low may go first when so many bytes have left the lanes above it for each of its own: it gets one in sixteen. */
const LOW_RATIO = 15
/** The longest time that fits into a header; beyond it the far end is told of none. */
const MAX_TIME_LEFT = 2 ** 32 - 1

/**
 * Everything that one end writes to a link. Messages stand in flows, flows in four lanes (control, high, normal,
 * low); a lane's flows have their turns frame by frame (PROTOCOL.md, section 5).
 *
 * Headers are written as words: all hosts of pages are little-endian, as the protocol is.
 *
 * @param send hands frames to the transport; false when that is full.
 */
export function outboxOver(send: (frames: Uint8Array) => boolean, clock: Clock): Outbox {
  const low = new Set<Flow>()
  const lanes = [new Set<Flow>(), new Set<Flow>(), new Set<Flow>(), low]
  /** Frames that leave together. */
  const gathered = new Uint8Array(2 * MAX_FRAME_BYTES)
  const words = new Uint32Array(gathered.buffer)
  let filled = 0
  let held = 0
  /** The transport takes frames; otherwise none are gathered. */
  let ready = true
  /** As soon as so many bytes are gathered they leave; fewer at the end of the turn. The first of a turn leave at once. */
  let least = 1
  /** Bytes that low is behind its share. */
  let lowDebt = 0
  let called = 0

  const flush = (): void => {
    if (filled < least) return
    const bytes = gathered.slice(0, filled)
    filled = 0
    if (!send(bytes)) ready = false
  }

  const endTurn = (): void => {
    least = 1
    flush()
  }

  /** Counts bytes that begin or, below 0, cease to wait. */
  const hold = (flow: Flow, bytes: number): void => {
    flow.held += bytes
    held += bytes
  }

  /** Gathers the frame whose turn it is. @returns whether there was one. */
  const gather = (): boolean => {
    const most = FRAGMENT_BYTES * LOW_RATIO
    for (const flows of lowDebt < most ? lanes : [low, ...lanes]) {
      for (const flow of flows) {
        flows.delete(flow)
        const { lane, waiting } = flow
        const message = waiting[0]
        if (!message) continue
        const {
          kind,
          id = 0,
          flags = 0,
          method = 0,
          route = 0,
          window = 0,
          payload,
          layout = 0,
          cost,
          deadline = Infinity,
        } = message
        const part = payload.subarray(0, FRAGMENT_BYTES)
        const rest = payload.subarray(FRAGMENT_BYTES)
        const spent = cost > 0 ? 0 : costOf(part)
        if (flow.credit < spent) continue
        flow.credit -= spent
        if (rest.length > 0) {
          waiting[0] = { kind: KIND.FRAGMENT, id, flags: flags & FLAG.ANSWER, payload: rest, cost }
        } else {
          waiting.shift()
          hold(flow, -cost)
        }
        if (waiting.length > 0) flows.add(flow)
        else if (flow.onidle) clock.afterTurn(() => waiting.length > 0 || flow.onidle?.())
        if (kind === KIND.CALL) flow.number = ++called
        const timeLeft = Math.ceil(deadline - clock.now())
        const bytes = padded(costOf(part))
        gathered.fill(0, filled, filled + bytes)
        words.set(
          [
            bytes,
            kind | ((flags | lane | (rest.length > 0 ? FLAG.MORE : 0)) << 8) | (method << 16),
            id,
            route,
            timeLeft <= MAX_TIME_LEFT ? Math.max(1, timeLeft) : 0,
            window,
            kind === KIND.FRAGMENT ? part.length : payload.length,
            layout,
          ],
          filled / 4,
        )
        gathered.set(part, filled + HEADER_BYTES)
        filled += bytes
        lowDebt =
          flows === low ? Math.max(0, lowDebt - bytes * LOW_RATIO) : Math.min(2 * most, lowDebt + bytes)
        return true
      }
    }
    return false
  }

  const drain = (): void => {
    while (ready && gather()) {
      flush()
      if (least > 1) continue
      least = GATHER_BYTES
      clock.afterTurn(endTurn)
    }
    // If it still takes frames, none waits.
    if (ready) outbox.onidle?.()
  }

  const enter = (flow: Flow): void => {
    lanes[flow.lane]?.add(flow)
    drain()
  }

  const outbox: Outbox = {
    full: () => !ready,
    held: () => held,
    write(flow, message) {
      const { waiting } = flow
      const { kind, payload = new Uint8Array() } = message
      const last = waiting.at(-1)
      // Of progress behind something else the latest counts: what still waits gives way.
      if (kind === KIND.PROGRESS && last?.kind === kind && waiting[0]?.kind !== kind) {
        waiting.pop()
        hold(flow, -last.cost)
      }
      const cost = kind === KIND.ITEM ? 0 : costOf(payload)
      waiting.push({ ...message, payload, cost })
      hold(flow, cost)
      enter(flow)
    },
    grant(flow, bytes) {
      flow.credit += bytes
      enter(flow)
      flow.onidle?.()
    },
    clear(flow) {
      hold(flow, -flow.held)
      return flow.waiting.splice(0)[0]?.kind === KIND.CALL
    },
    drained() {
      ready = true
      drain()
      return ready
    },
    batch(make) {
      const before = least
      least = MAX_FRAME_BYTES
      try {
        return make()
      } finally {
        least = before
        flush()
      }
    },
    close(last) {
      for (const flows of lanes) flows.clear()
      ready = true
      if (last) outbox.write(flowOf(0), last)
      endTurn()
      ready = false
    },
  }
  return outbox
}

/** What a frame of an item costs in credit, and one that waits of what may be held: all of it but its padding. */
export function costOf(payload: Uint8Array): number {
  return HEADER_BYTES + payload.length
}
