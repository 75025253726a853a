import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { errnoOf } from '../host/errno.ts'
import { segmentPath, segmentsIn } from './appendLog.ts'
import type { Files } from './files.ts'
import { type Chunk, FollowLog, type TellLog } from './followLog.ts'
import {
  addUnsettled,
  type HeldBytes,
  HeldChunk,
  LogArrival,
  newSegment,
  type SegmentState,
} from './logArrival.ts'
import { MAX_MESSAGE_RECORD_BYTES, readMessage } from './messageRecord.ts'
import { RECORD_HEAD, recordBytes } from './record.ts'

/** The last record of a sender that was closed: nothing follows. */
export const END_RECORD = Buffer.from([0])

/** One log that a receiver reads: its records in order, and how much of each segment is not settled. */
export class LogSource {
  readonly name: string
  readonly folder: string
  /** Holds messages of others, which stand in its records. */
  readonly keepsSurvivors: boolean
  readonly #files: Files
  readonly #held: HeldBytes
  readonly #follow: FollowLog
  /** From the oldest to the newest. */
  readonly segments = new Map<number, SegmentState>()
  /** Whose messages it holds, in a log of survivors. */
  readonly senders = new Set<string>()
  #chunk: Chunk | undefined
  #heldChunk: HeldChunk | undefined
  #state: SegmentState | undefined
  #index = 0
  #mayHaveMore = true

  constructor(options: {
    readonly files: Files
    readonly parent: string
    readonly name: string
    readonly keepsSurvivors: boolean
    readonly held: HeldBytes
    readonly log: TellLog
    readonly owner: number
    readonly clock: Clock
  }) {
    this.#files = options.files
    this.name = options.name
    this.folder = join(options.parent, options.name)
    this.keepsSurvivors = options.keepsSurvivors
    this.#held = options.held
    this.#follow = new FollowLog({
      files: options.files,
      folder: this.folder,
      maxPayloadBytes: MAX_MESSAGE_RECORD_BYTES,
      log: options.log,
      owner: options.owner,
      now: () => options.clock.now(),
    })
  }

  /** Something may have come: a file of this name has changed, or who knows what. */
  hint(name?: string): void {
    this.#follow.hint(name)
    this.#mayHaveMore = true
  }

  /** Its writer is gone. */
  finish(): void {
    this.#follow.finish()
    this.#mayHaveMore = true
  }

  get mayHaveMore(): boolean {
    return this.#mayHaveMore
  }

  get drained(): boolean {
    return this.#follow.drained && !this.#chunk
  }

  /** Whether every record of a segment was taken and no more will come to it. */
  isComplete(segment: number): boolean {
    return (this.#follow.drained || segment < this.#follow.segment) && segment !== this.#chunk?.segment
  }

  /** Reads on when nothing read is left; settles with whether `take` has anything. */
  async fill(): Promise<boolean> {
    while (!this.#chunk) {
      if (!this.#mayHaveMore) return false
      // A hint that comes while it is read counts.
      this.#mayHaveMore = false
      const chunk = await this.#follow.next()
      if (!chunk) return false
      this.#mayHaveMore = true
      if (chunk.payloads.length === 0) return false
      this.#chunk = chunk
      this.#index = 0
      this.#heldChunk = new HeldChunk(chunk)
      this.#held.hold(this.#heldChunk)
      this.#state = this.#stateOf(chunk.segment)
    }
    return true
  }

  /** Whether `take` has anything without reading. */
  get isFilled(): boolean {
    return this.#chunk !== undefined
  }

  #stateOf(number: number): SegmentState {
    let state = this.segments.get(number)
    if (!state) {
      state = newSegment(this.folder, number)
      this.segments.set(number, state)
    }
    return state
  }

  /** The next message of what was read; undefined when it has no more. One with a fault has a made-up id. */
  take(): LogArrival | undefined {
    const { payloads, offset, bytes } = this.#chunk ?? NO_CHUNK
    const start = payloads[this.#index]
    const end = payloads[this.#index + 1]
    const [held, state] = [this.#heldChunk, this.#state]
    if (start === undefined || end === undefined || !held || !state) return undefined
    this.#index += 2
    state.bytes += recordBytes(end - start)
    const isLast = this.#index >= payloads.length
    if (isLast) this.#chunk = undefined
    if (end - start === 1 && bytes[start] === END_RECORD[0]) {
      this.finish()
      if (isLast) this.#held.leave(held)
      return this.take()
    }
    if (!isLast) held.users++
    const arrival = new LogArrival(state, offset + start - RECORD_HEAD, held, start, end - start)
    const problem = readMessage(bytes, start, end, arrival) ?? this.#wrongSender(arrival)
    if (problem === undefined) arrival.bodyStart -= start
    else this.#makeFault(arrival, problem)
    addUnsettled(arrival)
    return arrival
  }

  /** Who sent a message follows from the log that it is in; only a receiver writes others' names. */
  #wrongSender(arrival: LogArrival): string | undefined {
    if (this.keepsSurvivors) {
      this.senders.add(arrival.sender)
      return arrival.sender === '' ? 'it has no sender' : undefined
    }
    if (arrival.sender !== '') return 'it bears the name of another sender'
    arrival.sender = this.name
    return undefined
  }

  #makeFault(arrival: LogArrival, problem: string): void {
    arrival.id = `${this.name.slice(0, 100)}.${arrival.segment.number}.${arrival.offset}`
    arrival.sender = ''
    arrival.sequence = 0
    arrival.fault = { reason: 'MALFORMED', message: `${arrival.place}: ${problem}` }
  }

  /** Removes the segments of which nothing is needed any more; settles with whether there were any. */
  async clear(): Promise<boolean> {
    let removed = false
    for (const { number, unsettled } of this.segments.values()) {
      if (unsettled.size > 0 || !this.isComplete(number)) continue
      await removeSegment(this.#files, this.folder, number)
      this.segments.delete(number)
      removed = true
    }
    return removed
  }

  /** Removes the folder of a log that is over and settled. */
  removeFolder(): Promise<void> {
    return removeLog(this.#files, this.folder)
  }

  close(): Promise<void> {
    return this.#follow.close()
  }
}

/**
 * Removes a log and its folder. Nothing of it comes back after a crash once this has settled, but perhaps an empty
 * folder.
 */
export async function removeLog(files: Files, folder: string): Promise<void> {
  try {
    for (const segment of await segmentsIn(files, folder)) await removeSegment(files, folder, segment)
    await files.syncFolder(folder)
    await files.removeFolder(folder)
  } catch (error) {
    // Who removed it before us, or put something of his own in it, may keep it.
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error))) throw error
  }
}

async function removeSegment(files: Files, folder: string, segment: number): Promise<void> {
  try {
    await files.remove(segmentPath(folder, segment))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

const NO_CHUNK: Chunk = { segment: 0, offset: 0, bytes: Buffer.alloc(0), payloads: [] }
