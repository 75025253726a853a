import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
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
import { type Start, StartPages } from './startPages.ts'

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
  readonly clock?: Clock
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
 * After a record of so many events, the next one gathers for so long: a disk syncs one after the other, and each sync of
 * the receiver holds up one of a sender.
 */
const GATHER_FROM = 16
const GATHER_MS = 4

/**
 * What the receiver remembers over restarts: which messages are done or dead, and how often each of the others was
 * started. It alone counts attempts. By sender and sequence it knows for good what is over, by id within a window.
 * One process has it open at a time.
 */
export class Journal {
  readonly #folder: string
  readonly #log: AppendLog
  readonly #pages: StartPages
  readonly #state: JournalState
  readonly #suspects = new Set<string>()
  readonly #clock: Clock
  #gathers: boolean
  #goOn: () => void = () => {}
  #batches: Batch[] = []
  #running: Promise<void> | undefined
  /** The segment that was written last, and those in which the two generations of ids begin. */
  #segment = 0
  #youngerFrom = 0
  #elderFrom = 0
  #headHasIds = false
  /** The page of starts that are about to happen, if they are several. */
  #beginning: number | undefined

  private constructor(options: JournalOptions, log: AppendLog, pages: StartPages) {
    this.#folder = options.folder
    this.#log = log
    this.#pages = pages
    this.#clock = options.clock ?? systemClock
    this.#gathers = options.durability !== 'process-crash'
    this.#state = new JournalState(options.dedupe ?? DEDUPE_IDS, (page) => pages.leave(page))
  }

  /** @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED */
  static async open(options: JournalOptions): Promise<Journal> {
    const { files, folder, durability = 'power-loss', segmentBytes = SEGMENT_BYTES } = options
    let pages: StartPages | undefined
    let journal: Journal | undefined
    try {
      const head = (): Uint8Array[] => (journal ? journal.#head() : [])
      const log = await AppendLog.open({ files, folder, durability, segmentBytes, head })
      pages = await StartPages.open(files, join(folder, 'starts'))
      journal = new Journal(options, log, pages)
      // Names of segments that somebody wrote who did without syncs.
      if (durability === 'power-loss') await files.syncFolder(folder)
      await journal.#replay()
      journal.#recoverStarts()
      await pages.reserve(options.concurrency)
      return journal
    } catch (error) {
      await pages?.close().catch(() => {})
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
    for (const { page, starts } of this.#pages.found) {
      for (const start of starts) {
        const known = started.get(start.id)
        // Of two that are open the later counts; the other one's process was ended by something.
        if (this.#state.isOver(start) || (known && known.attempts >= start.attempt)) {
          this.#pages.leave(page)
          continue
        }
        if (known?.page !== undefined) this.#pages.leave(known.page)
        started.set(start.id, { attempts: start.attempt, failed: known?.failed ?? 0, page })
        this.#suspects.add(start.id)
      }
    }
    for (const { page, starts, isBegun } of this.#pages.found) {
      if (!isBegun) this.#acquit(page, starts)
    }
    this.#pages.sweep()
  }

  /**
   * Of starts of which the process did not survive the first steps, one was repeated alone and ended its process
   * again. So those after it never happened, and are not counted.
   */
  #acquit(page: number, starts: readonly Start[]): void {
    const { started } = this.#state
    const isHere = ({ id }: Start): boolean => started.get(id)?.page === page
    const ended = starts.findIndex(
      ({ id, attempt }) => this.#suspects.has(id) && (started.get(id)?.attempts ?? 0) > attempt,
    )
    const never = ended < 0 ? [] : starts.slice(ended).filter(isHere)
    for (const { id, attempt } of never) {
      this.#suspects.delete(id)
      const failed = started.get(id)?.failed ?? 0
      if (attempt === 1) started.delete(id)
      else started.set(id, { attempts: attempt - 1, failed, page: undefined })
    }
    if (never.length > 0) this.#pages.keep(page, starts.filter(isHere))
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
   * Counts starts, one of each message, before they happen: when this returns, the counts survive the end of the
   * process, though not a loss of power. They are then to happen in this turn and in their order, and `begun` follows.
   *
   * @returns which start it is of each, from 1; of the first ones only, where not all of them fit a page
   * @throws ViaductError INVALID_ARGUMENT · RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: none is counted
   */
  start(ids: readonly string[]): number[] {
    const starts = ids.map((id) => {
      const refused = refusal(id)
      if (refused) throw refused
      return { id, life: this.#state.life(id), attempt: this.starts(id) + 1 }
    })
    let taken: ReturnType<StartPages['take']>
    try {
      taken = this.#pages.take(starts)
    } catch (error) {
      throw diskFailure(this.#folder, error)
    }
    const { page, count } = taken
    const { started } = this.#state
    const attempts: number[] = []
    for (const { id, attempt } of starts.slice(0, count)) {
      const known = started.get(id)
      if (known?.page !== undefined) this.#pages.leave(known.page)
      if (known) {
        known.attempts = attempt
        known.page = page
      } else started.set(id, { attempts: attempt, failed: 0, page })
      attempts.push(attempt)
    }
    this.#beginning = count > 1 ? page : undefined
    return attempts
  }

  /** What was counted last has happened: their process survived the first steps of all of them. */
  begun(): void {
    const page = this.#beginning
    if (page === undefined) return
    this.#beginning = undefined
    try {
      this.#pages.begun(page)
    } catch {
      // They count all the same, but for the rare case that one of them ends two processes.
    }
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
      if (batch.events.length >= GATHER_FROM && this.#batches.length < 2) await this.#gather()
    }
    this.#running = undefined
  }

  #gather(): Promise<void> {
    if (!this.#gathers) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#clock.after(GATHER_MS, resolve)
      this.#goOn = () => {
        cancel()
        resolve()
      }
    })
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

  /** Before messages are forgotten: pages say nothing of them any more, so that none comes up as one that is open. */
  #sweep(): void {
    const open = new Map<number, Start[]>()
    for (const [id, { page, attempts }] of this.#state.started.entries()) {
      if (page === undefined) continue
      const starts = open.get(page) ?? []
      starts.push({ id, life: this.#state.life(id), attempt: attempts })
      open.set(page, starts)
    }
    try {
      for (const [page, starts] of open) this.#pages.keep(page, starts)
      this.#pages.sweep()
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
      await this.#pages.sync()
      for (const segment of old) await this.#log.remove(segment)
    } catch {
      // They are no harm, and are tried again after the next record.
    }
  }

  /** Settles when all that was recorded has. */
  async close(): Promise<void> {
    this.#gathers = false
    this.#goOn()
    await this.#running
    await this.#log.close()
    await this.#pages.close()
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
