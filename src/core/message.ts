import { type BodyLimits, decodeBody } from '../wire/body.ts'
import type { Dictionary } from '../wire/dictionary.ts'
import { ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, readU16, readU32 } from '../wire/frame.ts'
import { referencesOf } from '../wire/head.ts'
import * as AT from '../wire/headerAt.ts'
import { HEADER_BYTES } from '../wire/limits.ts'
import { readLinkBody } from '../wire/linkBody.ts'

const NOTHING = new Uint8Array(HEADER_BYTES)

/**
 * A whole message as it has come: a header, and a payload that is either part of the same frame or, when the
 * message was put together from fragments, its own. A peer has one of these and points it at each message;
 * nothing may keep it.
 */
export class Message {
  #header: Uint8Array = NOTHING
  #at = 0
  #payload: Uint8Array = NOTHING
  #start = 0
  #end = 0
  kind = 0
  flags = 0
  id = 0
  /** What its last frame costs in credit. */
  cost = 0

  /** Points at a frame that is a whole message. */
  frame(bytes: Uint8Array, at: number, payloadBytes: number): this {
    this.#start = at + HEADER_BYTES
    return this.#point(
      bytes,
      at,
      bytes,
      this.#start + payloadBytes,
      bytes[at + AT.flags] as number,
      payloadBytes,
    )
  }

  /** Points at a message that was put together. */
  assembled(header: Uint8Array, payload: Uint8Array, here: number): this {
    this.#start = 0
    return this.#point(header, 0, payload, payload.length, (header[AT.flags] as number) & ~FLAG.MORE, here)
  }

  #point(
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    end: number,
    flags: number,
    here: number,
  ): this {
    this.#header = header
    this.#at = at
    this.#payload = payload
    this.#end = end
    this.kind = header[at + AT.kind] as number
    this.id = readU32(header, at + AT.id)
    this.flags = flags
    this.cost = creditOf(here)
    return this
  }

  /** Sent by the callee. */
  get isAnswer(): boolean {
    return (this.flags & FLAG.ANSWER) !== 0
  }

  get isOneWay(): boolean {
    return (this.flags & FLAG.ONE_WAY) !== 0
  }

  get hasUpload(): boolean {
    return (this.flags & FLAG.UPLOAD) !== 0
  }

  get usesDictionary(): boolean {
    return (this.flags & FLAG.DICTIONARY) !== 0
  }

  /** Put together from fragments: the exchange was begun with the first of them. */
  get wasCut(): boolean {
    return this.#payload !== this.#header
  }

  get isEmpty(): boolean {
    return this.#start === this.#end
  }

  get method(): number {
    return readU16(this.#header, this.#at + AT.method)
  }

  get route(): number {
    return readU32(this.#header, this.#at + AT.route)
  }

  get timeLeft(): number {
    return readU32(this.#header, this.#at + AT.timeLeft)
  }

  get window(): number {
    return readU32(this.#header, this.#at + AT.window)
  }

  /** How many functions the body refers to. */
  get references(): number {
    const headBytes = readU16(this.#header, this.#at + AT.headBytes)
    if (headBytes === 0) return 0
    const from = this.#start
    return referencesOf(this.#payload.subarray(from, Math.min(from + headBytes, this.#end)))
  }

  get hasHead(): boolean {
    return readU16(this.#header, this.#at + AT.headBytes) !== 0
  }

  /** A copy of the head. */
  head(): Uint8Array {
    return this.#payload.slice(this.#start, this.#start + readU16(this.#header, this.#at + AT.headBytes))
  }

  /**
   * Decodes the body; a body of no bytes is `undefined`.
   *
   * @param functions what its references become, by their numbers.
   * @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY
   */
  read(dictionary: Dictionary | undefined, limits: BodyLimits, functions?: readonly unknown[]): unknown {
    const payload = this.#payload
    const end = this.#end
    let from = this.#start + padded(readU16(this.#header, this.#at + AT.headBytes))
    const count = readU16(this.#header, this.#at + AT.segments)
    if (from > end) throw malformed('the head is longer than the payload')
    if (count === 0) {
      if (from === end) return undefined
      return decodeBody(payload, from, end, limits, dictionary, undefined, functions)
    }
    const table = from
    from += padded(count * 4)
    if (from > end) throw malformed('the segment table is longer than the payload')
    const segments: Uint8Array[] = []
    for (let index = 0; index < count; index++) {
      const length = readU32(payload, table + index * 4)
      if (length > end - from) throw malformed('a segment is longer than the payload')
      // A view of a message that was put together; a copy of what stands in a chunk with others.
      segments.push(this.wasCut ? payload.subarray(from, from + length) : payload.slice(from, from + length))
      from += padded(length)
      if (from > end) throw malformed('the segments are longer than the payload')
    }
    return decodeBody(payload, from, end, limits, dictionary, segments, functions)
  }

  /** Reads the body of a link frame; undefined when it is no object within the bounds of such. */
  readLinkBody(): Record<string, unknown> | undefined {
    return readLinkBody(this.#payload, this.#start, this.#end)
  }
}

function malformed(text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', text, { reason: 'MALFORMED_BODY' })
}
