import type { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { AppendLog, type Durability } from './appendLog.ts'
import type { Files } from './files.ts'
import {
  addUnsettled,
  type HeldBytes,
  type LogArrival,
  newSegment,
  type SegmentState,
  settle,
} from './logArrival.ts'
import { makeDurableFolder } from './logFolders.ts'
import { removeLog } from './logSource.ts'
import { encodeMessage, MAX_MESSAGE_RECORD_BYTES } from './messageRecord.ts'
import { recordBytes } from './record.ts'

/** Copied at once: more would only hold memory. */
const BATCH_BYTES = 4 * 1024 * 1024

/**
 * A receiver's own log, of the few messages that are left in segments of which it needs nothing else: with their
 * senders and sequences, so that a copy that a crash leaves beside its original can be told from another message.
 */
export class SurvivorLog {
  readonly #files: Files
  readonly folder: string
  readonly #log: AppendLog
  readonly #held: HeldBytes
  readonly #segments = new Map<number, SegmentState>()
  /** Whose messages it holds. */
  readonly senders = new Set<string>()

  private constructor(files: Files, folder: string, log: AppendLog, held: HeldBytes) {
    this.#held = held
    this.#files = files
    this.folder = folder
    this.#log = log
  }

  static async open(options: {
    readonly files: Files
    readonly parent: string
    readonly name: string
    readonly durability: Durability
    readonly segmentBytes: number
    readonly held: HeldBytes
  }): Promise<SurvivorLog> {
    const { files, parent, name, durability, segmentBytes } = options
    await makeDurableFolder(files, parent)
    const folder = join(parent, name)
    const maxPayloadBytes = MAX_MESSAGE_RECORD_BYTES
    const log = await AppendLog.open({ files, folder, durability, segmentBytes, maxPayloadBytes })
    return new SurvivorLog(files, folder, log, options.held)
  }

  get bytes(): number {
    return sum(this.#segments.values(), ({ bytes }) => bytes)
  }

  get unsettledBytes(): number {
    return sum(this.#segments.values(), ({ unsettledBytes }) => unsettledBytes)
  }

  get unsettled(): LogArrival[] {
    return [...this.#segments.values()].flatMap(({ unsettled }) => unsettled.keys())
  }

  get segments(): Iterable<SegmentState> {
    return this.#segments.values()
  }

  /**
   * Copies messages, in their order. When it settles they stand here, and where they stood nothing of them is needed.
   * When it fails some may, and all stand where they stood.
   */
  async keep(arrivals: readonly LogArrival[], read: (arrival: LogArrival) => Promise<Buffer>): Promise<void> {
    for (let index = 0; index < arrivals.length; ) {
      const batch: { readonly arrival: LogArrival; readonly payload: Buffer }[] = []
      for (let size = 0; index < arrivals.length && size < BATCH_BYTES; index++) {
        const arrival = arrivals[index]
        if (!arrival?.segment.unsettled.has(arrival)) continue
        const bytes = await this.#unlessSettled(arrival, read)
        if (!bytes) continue
        const body = bytes.subarray(arrival.bodyStart)
        const payload = encodeMessage({ ...arrival, body }, arrival.sequence, arrival.sender)
        size += payload.length
        batch.push({ arrival, payload })
        this.senders.add(arrival.sender)
      }
      const positions = await Promise.all(batch.map(({ payload }) => this.#log.append(payload)))
      for (const [at, { arrival, payload }] of batch.entries()) {
        const position = positions[at]
        if (position) this.#move(arrival, payload, position.segment, position.offset)
      }
    }
  }

  async #unlessSettled(
    arrival: LogArrival,
    read: (arrival: LogArrival) => Promise<Buffer>,
  ): Promise<Buffer | undefined> {
    try {
      return await read(arrival)
    } catch (error) {
      // Its segment may have been removed since.
      if (!arrival.segment.unsettled.has(arrival)) return undefined
      throw error
    }
  }

  #move(arrival: LogArrival, payload: Buffer, number: number, offset: number): void {
    const segment = this.#segments.get(number) ?? newSegment(this.folder, number)
    this.#segments.set(number, segment)
    segment.bytes += recordBytes(payload.length)
    // It may have been settled while it was copied.
    if (!settle(arrival)) return
    this.#held.release(arrival)
    arrival.start = 0
    arrival.bodyStart += payload.length - arrival.bytes
    arrival.bytes = payload.length
    arrival.segment = segment
    arrival.offset = offset
    addUnsettled(arrival)
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  /** When nothing in it is needed. */
  async remove(): Promise<void> {
    await this.close()
    await removeLog(this.#files, this.folder)
  }
}

function sum<T>(of: Iterable<T>, bytes: (one: T) => number): number {
  let total = 0
  for (const one of of) total += bytes(one)
  return total
}
