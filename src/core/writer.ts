import { BodyEncoder } from '../wire/body.ts'
import type { Dictionary } from '../wire/dictionary.ts'
import { padded, writeHeader, writeU32 } from '../wire/frame.ts'
import { referencesHead } from '../wire/head.ts'
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
   * Writes a message, if it fits into one frame of at most `creditBytes` payload.
   *
   * @param collects functions in the value become references; see {@link takeReferences}.
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
    collects = false,
  ): Cut | undefined {
    const outbox = this.#outbox
    const encoder = this.#encoder
    encoder.collects = collects
    const headBytes = head ? padded(head.length) : 0
    let at = outbox.room(HEADER_BYTES + headBytes + USUAL_BYTES)
    let start = at + HEADER_BYTES + headBytes
    let end = value === undefined ? start : encoder.encodeInto(outbox.slab, start, value, dictionary)
    if (end < 0 && outbox.slab.length - at < FRAME_ROOM) {
      at = outbox.room(FRAME_ROOM)
      start = at + HEADER_BYTES + headBytes
      end = encoder.encodeInto(outbox.slab, start, value, dictionary)
    }
    const large = end < 0 ? encoder.encode(value, dictionary).slice() : undefined
    const met = collects && value !== undefined ? encoder.references : NONE
    if (met.length > 0 && !head) {
      // How many there are stands in front of them, so it is known only now.
      const counted = referencesHead(met.length)
      return this.write(
        kind,
        flags,
        method,
        id,
        route,
        timeLeft,
        window,
        value,
        dictionary,
        eager,
        creditBytes,
        counted,
        true,
      )
    }
    // The encoder would keep the caller's functions alive until its next message.
    if (met.length > 0) encoder.references = []
    this.#references = met
    const lifted = value === undefined ? 0 : encoder.segments.length
    const payloadBytes = headBytes + end - start
    if (end >= 0 && lifted === 0 && payloadBytes <= FRAGMENT_BYTES && payloadBytes <= creditBytes) {
      const slab = outbox.slab
      if (head) slab.set(head, at + HEADER_BYTES)
      const frameBytes = HEADER_BYTES + padded(payloadBytes)
      const frameEnd = at + frameBytes
      for (let pad = end; pad < frameEnd; pad++) slab[pad] = 0
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
      this.entry = outbox.commit(at, frameEnd, flags & 3, eager)
      return undefined
    }
    const body = large ?? outbox.slab.slice(start, end)
    const parts: Uint8Array[] = []
    if (head) parts.push(head, ZEROS.subarray(0, headBytes - head.length))
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
}
