import type { Buffer } from 'node:buffer'
import { segmentPath } from './appendLog.ts'
import type { Chunk } from './followLog.ts'
import type { Arrival, Fault } from './message.ts'
import { MessageFields } from './messageRecord.ts'
import { recordBytes } from './record.ts'
import { Turnover } from './turnover.ts'

/** A segment that a receiver reads or has read, and what of it is not settled. */
export interface SegmentState {
  readonly folder: string
  readonly number: number
  readonly unsettled: Turnover<LogArrival, true>
  /** Of all its records, and of those that are not settled. */
  bytes: number
  unsettledBytes: number
  /** When it was first seen to be complete. */
  completeAtMs?: number
}

export function newSegment(folder: string, number: number): SegmentState {
  return { folder, number, unsettled: new Turnover(), bytes: 0, unsettledBytes: 0 }
}

/** What is settled is needed no more. */
export function settle(arrival: LogArrival): boolean {
  const { segment } = arrival
  if (!segment.unsettled.delete(arrival)) return false
  segment.unsettledBytes -= recordBytes(arrival.bytes)
  return true
}

export function addUnsettled(arrival: LogArrival): void {
  arrival.segment.unsettled.set(arrival, true)
  arrival.segment.unsettledBytes += recordBytes(arrival.bytes)
}

/** A message in a log. Its `place` is made when it is asked for. */
export class LogArrival extends MessageFields implements Arrival {
  fault?: Fault
  segment: SegmentState
  /** Of its record, in the segment. */
  offset: number
  bytes: number
  held: HeldChunk | undefined
  /** Where its payload is in what is held. */
  start: number

  constructor(segment: SegmentState, offset: number, held: HeldChunk, start: number, bytes: number) {
    super()
    this.segment = segment
    this.offset = offset
    this.held = held
    this.start = start
    this.bytes = bytes
  }

  get place(): string {
    return `${segmentPath(this.segment.folder, this.segment.number)}:${this.offset}`
  }

  /** Its payload, if it is in memory. */
  get payload(): Buffer | undefined {
    return this.held?.bytes?.subarray(this.start, this.start + this.bytes)
  }

  /** Its body, if it is in memory. */
  get heldBody(): Buffer | undefined {
    return this.held?.bytes?.subarray(this.start + this.bodyStart, this.start + this.bytes)
  }
}

/** Bytes that were read, for as long as there is room and somebody needs them. */
export class HeldChunk {
  bytes: Buffer | undefined
  /** Messages that may need it, and whoever takes messages from it. */
  users = 1

  constructor(chunk: Chunk) {
    this.bytes = chunk.bytes
  }
}

/** Keeps what was read within a bound: the oldest goes first, and is read again when it is needed. */
export class HeldBytes {
  readonly #maxBytes: number
  readonly #chunks = new Set<HeldChunk>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  hold(chunk: HeldChunk): void {
    if (!chunk.bytes) return
    this.#chunks.add(chunk)
    this.#bytes += chunk.bytes.length
    for (const oldest of this.#chunks) {
      if (this.#bytes <= this.#maxBytes) return
      this.#drop(oldest)
    }
  }

  release(arrival: LogArrival): void {
    const chunk = arrival.held
    if (!chunk) return
    arrival.held = undefined
    this.leave(chunk)
  }

  /** One user less. */
  leave(chunk: HeldChunk): void {
    if (--chunk.users === 0) this.#drop(chunk)
  }

  #drop(chunk: HeldChunk): void {
    if (!this.#chunks.delete(chunk)) return
    this.#bytes -= chunk.bytes?.length ?? 0
    chunk.bytes = undefined
  }
}
