import { readU32 } from './frame.ts'
import { isLegal } from './framer.ts'

/** What is read at first; four times as much whenever that was not enough, up to the most. */
const FIRST_BYTES = 4 * 1024
const MOST_BYTES = 256 * 1024

/**
 * Memory that a transport reads into, and the frames in it: an unfinished frame is completed where it lies,
 * so nothing is copied or allocated for a chunk. For transports that can say where their bytes go; chunks
 * that come in memory of their own are a {@link Framer}'s.
 */
export class FrameReader {
  readonly #allocate: (bytes: number) => Uint8Array
  #deliver: ((frames: Uint8Array) => void) | undefined
  #kept: (() => boolean) | undefined
  #memory: Uint8Array
  /** What was read into before this, to be used again once nothing is kept. */
  #other: Uint8Array | undefined
  #isOtherFree = false
  /** What is there and not delivered: memory[#start … #end). */
  #start = 0
  #end = 0
  /** The last read took all the room there was. */
  #filled = false

  /** @param allocate memory that need not be cleared. */
  constructor(allocate: (bytes: number) => Uint8Array) {
    this.#allocate = allocate
    this.#memory = allocate(FIRST_BYTES)
  }

  /**
   * From now on frames are wanted, those first that have come already.
   *
   * @param kept whether anything that was delivered is still kept; otherwise its memory is read into again.
   * @returns false when a length is illegal, as {@link took}.
   */
  start(deliver: (frames: Uint8Array) => void, kept: () => boolean): boolean {
    this.#deliver = deliver
    this.#kept = kept
    return this.took(0)
  }

  /** Where the next bytes go: never empty, good until {@link took}. */
  room(): Uint8Array {
    const { length } = this.#memory
    const rest = this.#end - this.#start
    const kept = this.#kept?.() ?? false
    if (!kept) this.#isOtherFree = true
    if (this.#filled && length < MOST_BYTES) {
      this.#other = undefined
      this.#move(this.#allocate(length * 4))
    } else if (!kept) {
      if (rest > 0 && this.#start > 0) this.#memory.copyWithin(0, this.#start, this.#end)
      this.#start = 0
      this.#end = rest
    } else if (length - this.#end < length / 4) {
      const other = this.#isOtherFree ? this.#other : undefined
      this.#other = this.#memory
      this.#isOtherFree = false
      this.#move(other ?? this.#allocate(length))
    }
    this.#filled = false
    return this.#end === 0 ? this.#memory : this.#memory.subarray(this.#end)
  }

  #move(memory: Uint8Array): void {
    memory.set(this.#memory.subarray(this.#start, this.#end))
    this.#memory = memory
    this.#end -= this.#start
    this.#start = 0
  }

  /**
   * So many bytes have come into the room. Delivers the frames that are whole.
   *
   * @returns false when a length is illegal; the link has to be closed and the reader not used again.
   */
  took(bytes: number): boolean {
    const memory = this.#memory
    const start = this.#start
    const end = this.#end + bytes
    this.#end = end
    this.#filled = end === memory.length
    if (!this.#deliver) return true
    let at = start
    let legal = true
    while (end - at >= 4) {
      const length = readU32(memory, at)
      legal = isLegal(length)
      if (!legal || end - at < length) break
      at += length
    }
    this.#start = at
    // What came whole before a fault is still delivered: its sender had sent it in good order.
    if (at > start) this.#deliver(memory.subarray(start, at))
    return legal
  }
}
