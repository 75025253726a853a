import { Buffer } from 'node:buffer'
import { basename } from 'node:path'
import { errnoOf, messageOf } from '../host/errno.ts'
import { segmentPath, segmentsIn } from './appendLog.ts'
import type { Files, OpenFile } from './files.ts'
import { claimedBytes, RECORD_HEAD, recordBytes, wholeRecord } from './record.ts'

/** A line for whoever runs this. */
export type TellLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  text: string,
  fields: Readonly<Record<string, string | number>>,
) => void

export interface FollowLogOptions {
  readonly files: Files
  readonly folder: string
  /** Longest payload that is believed. */
  readonly maxPayloadBytes: number
  readonly log?: TellLog
  /** Leaves out segments before this one. */
  readonly from?: number
  /** Who made its segments; default: the user that this process runs as. */
  readonly owner?: number
  /** Monotonic. */
  readonly now?: () => number
}

/** Whole records of one segment, read at once. */
export interface Chunk {
  readonly segment: number
  /** Where in the segment `bytes` begins. */
  readonly offset: number
  readonly bytes: Buffer
  /** Where each payload starts and ends in `bytes`: start, end, start, end … Empty: there is more, ask again. */
  readonly payloads: readonly number[]
}

const CHUNK_BYTES = 256 * 1024
const WINDOW_BYTES = 32 * 1024
/** What is summed up at most in one turn when the next whole record is looked for. */
const SEARCH_BYTES = 8 * 1024 * 1024
/** What was written before a record that is whole is on its way no longer than this. */
const STUCK_MS = 2_000
/** No commit is longer than this and the longest payload. */
const COMMIT_BYTES = 8 * 1024 * 1024

/**
 * Reads a log that another process may be writing, from its beginning. A record that is not whole at the end of the
 * newest segment is not yet there. In an older one, or once `finish` was called, or when for two seconds it was not
 * whole though all of its bytes and others after it are there, it is broken: reading goes on at the next whole one, and
 * the bytes between are told.
 */
export class FollowLog {
  readonly #files: Files
  readonly #folder: string
  readonly #maxPayloadBytes: number
  readonly #log: TellLog
  #file: OpenFile | undefined
  /** The segment that is read, or was read last. */
  #segment: number
  #offset = 0
  /** Nobody writes the segment any more. */
  #complete = false
  #finished = false
  /** There may be a newer segment. */
  #newerDue = true
  #drained = false
  #search: Search | undefined
  readonly #owner: number
  readonly #now: () => number
  /** Bytes that were seen from the offset on. */
  #ahead = 0
  #stuck: Stuck | undefined
  #spare: Buffer | undefined
  /** What is read next: where little comes at a time, most of more would be zeros. */
  #windowBytes = CHUNK_BYTES
  #told = ''

  constructor(options: FollowLogOptions) {
    this.#files = options.files
    this.#folder = options.folder
    this.#maxPayloadBytes = options.maxPayloadBytes
    this.#log = options.log ?? (() => {})
    this.#segment = (options.from ?? 1) - 1
    this.#owner = options.owner ?? process.getuid?.() ?? 0
    this.#now = options.now ?? (() => performance.now())
  }

  /** All segments before this one were read to their end. */
  get segment(): number {
    return this.#segment
  }

  /** All was read, and nothing will come. */
  get drained(): boolean {
    return this.#drained
  }

  /** Nobody writes this log any more: to be called only after its writer is known to be gone. */
  finish(): void {
    this.#finished = true
  }

  /** Something has changed in its folder: a file of this name, or who knows what. */
  hint(name?: string): void {
    if (name === undefined || name !== basename(segmentPath(this.#folder, this.#segment)))
      this.#newerDue = true
  }

  /**
   * The next whole records; undefined when there are none now, or they cannot be read now. One call at a time. Finds
   * segments that are newer than the last one after a `hint` only. Throws nothing: what keeps it from reading is told
   * once, and tried again by the next call.
   */
  async next(): Promise<Chunk | undefined> {
    try {
      const chunk = await this.#next()
      if (chunk) this.#told = ''
      return chunk
    } catch (error) {
      const problem = messageOf(error)
      if (problem !== this.#told)
        this.#log('error', 'a log cannot be read', { folder: this.#folder, problem })
      this.#told = problem
      return undefined
    }
  }

  async #next(): Promise<Chunk | undefined> {
    for (;;) {
      if (!this.#file && !(await this.#openNext())) return undefined
      const file = this.#file
      if (!file) return undefined
      const chunk = this.#search ? undefined : await this.#whole(file)
      if (chunk) return chunk
      if (!this.#complete) {
        const finished = this.#finished
        if (!(await this.#hasNewer()) && !finished) {
          if (this.#ahead > 0 && (await this.#passStuck(file))) continue
          return undefined
        }
        // It was complete when that was seen, which may be after its end was read.
        this.#complete = true
        continue
      }
      const found = await this.#passOver(file)
      if (found === 'later')
        return { segment: this.#segment, offset: this.#offset, bytes: EMPTY, payloads: [] }
      if (found === 'nothing') await this.close()
    }
  }

  /** A folder is not listed each time that its newest segment has grown. */
  async #hasNewer(): Promise<boolean> {
    if (!this.#newerDue) return false
    this.#newerDue = false
    try {
      return (await this.#newer()) !== undefined
    } catch (error) {
      this.#newerDue = true
      throw error
    }
  }

  /** The first segment after the one that was read; undefined when the folder is gone. */
  async #newer(): Promise<number | undefined> {
    try {
      const segments = await segmentsIn(this.#files, this.#folder)
      return segments.find((segment) => segment > this.#segment)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async #openNext(): Promise<boolean> {
    for (;;) {
      const finished = this.#finished
      const segment = await this.#newer()
      if (segment === undefined) {
        this.#drained = finished
        return false
      }
      const file = await this.#opened(segment)
      this.#segment = segment
      this.#offset = 0
      this.#complete = false
      this.#newerDue = true
      this.#file = file
      if (file) return true
    }
  }

  /** Undefined where the segment was taken away, or is none. */
  async #opened(segment: number): Promise<OpenFile | undefined> {
    const path = segmentPath(this.#folder, segment)
    try {
      const file = await this.#files.openToRead(path)
      const { kind, owner, links } = await file.status()
      const isOurs = kind === 'file' && owner === this.#owner
      if (isOurs && links <= 1) return file
      await file.close()
      // A backup may have given it a second name: it is read when that is gone, and no message of it is lost.
      if (isOurs) throw new Error(`${path} has ${links} names: remove the others`)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      if (errnoOf(error) !== 'ELOOP') throw error
    }
    this.#log('warn', 'a log has a segment that is no file of ours: it is left out', { file: path })
    return undefined
  }

  async #whole(file: OpenFile): Promise<Chunk | undefined> {
    let bytes = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.#spare = undefined
    // A thread would take longer than this does, and a message waits for it.
    let count = file.readNow(bytes.subarray(0, this.#windowBytes), this.#offset)
    const claimed = claimedBytes(bytes, 0, count)
    if (recordBytes(claimed) > count && count === this.#windowBytes && claimed <= this.#maxPayloadBytes) {
      if (recordBytes(claimed) > CHUNK_BYTES) {
        this.#spare = bytes
        bytes = Buffer.allocUnsafeSlow(recordBytes(claimed))
      }
      count = await file.read(bytes, this.#offset)
    }
    this.#ahead = count
    const payloads: number[] = []
    let at = 0
    for (;;) {
      const length = wholeRecord(bytes, at, count, this.#maxPayloadBytes)
      if (length === 0) break
      payloads.push(at + RECORD_HEAD, at + RECORD_HEAD + length)
      at += recordBytes(length)
    }
    if (at === 0) {
      if (bytes.length === CHUNK_BYTES) this.#spare = bytes
      return undefined
    }
    this.#windowBytes = at > WINDOW_BYTES / 2 ? CHUNK_BYTES : WINDOW_BYTES
    const chunk = { segment: this.#segment, offset: this.#offset, bytes: this.#fitted(bytes, at), payloads }
    this.#offset += at
    return chunk
  }

  /** A few records do not hold a whole buffer in memory. */
  #fitted(bytes: Buffer, used: number): Buffer {
    if (used > bytes.length / 2) return bytes
    const fitted = Buffer.allocUnsafeSlow(used)
    bytes.copy(fitted, 0, 0, used)
    if (bytes.length === CHUNK_BYTES) this.#spare = bytes
    return fitted
  }

  /** Looks for the next whole record of a complete segment, and goes there. */
  async #passOver(file: OpenFile): Promise<'found' | 'nothing' | 'later'> {
    this.#search ??= { at: this.#offset, garbage: false, size: (await file.status()).size }
    const search = this.#search
    const at = await this.#searched(file, search)
    if (at === 'later') return 'later'
    const end = at ?? search.size
    this.#search = undefined
    // Zeros at the end are room that was never used.
    if (at !== undefined || search.garbage) this.#tellPassed(end)
    this.#offset = end
    return at === undefined ? 'nothing' : 'found'
  }

  /** Goes on behind a record that its writer, who is still there, will not make whole any more. */
  async #passStuck(file: OpenFile): Promise<boolean> {
    if (this.#stuck?.offset !== this.#offset) this.#stuck = { offset: this.#offset, sinceMs: this.#now() }
    const stuck = this.#stuck
    if (this.#now() - stuck.sinceMs < STUCK_MS) return false
    const { size } = await file.status()
    if (!stuck.search) {
      if (size === stuck.searchedBytes || !(await this.#isAllThere(file, size))) return false
      stuck.search = { at: this.#offset + 8, garbage: true, size }
    }
    const at = await this.#searched(file, stuck.search)
    if (at === 'later') return false
    stuck.searchedBytes = stuck.search.size
    stuck.search = undefined
    if (at === undefined) return false
    this.#tellPassed(at)
    this.#offset = at
    return true
  }

  /** Whether the bytes that the record at the offset says to have were all written. */
  async #isAllThere(file: OpenFile, size: number): Promise<boolean> {
    const head = Buffer.alloc(RECORD_HEAD)
    const claimed = claimedBytes(head, 0, await file.read(head, this.#offset))
    const ahead = size - this.#offset
    return (
      claimed > this.#maxPayloadBytes ||
      ahead > this.#maxPayloadBytes + COMMIT_BYTES ||
      ahead > recordBytes(claimed)
    )
  }

  #tellPassed(end: number): void {
    this.#log('warn', 'a log has bytes that are no record: they were passed over', {
      file: segmentPath(this.#folder, this.#segment),
      offset: this.#offset,
      bytes: end - this.#offset,
    })
  }

  async #searched(file: OpenFile, search: Search): Promise<number | 'later' | undefined> {
    const bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    for (let budget = SEARCH_BYTES; search.at < search.size; ) {
      if (budget <= 0) return 'later'
      const count = await file.read(bytes, search.at)
      if (count < RECORD_HEAD) {
        for (let index = 0; index < count; index++) search.garbage ||= bytes[index] !== 0
        break
      }
      let at = 0
      for (; at + RECORD_HEAD <= count && budget > 0; at += 8) {
        const length = claimedBytes(bytes, at, count)
        if (length === 0) {
          search.garbage ||= bytes.readUInt32LE(at + 4) !== 0
          continue
        }
        search.garbage = true
        if (length > this.#maxPayloadBytes || search.at + at + RECORD_HEAD + length > search.size) continue
        budget -= length
        if (await this.#isWhole(file, search.at + at, length, bytes, at, count)) return search.at + at
      }
      search.at += at
      budget -= at
    }
    return undefined
  }

  async #isWhole(file: OpenFile, offset: number, length: number, bytes: Buffer, at: number, count: number) {
    const needed = RECORD_HEAD + length
    if (at + needed <= count) return wholeRecord(bytes, at, count, this.#maxPayloadBytes) > 0
    const longer = Buffer.allocUnsafeSlow(needed)
    const read = await file.read(longer, offset)
    return wholeRecord(longer, 0, read, this.#maxPayloadBytes) > 0
  }

  /** Lets go of the file; `next` goes on with the segment after it. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close().catch(() => {})
  }
}

interface Search {
  /** Before it there is none. */
  at: number
  /** Something but zeros was seen. */
  garbage: boolean
  readonly size: number
}

/** A record that has not become whole since then. */
interface Stuck {
  readonly offset: number
  readonly sinceMs: number
  search?: Search | undefined
  /** How long the segment was when no whole record was found behind it. */
  searchedBytes?: number
}

const EMPTY = Buffer.alloc(0)
