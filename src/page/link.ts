import type { Clock } from '../core/clock.ts'
import type { Transport } from '../core/transport.ts'
import { CLOSE_REASONS, type CloseReason, closeReason } from '../wire/closeReason.ts'
import type { Fate } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, FIRST_OPTIONAL_KIND, padded, readU16, readU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../wire/limits.ts'
import { MAGIC_HIGH, MAGIC_LOW, VERSION } from '../wire/preamble.ts'
import { type Flow, flowOf, type Message, type Outbox, outboxOver } from './outbox.ts'

/** A whole message as it has come, put together if it was cut. */
export interface Received {
  readonly kind: number
  readonly flags: number
  readonly method: number
  readonly id: number
  readonly route: number
  readonly timeLeft: number
  readonly window: number
  /** Of the whole message, be it here or not. */
  readonly payloadBytes: number
  readonly payload: Uint8Array
  readonly headBytes: number
  readonly segments: number
  /** What its last frame costs in credit. */
  readonly cost: number
  /** It came in fragments: its payload is memory of its own. */
  readonly wasCut: boolean
}

/** What becomes of the frames of exchanges and routes. */
export interface LinkEvents {
  /** @returns false when nobody knows what to do with it. */
  message(message: Received): boolean
  /**
   * The first fragment of a message has come.
   * @param held bytes of other messages that are being put together.
   * @returns whether it is put together; otherwise its fragments are dropped as late.
   */
  admits(first: Received, held: number): boolean
  /** A part of an item has come; it is to be granted again. */
  part(first: Received, bytes: number): void
  /** The far end takes no calls any more. */
  goaway(): void
  closed(reason: CloseReason): void
}

export interface Link {
  readonly outbox: Outbox
  /** Largest message that the far end takes; 0 until it has said so. */
  farMessageBytes(): number
  closed(): CloseReason | undefined
  /** Writes a frame in the control lane. */
  control(message: Message): void
  /** Forgets the unfinished message of an exchange, in the direction that flags say. @returns whether there was one. */
  forget(id: number, flags: number): boolean
  /** What may have become of the call that a flow began with, when the link has ended. */
  fateOf(flow: Flow): Fate
  /** Tells the milliseconds of a round trip; never, when the link ends before. */
  ping(done: (roundTripMs: number) => void): void
  /** Tells the far end that no further calls will be taken. */
  goAway(): void
  /** The far end broke the protocol. */
  violation(): void
  close(reason: CloseReason): void
}

/** Bytes of control frames that may wait; past them a far end that does not read our answers is not read. */
const UNREAD_BYTES = 512 * 1024

/** A message of which not all has come. */
interface Unfinished {
  /** Its first frame, with memory for the whole payload. */
  readonly first: Received
  filled: number
}

/** One link's life: preamble, keeping alive, going away, closing; and messages put together. */
export function linkOver(transport: Transport, clock: Clock, messageBytes: number, events: LinkEvents): Link {
  const outbox = outboxOver((frames) => transport.send(frames), clock)
  const controls = flowOf(0)
  const pings = new Map<number, (roundTripMs: number) => void>()
  const unfinished = new Map<number, Unfinished>()
  let pinged = 0
  let greeted = false
  let closed: CloseReason | undefined
  let farReason: CloseReason | undefined
  let farMessageBytes = 0
  let accepted = 0
  let farAccepted = Number.POSITIVE_INFINITY
  let held = 0
  let stalled = false

  const control = (message: Message): void => outbox.write(controls, message)

  const end = (reason: CloseReason): void => {
    if (closed) return
    closed = farReason ?? reason
    outbox.close()
    pings.clear()
    events.closed(closed)
  }

  const close = (reason: CloseReason): void => {
    if (closed) return
    const route = CLOSE_REASONS.indexOf(reason)
    outbox.close(route > 0 ? { kind: KIND.GOAWAY, id: accepted, route } : undefined)
    transport.close(reason)
    end(reason)
  }

  const violation = (): void => close('PROTOCOL_ERROR')

  const forget = (id: number, flags: number): boolean => {
    const key = keyOf(id, flags)
    held -= unfinished.get(key)?.first.payloadBytes ?? 0
    return unfinished.delete(key)
  }

  const deliver = (message: Received): void => {
    if (!events.message(message) && message.kind < FIRST_OPTIONAL_KIND) violation()
  }

  const begin = (frame: Received): void => {
    const { kind, flags, id, payload, payloadBytes } = frame
    const isCut =
      kind >= KIND.CALL && kind <= KIND.ERROR && payload.length > 0 && payload.length < payloadBytes
    if (!isCut) return violation()
    if (kind === KIND.CALL) accepted++
    if (!events.admits(frame, held)) return
    if (unfinished.has(keyOf(id, flags))) return violation()
    const whole = new Uint8Array(payloadBytes)
    whole.set(payload)
    held += payloadBytes
    // Of the run that it came in nothing is kept.
    const first = { ...frame, payload: whole }
    unfinished.set(keyOf(id, flags), { first, filled: payload.length })
    if (kind === KIND.ITEM) events.part(frame, creditOf(payload.length))
  }

  const goOn = ({ flags, id, payload, payloadBytes }: Received): void => {
    const isLast = (flags & FLAG.MORE) === 0
    if (payload.length !== (isLast ? padded(payloadBytes) : payloadBytes || -1)) return violation()
    const message = unfinished.get(keyOf(id, flags))
    if (!message) return
    const { first, filled } = message
    message.filled += payloadBytes
    const missing = first.payloadBytes - message.filled
    if (missing < 0 || (isLast && missing > 0)) return violation()
    first.payload.set(payload.subarray(0, payloadBytes), filled)
    const cost = creditOf(payloadBytes)
    if (!isLast) {
      if (first.kind === KIND.ITEM) events.part(first, cost)
      return
    }
    forget(id, flags)
    deliver({ ...first, cost, wasCut: true })
  }

  /** The link's own frames. */
  const own = ({ kind, id, route, method, window, payload }: Received): void => {
    if (!greeted) {
      if (kind !== KIND.PREAMBLE || id !== MAGIC_LOW || route !== MAGIC_HIGH || payload.length > 0)
        return violation()
      if ((method & 0xff) > VERSION || method >>> 8 < VERSION) return close('VERSION_MISMATCH')
      farMessageBytes = window
      greeted = true
    } else if (kind === KIND.PING) {
      control({ kind: KIND.PONG, id })
    } else if (kind === KIND.PONG) {
      pings.get(id)?.(clock.now())
      pings.delete(id)
    } else if (kind === KIND.GOAWAY) {
      farAccepted = Math.min(farAccepted, id)
      if (route === 0) events.goaway()
      else farReason = closeReason(route)
    } else {
      violation()
    }
  }

  const frame = (bytes: Uint8Array, at: number, length: number): void => {
    const field = (offset: number): number => readU32(bytes, at + offset)
    const payloadBytes = field(AT.payloadBytes)
    const received: Received = {
      kind: bytes[at + AT.kind] ?? 0,
      flags: bytes[at + AT.flags] ?? 0,
      method: readU16(bytes, at + AT.method),
      id: field(AT.id),
      route: field(AT.route),
      timeLeft: field(AT.timeLeft),
      window: field(AT.window),
      payloadBytes,
      payload: bytes.subarray(at + HEADER_BYTES, at + length),
      headBytes: readU16(bytes, at + AT.headBytes),
      segments: readU16(bytes, at + AT.segments),
      cost: creditOf(payloadBytes),
      wasCut: false,
    }
    const { kind, flags, payload } = received
    if (!greeted || kind < KIND.OPEN) own(received)
    else if (kind === KIND.CALL && (flags & FLAG.ANSWER) !== 0) violation()
    else if (kind === KIND.FRAGMENT) goOn(received)
    else if ((flags & FLAG.MORE) !== 0) begin(received)
    else if (payload.length !== padded(payloadBytes)) violation()
    else {
      if (kind === KIND.CALL) accepted++
      deliver({ ...received, payload: payload.subarray(0, payloadBytes) })
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
    frame(bytes) {
      for (let at = 0; at < bytes.length && !closed; ) {
        const left = bytes.length - at
        const length = left < HEADER_BYTES ? 0 : readU32(bytes, at)
        if (length < HEADER_BYTES || length > Math.min(left, MAX_FRAME_BYTES) || length % 8 !== 0) violation()
        else frame(bytes, at, length)
        at += length
      }
      const unread = controls.waiting.reduce((sum, { payload }) => sum + creditOf(payload?.length ?? 0), 0)
      if (!stalled && unread > UNREAD_BYTES) {
        stalled = true
        transport.pause?.()
      }
    },
    drain() {
      outbox.drained()
      if (stalled && !outbox.congested()) {
        stalled = false
        transport.resume?.()
      }
    },
    close: () => end('TRANSPORT_CLOSED'),
  })

  return {
    outbox,
    control,
    forget,
    violation,
    close,
    closed: () => closed,
    farMessageBytes: () => farMessageBytes,
    fateOf: ({ number }) => (number === 0 || number > farAccepted ? 'not-sent' : 'unknown'),
    ping(done) {
      const sentAt = clock.now()
      pings.set(++pinged, (now) => done(now - sentAt))
      control({ kind: KIND.PING, id: pinged })
    },
    goAway() {
      control({ kind: KIND.GOAWAY, id: accepted })
    },
  }
}

/** Messages of both directions of an exchange may be under way at once. */
function keyOf(id: number, flags: number): number {
  return id * 2 + (flags & FLAG.ANSWER ? 1 : 0)
}
