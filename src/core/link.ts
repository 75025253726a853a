import { CLOSE_REASONS, type CloseReason, closeReason } from '../wire/closeReason.ts'
import type { Fate } from '../wire/errors.ts'
import { FIRST_OPTIONAL_KIND, readU16, readU32, writeHeader } from '../wire/frame.ts'
import { isLegal } from '../wire/framer.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES } from '../wire/limits.ts'
import { MAGIC_HIGH, MAGIC_LOW, VERSION } from '../wire/preamble.ts'
import type { Clock } from './clock.ts'
import { type Entry, Outbox } from './outbox.ts'
import type { Transport } from './transport.ts'

/**
 * Frames of the other path that may come before MOVE does. From then on that path is not read; where it cannot
 * be stopped, four times as much closes the link.
 */
const EARLY_BYTES = 256 * 1024
/** What may wait of this link's own answers; past it a far end that does not read them is not read. */
const UNREAD_BYTES = 512 * 1024

export interface LinkEvents {
  /** One whole frame at bytes[at … at + length): every kind but the link's own. */
  frame(bytes: Uint8Array, at: number, length: number): void
  /** HELLO, PROOF or WELCOME. Absent on links without admission, where such a frame is a violation. */
  admission?(kind: number, bytes: Uint8Array, at: number, length: number): void
  /** The far end takes no calls after the `accepted`th. */
  goaway(accepted: number): void
  /** What waited in the outbox has gone. */
  drained(): void
  closed(reason: CloseReason): void
  /** Views of frames are kept after {@link frame}: a hub lends them on, a peer does not. */
  readonly keeps?: boolean
  /** Whether there are such views now; see `TransportEvents`. */
  kept?(): boolean
}

/**
 * One link's life: preamble, keep-alive, going away, changing paths, closing; and its outbox. What the
 * frames of exchanges and routes mean is its owner's business: a peer or a hub's port.
 */
export class Link {
  readonly outbox: Outbox
  readonly clock: Clock
  readonly #events: LinkEvents
  #transport: Transport
  /** The path that frames are read from; a MOVE over it turns to the next. */
  #reading: Transport
  #next: Transport | undefined
  #early: Uint8Array[] = []
  #earlyBytes = 0
  /** Paths that have ended while this link did not use them. */
  readonly #ended = new Set<Transport>()
  /** All that may still look at what was lent to them: those that are left behind too. */
  readonly #borrowers = new Set<Transport>()
  #paused = false
  #stalled = false
  #epochIn = 0
  #epochOut = 0
  #greeted = false
  #closed: CloseReason | undefined
  #farReason: CloseReason | undefined
  #pings = new Map<number, (roundTripMs: number) => void>()
  #pingCount = 0
  /** Largest message the far end said it takes; known once its preamble has come. */
  farMessageBytes = 0
  /** CALLs accepted from the far end, for GOAWAY. */
  accepted = 0
  /** CALLs that have left for the far end, in their order. */
  called = 0
  /** So many of them it has accepted or may have; the others it never will. */
  farAccepted = Number.POSITIVE_INFINITY
  /** Takes no further calls; it has said so. */
  leaving = false
  bytesRead = 0

  constructor(transport: Transport, clock: Clock, messageBytes: number, events: LinkEvents) {
    this.#transport = transport
    this.#reading = transport
    this.clock = clock
    this.#events = events
    this.outbox = new Outbox((bytes, tail) => this.#transport.send(bytes, tail), clock)
    this.outbox.ondrain = () => {
      if (this.#stalled) this.#unstall()
      events.drained()
    }
    this.control(KIND.PREAMBLE, VERSION | (VERSION << 8), MAGIC_LOW, MAGIC_HIGH, messageBytes)
    this.#listen(transport)
  }

  get closed(): CloseReason | undefined {
    return this.#closed
  }

  #listen(path: Transport): void {
    this.#borrowers.add(path)
    path.attach({
      keeps: this.#events.keeps ?? false,
      kept: () => this.#events.kept?.() ?? true,
      frame: (frames) => this.#receive(path, frames),
      drain: () => {
        if (path === this.#transport) this.outbox.drained()
      },
      close: () => {
        this.#ended.add(path)
        if (path === this.#transport || path === this.#reading) this.#end('TRANSPORT_CLOSED')
      },
    })
  }

  /** Writes a frame of the header alone in the control lane. Fields that are left out are 0. */
  control(kind: number, method = 0, id = 0, route = 0, window = 0, flags = 0, timeLeft = 0): void {
    if (this.#closed) return
    const at = this.outbox.room(HEADER_BYTES)
    writeHeader(this.outbox.slab, at, HEADER_BYTES, kind, flags, method, id, route, timeLeft, window, 0, 0, 0)
    this.outbox.commit(at, at + HEADER_BYTES, 0, false)
  }

  #receive(path: Transport, frames: Uint8Array): void {
    if (this.#closed) return
    if (path !== this.#reading) {
      this.#earlyBytes += frames.length
      if (path !== this.#next || (!path.pause && this.#earlyBytes > EARLY_BYTES * 4)) {
        this.violation()
        return
      }
      this.#early.push(frames.slice())
      if (this.#earlyBytes > EARLY_BYTES) path.pause?.()
      return
    }
    this.bytesRead += frames.length
    let at = 0
    const end = frames.length
    while (at < end) {
      const length = end - at >= HEADER_BYTES ? readU32(frames, at) : 0
      if (!isLegal(length) || at + length > end) {
        this.violation()
        return
      }
      const kind = frames[at + AT.kind] as number
      if (kind >= KIND.OPEN && this.#greeted) this.#events.frame(frames, at, length)
      else this.#own(kind, frames, at, length)
      if (this.#closed) return
      at += length
      if (path !== this.#reading) {
        // MOVE was the last frame of the old path.
        if (at < end) this.violation()
        return
      }
    }
    if (!this.#stalled && this.outbox.controlBytes > UNREAD_BYTES) {
      this.#stalled = true
      this.#reading.pause?.()
    }
  }

  #unstall(): void {
    this.#stalled = false
    if (!this.#paused) this.#reading.resume?.()
  }

  /** The link's own frames. */
  #own(kind: number, bytes: Uint8Array, at: number, length: number): void {
    if (!this.#greeted) {
      this.#greet(kind, bytes, at)
      return
    }
    switch (kind) {
      case KIND.HELLO:
      case KIND.PROOF:
      case KIND.WELCOME:
        if (this.#events.admission) this.#events.admission(kind, bytes, at, length)
        else this.violation()
        return
      case KIND.PING:
        this.control(KIND.PONG, 0, readU32(bytes, at + AT.id))
        return
      case KIND.PONG:
        this.#pong(readU32(bytes, at + AT.id))
        return
      case KIND.GOAWAY:
        this.#goaway(bytes, at)
        return
      case KIND.MOVE:
        this.#moved(readU32(bytes, at + AT.id))
        return
      default:
        this.violation()
    }
  }

  #greet(kind: number, bytes: Uint8Array, at: number): void {
    if (
      kind !== KIND.PREAMBLE ||
      readU32(bytes, at) !== HEADER_BYTES ||
      readU32(bytes, at + AT.id) !== MAGIC_LOW ||
      readU32(bytes, at + AT.route) !== MAGIC_HIGH
    ) {
      this.violation()
      return
    }
    const versions = readU16(bytes, at + AT.method)
    if ((versions & 0xff) > VERSION || versions >>> 8 < VERSION) {
      this.close('VERSION_MISMATCH')
      return
    }
    this.farMessageBytes = readU32(bytes, at + AT.window)
    this.#greeted = true
  }

  /** Tells the milliseconds of a round trip; never, when the link ends before the answer has come. */
  ping(done: (roundTripMs: number) => void): void {
    const number = ++this.#pingCount
    const sentAt = this.clock.now()
    this.#pings.set(number, () => done(this.clock.now() - sentAt))
    this.control(KIND.PING, 0, number)
  }

  #pong(number: number): void {
    const done = this.#pings.get(number)
    this.#pings.delete(number)
    done?.(0)
  }

  /** What may have become of a call that is the `number`th to have left, 0 if it has not, when its link has ended. */
  fateOf(number: number): Fate {
    return number === 0 || number > this.farAccepted ? 'not-sent' : 'unknown'
  }

  /** Counts the CALLs of what leaves after it had waited or was cut. @param tell which of them has which number. */
  count(entry: Entry, tell: (id: number, number: number) => void): void {
    const { from, memory, to } = entry
    for (let at = from; at + HEADER_BYTES <= to; at += Math.max(HEADER_BYTES, readU32(memory, at))) {
      if (memory[at + AT.kind] === KIND.CALL) tell(readU32(memory, at + AT.id), ++this.called)
    }
  }

  /** Tells the far end that no further calls will be taken. */
  goAway(): void {
    this.leaving = true
    this.control(KIND.GOAWAY, 0, this.accepted)
  }

  #goaway(bytes: Uint8Array, at: number): void {
    const reason = readU32(bytes, at + AT.route)
    this.farAccepted = Math.min(this.farAccepted, readU32(bytes, at + AT.id))
    if (reason === 0) this.#events.goaway(readU32(bytes, at + AT.id))
    else this.#farReason = closeReason(reason)
  }

  /**
   * Names the path that this link may turn to; both ends do so before either calls {@link move}. Frames
   * that come over it before MOVE has come over the old one are kept.
   */
  prepare(path: Transport): void {
    this.#next = path
    this.#listen(path)
  }

  /**
   * Ends this direction's path: what is written from now on goes over the prepared one. A path that has ended
   * meanwhile is not turned to.
   */
  move(): void {
    const next = this.#next
    if (this.#closed || !next || next === this.#transport || this.#ended.has(next)) return
    this.outbox.flush()
    this.#transport.send(lone(KIND.MOVE, ++this.#epochOut, 0))
    this.#settlePaths(next, this.#reading)
    this.outbox.drained()
  }

  #moved(epoch: number): void {
    const next = this.#next
    if (!next || epoch !== this.#epochIn + 1) {
      this.violation()
      return
    }
    this.#epochIn = epoch
    const early = this.#early
    this.#early = []
    this.#earlyBytes = 0
    this.#settlePaths(this.#transport, next)
    for (const frames of early) this.#receive(next, frames)
    if (this.#ended.has(next)) this.#end('TRANSPORT_CLOSED')
    else if (this.#paused || this.#stalled) next.pause?.()
    else next.resume?.()
  }

  /** Once both directions have left the old path it becomes the one to go back to. */
  #settlePaths(writing: Transport, reading: Transport): void {
    const old = this.#transport === this.#next ? this.#reading : this.#transport
    this.#transport = writing
    this.#reading = reading
    if (writing === reading && writing === this.#next) this.#next = old
  }

  /** The far end broke the protocol: this link ends; nobody else is touched. */
  violation(): void {
    this.close('PROTOCOL_ERROR')
  }

  /** Ends the link now. The far end is told why. */
  close(reason: CloseReason = 'GOING_AWAY'): void {
    if (this.#closed) return
    const number = CLOSE_REASONS.indexOf(reason)
    if (number > 0) {
      // Past what is held back: a link that was never admitted says why it ends, too.
      this.outbox.flush()
      this.outbox.bypass(lone(KIND.GOAWAY, this.accepted, number))
    }
    this.outbox.close()
    this.#transport.close(reason)
    this.#end(reason)
  }

  /** Whether memory may be lent to it: it is told by {@link settle} when nothing looks at that any more. */
  get borrows(): boolean {
    return this.#transport.flush !== undefined
  }

  /** Writes now what was sent. @returns whether no path looks at any of it any more. */
  settle(): boolean {
    for (const path of this.#borrowers) {
      if (!isDone(path)) return false
      if (this.#ended.has(path)) this.#borrowers.delete(path)
    }
    return true
  }

  pause(): void {
    this.#paused = true
    this.#reading.pause?.()
  }

  resume(): void {
    this.#paused = false
    if (!this.#stalled) this.#reading.resume?.()
  }

  #end(reason: CloseReason): void {
    if (this.#closed) return
    this.#closed = this.#farReason ?? reason
    this.outbox.close()
    for (const path of new Set([this.#transport, this.#reading, this.#next])) {
      if (path && !this.#ended.has(path)) path.close(reason)
    }
    this.#pings.clear()
    this.#events.closed(this.#closed)
  }
}

/** A frame of the header alone that does not wait in the outbox. */
function lone(kind: number, id: number, route: number): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES)
  writeHeader(frame, 0, HEADER_BYTES, kind, 0, 0, id, route, 0, 0, 0, 0, 0)
  return frame
}

/** Whether a path looks at nothing that was lent to it; one that cannot tell is lent nothing. */
function isDone(path: Transport): boolean {
  // Whatever else a transport calls by this name says nothing.
  return path.flush === undefined || path.flush() === true
}

/** Whether a frame of this kind may be skipped by an end that does not know it. */
export function isOptional(kind: number): boolean {
  return kind >= FIRST_OPTIONAL_KIND
}
