/** `errors/` of a mailbox: what was given up, kept until somebody stores it again or removes it. */
import { messageOf } from '../host/errno.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { diskFailure } from './appendLog.ts'
import {
  type Death,
  isOf,
  type Letter,
  type LetterMessage,
  type LetterName,
  letterName,
  safeId,
  writeLetter,
} from './deadLetterFile.ts'
import { DeadLetterFolder } from './deadLetterFolder.ts'
import { type LetterOutcome, LetterTally } from './deadLetterTally.ts'
import type { Files } from './files.ts'
import type { Outgoing } from './message.ts'
import type { DeadLetterSink } from './station.ts'

export interface DeadLettersOptions {
  readonly files: Files
  /** The mailbox's folder. */
  readonly folder: string
  /** The mailbox's name. */
  readonly group: string
  /** The mailbox's outbox, which redriven messages go to. */
  readonly to: Redriver
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

/** Of an Outbox, what a redrive needs. */
export interface Redriver {
  store(message: Outgoing): Promise<unknown>
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000
/** Letters that `add` looks among for one that a crash left without its record. */
const REMEMBERED = 65_536
/** Messages, and their bytes, that a redrive has under way. */
const BATCH = 64
const BATCH_BYTES = 16 * 1024 * 1024

/** The dead letters of one mailbox. `add` is for its active receiver, everything else for anybody. */
export class DeadLetters implements DeadLetterSink {
  readonly #folder: DeadLetterFolder
  readonly #group: string
  readonly #to: Redriver
  readonly #nowMs: () => number
  /** The newest letters by the id in their names, the oldest of them first. */
  #known: Promise<Map<string, LetterName[]>> | undefined
  /** Adds of one id wait for each other. */
  readonly #adding = new Map<string, Promise<void>>()

  constructor({ files, folder, group, to, nowMs = Date.now }: DeadLettersOptions) {
    this.#folder = new DeadLetterFolder(files, folder)
    this.#group = group
    this.#to = to
    this.#nowMs = nowMs
  }

  /** `add` looks at the folder once. Whoever becomes the active receiver again calls this: another was, in between. */
  forget(): void {
    this.#known = undefined
  }

  /**
   * Keeps a message that is given up; settles when it is on stable storage. A second time for the same id and count of
   * redrives finds the letter of the first, so that a crash before the journal has its record leaves one letter for
   * one death. A letter of the same id from before a redrive gives way to the new one.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: the message must stay in its store
   */
  async add(...[arrival, content, cause, attempts]: Parameters<DeadLetterSink['add']>): Promise<void> {
    const id = safeId(arrival.id)
    const add = (): Promise<void> => this.#add(id, { arrival, content, cause, attempts })
    const adding = (this.#adding.get(id) ?? Promise.resolve()).then(add, add)
    this.#adding.set(id, adding)
    try {
      await adding
    } catch (error) {
      throw isViaductError(error) ? error : diskFailure(this.#folder.path, error)
    } finally {
      if (this.#adding.get(id) === adding) this.#adding.delete(id)
    }
  }

  async #add(id: string, death: Death): Promise<void> {
    this.#known ??= this.#open()
    const known = await this.#known.catch((error: unknown) => {
      this.#known = undefined
      throw error
    })
    let failedAtMs = this.#nowMs()
    const names = known.get(id) ?? []
    const older: LetterName[] = []
    for (const name of names) {
      const letter = await this.#folder.read(name)
      if (!letter) continue
      // The process may have ended between its name and the name's safety.
      if (isOf(letter, death)) return this.#folder.sync()
      if (letter.message && letter.message.redriven < death.arrival.redriven) older.push(name)
      failedAtMs = Math.max(failedAtMs, name.failedAtMs + 1)
    }
    const name = { file: letterName(id, failedAtMs), id, failedAtMs }
    await this.#folder.write(name, writeLetter(death, this.#group, failedAtMs))
    known.delete(id)
    known.set(id, [...names.filter((one) => !older.includes(one)), name])
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) break
      known.delete(oldest)
    }
    for (const one of older) await this.#folder.remove(one).catch(() => {})
  }

  async #open(): Promise<Map<string, LetterName[]>> {
    await this.#folder.make()
    const known = new Map<string, LetterName[]>()
    const newest = (await this.#folder.names()).slice(0, REMEMBERED)
    for (const name of newest.reverse()) known.set(name.id, [...(known.get(name.id) ?? []), name])
    return known
  }

  #names({ ids, olderThanMs }: LetterFilter): Promise<LetterName[]> {
    return this.#folder.names(ids, olderThanMs === undefined ? undefined : this.#nowMs() - olderThanMs)
  }

  /** How many there are. */
  async count(): Promise<number> {
    return (await this.#folder.names()).length
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
      const letter = await this.#folder.read(name)
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
      const letter = await this.#folder.read(name)
      if (letter) return letter
    }
    throw new ViaductError('NOT_FOUND', `${this.#folder.path}: ${unknown(id)}`, { reason: 'LETTER_UNKNOWN' })
  }

  /**
   * Stores messages again, the oldest letter first, with their id and one redrive more, and removes their letters. A
   * crash may leave the letter of a message that is stored again: redriven once more, it is known by its id and not
   * handled twice. An expiry that has passed is left out: who redrives it wants it delivered. Letters whose message
   * could never be read stay, and are told. Ends early when the store takes no more.
   */
  async redrive(
    selection: LetterSelection,
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<LetterOutcome> {
    const tally = new LetterTally(dryRun)
    let batch: (Letter & { readonly message: LetterMessage })[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      const under = batch
      batch = []
      bytes = 0
      if (under.length === 0) return
      const stored = await Promise.allSettled(
        under.map(({ message }) => this.#to.store(this.#again(message))),
      )
      for (const [index, letter] of under.entries()) {
        const outcome = stored[index]
        if (outcome?.status === 'rejected') tally.stop(letter, outcome.reason)
        else await this.#over(letter, tally)
      }
      await this.#folder.sync()
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
    const tally = new LetterTally(dryRun)
    for await (const letter of this.#selected(selection, tally)) {
      if (dryRun) tally.done(letter)
      else await this.#over(letter, tally)
    }
    if (!dryRun && tally.any) await this.#folder.sync()
    return tally.outcome()
  }

  async *#selected(selection: LetterSelection, tally: LetterTally): AsyncGenerator<Letter> {
    const filter = isIds(selection) ? { ids: selection } : selection
    const absent = new Set(filter.ids)
    for (const name of (await this.#names(filter)).reverse()) {
      const letter = await this.#folder.read(name)
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

  async #over(letter: Letter, tally: LetterTally): Promise<void> {
    try {
      await this.#folder.remove(letter)
      tally.done(letter)
    } catch (error) {
      tally.fail(letter, 'DISK_FAILED', `it cannot be removed: ${messageOf(error)}`)
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
