import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { AppendLog, type Durability, diskFailure } from './appendLog.ts'
import type { Files } from './files.ts'
import {
  type JournalEvent,
  MAX_NAME_BYTES,
  MAX_RECORD_ITEMS,
  readEvents,
  readSequences,
  writeEvents,
} from './journalRecord.ts'
import { type Entry, JournalState, type Known } from './journalState.ts'
import { DEDUPE_IDS } from './limits.ts'
import { StartSlots } from './startSlots.ts'

export type { Entry, Known } from './journalState.ts'

export interface JournalOptions {
  readonly files: Files
  /** A folder of its own. */
  readonly folder: string
  /** Starts that are open at a time, about: the disk has room for so many ahead. */
  readonly concurrency: number
  /** Ids that are remembered at least after their messages ended, about twice as many at most; default 100,000. */
  readonly dedupe?: number
  readonly durability?: Durability
  /** A file is begun anew beyond this; default 16 MiB. */
  readonly segmentBytes?: number
}

/** Events that one record will hold, and what settles when it is on stable storage. */
interface Batch {
  readonly events: JournalEvent[]
  readonly settled: Promise<void>
  resolve(): void
  reject(error: unknown): void
}

const SEGMENT_BYTES = 16 * 1024 * 1024
/** So many segments are there only where receivers ended soon: the next begins with the ids of all of them. */
const MAX_SEGMENTS = 8
/** What a record has room for. */
const MAX_COUNT = 0xffffffff

/**
 * What the receiver remembers over restarts: which messages are done or dead, and how often each of the others was
 * started. It alone counts attempts. By sender and sequence it knows for good what is over, by id within a window.
 * One process has it open at a time.
 */
export class Journal {
  readonly #folder: string
  readonly #log: AppendLog
  readonly #slots: StartSlots
  readonly #state: JournalState
  readonly #suspects = new Set<string>()
  #batches: Batch[] = []
  #running: Promise<void> | undefined
  /** The segment that was written last, and those in which the two generations of ids begin. */
  #segment = 0
  #youngerFrom = 0
  #elderFrom = 0
  #headHasIds = false

  private constructor(options: JournalOptions, log: AppendLog, slots: StartSlots) {
    this.#folder = options.folder
    this.#log = log
    this.#slots = slots
    this.#state = new JournalState(options.dedupe ?? DEDUPE_IDS, (slot) => slots.free(slot))
  }

  /** @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED */
  static async open(options: JournalOptions): Promise<Journal> {
    const { files, folder, durability = 'power-loss', segmentBytes = SEGMENT_BYTES } = options
    let slots: StartSlots | undefined
    let journal: Journal | undefined
    try {
      const head = (): Uint8Array[] => (journal ? journal.#head() : [])
      const log = await AppendLog.open({ files, folder, durability, segmentBytes, head })
      slots = await StartSlots.open(files, join(folder, 'starts'))
      journal = new Journal(options, log, slots)
      // Names of segments that somebody wrote who did without syncs.
      if (durability === 'power-loss') await files.syncFolder(folder)
      await journal.#replay()
      journal.#recoverStarts()
      await slots.reserve(options.concurrency)
      return journal
    } catch (error) {
      await slots?.close().catch(() => {})
      throw diskFailure(folder, error)
    }
  }

  async #replay(): Promise<void> {
    this.#youngerFrom = this.#log.segments[0] ?? 0
    for (const segment of this.#log.segments) {
      this.#segment = segment
      for (const { payload } of await this.#log.read(segment)) {
        const sequences = readSequences(payload)
        if (sequences) this.#state.addSequences(sequences)
        this.#apply(readEvents(payload))
      }
    }
  }

  #recoverStarts(): void {
    const { started } = this.#state
    for (const [slot, start] of this.#slots.found) {
      const known = started.get(start.id)
      // Of two that are open the later counts; the other was written by a start that failed.
      if (this.#state.isOver(start) || (known && known.attempts >= start.attempt)) {
        this.#slots.free(slot)
        continue
      }
      if (known?.slot !== undefined) this.#slots.free(known.slot)
      started.set(start.id, { attempts: start.attempt, failed: known?.failed ?? 0, slot })
      this.#suspects.add(start.id)
    }
    this.#slots.sweep()
  }

  known(entry: Entry): Known {
    return this.#state.known(entry)
  }

  /** Whether the end of this very message is known for good, not only that of another one of its id for a while. */
  isRecorded(entry: Entry): boolean {
    return this.#state.isRecorded(entry)
  }

  /** Starts so far. */
  starts(id: string): number {
    return this.#state.started.get(id)?.attempts ?? 0
  }

  /**
   * Started when the last receiver ended, and since then neither over nor failed. Each is to be started again alone,
   * so that only the one that kills its process is charged for it.
   */
  get suspects(): ReadonlySet<string> {
    return this.#suspects
  }

  /**
   * Counts a start, before it happens: when this returns, the count survives the end of the process, though not a
   * loss of power.
   *
   * @returns which start it is: 1, 2 …
   * @throws ViaductError INVALID_ARGUMENT · RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: not counted
   */
  start(id: string): number {
    const refused = refusal(id)
    if (refused) throw refused
    const known = this.#state.started.get(id)
    const attempt = (known?.attempts ?? 0) + 1
    const start = { id, life: this.#state.life(id), attempt }
    try {
      if (known?.slot !== undefined) this.#slots.write(known.slot, start)
      else {
        const slot = this.#slots.take(start)
        if (known) known.slot = slot
        else this.#state.started.set(id, { attempts: attempt, failed: 0, slot })
      }
    } catch (error) {
      throw diskFailure(this.#folder, error)
    }
    if (known) known.attempts = attempt
    return attempt
  }

  /** The last start ended, and another will follow; settles when a next receiver will know. */
  failed({ id }: Pick<Entry, 'id'>): Promise<void> {
    const count = this.starts(id)
    return count === 0
      ? Promise.resolve()
      : this.#record({ what: 'failed', id, sender: '', sequence: 0, count })
  }

  /**
   * Settles when it is on stable storage that the message is never to be started again.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: it is still open here, and done
   * or open after a crash
   */
  done(entry: Entry): Promise<void> {
    return this.#record(endOf('done', entry, 0))
  }

  /** The same of one that is now a dead letter, until it is redriven. */
  dead(entry: Entry): Promise<void> {
    return this.#record(endOf('dead', entry, entry.redriven))
  }

  /** The store keeps nothing of this sender any more. */
  forgetSender(sender: string): void {
    if (!isName(sender)) return
    void this.#record({ what: 'forgotten', id: '', sender, sequence: 0, count: 0 }).catch(() => {})
  }

  #record(event: JournalEvent): Promise<void> {
    const refused = event.what === 'forgotten' ? undefined : refusal(event.id)
    if (refused) return Promise.reject(refused)
    let batch = this.#batches.at(-1)
    if (!batch || batch.events.length >= MAX_RECORD_ITEMS) {
      batch = newBatch()
      this.#batches.push(batch)
    }
    batch.events.push(event)
    this.#running ??= this.#write()
    return batch.settled
  }

  async #write(): Promise<void> {
    // What ends in this turn goes together.
    await Promise.resolve()
    for (let batch = this.#batches.shift(); batch; batch = this.#batches.shift()) {
      try {
        const { segment } = await this.#log.append(writeEvents(batch.events))
        this.#began(segment)
        this.#apply(batch.events)
        batch.resolve()
      } catch (error) {
        batch.reject(error)
        continue
      }
      await this.#removeOld()
    }
    this.#running = undefined
  }

  #began(segment: number): void {
    if (segment === this.#segment) return
    this.#segment = segment
    if (this.#headHasIds) this.#youngerFrom = this.#elderFrom = segment
  }

  #apply(events: Iterable<JournalEvent>): void {
    for (const event of events) {
      if (event.what !== 'forgotten') this.#suspects.delete(event.id)
      if (!this.#state.apply(event)) continue
      this.#elderFrom = this.#youngerFrom
      this.#youngerFrom = this.#segment
      this.#sweep()
    }
  }

  /** Before a slot's message is forgotten, so that it comes up never again as one that was not over. */
  #sweep(): void {
    try {
      this.#slots.sweep()
    } catch {
      // Tried again with the next generation.
    }
  }

  #head(): Uint8Array[] {
    this.#headHasIds = this.#log.segments.length > MAX_SEGMENTS
    return [...(this.#headHasIds ? this.#state.endedSnapshot() : []), ...this.#state.snapshot()]
  }

  /** Removes the segments from before the elder generation: those after them begin with all else that they say. */
  async #removeOld(): Promise<void> {
    const old = this.#log.segments.filter((segment) => segment < this.#elderFrom)
    if (old.length === 0) return
    try {
      await this.#slots.sync()
      for (const segment of old) await this.#log.remove(segment)
    } catch {
      // They are no harm, and are tried again after the next record.
    }
  }

  /** Settles when all that was recorded has. */
  async close(): Promise<void> {
    await this.#running
    await this.#log.close()
    await this.#slots.close()
  }
}

function endOf(what: 'done' | 'dead', { id, sender, sequence }: Entry, redriven: number): JournalEvent {
  const named = sequence > 0 && Number.isSafeInteger(sequence) && isName(sender)
  // One that no file may hold must not fail all that are recorded with it.
  const count = Math.min(redriven, MAX_COUNT)
  return named ? { what, id, sender, sequence, count } : { what, id, sender: '', sequence: 0, count }
}

function isName(text: string): boolean {
  return text !== '' && (text.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(text) <= MAX_NAME_BYTES)
}

function refusal(id: string): ViaductError | undefined {
  if (isName(id)) return undefined
  return new ViaductError(
    'INVALID_ARGUMENT',
    `an id of ${Buffer.byteLength(id)} bytes: it has 1 to ${MAX_NAME_BYTES}`,
    { fate: 'not-sent' },
  )
}

function newBatch(): Batch {
  let resolve = (): void => {}
  let reject: (error: unknown) => void = resolve
  const settled = new Promise<void>((fulfil, fail) => {
    resolve = fulfil
    reject = fail
  })
  return { events: [], settled, resolve, reject }
}
