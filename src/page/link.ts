import type { Clock } from '../core/clock.ts'
import type { Transport } from '../core/transport.ts'
import { CLOSE_REASONS, type CloseReason, closeReason } from '../wire/closeReason.ts'
import type { Fate } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { FIRST_OPTIONAL_KIND, padded } from '../wire/frame.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../wire/limits.ts'
import { MAGIC_HIGH, MAGIC_LOW, VERSION } from '../wire/preamble.ts'
import { costOf, type Flow, flowOf, type Message, type Outbox, outboxOver } from './outbox.ts'

/**
 * A message as it has come: a whole one, put together if it was cut, or the first fragment of one.
 */
export interface Received {
  readonly kind: number
  readonly flags: number
  readonly method: number
  readonly id: number
  readonly route: number
  readonly timeLeft: number
  readonly window: number
  /** Of the payload: bytes of its head, and above 16 bits the number of its segments. */
  readonly layout: number
  /** In memory of its own. */
  readonly payload: Uint8Array
  /** What it costs in credit; 0 of one that was put together, whose parts have been told of as they came. */
  readonly cost: number
}

/** What becomes of the frames of exchanges and routes. */
export interface LinkEvents {
  /** @returns false when nobody knows what to do with it. */
  message(message: Received): boolean
  /**
   * The first fragment of a message has come.
   * @param bytes of the payload of the whole message.
   * @param held bytes of other messages that are being put together.
   * @returns whether it is put together; otherwise its fragments are dropped as late.
   */
  admits(first: Received, bytes: number, held: number): boolean
  /** A part of an item has come; it is to be granted again. */
  part(first: Received, bytes: number): void
  closed(reason: CloseReason): void
}

export interface Link {
  readonly outbox: Outbox
  /** Largest message that the far end takes, once it has said so. */
  farMessageBytes(): number | undefined
  closed(): CloseReason | undefined
  /** Whether the far end takes no calls any more. */
  draining(): boolean
  /** Writes a frame in the control lane. */
  control(message: Message): void
  /** Forgets the unfinished message of an exchange, in the direction that flags say. @returns whether there was one. */
  forget(id: number, flags: number): boolean
  /** What may have become of the call that a flow began with, when the link has ended. */
  fate(flow: Flow): Fate
  /** Calls back when the far end has read all that was said so far, or when the link has ended. */
  ping(done: () => void): void
  /** Tells the far end that no further calls will be taken. */
  drain(): void
  /** The far end broke the protocol. */
  violation(): void
  close(reason: CloseReason): void
}

/** Bytes of control frames that may wait; past them a far end that does not read our answers is not read. */
const UNREAD_BYTES = 512 * 1024

/** A message of which not all has come: its first frame, with memory for the whole payload. */
interface Unfinished extends Received {
  /** The memory that has not been filled. */
  rest: Uint8Array
}

/** One link's life: preamble, keeping alive, going away, closing; and messages put together. */
export function linkOver(transport: Transport, clock: Clock, messageBytes: number, events: LinkEvents): Link {
  const outbox = outboxOver((frames) => transport.send(frames), clock)
  const controls = flowOf(0)
  const pings = new Map<number, () => void>()
  const unfinished = new Map<number, Unfinished>()
  /** The header that is read. */
  const words = new Uint32Array(HEADER_BYTES / 4)
  const header = new Uint8Array(words.buffer)
  let pinged = 0
  let closed: CloseReason | undefined
  let farReason: CloseReason | undefined
  let farMessageBytes: number | undefined
  let accepted = 0
  let farAccepted = Infinity
  let held = 0

  const control = (message: Message): void => outbox.write(controls, message)

  const close = (reason: CloseReason): void => {
    if (closed) return
    closed = farReason ?? reason
    const route = CLOSE_REASONS.indexOf(reason)
    outbox.close(route > 0 && { kind: KIND.GOAWAY, id: accepted, route })
    for (const lost of pings.values()) lost()
    events.closed(closed)
    // Last, whatever it throws; one that has ended by itself takes no notice.
    transport.close(reason)
  }

  const violation = (): void => close('PROTOCOL_ERROR')

  const forget = (id: number, flags: number): boolean => {
    const key = keyOf(id, flags)
    held -= unfinished.get(key)?.payload.length ?? 0
    return unfinished.delete(key)
  }

  /** A frame whose header is in `words`. @param body what is behind that, with its padding. */
  const receive = (body: Uint8Array): void => {
    const [, first = 0, id = 0, route = 0, timeLeft = 0, window = 0, payloadBytes = 0, layout = 0] = words
    const kind = first & 0xff
    const flags = (first >>> 8) & 0xff
    const method = first >>> 16
    // The run that it came in is lent: values may be views of this.
    const payload = body.slice(0, payloadBytes)
    const frame: Received = {
      kind,
      flags,
      method,
      id,
      route,
      timeLeft,
      window,
      layout,
      payload,
      cost: costOf(payload),
    }
    const isLast = (flags & FLAG.MORE) === 0
    const isFragment = kind === KIND.FRAGMENT
    if (farMessageBytes === undefined) {
      if (kind !== KIND.PREAMBLE || id !== MAGIC_LOW || route !== MAGIC_HIGH || body.length > 0)
        return violation()
      if ((method & 0xff) > VERSION || method >>> 8 < VERSION) return close('VERSION_MISMATCH')
      farMessageBytes = window
    } else if (kind === KIND.PING) {
      control({ kind: KIND.PONG, id })
    } else if (kind === KIND.PONG) {
      pings.get(id)?.()
      pings.delete(id)
    } else if (kind === KIND.GOAWAY) {
      farAccepted = Math.min(farAccepted, id)
      if (route > 0) farReason = closeReason(route)
    } else if (
      kind < KIND.OPEN ||
      (kind === KIND.CALL && flags & FLAG.ANSWER) ||
      (isLast
        ? body.length !== padded(payloadBytes)
        : body.length === 0 ||
          (isFragment
            ? body.length !== payloadBytes
            : body.length >= payloadBytes || kind < KIND.CALL || kind > KIND.ERROR))
    ) {
      violation()
    } else {
      if (kind === KIND.CALL) accepted++
      let message: Received = frame
      if (!isLast || isFragment) {
        if (!isFragment) {
          if (!events.admits(frame, payloadBytes, held)) return
          if (forget(id, flags)) return violation()
          held += payloadBytes
          const rest = new Uint8Array(payloadBytes)
          unfinished.set(keyOf(id, flags), { ...frame, payload: rest, rest, cost: 0 })
        }
        const whole = unfinished.get(keyOf(id, flags))
        if (!whole) return
        const { rest } = whole
        const missing = rest.length - payload.length
        if (missing < 0 || (isLast && missing > 0)) return violation()
        rest.set(payload)
        whole.rest = rest.subarray(payload.length)
        if (whole.kind === KIND.ITEM) events.part(whole, frame.cost)
        if (!isLast) return
        forget(id, flags)
        message = whole
      }
      if (!events.message(message) && kind < FIRST_OPTIONAL_KIND) violation()
    }
  }

  control({
    kind: KIND.PREAMBLE,
    method: VERSION | (VERSION << 8),
    id: MAGIC_LOW,
    route: MAGIC_HIGH,
    window: messageBytes,
  })
  transport.attach({
    frame(frames) {
      for (let rest = frames; rest.length > 0 && !closed; ) {
        // Of a header that is not here whole the length is under a header's, or over what is left.
        header.set(rest.subarray(0, HEADER_BYTES))
        const [bytes = 0] = words
        if (bytes < HEADER_BYTES || bytes > Math.min(rest.length, MAX_FRAME_BYTES) || bytes % 8 > 0)
          return violation()
        receive(rest.subarray(HEADER_BYTES, bytes))
        rest = rest.subarray(bytes)
      }
      if (controls.held > UNREAD_BYTES) transport.pause?.()
    },
    drain() {
      if (!closed && outbox.drained()) transport.resume?.()
    },
    close: () => close('TRANSPORT_CLOSED'),
  })

  return {
    outbox,
    control,
    forget,
    violation,
    close,
    closed: () => closed,
    farMessageBytes: () => farMessageBytes,
    draining: () => farAccepted < Infinity,
    fate: ({ number }) => (number <= farAccepted ? 'unknown' : 'not-sent'),
    ping(done) {
      if (closed) return done()
      pings.set(++pinged, done)
      control({ kind: KIND.PING, id: pinged })
    },
    drain() {
      control({ kind: KIND.GOAWAY, id: accepted })
    },
  }
}

/** Messages of both directions of an exchange may be under way at once. */
export function keyOf(id: number, flags: number): number {
  return id * 16 + (flags & FLAG.ANSWER)
}
