import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { ViaductError } from '../wire/errors.ts'
import { AppendLog, type Durability, diskFailure, segmentPath, segmentsIn } from './appendLog.ts'
import { type Files, nodeFiles } from './files.ts'
import { FollowLog, type TellLog } from './followLog.ts'
import { eachSecond } from './fullSecond.ts'
import { doneIds } from './journalRecord.ts'
import { type LogFolders, logFolders, makeDurableFolder } from './logFolders.ts'
import { END_RECORD } from './logSource.ts'
import { readUsage } from './logUsage.ts'
import type { Outgoing } from './message.ts'
import { encodeMessage, MAX_MESSAGE_RECORD_BYTES } from './messageRecord.ts'
import { recordBytes } from './record.ts'
import type { Outbox, Usage } from './store.ts'

export interface LogOutboxOptions {
  /** The mailbox's folder. */
  readonly folder: string
  /** This sender, as no other was ever called: a process name. */
  readonly sender: string
  readonly durability?: Durability
  readonly files?: Files
  readonly clock?: Clock
  readonly log?: TellLog
  /** Default 16 MiB: a receiver frees the disk of one at a time. */
  readonly segmentBytes?: number
  /** Whose journal is read; default: the user that this process runs as. */
  readonly owner?: number
}

const SEGMENT_BYTES = 16 * 1024 * 1024
/** What stands in the folder is counted so often at most. */
const COUNT_MS = 1_000
const MAX_JOURNAL_RECORD_BYTES = 10 * 1024 * 1024
/** Before any is known. */
const MESSAGE_BYTES = 512
/** Ids of messages whose acknowledgement was asked for that are told apart from all others. */
const MAX_EXPECTED = 100_000

/** A record that tells of the end of messages whose acknowledgement is waited for. */
interface DoneRecord {
  /** Where its payload ends in its segment. */
  readonly end: number
  readonly ids: readonly string[]
}

/** A sender's side of a mailbox that stands on a log for each sender. Makes nothing before the first message. */
export class LogOutbox implements Outbox {
  readonly sender: string
  readonly #files: Files
  readonly #clock: Clock
  readonly #tell: TellLog
  readonly #folders: LogFolders
  readonly #folder: string
  readonly #options: LogOutboxOptions
  #log: AppendLog | undefined
  #opening: Promise<AppendLog> | undefined
  #closed = false
  /** The last that was given away. One that could not be stored has used its number up: it may come up again. */
  #sequence = 0
  #storedBytes = 0
  #usage:
    | { readonly value: Usage; readonly atMs: number; readonly sequence: number; readonly bytes: number }
    | undefined
  readonly #listeners = new Set<(id: string) => void>()
  /** Asked for and not told; undefined: too many died or wait, so every id is taken for one. */
  #expected: Set<string> | undefined = new Set()
  /** Records of the journal that were read and may not yet be on stable storage, by segment. */
  readonly #read = new Map<number, DoneRecord[]>()
  #stopListening: (() => Promise<void>) | undefined

  constructor(options: LogOutboxOptions) {
    this.#options = options
    this.sender = options.sender
    this.#files = options.files ?? nodeFiles
    this.#clock = options.clock ?? systemClock
    this.#tell = options.log ?? (() => {})
    this.#folders = logFolders(options.folder)
    this.#folder = join(this.#folders.senders, options.sender)
  }

  store(message: Outgoing): Promise<unknown> {
    return this.#log
      ? this.#append(this.#log, message)
      : this.#open().then((log) => this.#append(log, message))
  }

  #append(log: AppendLog, message: Outgoing): Promise<unknown> {
    if (message.requiresAck) this.#expect(message.id)
    const payload = encodeMessage(message, ++this.#sequence)
    this.#storedBytes += recordBytes(payload.length)
    return log.append(payload)
  }

  #open(): Promise<AppendLog> {
    this.#opening ??= this.#opened()
    return this.#opening
  }

  async #opened(): Promise<AppendLog> {
    try {
      if (this.#closed) {
        throw new ViaductError('UNAVAILABLE', 'the mailbox is closed', { reason: 'CLOSED', fate: 'not-sent' })
      }
      await makeDurableFolder(this.#files, this.#folders.senders)
      const log = await AppendLog.open({
        files: this.#files,
        folder: this.#folder,
        durability: this.#options.durability ?? 'power-loss',
        segmentBytes: this.#options.segmentBytes ?? SEGMENT_BYTES,
        maxPayloadBytes: MAX_MESSAGE_RECORD_BYTES,
      })
      this.#log = log
      return log
    } catch (error) {
      this.#opening = undefined
      throw diskFailure(this.#folder, error)
    }
  }

  async announce(): Promise<void> {
    const segment = this.#log?.segments.at(-1)
    if (segment !== undefined) await this.#files.touch(segmentPath(this.#folder, segment)).catch(() => {})
  }

  /**
   * From the sizes of all logs and what the receiver counted, at most a second old, and what this instance has stored
   * since. Messages that no receiver has read are counted by their bytes.
   */
  async usage(): Promise<Usage> {
    const now = this.#clock.now()
    if (!this.#usage || now - this.#usage.atMs >= COUNT_MS) {
      const [sequence, bytes] = [this.#sequence, this.#storedBytes]
      const messageBytes = sequence === 0 ? MESSAGE_BYTES : bytes / sequence
      const value = await readUsage(this.#files, this.#folders, messageBytes)
      this.#usage = { value, atMs: now, sequence, bytes }
    }
    const { value, sequence, bytes } = this.#usage
    return {
      messages: value.messages + this.#sequence - sequence,
      bytes: value.bytes + this.#storedBytes - bytes,
    }
  }

  onAcknowledged(tell: (id: string) => void): () => void {
    this.#listeners.add(tell)
    this.#stopListening ??= this.#followJournal()
    return () => void this.#listeners.delete(tell)
  }

  /** From the newest segment of the journal: what is older cannot tell of what is sent from now on. */
  #followJournal(): () => Promise<void> {
    const folder = this.#folders.journal
    let journal: FollowLog | undefined
    let looking: Promise<void> | undefined
    let again = false
    let stopped = false
    const look = async (): Promise<void> => {
      journal ??= new FollowLog({
        files: this.#files,
        folder,
        maxPayloadBytes: MAX_JOURNAL_RECORD_BYTES,
        log: this.#tell,
        ...(this.#options.owner !== undefined && { owner: this.#options.owner }),
        from: (await segmentsIn(this.#files, folder).catch(() => [])).at(-1) ?? 1,
      })
      do {
        again = false
        for (let chunk = await journal.next(); chunk && !stopped; chunk = await journal.next()) {
          for (let index = 0; index < chunk.payloads.length; index += 2) {
            const end = chunk.payloads[index + 1] ?? 0
            const payload = chunk.bytes.subarray(chunk.payloads[index], end)
            this.#noteDone(chunk.segment, chunk.offset + end, payload)
          }
        }
        await this.#tellDone()
      } while (again && !stopped)
    }
    const hint = (name?: string): void => {
      journal?.hint(name)
      again = true
      if (stopped || looking) return
      looking = look().finally(() => {
        looking = undefined
      })
    }
    const stopTimer = eachSecond(this.#clock, hint)
    const unwatch = this.#files.watch(folder, hint)
    hint()
    return async () => {
      stopped = true
      stopTimer()
      unwatch()
      await looking
      await journal?.close()
    }
  }

  #expect(id: string): void {
    if (this.#expected && this.#expected.size < MAX_EXPECTED) this.#expected.add(id)
    else this.#expected = undefined
  }

  #noteDone(segment: number, end: number, payload: Uint8Array): void {
    try {
      const ids = [...doneIds(payload)].filter((id) => this.#expected?.delete(id) ?? true)
      if (ids.length === 0) return
      const records = this.#read.get(segment) ?? []
      records.push({ end, ids })
      this.#read.set(segment, records)
    } catch (error) {
      this.#tell('warn', 'a record of the journal cannot be read', { problem: messageOf(error) })
    }
  }

  /**
   * What can be read was written, and not always synced: the receiver may be doing that now, or may fail. A message
   * is acknowledged when the record of its end survives what the mailbox was opened for, so it is synced here first.
   */
  async #tellDone(): Promise<void> {
    for (const [segment, records] of this.#read) {
      const safe =
        this.#options.durability === 'process-crash'
          ? Number.POSITIVE_INFINITY
          : await this.#safeUntil(segment)
      if (safe === undefined) continue
      this.#read.delete(segment)
      for (const { end, ids } of records) {
        for (const id of ids) {
          // The receiver could not sync what it cut off, and will write it again.
          if (end > safe) this.#expect(id)
          else for (const tell of this.#listeners) tell(id)
        }
      }
    }
  }

  /** Where a segment of the journal ends on stable storage; undefined when that cannot be told now. */
  async #safeUntil(segment: number): Promise<number | undefined> {
    try {
      const file = await this.#files.open(segmentPath(this.#folders.journal, segment))
      try {
        await file.sync()
        return (await file.status()).size
      } finally {
        await file.close()
      }
    } catch (error) {
      // It was removed since later ones, which are safe, say all that it said.
      if (errnoOf(error) === 'ENOENT') return Number.POSITIVE_INFINITY
      this.#tell('warn', 'an acknowledgement cannot be synced; it tries again', { problem: messageOf(error) })
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#stopListening?.()
    const log = this.#log ?? (await this.#opening?.catch(() => undefined))
    if (!log) return
    // So that a receiver need not wait for the end of this process to remove the folder.
    await log.append(END_RECORD).catch(() => {})
    await log.close()
  }
}
