import { BodyEncoder } from '../wire/body.ts'
import type { Dictionary } from '../wire/dictionary.ts'
import * as FLAG from '../wire/flag.ts'
import { padded, writeHeader, writeU32 } from '../wire/frame.ts'
import { joinHeads, referencesHead } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES, HEADER_BYTES } from '../wire/limits.ts'
import { type Entry, FRAME_ROOM, type Outbox } from './outbox.ts'
import type { Cut } from './sender.ts'

/** Room that is asked for at first; most messages are smaller. */
const USUAL_BYTES = 1024
const ZEROS = new Uint8Array(8)
const NONE: readonly CallableFunction[] = []

/**
 * Turns values into frames in an outbox's slab: the body is encoded in place, behind the room left for the
 * header. What does not fit into one frame comes back as a {@link Cut} for a sender.
 */
export class Writer {
  readonly #outbox: Outbox
  readonly #encoder = new BodyEncoder()
  /** Payload bytes of the frame written last, and the entry it waits in if it has to. */
  payloadBytes = 0
  entry: Entry | undefined
  /** Functions in CALLs that are answered become references; otherwise they are refused. */
  refers = true
  #references: readonly CallableFunction[] = NONE
  /** Offset of that frame's header within its slab. */
  at = 0

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /** The functions that the message written last refers to, once. */
  takeReferences(): readonly CallableFunction[] {
    const references = this.#references
    this.#references = NONE
    return references
  }

  /**
   * Writes a message, if it fits into one frame of at most `creditBytes` payload. In a CALL that is answered
   * functions become references if it {@link refers}; see {@link takeReferences}.
   *
   * @returns undefined when written, otherwise the message made ready for a sender.
   * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path of what cannot be sent.
   */
  write(
    kind: number,
    flags: number,
    method: number,
    id: number,
    route: number,
    timeLeft: number,
    window: number,
    value: unknown,
    dictionary: Dictionary | undefined,
    eager: boolean,
    creditBytes: number = FRAGMENT_BYTES,
    head?: Uint8Array,
  ): Cut | undefined {
    const outbox = this.#outbox
    const encoder = this.#encoder
    encoder.collects = this.refers && kind === KIND.CALL && (flags & FLAG.ONE_WAY) === 0
    let headBytes = head ? padded(head.length) : 0
    let at = outbox.room(HEADER_BYTES + headBytes + USUAL_BYTES)
    let start = at + HEADER_BYTES + headBytes
    let end = value === undefined ? start : encoder.encodeInto(outbox.slab, start, value, dictionary)
    if (end < 0 && outbox.slab.length - at < FRAME_ROOM) {
      at = outbox.room(FRAME_ROOM)
      start = at + HEADER_BYTES + headBytes
      end = encoder.encodeInto(outbox.slab, start, value, dictionary)
    }
    const large = end < 0 ? encoder.encode(value, dictionary).slice() : undefined
    const bodyBytes = end - start
    this.#references = NONE
    let before = head
    if (value !== undefined && encoder.references.length > 0) {
      this.#references = encoder.references
      // The encoder would keep the caller's functions alive until its next message.
      encoder.references = []
      // How many there are stands in front of them, and is known only now.
      const counted = referencesHead(this.#references.length)
      before = head ? joinHeads(counted, head) : counted
      headBytes = before.length
    }
    const lifted = value === undefined ? 0 : encoder.segments.length
    const payloadBytes = headBytes + bodyBytes
    const frameBytes = HEADER_BYTES + padded(payloadBytes)
    const frameEnd = at + frameBytes
    const fits = payloadBytes <= FRAGMENT_BYTES && payloadBytes <= creditBytes
    if (end >= 0 && lifted === 0 && fits && frameEnd <= outbox.slab.length) {
      const slab = outbox.slab
      const bodyAt = at + HEADER_BYTES + headBytes
      if (bodyAt !== start) slab.copyWithin(bodyAt, start, end)
      if (before) slab.set(before, at + HEADER_BYTES)
      for (let pad = bodyAt + bodyBytes; pad < frameEnd; pad++) slab[pad] = 0
      writeHeader(
        slab,
        at,
        frameBytes,
        kind,
        flags,
        method,
        id,
        route,
        timeLeft,
        window,
        payloadBytes,
        headBytes,
        0,
      )
      this.payloadBytes = payloadBytes
      this.at = slab.byteOffset + at
      this.entry = outbox.commit(at, frameEnd, flags & FLAG.LANE, eager)
      return undefined
    }
    const body = large ?? outbox.slab.slice(start, end)
    const parts: Uint8Array[] = []
    if (before) parts.push(before, ZEROS.subarray(0, headBytes - before.length))
    const segments = encoder.segments.length
    if (segments > 0) {
      const table = new Uint8Array(padded(segments * 4))
      encoder.segments.forEach((segment, index) => {
        writeU32(table, index * 4, segment.length)
      })
      parts.push(table)
      for (const segment of encoder.segments) {
        parts.push(segment)
        if (segment.length & 7) parts.push(ZEROS.subarray(0, padded(segment.length) - segment.length))
      }
    }
    parts.push(body)
    // The encoder would keep the caller's memory alive until its next message.
    encoder.segments.length = 0
    let total = 0
    for (const part of parts) total += part.length
    return { kind, flags, method, route, timeLeft, window, headBytes, segments, parts, payloadBytes: total }
  }

  /** Writes what is made of parts as one frame, past what its exchange has under way. */
  whole(cut: Cut, id: number, eager: boolean): void {
    const { kind, flags, method, route, timeLeft, window, payloadBytes, headBytes, segments } = cut
    const outbox = this.#outbox
    const frameBytes = HEADER_BYTES + padded(payloadBytes)
    const at = outbox.room(frameBytes)
    const { slab } = outbox
    writeHeader(
      slab,
      at,
      frameBytes,
      kind,
      flags,
      method,
      id,
      route,
      timeLeft,
      window,
      payloadBytes,
      headBytes,
      segments,
    )
    let end = at + HEADER_BYTES
    for (const part of cut.parts) {
      slab.set(part, end)
      end += part.length
    }
    slab.fill(0, end, at + frameBytes)
    outbox.commit(at, at + frameBytes, flags & FLAG.LANE, eager)
  }
}
