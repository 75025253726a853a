import type { Clock } from '../core/clock.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, writeHeader } from '../wire/frame.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES, GATHER_BYTES, HEADER_BYTES } from '../wire/limits.ts'

/** A message on its way out: the fields of its header and its whole payload. What is left out is 0. */
export interface Message {
  readonly kind: number
  readonly id?: number
  readonly method?: number
  readonly route?: number
  readonly timeLeft?: number
  readonly window?: number
  readonly flags?: number
  readonly payload?: Uint8Array
  readonly headBytes?: number
  readonly segments?: number
}

/** What one direction of one exchange has to say, in order. One message of it is under way at a time. */
export interface Flow {
  readonly lane: number
  /** Item bytes that the far end still takes. */
  credit: number
  /** Called when nothing is left to send and the turn is over, or when credit has come. */
  onidle?: (() => void) | undefined
  /** The how manieth CALL of the link it began with; 0 until that has left. */
  number: number
  readonly waiting: Message[]
  /** Payload bytes of the first message that have left, and since when it waits. */
  sent: number
  since: number
  /** Whether it stands in its lane. */
  inLine: boolean
}

export function flowOf(lane: number, credit = 0): Flow {
  return { lane, credit, number: 0, waiting: [], sent: 0, since: 0, inLine: false }
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
  /** Everything that `make` writes leaves together. */
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
/** Low gets one byte in so many, however busy the lanes above it are. */
const LOW_SHARE = 16

/**
 * Everything that one end writes to a link. Messages stand in flows, flows in four lanes (control, high, normal,
 * low); a lane's flows have their turns frame by frame (PROTOCOL.md, section 5).
 *
 * @param send hands frames to the transport; false when that is full.
 */
export function outboxOver(send: (frames: Uint8Array) => boolean, clock: Clock): Outbox {
  const lanes: Flow[][] = [[], [], [], []]
  let frames: Uint8Array[] = []
  let gathered = 0
  let held = 0
  let ready = true
  let closed = false
  let corked = 0
  let inTurn = false
  let lowDebt = 0
  let called = 0
  let resumes: (() => void)[] = []

  const congested = (): boolean => !ready || lanes.some((flows) => flows.length > 0)

  const flush = (): void => {
    if (!ready || gathered === 0) return
    const bytes = joined(frames, gathered)
    frames = []
    gathered = 0
    if (!send(bytes)) ready = false
  }

  /** The next frame of a flow; undefined when it has none, or no credit that covers it whole. */
  const cut = (flow: Flow): Uint8Array | undefined => {
    const message = flow.waiting[0]
    if (!message) return undefined
    const { kind, payload = NOTHING, timeLeft = 0, flags = 0, id = 0 } = message
    const { sent } = flow
    const size = Math.min(FRAGMENT_BYTES, payload.length - sent)
    if (kind !== KIND.ITEM) held -= sent === 0 ? creditOf(size) : size
    else if (flow.credit < creditOf(size)) return undefined
    else flow.credit -= creditOf(size)
    flow.sent += size
    const isLast = flow.sent === payload.length
    const bytes = HEADER_BYTES + padded(size)
    const frame = new Uint8Array(bytes)
    const now = flags | flow.lane | (isLast ? 0 : FLAG.MORE)
    if (sent === 0) {
      const { method = 0, route = 0, window = 0, headBytes = 0, segments = 0 } = message
      if (kind === KIND.CALL) flow.number = ++called
      // Its time has gone on while it waited.
      const left = timeLeft && Math.max(1, timeLeft - Math.floor(clock.now() - flow.since))
      writeHeader(
        frame,
        0,
        bytes,
        kind,
        now,
        method,
        id,
        route,
        left,
        window,
        payload.length,
        headBytes,
        segments,
      )
    } else {
      const bits = now & (FLAG.LANE | FLAG.ANSWER | FLAG.MORE)
      writeHeader(frame, 0, bytes, KIND.FRAGMENT, bits, 0, id, 0, 0, 0, size, 0, 0)
    }
    frame.set(payload.subarray(sent, flow.sent), HEADER_BYTES)
    if (isLast) {
      flow.waiting.shift()
      flow.sent = 0
      if (flow.onidle) clock.afterTurn(() => flow.waiting.length > 0 || flow.onidle?.())
    }
    return frame
  }

  const nextOf = (lane: number): Uint8Array | undefined => {
    const flows = lanes[lane] ?? []
    for (let flow = flows.shift(); flow; flow = flows.shift()) {
      const frame = cut(flow)
      flow.inLine = frame !== undefined && flow.waiting.length > 0
      if (flow.inLine) flows.push(flow)
      if (!frame) continue
      lowDebt = Math.max(0, lowDebt + (lane === LOW ? -frame.length * (LOW_SHARE - 1) : frame.length))
      return frame
    }
    if (lane === LOW) lowDebt = 0
    return undefined
  }

  const next = (): Uint8Array | undefined => {
    const low = lowDebt >= FRAGMENT_BYTES * (LOW_SHARE - 1) ? nextOf(LOW) : undefined
    return low ?? nextOf(0) ?? nextOf(1) ?? nextOf(2) ?? nextOf(LOW)
  }

  const drain = (): void => {
    while (ready && !closed) {
      const frame = next()
      if (!frame) break
      frames.push(frame)
      gathered += frame.length
      if (corked === 0 && gathered >= GATHER_BYTES) flush()
    }
    if (gathered > 0 && !inTurn) {
      inTurn = true
      clock.afterTurn(() => {
        inTurn = false
        flush()
      })
      if (corked === 0) flush()
    }
    if (resumes.length === 0 || congested()) return
    const resumed = resumes
    resumes = []
    for (const resume of resumed) resume()
  }

  const enter = (flow: Flow): void => {
    if (!flow.inLine) lanes[flow.lane]?.push(flow)
    flow.inLine = true
    drain()
  }

  return {
    congested,
    held: () => held,
    whenRoom(resume) {
      if (congested()) resumes.push(resume)
      else resume()
    },
    write(flow, message) {
      if (closed) return
      const { waiting } = flow
      const last = waiting.at(-1)
      // Of progress behind something else the latest counts: what still waits gives way.
      if (
        message.kind === KIND.PROGRESS &&
        last?.kind === KIND.PROGRESS &&
        waiting[0]?.kind !== KIND.PROGRESS
      ) {
        held -= costOf(last)
        waiting.pop()
      }
      if (waiting.length === 0) flow.since = clock.now()
      waiting.push(message)
      held += costOf(message)
      enter(flow)
    },
    grant(flow, bytes) {
      flow.credit += bytes
      if (flow.waiting.length > 0) enter(flow)
      else flow.onidle?.()
    },
    clear(flow) {
      const { sent, waiting } = flow
      const isUnsent = sent === 0 && waiting[0]?.kind === KIND.CALL
      for (const message of waiting) held -= costOf(message)
      if (sent > 0 && waiting[0]?.kind !== KIND.ITEM) held += creditOf(sent)
      waiting.length = flow.sent = 0
      return isUnsent
    },
    drained() {
      ready = true
      flush()
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
      for (const flows of lanes) flows.length = 0
      ready = true
      if (last) this.write(flowOf(0), last)
      flush()
      closed = true
      ready = false
    },
  }
}

const NOTHING = new Uint8Array()

/** What a message counts among the bytes held; items wait for their reader. */
function costOf({ kind, payload = NOTHING }: Message): number {
  return kind === KIND.ITEM ? 0 : creditOf(payload.length)
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  if (parts.length === 1) return parts[0] ?? NOTHING
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
