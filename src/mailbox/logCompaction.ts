import type { Buffer } from 'node:buffer'
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../host/errno.ts'
import type { Durability } from './appendLog.ts'
import type { Files } from './files.ts'
import type { TellLog } from './followLog.ts'
import type { HeldBytes, LogArrival, SegmentState } from './logArrival.ts'
import { type LogFolders, namesIn } from './logFolders.ts'
import { LogSource } from './logSource.ts'
import { SurvivorLog } from './survivorLog.ts'

export interface LogCompactionOptions {
  readonly files: Files
  readonly folders: LogFolders
  readonly name: string
  readonly durability: Durability
  readonly segmentBytes: number
  readonly held: HeldBytes
  readonly clock: Clock
  readonly log: TellLog
  readonly owner: number
  readonly read: (arrival: LogArrival) => Promise<Buffer>
  /** Copies of messages of these senders were removed for good. */
  readonly onRemoved: (senders: Iterable<string>) => void
}

/** Segments that were read this long ago: what is still at work in younger ones will soon be over anyway. */
const MIN_AGE_MS = 10_000
/** After a failure. */
const PAUSE_MS = 10_000

/**
 * Frees the disk of segments that a few messages keep: when of a sender's oldest segments less than a quarter is not
 * settled, that is copied to a log of the receiver's own, and they are removed. So no more than four times what is
 * unsettled is held, and a segment for each log. The copies of a sender are always older than what its own log still
 * holds, and stand in one log, in its order: whatever was copied before is copied to it first. So a receiver that
 * reads copies first keeps each sender's order.
 */
export class LogCompaction {
  readonly #options: LogCompactionOptions
  #earlier: LogSource[] = []
  /** The last is written to; those before it are to be copied to it. */
  #own: SurvivorLog[] = []
  #generation = 0
  /** Names of logs that were there before. */
  #taken: string[] = []
  #pausedUntilMs = 0

  constructor(options: LogCompactionOptions) {
    this.#options = options
  }

  /** Logs of receivers before this one, to be read before any sender's. */
  get earlier(): readonly LogSource[] {
    return this.#earlier
  }

  get segments(): SegmentState[] {
    return this.#own.flatMap(({ segments }) => [...segments])
  }

  /** Whether there may be copies of this sender's messages. */
  holds(sender: string): boolean {
    return [...this.#earlier, ...this.#own].some(({ senders }) => senders.has(sender))
  }

  async findEarlier(): Promise<void> {
    const { files, folders, held, log, owner, clock } = this.#options
    this.#taken = await namesIn(files, folders.survivors)
    for (const name of this.#taken.sort()) {
      const source = new LogSource({
        files,
        parent: folders.survivors,
        name,
        keepsSurvivors: true,
        held,
        log,
        owner,
        clock,
      })
      // Only the receiver of a mailbox writes such a log, and that is us now.
      source.finish()
      this.#earlier.push(source)
    }
  }

  /** One of the earlier logs was removed. */
  forget(source: LogSource): void {
    this.#earlier = this.#earlier.filter((other) => other !== source)
    this.#options.onRemoved(source.senders)
  }

  /** Compacts what is worth it. Fails at nothing: what cannot be done is tried again later. */
  async run(senders: readonly LogSource[]): Promise<void> {
    const { clock, log } = this.#options
    if (clock.now() < this.#pausedUntilMs) return
    try {
      await this.#removeEmpty(this.#own)
      const last = this.#own.at(-1)
      if (last && last.bytes > this.#options.segmentBytes && last.unsettledBytes * 4 < last.bytes)
        await this.#begin()
      for (const sender of senders) {
        this.#noteAge(sender)
        for (let some = this.#wasteful(sender); some.length > 0; some = this.#wasteful(sender)) {
          await this.#compact(sender, some)
        }
      }
      await this.#gather()
    } catch (error) {
      this.#pausedUntilMs = clock.now() + PAUSE_MS
      log('warn', 'a log cannot be compacted now', { problem: messageOf(error) })
    }
  }

  #noteAge(sender: LogSource): void {
    for (const segment of sender.segments.values()) {
      if (sender.isComplete(segment.number)) segment.completeAtMs ??= this.#options.clock.now()
    }
  }

  /** The fewest of a sender's oldest segments of which less than a quarter is needed. */
  #wasteful(sender: LogSource): SegmentState[] {
    const now = this.#options.clock.now()
    const oldest: SegmentState[] = []
    let bytes = 0
    let unsettledBytes = 0
    for (const segment of sender.segments.values()) {
      if (now - (segment.completeAtMs ?? now) < MIN_AGE_MS) break
      // One with a fault is no message to copy, and will be a dead letter soon.
      for (const { fault } of segment.unsettled.keys()) if (fault) return []
      oldest.push(segment)
      bytes += segment.bytes
      unsettledBytes += segment.unsettledBytes
      if (bytes * 16 >= this.#options.segmentBytes && unsettledBytes * 4 < bytes) return oldest
    }
    return []
  }

  async #compact(sender: LogSource, segments: readonly SegmentState[]): Promise<void> {
    if (this.#own.length === 0) await this.#begin()
    const own = await this.#gather()
    const survivors = segments.flatMap(({ unsettled }) => unsettled.keys())
    await own?.keep(survivors, this.#options.read)
    await sender.clear()
  }

  /** Copies everything that was copied before to the newest log, and removes the others. */
  async #gather(): Promise<SurvivorLog | undefined> {
    const newest = this.#own.at(-1)
    if (!newest) return undefined
    for (const source of this.#earlier) {
      const unsettled = [...source.segments.values()].flatMap(({ unsettled: some }) => some.keys())
      await newest.keep(
        unsettled.filter(({ fault }) => !fault),
        this.#options.read,
      )
    }
    for (const older of this.#own.slice(0, -1)) await newest.keep(older.unsettled, this.#options.read)
    await this.#removeEmpty(this.#own.slice(0, -1))
    return newest
  }

  async #begin(): Promise<void> {
    const { files, folders, name, durability, segmentBytes, held } = this.#options
    let next: string
    do next = `${name}.${++this.#generation}`
    while (this.#taken.includes(next))
    this.#own.push(
      await SurvivorLog.open({
        files,
        parent: folders.survivors,
        name: next,
        durability,
        segmentBytes,
        held,
      }),
    )
  }

  async #removeEmpty(some: readonly SurvivorLog[]): Promise<void> {
    for (const own of some) {
      if (own.unsettledBytes > 0) continue
      await own.remove()
      this.#own = this.#own.filter((other) => other !== own)
      this.#options.onRemoved(own.senders)
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#earlier, ...this.#own].map((log) => log.close()))
  }
}
