import { readU32 } from './frame.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES } from './limits.ts'

/** So much of what is no frame is kept of a fault that lies across two chunks. */
const REFUSED_BYTES = 256

/**
 * Turns chunks, cut anywhere, into runs of whole frames. It never holds more than one unfinished frame
 * (MAX_FRAME_BYTES), because a length is checked as soon as its four bytes are there.
 */
export class Framer {
  readonly #deliver: (frames: Uint8Array) => void
  /** Where unfinished frames are put together, when what is delivered is only lent. */
  readonly #scratch: Uint8Array | undefined
  /** The unfinished frame: its first `#filled` bytes. Exactly as long as the frame once that is known. */
  #partial: Uint8Array | undefined
  #filled = 0
  /** After a fault: what came where a frame should have begun, as far as it came with it. */
  refused: Uint8Array | undefined

  /** @param keeps whether what is delivered is kept; otherwise its memory is used again. */
  constructor(deliver: (frames: Uint8Array) => void, keeps = true) {
    this.#deliver = deliver
    this.#scratch = keeps ? undefined : new Uint8Array(MAX_FRAME_BYTES)
  }

  /** @returns false when a length is illegal; the link has to be closed and the framer not used again. */
  push(chunk: Uint8Array): boolean {
    let at = 0
    if (this.#partial) {
      at = this.#fill(chunk)
      if (at < 0) return false
      if (this.#partial) return true
    }
    const start = at
    while (chunk.length - at >= 4) {
      const length = readU32(chunk, at)
      if (!isLegal(length)) {
        // What came whole before the fault is still delivered: its sender had sent it in good order.
        if (at > start) this.#deliver(start === 0 ? chunk.subarray(0, at) : chunk.subarray(start, at))
        this.refused = chunk.subarray(at)
        return false
      }
      if (chunk.length - at < length) break
      at += length
    }
    if (at === chunk.length && start === 0) this.#deliver(chunk)
    else if (at > start) this.#deliver(chunk.subarray(start, at))
    if (at < chunk.length) {
      const rest = chunk.subarray(at)
      this.#partial = this.#room(rest.length >= 4 ? readU32(rest, 0) : HEADER_BYTES)
      this.#partial.set(rest)
      this.#filled = rest.length
    }
    return true
  }

  #room(bytes: number): Uint8Array {
    return this.#scratch ? this.#scratch.subarray(0, bytes) : new Uint8Array(bytes)
  }

  /** Completes the unfinished frame. Returns how much of the chunk was used, or -1 for an illegal length. */
  #fill(chunk: Uint8Array): number {
    let partial = this.#partial
    if (!partial) return 0
    let used = 0
    if (this.#filled < 4) {
      used = Math.min(4 - this.#filled, chunk.length)
      partial.set(chunk.subarray(0, used), this.#filled)
      this.#filled += used
      if (this.#filled < 4) return used
      const length = readU32(partial, 0)
      if (!isLegal(length)) {
        this.refused = new Uint8Array([
          ...partial.subarray(0, 4),
          ...chunk.subarray(used, used + REFUSED_BYTES),
        ])
        return -1
      }
      if (length > partial.length) {
        const longer = this.#room(length)
        longer.set(partial.subarray(0, 4))
        partial = longer
        this.#partial = longer
      }
    }
    const more = Math.min(partial.length - this.#filled, chunk.length - used)
    partial.set(chunk.subarray(used, used + more), this.#filled)
    this.#filled += more
    used += more
    if (this.#filled === partial.length) {
      this.#partial = undefined
      this.#filled = 0
      this.#deliver(partial)
    }
    return used
  }
}

/** A legal frame length: whole, aligned, within bounds. */
export function isLegal(length: number): boolean {
  return length >= HEADER_BYTES && length <= MAX_FRAME_BYTES && (length & 7) === 0
}
