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
  readonly headBytes?: number
  readonly segments?: number
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
  /** The transport takes more. */
  drained(): void
  /** What `make` writes leaves together, up to a frame's length. */
  cork<T>(make: () => T): T
  /** Calls back when nothing waits any more, at once if that is so. */
  whenRoom(resume: () => void): void
  /** Whether frames have to wait now. */
  congested(): boolean
  /** Bytes that wait for the transport; items wait for their reader, and are not counted. */
  held(): number
  /** Drops what waits, lets out a last message, and takes nothing more. */
  close(last?: Message): void
}

const LOW = 3
/** Low may go first when so many bytes have left the lanes above it for each of its own: it gets one in sixteen. */
const LOW_RATIO = 15
/** The longest time that fits into a header; beyond it the far end is told of none. */
const MAX_TIME_LEFT = 2 ** 32 - 1
const NOTHING = new Uint8Array()

/**
 * Everything that one end writes to a link. Messages stand in flows, flows in four lanes (control, high, normal,
 * low); a lane's flows have their turns frame by frame (PROTOCOL.md, section 5).
 *
 * Headers are written as words: all hosts of pages are little-endian, as the protocol is.
 *
 * @param send hands frames to the transport; false when that is full.
 */
export function outboxOver(send: (frames: Uint8Array) => boolean, clock: Clock): Outbox {
  const lanes = [0, 1, 2, LOW].map(() => new Set<Flow>())
  /** Frames that leave together. */
  const gathered = new Uint8Array(2 * MAX_FRAME_BYTES)
  const words = new Uint32Array(gathered.buffer)
  let filled = 0
  let held = 0
  /** The transport takes frames; otherwise none are gathered. */
  let ready = true
  let corked = 0
  let inTurn = false
  /** Bytes that low is behind its share. */
  let lowDebt = 0
  let called = 0
  const resumes: (() => void)[] = []

  const congested = (): boolean => !ready || lanes.some((flows) => flows.size > 0)

  const flush = (): void => {
    if (filled === 0) return
    const bytes = gathered.slice(0, filled)
    filled = 0
    if (!send(bytes)) ready = false
  }

  /** Counts bytes that begin or, below 0, cease to wait. */
  const hold = (flow: Flow, bytes: number): void => {
    flow.held += bytes
    held += bytes
  }

  /** Gathers the frame whose turn it is. @returns whether there was one. */
  const gather = (): boolean => {
    const most = FRAGMENT_BYTES * LOW_RATIO
    for (const flows of lowDebt < most ? lanes : [...lanes.slice(LOW), ...lanes]) {
      for (const flow of flows) {
        flows.delete(flow)
        const { lane, waiting } = flow
        const message = waiting[0]
        if (!message) continue
        const { kind, id = 0, flags = 0, method = 0, route = 0, window = 0, deadline = Infinity } = message
        const { payload, cost, headBytes = 0, segments = 0 } = message
        const part = payload.subarray(0, FRAGMENT_BYTES)
        const isLast = part.length === payload.length
        if (cost === 0) {
          if (flow.credit < costOf(part)) continue
          flow.credit -= costOf(part)
        }
        if (isLast) {
          waiting.shift()
          hold(flow, -cost)
        } else {
          const rest = payload.subarray(FRAGMENT_BYTES)
          waiting[0] = { kind: KIND.FRAGMENT, id, flags: flags & FLAG.ANSWER, payload: rest, cost }
        }
        if (waiting.length > 0) flows.add(flow)
        else if (flow.onidle) clock.afterTurn(() => waiting.length > 0 || flow.onidle?.())
        if (kind === KIND.CALL) flow.number = ++called
        const timeLeft = Math.ceil(deadline - clock.now())
        const bytes = HEADER_BYTES + padded(part.length)
        gathered.fill(0, filled, filled + bytes)
        words.set(
          [
            bytes,
            kind | ((flags | lane | (isLast ? 0 : FLAG.MORE)) << 8) | (method << 16),
            id,
            route,
            timeLeft > MAX_TIME_LEFT ? 0 : Math.max(1, timeLeft),
            window,
            kind === KIND.FRAGMENT ? part.length : payload.length,
            headBytes | (segments << 16),
          ],
          filled / 4,
        )
        gathered.set(part, filled + HEADER_BYTES)
        filled += bytes
        lowDebt = Math.max(0, Math.min(2 * most, lowDebt + (lane === LOW ? -bytes * LOW_RATIO : bytes)))
        return true
      }
    }
    return false
  }

  const drain = (): void => {
    while (ready && gather()) {
      if (filled >= (corked > 0 ? MAX_FRAME_BYTES : GATHER_BYTES)) flush()
    }
    if (filled > 0 && !inTurn) {
      inTurn = true
      clock.afterTurn(() => {
        inTurn = false
        flush()
      })
      if (corked === 0) flush()
    }
    if (!congested()) for (const resume of resumes.splice(0)) resume()
  }

  const enter = (flow: Flow): void => {
    lanes[flow.lane]?.add(flow)
    drain()
  }

  return {
    congested,
    held: () => held,
    whenRoom(resume) {
      resumes.push(resume)
      drain()
    },
    write(flow, message) {
      const { waiting } = flow
      const { kind, payload = NOTHING } = message
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
      if (flow.waiting.length > 0) enter(flow)
      else flow.onidle?.()
    },
    clear(flow) {
      const { waiting } = flow
      const isUnsent = waiting[0]?.kind === KIND.CALL
      for (const { cost } of waiting.splice(0)) hold(flow, -cost)
      return isUnsent
    },
    drained() {
      ready = true
      drain()
    },
    cork(make) {
      corked++
      try {
        return make()
      } finally {
        corked--
        if (corked === 0) flush()
      }
    },
    close(last) {
      for (const flows of lanes) flows.clear()
      ready = true
      if (last) this.write(flowOf(0), last)
      flush()
      ready = false
    },
  }
}

/** What a frame of an item costs in credit, and one that waits of what may be held: all of it but its padding. */
export function costOf(payload: Uint8Array): number {
  return HEADER_BYTES + payload.length
}
