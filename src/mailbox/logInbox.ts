import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { isNamedProcessRunning, isProcessName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'
import { type Durability, segmentPath } from './appendLog.ts'
import { type Files, nodeFiles } from './files.ts'
import type { TellLog } from './followLog.ts'
import { eachSecond } from './fullSecond.ts'
import { HeldBytes, LogArrival, settle } from './logArrival.ts'
import { LogCompaction } from './logCompaction.ts'
import { type LogFolders, logFolders, namesIn } from './logFolders.ts'
import { LogSource } from './logSource.ts'
import { writeWaiting } from './logUsage.ts'
import type { Arrival } from './message.ts'
import { RECORD_HEAD, readRecord } from './record.ts'
import type { Body, Inbox, Settled } from './store.ts'

export interface LogInboxOptions {
  /** The mailbox's folder. */
  readonly folder: string
  /** This receiver, as no other was ever called: a process name. */
  readonly name: string
  readonly durability?: Durability
  readonly files?: Files
  readonly clock?: Clock
  readonly log?: TellLog
  /** The store has nothing of this sender any more, whatever crash may come. */
  readonly onSenderGone?: (sender: string) => void
  /** Whether a sender lives; undefined: it may. */
  readonly isRunning?: (name: string) => boolean | undefined
  /** Bodies are held in memory up to this; default 16 MiB. */
  readonly heldBytes?: number
  /** Of the log that compaction writes; default 16 MiB. */
  readonly segmentBytes?: number
  /** Whose files are read; default: the user that this process runs as. */
  readonly owner?: number
}

const HELD_BYTES = 16 * 1024 * 1024
const SEGMENT_BYTES = 16 * 1024 * 1024
/** Messages of one sender before the next one has its turn. */
const TURN = 16
const RAW_BYTES = 64 * 1024

/**
 * The receiver's side of a mailbox that stands on a log for each sender.
 *
 * It reads what was written, synced or not: that a send has not resolved forbids no delivery. What is over may then be
 * known to the journal for good while a loss of power, or a sender's failed sync, takes its record back. That confuses
 * nothing later: a sequence is given away once, also when storing failed, and no other sender ever bears the name.
 */
export class LogInbox implements Inbox {
  readonly #files: Files
  readonly #folders: LogFolders
  readonly #log: TellLog
  readonly #onSenderGone: (sender: string) => void
  readonly #isRunning: (name: string) => boolean | undefined
  readonly #held: HeldBytes
  readonly #owner: number
  readonly #clock: Clock
  readonly #compaction: LogCompaction
  readonly #senders = new Map<string, LogSource>()
  /** Senders whose logs end where they end now. */
  readonly #ended = new Set<LogSource>()
  /** Copies in the logs of earlier receivers, by sender and sequence: each message is returned once. */
  readonly #copies = new Map<string, Set<number>>()
  readonly #unwatch = new Map<string, () => void>()
  readonly #hints = new Set<() => void>()
  readonly #stopTimer: () => void
  #ring: LogSource[] = []
  #turn = 0
  #scanDue = true
  #started = false
  #closed = false
  #work: Promise<unknown> = Promise.resolve()
  #written = ''
  #compacting: Promise<void> | undefined

  constructor(options: LogInboxOptions) {
    const clock = options.clock ?? systemClock
    this.#clock = clock
    this.#owner = options.owner ?? process.getuid?.() ?? 0
    this.#files = options.files ?? nodeFiles
    this.#folders = logFolders(options.folder)
    this.#log = options.log ?? (() => {})
    this.#onSenderGone = options.onSenderGone ?? (() => {})
    this.#isRunning =
      options.isRunning ?? ((name) => (isProcessName(name) ? isNamedProcessRunning(name) : undefined))
    this.#held = new HeldBytes(options.heldBytes ?? HELD_BYTES)
    this.#compaction = new LogCompaction({
      files: this.#files,
      folders: this.#folders,
      name: options.name,
      durability: options.durability ?? 'power-loss',
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      held: this.#held,
      clock,
      log: this.#log,
      owner: this.#owner,
      read: (arrival) => this.#payload(arrival),
      onRemoved: (senders) => this.#forget(senders),
    })
    this.#stopTimer = eachSecond(clock, () => {
      this.#scanDue = true
      this.#hint()
    })
  }

  next(max: number): Promise<readonly Arrival[]> {
    const found = this.#work.then(() => this.#next(max))
    this.#work = found.catch(() => {})
    return found
  }

  async #next(max: number): Promise<readonly Arrival[]> {
    const found: Arrival[] = []
    if (this.#closed) return found
    if (this.#scanDue) await this.#scan()
    // Copies are older than what is left where they came from.
    for (const earlier of this.#compaction.earlier) {
      while (found.length < max && (await earlier.fill())) this.#take(earlier, max, found)
      if (found.length >= max) return found
    }
    // Each is read once: what comes meanwhile is not waited for, so that handlers run beside those who send.
    let reads = this.#ring.length
    for (let idle = 0; found.length < max && idle < this.#ring.length; ) {
      const source = this.#ring[this.#turn++ % this.#ring.length]
      const before = found.length
      const isRead = source?.isFilled || (reads-- > 0 && (await source?.fill()))
      if (source && isRead) this.#take(source, Math.min(max, before + TURN), found)
      idle = found.length === before ? idle + 1 : 0
    }
    if (found.length === 0 && this.#ring.some(({ mayHaveMore }) => mayHaveMore)) this.#hint()
    return found
  }

  #take(source: LogSource, upTo: number, found: Arrival[]): void {
    while (found.length < upTo) {
      const arrival = source.take()
      if (!arrival) return
      if (!this.#isCopy(source, arrival)) {
        found.push(arrival)
        continue
      }
      settle(arrival)
      this.#held.release(arrival)
    }
  }

  #isCopy(source: LogSource, arrival: LogArrival): boolean {
    if (this.#copies.size === 0 && !source.keepsSurvivors) return false
    const sequences = this.#copies.get(arrival.sender)
    if (sequences?.has(arrival.sequence)) return true
    if (!source.keepsSurvivors || arrival.fault) return false
    if (sequences) sequences.add(arrival.sequence)
    else this.#copies.set(arrival.sender, new Set([arrival.sequence]))
    return false
  }

  /** Finds new senders, clears away what is over, and looks into every log again. */
  async #scan(): Promise<void> {
    this.#scanDue = false
    try {
      if (!this.#started) await this.#start()
      for (const name of await namesIn(this.#files, this.#folders.senders)) {
        if (!this.#senders.has(name)) this.#add(name)
      }
    } catch (error) {
      this.#log('error', 'a mailbox cannot be looked through', { problem: messageOf(error) })
    }
    for (const source of this.#senders.values()) {
      source.hint()
      if (this.#ended.has(source) || this.#isRunning(source.name) !== false) continue
      this.#ended.add(source)
      source.finish()
    }
    for (const earlier of this.#compaction.earlier) earlier.hint()
    await this.#clear()
    this.#compact()
    await this.#tellWaiting()
  }

  /** Beside everything else: what is over meanwhile is not copied, or its copy is not needed. */
  #compact(): void {
    if (!this.#started || !this.#compaction.earlier.every(({ drained }) => drained)) return
    this.#compacting ??= this.#compaction.run(this.#ring).finally(() => {
      this.#compacting = undefined
    })
  }

  async #start(): Promise<void> {
    await this.#compaction.findEarlier()
    this.#started = true
    this.#unwatch.set(
      '',
      this.#files.watch(this.#folders.senders, () => this.#found()),
    )
  }

  #found(): void {
    this.#scanDue = true
    this.#hint()
  }

  #add(name: string): void {
    const source = new LogSource({
      files: this.#files,
      parent: this.#folders.senders,
      name,
      keepsSurvivors: false,
      held: this.#held,
      log: this.#log,
      owner: this.#owner,
      clock: this.#clock,
    })
    this.#senders.set(name, source)
    this.#ring.push(source)
    const hint = (name?: string): void => {
      source.hint(name)
      this.#hint()
    }
    this.#unwatch.set(name, this.#files.watch(join(this.#folders.senders, name), hint))
  }

  #hint(): void {
    for (const hint of this.#hints) hint()
  }

  /** Removes segments of which all is settled, and what is left of senders that are gone. Fails at nothing. */
  async #clear(): Promise<void> {
    for (const source of [...this.#ring, ...this.#compaction.earlier]) {
      try {
        await source.clear()
        if (!source.drained || source.segments.size > 0) continue
        await source.removeFolder()
        if (source.keepsSurvivors) this.#compaction.forget(source)
        else await this.#drop(source)
      } catch (error) {
        this.#log('error', 'a log cannot be removed', { folder: source.folder, problem: messageOf(error) })
      }
    }
  }

  async #drop(source: LogSource): Promise<void> {
    await source.close()
    this.#unwatch.get(source.name)?.()
    this.#unwatch.delete(source.name)
    this.#senders.delete(source.name)
    this.#ended.delete(source)
    this.#ring = this.#ring.filter((other) => other !== source)
    this.#forget([source.name])
  }

  /** Of senders that something was removed of: those of which nothing is left. */
  #forget(senders: Iterable<string>): void {
    for (const sender of senders) {
      if (!this.#senders.has(sender) && !this.#compaction.holds(sender)) this.#onSenderGone(sender)
    }
  }

  body(arrival: Arrival): Body | Promise<Body> {
    const own = owned(arrival)
    const { format } = own
    const held = own.heldBody
    if (held) return { format, bytes: held }
    return this.#payload(own).then((bytes) => ({ format, bytes: bytes.subarray(own.bodyStart) }))
  }

  async raw(arrival: Arrival): Promise<Uint8Array> {
    return (await this.#payload(owned(arrival))).subarray(0, RAW_BYTES)
  }

  async #payload(arrival: LogArrival): Promise<Buffer> {
    for (;;) {
      if (arrival.payload) return arrival.payload
      const { segment, offset, place } = arrival
      const payload = await this.#readAgain(arrival)
      if (payload) return payload
      // It may have been moved meanwhile.
      if (arrival.segment !== segment || arrival.offset !== offset) continue
      throw new ViaductError(
        'NOT_FOUND',
        `${place}: the message was taken away or broken by another program`,
        {
          reason: 'NOT_FOUND',
        },
      )
    }
  }

  async #readAgain({ segment, offset, bytes }: LogArrival): Promise<Buffer | undefined> {
    try {
      const file = await this.#files.openToRead(segmentPath(segment.folder, segment.number))
      try {
        const record = Buffer.allocUnsafe(RECORD_HEAD + bytes)
        const count = await file.read(record, offset)
        return readRecord(record.subarray(0, count), 0, bytes)
      } finally {
        await file.close()
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw new ViaductError('UNAVAILABLE', `${segment.folder}: it cannot be read: ${messageOf(error)}`, {
        reason: 'DISK_FAILED',
        cause: error,
      })
    }
  }

  release(arrival: Arrival): void {
    this.#held.release(owned(arrival))
  }

  async settled(arrivals: readonly Settled[]): Promise<void> {
    let over = false
    for (const { arrival } of arrivals) over = this.#settle(owned(arrival)) || over
    if (!over) return
    const cleared = this.#work.then(() => this.#clear())
    this.#work = cleared
    await cleared
  }

  /** Whether nothing is left of a segment now that is read to its end. */
  #settle(arrival: LogArrival): boolean {
    if (!settle(arrival)) return false
    this.#held.release(arrival)
    if (this.#copies.size > 0) {
      const sequences = this.#copies.get(arrival.sender)
      if (sequences?.delete(arrival.sequence) && sequences.size === 0) this.#copies.delete(arrival.sender)
    }
    return arrival.segment.unsettled.size === 0
  }

  /** Senders ask for it when they look at how full the mailbox is. */
  async #tellWaiting(): Promise<void> {
    const waiting = { bytes: 0, messages: 0, unsettledBytes: 0 }
    const sources = [...this.#ring, ...this.#compaction.earlier]
    for (const segment of [
      ...sources.flatMap(({ segments }) => [...segments.values()]),
      ...this.#compaction.segments,
    ]) {
      waiting.bytes += segment.bytes
      waiting.messages += segment.unsettled.size
      waiting.unsettledBytes += segment.unsettledBytes
    }
    const text = JSON.stringify(waiting)
    if (text === this.#written) return
    try {
      await writeWaiting(this.#files, this.#folders, waiting)
      this.#written = text
    } catch (error) {
      this.#log('warn', 'what waits in a mailbox cannot be told', { problem: messageOf(error) })
    }
  }

  watch(hint: () => void): () => void {
    this.#hints.add(hint)
    return () => void this.#hints.delete(hint)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopTimer()
    for (const unwatch of this.#unwatch.values()) unwatch()
    await this.#work
    await this.#compacting
    await Promise.all(this.#ring.map((source) => source.close()))
    await this.#compaction.close()
  }
}

function owned(arrival: Arrival): LogArrival {
  if (arrival instanceof LogArrival) return arrival
  throw new ViaductError('NOT_FOUND', `${arrival.id}: it did not come from this store`, {
    reason: 'NOT_FOUND',
  })
}
