/** `errors/` of a mailbox: what was given up, kept until somebody stores it again or removes it. */
import { join } from 'node:path'
import { errnoOf, messageOf } from '../host/errno.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { failed } from './appendLog.ts'
import {
  type Death,
  faulty,
  type Letter,
  type LetterMessage,
  type LetterName,
  letterName,
  MAX_LETTER_BYTES,
  rawOf,
  readLetter,
  readLetterName,
  writeLetter,
} from './deadLetterFile.ts'
import type { Files, OpenFile } from './files.ts'
import type { Outgoing } from './message.ts'

export interface DeadLettersOptions {
  readonly files: Files
  /** The mailbox's folder. */
  readonly folder: string
  /** The mailbox's name. */
  readonly group: string
  readonly nowMs?: () => number
}

/** Which letters: all of these must fit, so that `{}` is all letters. */
export interface LetterFilter {
  readonly ids?: readonly string[]
  readonly reason?: string
  readonly type?: string
  /** Dead for so long at least. */
  readonly olderThanMs?: number
}

export type LetterSelection = readonly string[] | LetterFilter

/** What a list tells of a letter; `show` has the rest. */
export interface LetterSummary extends LetterName {
  readonly type?: string
  readonly reason: string
  readonly message: string
  readonly attempts: number
  readonly redriven: number
  readonly bytes: number
  /** Whether it can be redriven. */
  readonly redrivable: boolean
}

/** What was done, or would be in a dry run. */
export interface LetterOutcome {
  readonly dryRun: boolean
  /** The store took no more; letters that were not looked at count nowhere. */
  readonly stopped: boolean
  /** Letters that fit the selection. */
  readonly matched: number
  /** Redriven or purged. */
  readonly done: number
  /** How many of those died of what; the rarest together under `OTHER`. */
  readonly reasons: Readonly<Record<string, number>>
  readonly failed: number
  /** The first hundred of those, which are still there. */
  readonly failures: readonly LetterFailure[]
}

export interface LetterFailure {
  readonly id: string
  /** Absent where there is no letter. */
  readonly file?: string
  readonly reason: string
  readonly message: string
}

/** Of an Outbox, what a redrive needs. */
export interface Redriver {
  store(message: Outgoing): Promise<void>
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000
const MAX_FAILURES = 100
const MAX_REASONS = 100
/** Letters that `add` looks among for one that a crash left without its record. */
const REMEMBERED = 65_536
/** Messages, and their bytes, that a redrive has under way. */
const BATCH = 64
const BATCH_BYTES = 16 * 1024 * 1024

/**
 * The dead letters of one mailbox. Whoever receives makes one when it becomes the active receiver, since `add` reads
 * the folder once; everything else looks each time.
 */
export class DeadLetters {
  readonly #files: Files
  readonly #folder: string
  readonly #tmp: string
  readonly #group: string
  readonly #nowMs: () => number
  /** The newest letters by the id in their names, the oldest of them first. */
  #known: Promise<Map<string, LetterName[]>> | undefined
  /** Adds of one id wait for each other. */
  readonly #adding = new Map<string, Promise<string>>()

  constructor({ files, folder, group, nowMs = Date.now }: DeadLettersOptions) {
    this.#files = files
    this.#folder = join(folder, 'errors')
    this.#tmp = join(folder, '.journal', 'tmp')
    this.#group = group
    this.#nowMs = nowMs
  }

  /**
   * Keeps a message that is given up; settles with the file's name when it is on stable storage. A second time for the
   * same id and count of redrives finds the letter of the first, so that a crash before the journal has its record
   * leaves one letter for one death. A letter of the same id from before a redrive gives way to the new one.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: the message must stay in its store
   */
  async add(death: Death): Promise<string> {
    const { id } = death.arrival
    const before = this.#adding.get(id)
    const adding = (before ?? Promise.resolve('')).then(
      () => this.#add(death),
      () => this.#add(death),
    )
    this.#adding.set(id, adding)
    try {
      return await adding
    } catch (error) {
      throw failed(this.#folder, error)
    } finally {
      if (this.#adding.get(id) === adding) this.#adding.delete(id)
    }
  }

  async #add(death: Death): Promise<string> {
    this.#known ??= this.#open()
    const known = await this.#known.catch((error: unknown) => {
      this.#known = undefined
      throw error
    })
    let failedAtMs = this.#nowMs()
    const id = readLetterName(letterName(death.arrival.id, failedAtMs))?.id ?? ''
    const older: LetterName[] = []
    for (const name of known.get(id) ?? []) {
      const letter = await this.#read(name)
      if (!letter) continue
      const redriven = letter.message?.redriven ?? 0
      if (redriven === death.arrival.redriven && letter.raw === rawOf(death)) return name.file
      if (redriven < death.arrival.redriven) older.push(name)
      failedAtMs = Math.max(failedAtMs, letter.failedAtMs + 1)
    }
    const file = letterName(id, failedAtMs)
    await this.#write(id, file, writeLetter(death, this.#group, failedAtMs))
    for (const name of older) await this.#remove(name)
    const rest = (known.get(id) ?? []).filter((name) => !older.includes(name))
    known.delete(id)
    known.set(id, [...rest, { file, id, failedAtMs }])
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) break
      known.delete(oldest)
    }
    return file
  }

  async #open(): Promise<Map<string, LetterName[]>> {
    await this.#files.makeFolder(this.#folder)
    await this.#files.makeFolder(this.#tmp)
    const known = new Map<string, LetterName[]>()
    const newest = (await this.#names()).slice(0, REMEMBERED)
    for (const name of newest.reverse()) known.set(name.id, [...(known.get(name.id) ?? []), name])
    return known
  }

  async #write(id: string, file: string, bytes: Uint8Array): Promise<void> {
    // One name for one id, so that what a crash leaves there is written over and never piles up.
    const path = join(this.#tmp, `dead-${id}`)
    const to = await this.#files.create(path).catch(async (error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error
      await this.#files.remove(path)
      return this.#files.create(path)
    })
    try {
      await to.write(bytes, 0)
      await to.sync()
      await this.#files.rename(path, join(this.#folder, file))
    } finally {
      await to.close()
    }
    await this.#files.syncFolder(this.#folder)
  }

  /** How many there are. */
  async count(): Promise<number> {
    return (await this.#names()).length
  }

  /**
   * The newest first, at most `limit` (100 by default, 10,000 at most). However many there are, the content of one at
   * a time is in memory.
   */
  async list({
    limit = DEFAULT_LIMIT,
    ...filter
  }: LetterFilter & { readonly limit?: number } = {}): Promise<LetterSummary[]> {
    const most = Math.min(limit, MAX_LIMIT)
    const found: LetterSummary[] = []
    for (const name of await this.#names(filter)) {
      if (found.length >= most) break
      const letter = await this.#read(name)
      if (letter && fits(letter, filter)) found.push(summaryOf(letter))
    }
    return found
  }

  /**
   * The newest letter of an id.
   *
   * @throws ViaductError NOT_FOUND / LETTER_UNKNOWN
   */
  async show(id: string): Promise<Letter> {
    for (const name of await this.#names({ ids: [id] })) {
      const letter = await this.#read(name)
      if (letter) return letter
    }
    throw new ViaductError('NOT_FOUND', `${this.#folder}: ${unknown(id)}`, { reason: 'LETTER_UNKNOWN' })
  }

  /**
   * Stores messages again, the oldest letter first, with their id and one redrive more, and removes their letters. A
   * crash may leave the letter of a message that is stored again: redriven once more, it is known by its id and not
   * handled twice. An expiry that has passed is left out: who redrives it wants it delivered. Letters whose message
   * could never be read stay, and are told. Ends early when the store takes no more.
   */
  async redrive(
    selection: LetterSelection,
    { to, dryRun = false }: { readonly to: Redriver; readonly dryRun?: boolean },
  ): Promise<LetterOutcome> {
    const tally = new Tally(dryRun)
    let batch: (Letter & { readonly message: LetterMessage })[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      const under = batch
      batch = []
      bytes = 0
      if (under.length === 0) return
      const stored = await Promise.allSettled(under.map(({ message }) => to.store(this.#again(message))))
      for (const [index, letter] of under.entries()) {
        const outcome = stored[index]
        if (outcome?.status === 'rejected') tally.stop(letter, outcome.reason)
        else await this.#over(letter, tally)
      }
      await this.#files.syncFolder(this.#folder)
    }
    for await (const letter of this.#selected(selection, tally)) {
      const { message } = letter
      if (!message) {
        tally.fail(letter, letter.error.reason, `it cannot be redriven: ${letter.error.message}`)
      } else if (dryRun) {
        tally.done(letter)
      } else {
        batch.push({ ...letter, message })
        bytes += letter.bytes
        if (batch.length >= BATCH || bytes >= BATCH_BYTES) await flush()
        if (tally.stopped) break
      }
    }
    if (!tally.stopped) await flush()
    return tally.outcome()
  }

  /** Removes letters for good, the oldest first. */
  async purge(
    selection: LetterSelection,
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<LetterOutcome> {
    const tally = new Tally(dryRun)
    for await (const letter of this.#selected(selection, tally)) {
      if (dryRun) tally.done(letter)
      else await this.#over(letter, tally)
    }
    if (!dryRun && tally.any) await this.#files.syncFolder(this.#folder)
    return tally.outcome()
  }

  async *#selected(selection: LetterSelection, tally: Tally): AsyncGenerator<Letter> {
    const filter = isIds(selection) ? { ids: selection } : selection
    const absent = new Set(filter.ids)
    for (const name of (await this.#names(filter)).reverse()) {
      const letter = await this.#read(name)
      if (!letter) continue
      absent.delete(name.id)
      if (!fits(letter, filter)) continue
      tally.matched++
      yield letter
    }
    for (const id of absent) tally.fail({ id }, 'LETTER_UNKNOWN', unknown(id))
  }

  #again(message: LetterMessage): Outgoing {
    const { body, sender: _sender, sequence: _sequence, ...envelope } = message
    return {
      ...envelope,
      expiresAtMs: message.expiresAtMs <= this.#nowMs() ? 0 : message.expiresAtMs,
      redriven: message.redriven + 1,
      format: body.format,
      body: body.bytes,
    }
  }

  async #over(letter: Letter, tally: Tally): Promise<void> {
    try {
      await this.#remove(letter)
      tally.done(letter)
    } catch (error) {
      tally.fail(letter, 'DISK_FAILED', `it cannot be removed: ${messageOf(error)}`)
    }
  }

  async #remove({ file }: LetterName): Promise<void> {
    try {
      await this.#files.remove(join(this.#folder, file))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  /** What may fit, as far as names tell, the newest first. */
  async #names({ ids, olderThanMs }: LetterFilter = {}): Promise<LetterName[]> {
    const wanted = ids && new Set(ids)
    const before = olderThanMs === undefined ? Number.POSITIVE_INFINITY : this.#nowMs() - olderThanMs
    const files = await this.#files.list(this.#folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw failed(this.#folder, error)
    })
    const names: LetterName[] = []
    for (const file of files) {
      const name = readLetterName(file)
      if (name && name.failedAtMs <= before && wanted?.has(name.id) !== false) names.push(name)
    }
    return names.sort((one, other) => other.failedAtMs - one.failedAtMs || (one.file < other.file ? 1 : -1))
  }

  /** Undefined when it is not there any more. */
  async #read(name: LetterName): Promise<Letter | undefined> {
    let file: OpenFile
    try {
      file = await this.#files.openToRead(join(this.#folder, name.file))
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT') return undefined
      const reason = errno === 'ELOOP' || errno === 'ENXIO' ? 'NOT_A_FILE' : 'DISK_FAILED'
      return faulty(name, 0, {
        reason,
        message: `the dead letter itself cannot be read: ${messageOf(error)}`,
      })
    }
    try {
      const { kind, links, size } = await file.status()
      if (kind !== 'file' || links !== 1) {
        return faulty(name, size, {
          reason: 'NOT_A_FILE',
          message: 'the dead letter itself is no plain file',
        })
      }
      if (size > MAX_LETTER_BYTES) {
        return faulty(name, size, {
          reason: 'TOO_LARGE',
          message: `the dead letter itself has ${size} bytes: ${MAX_LETTER_BYTES} are read at most`,
        })
      }
      const bytes = Buffer.alloc(size)
      return readLetter(name, bytes.subarray(0, await file.read(bytes, 0)))
    } catch (error) {
      return faulty(name, 0, {
        reason: 'DISK_FAILED',
        message: `the dead letter itself cannot be read: ${messageOf(error)}`,
      })
    } finally {
      await file.close()
    }
  }
}

/** Counts what became of letters. */
class Tally {
  matched = 0
  stopped = false
  readonly #dryRun: boolean
  readonly #reasons = new Map<string, number>()
  readonly #failures: LetterFailure[] = []
  #done = 0
  #failed = 0

  constructor(dryRun: boolean) {
    this.#dryRun = dryRun
  }

  get any(): boolean {
    return this.#done > 0
  }

  done({ error }: Letter): void {
    this.#done++
    const known = this.#reasons.has(error.reason) || this.#reasons.size < MAX_REASONS
    const reason = known ? error.reason : 'OTHER'
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
  }

  fail({ id, file }: { readonly id: string; readonly file?: string }, reason: string, message: string): void {
    this.#failed++
    if (this.#failures.length >= MAX_FAILURES) return
    this.#failures.push({ id, ...(file === undefined ? {} : { file }), reason, message })
  }

  /** The store did not take one: it would not take the next either. */
  stop(letter: Letter, error: unknown): void {
    this.stopped = true
    this.fail(letter, isViaductError(error) ? error.reason : 'UNKNOWN', messageOf(error))
  }

  outcome(): LetterOutcome {
    return {
      dryRun: this.#dryRun,
      stopped: this.stopped,
      matched: this.matched,
      done: this.#done,
      reasons: Object.fromEntries(this.#reasons),
      failed: this.#failed,
      failures: this.#failures,
    }
  }
}

function fits({ error, message }: Letter, { reason, type }: LetterFilter): boolean {
  return (reason ?? error.reason) === error.reason && (type ?? message?.type) === message?.type
}

function summaryOf(letter: Letter): LetterSummary {
  const { file, id, failedAtMs, bytes, error, attempts, message } = letter
  return {
    ...{ file, id, failedAtMs, bytes, attempts },
    ...(message ? { type: message.type } : {}),
    reason: error.reason,
    message: error.message,
    redriven: message?.redriven ?? 0,
    redrivable: message !== undefined,
  }
}

function isIds(selection: LetterSelection): selection is readonly string[] {
  return Array.isArray(selection)
}

function unknown(id: string): string {
  return `there is no dead letter of the id ${JSON.stringify(id)}`
}
