import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, writeHeader } from '../wire/frame.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES, HEADER_BYTES } from '../wire/limits.ts'
import { Entry, type Feed, type Outbox } from './outbox.ts'

/** A message that is too large for one frame, or waits for credit: its payload in parts, lent until sent. */
export interface Cut {
  readonly kind: number
  readonly flags: number
  readonly method: number
  readonly route: number
  readonly timeLeft: number
  readonly window: number
  readonly headBytes: number
  readonly segments: number
  readonly parts: readonly Uint8Array[]
  readonly payloadBytes: number
}

/**
 * One direction of one exchange when it has more to say than a frame: large messages, cut as the transport
 * takes them, and items, sent as credit comes. One message is under way at a time, so order holds.
 */
export class Sender implements Feed {
  deficit = 0
  active = false
  /** Item bytes that the far end still takes. */
  credit: number
  /** Called when nothing is left to send and there is credit. */
  onidle: (() => void) | undefined
  behind: Entry | undefined = undefined
  readonly #outbox: Outbox
  readonly #lane: number
  readonly #id: number
  readonly #messages: Cut[] = []
  /** Progress within the first message: payload bytes sent, part and offset in it. */
  #sent = 0
  #part = 0
  #offset = 0
  /** Since when a CALL waits: its time goes on meanwhile. */
  #heldSince = 0

  constructor(outbox: Outbox, lane: number, id: number, credit: number) {
    this.#outbox = outbox
    this.#lane = lane
    this.#id = id
    this.credit = credit
  }

  get busy(): boolean {
    return this.#messages.length > 0
  }

  add(message: Cut): void {
    // A small frame of the same exchange may wait there: nothing of an exchange overtakes what it said before.
    if (!this.busy) this.behind = this.#outbox.lastWaiting(this.#lane)
    const last = this.#messages.at(-1)
    // Of progress the latest counts: what still waits gives way, so a handler that reports often queues one.
    if (message.kind === KIND.PROGRESS && last?.kind === KIND.PROGRESS) {
      this.#hold(last, -last.payloadBytes)
      this.#messages.pop()
    }
    this.#messages.push(message)
    this.#hold(message, message.payloadBytes)
    if (message.timeLeft > 0) this.#heldSince = this.#outbox.clock.now()
    this.#outbox.activate(this, this.#lane)
  }

  /** Items wait for their reader, everything else for the transport: that is counted. */
  #hold(message: Cut | undefined, bytes: number): void {
    if (message && message.kind !== KIND.ITEM) this.#outbox.heldBytes += bytes
  }

  grant(bytes: number): void {
    this.credit += bytes
    if (this.busy) this.#outbox.activate(this, this.#lane)
    else this.onidle?.()
  }

  /** Forgets what was not sent yet. @returns whether that was a CALL of which nothing at all had left. */
  clear(): boolean {
    const untouched = this.#messages[0]?.kind === KIND.CALL && this.#sent === 0
    for (const message of this.#messages) this.#hold(message, -message.payloadBytes)
    this.#hold(this.#messages[0], this.#sent)
    this.#messages.length = 0
    this.#sent = this.#part = this.#offset = 0
    return untouched
  }

  take(): Entry | undefined {
    const message = this.#messages[0]
    if (!message) return undefined
    const bytes = Math.min(FRAGMENT_BYTES, message.payloadBytes - this.#sent)
    if (message.kind === KIND.ITEM) {
      const cost = creditOf(bytes)
      if (this.credit < cost) return undefined
      this.credit -= cost
    }
    const first = this.#sent === 0
    this.#hold(message, -bytes)
    this.#sent += bytes
    const last = this.#sent === message.payloadBytes
    const entry = this.#frame(message, bytes, first, last)
    if (last) {
      this.#messages.shift()
      this.#sent = this.#part = this.#offset = 0
      if (!this.busy) this.#outbox.clock.afterTurn(() => this.busy || this.onidle?.())
    }
    return entry
  }

  #frame(message: Cut, bytes: number, first: boolean, last: boolean): Entry {
    const frameBytes = HEADER_BYTES + padded(bytes)
    const lead = this.#lead(message, bytes)
    const frame = this.#outbox.reserve(lead === bytes ? frameBytes : HEADER_BYTES + lead)
    const more = last ? 0 : FLAG.MORE
    const lane = message.flags & (FLAG.LANE | FLAG.ANSWER)
    if (first) {
      const { kind, method, route, window, payloadBytes, headBytes, segments } = message
      const held = message.timeLeft > 0 ? Math.floor(this.#outbox.clock.now() - this.#heldSince) : 0
      const timeLeft = message.timeLeft > 0 ? Math.max(1, message.timeLeft - held) : 0
      const flags = message.flags | more
      writeHeader(
        frame,
        0,
        frameBytes,
        kind,
        flags,
        method,
        this.#id,
        route,
        timeLeft,
        window,
        payloadBytes,
        headBytes,
        segments,
      )
    } else {
      writeHeader(frame, 0, frameBytes, KIND.FRAGMENT, lane | more, 0, this.#id, 0, 0, 0, bytes, 0, 0)
    }
    let at = HEADER_BYTES
    const end = HEADER_BYTES + lead
    while (at < end) {
      const piece = this.#piece(message, end - at)
      frame.set(piece, at)
      at += piece.length
    }
    frame.fill(0, end)
    const tail = lead < bytes ? this.#piece(message, bytes - lead) : undefined
    return new Entry(frame, 0, frame.length, tail)
  }

  /** How much of a frame is copied behind its header: all but the rest that is a view of one part. */
  #lead(message: Cut, bytes: number): number {
    // Padding has to follow.
    if ((bytes & 7) !== 0) return bytes
    let lead = 0
    let offset = this.#offset
    for (let part = this.#part; part < message.parts.length; part++) {
      const here = (message.parts[part]?.length ?? 0) - offset
      if (here >= bytes - lead) break
      lead += here
      offset = 0
    }
    return lead
  }

  /** The next bytes, at most so many and as far as their part goes. */
  #piece(message: Cut, bytes: number): Uint8Array {
    const part = message.parts[this.#part] as Uint8Array
    const piece = part.subarray(this.#offset, Math.min(part.length, this.#offset + bytes))
    this.#advance(message, piece.length)
    return piece
  }

  #advance(message: Cut, bytes: number): void {
    this.#offset += bytes
    while (this.#part < message.parts.length && this.#offset >= (message.parts[this.#part]?.length ?? 0)) {
      this.#offset -= message.parts[this.#part]?.length ?? 0
      this.#part++
    }
  }
}
