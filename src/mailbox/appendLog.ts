import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errnoOf, messageOf } from '../host/errno.ts'
import { ViaductError } from '../wire/errors.ts'
import type { Files, OpenFile } from './files.ts'
import { readRecord, recordBytes, writeRecord } from './record.ts'

/** What survives what, once an append has settled. */
export type Durability = 'power-loss' | 'process-crash'

export interface AppendLogOptions {
  readonly files: Files
  /** A folder of this log's own. */
  readonly folder: string
  readonly durability?: Durability
  /** A file is begun anew beyond this; default 64 MiB. */
  readonly segmentBytes?: number
  /** Longest payload; default 10 MiB. */
  readonly maxPayloadBytes?: number
  /**
   * Payloads that stand first in each new segment, written together with its first commit: whoever has them can do
   * without the older segments. Asked for just before they are written; shorter by far than a segment.
   */
  readonly head?: () => readonly Uint8Array[]
}

/** Where a record stands. Positions of one log are in the order of its appends. */
export interface Position {
  readonly segment: number
  readonly offset: number
}

export interface LogRecord extends Position {
  readonly payload: Uint8Array
}

interface Waiting {
  readonly payload: Uint8Array
  resolve(at: Position): void
  reject(error: unknown): void
}

const SEGMENT_BYTES = 64 * 1024 * 1024
const MAX_PAYLOAD_BYTES = 10 * 1024 * 1024
/** Bytes that are written together at most: a larger commit would only make all of them wait. */
const COMMIT_BYTES = 4 * 1024 * 1024
/** Groups up to this size are written without a thread. */
const WRITTEN_NOW_BYTES = 256 * 1024
/**
 * A commit that is synced writes zeros behind it where none are left, as many as the file has bytes, up to so many; a
 * file that has fewer than the lower bound stays as short as it is. Commits that follow write over them, and a sync that
 * has no new size of the file to write takes about half the time.
 */
const AHEAD_BYTES = 128 * 1024
const AHEAD_FROM = 16 * 1024
const NAME = /^(\d{10})\.log$/

/**
 * An append-only log in segments. Appends that come while one commit is under way make up the next: one write and one
 * sync for all of them, however many there are (group commit). One process writes a log; many may read it.
 */
export class AppendLog {
  readonly #files: Files
  readonly #folder: string
  readonly #syncs: boolean
  readonly #segmentBytes: number
  readonly #maxPayloadBytes: number
  readonly #head: () => readonly Uint8Array[]
  readonly #segments: number[]
  #file: OpenFile | undefined
  #end = 0
  /** Where the zeros behind the end are over. */
  #zerosEnd = 0
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #closed = false

  private constructor(options: AppendLogOptions, segments: number[]) {
    this.#files = options.files
    this.#folder = options.folder
    this.#syncs = (options.durability ?? 'power-loss') === 'power-loss'
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#maxPayloadBytes = options.maxPayloadBytes ?? MAX_PAYLOAD_BYTES
    this.#head = options.head ?? (() => [])
    this.#segments = segments
  }

  /** Opens a log, or makes it. What a crash left half written at its end is not there. */
  static async open(options: AppendLogOptions): Promise<AppendLog> {
    const { files, folder } = options
    await files.makeFolder(folder)
    // The folder's own name must survive too, or what is synced in it is nowhere.
    if (options.durability !== 'process-crash') await files.syncFolder(dirname(folder))
    return new AppendLog(options, await segmentsIn(files, folder))
  }

  /** Segments from the oldest to the newest. */
  get segments(): readonly number[] {
    return this.#segments
  }

  /**
   * Appends a payload, which the log owns until this settles. Settles when it is on stable storage; appends settle in
   * their order.
   *
   * @throws ViaductError INVALID_ARGUMENT / MESSAGE_TOO_LARGE · RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE /
   * DISK_FAILED, with the system's word: it is not stored, or may be and comes up again after a crash
   */
  append(payload: Uint8Array): Promise<Position> {
    const refused = this.#refusal(payload)
    if (refused) return Promise.reject(refused)
    if (this.#closed) {
      return Promise.reject(
        new ViaductError('UNAVAILABLE', 'the log is closed', { reason: 'CLOSED', fate: 'not-sent' }),
      )
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payload, resolve, reject })
      this.#running ??= this.#commit()
    })
  }

  async #commit(): Promise<void> {
    // What is appended in this turn goes together.
    await Promise.resolve()
    for (; this.#waiting.length > 0; await nextTurn()) {
      const group = this.#group()
      try {
        const file = await this.#fileFor(group.bytes)
        const segment = this.#segments.at(-1) ?? 0
        const head = this.#end === 0 ? this.#checkedHead() : []
        const bytes = totalBytes(head) + group.bytes
        const ahead = this.#aheadOf(this.#end + bytes)
        const buffer = Buffer.alloc(bytes + ahead)
        const positions: Position[] = []
        let at = 0
        for (const payload of head) {
          writeRecord(buffer, at, payload)
          at += recordBytes(payload.length)
        }
        for (const { payload } of group.members) {
          writeRecord(buffer, at, payload)
          positions.push({ segment, offset: this.#end + at })
          at += recordBytes(payload.length)
        }
        // A few bytes are with the system sooner than a thread would be with them; only the sync takes time.
        if (buffer.length <= WRITTEN_NOW_BYTES) file.writeNow(buffer, this.#end)
        else await file.write(buffer, this.#end)
        this.#zerosEnd = Math.max(this.#zerosEnd, this.#end + buffer.length)
        if (this.#syncs) await file.sync()
        this.#end += at
        for (const [index, { resolve }] of group.members.entries()) {
          const position = positions[index]
          if (position) resolve(position)
        }
      } catch (error) {
        const failure = diskFailure(this.#folder, error)
        for (const { reject } of group.members) reject(failure)
        await this.#abandon()
      }
    }
    this.#running = undefined
  }

  /** How many zeros a commit that ends there writes as well. */
  #aheadOf(end: number): number {
    if (!this.#syncs || end <= this.#zerosEnd || end < AHEAD_FROM) return 0
    return Math.max(0, Math.min(AHEAD_BYTES, end, this.#segmentBytes - end))
  }

  #refusal(payload: Uint8Array): ViaductError | undefined {
    if (payload.length > 0 && payload.length <= this.#maxPayloadBytes) return undefined
    return new ViaductError(
      'INVALID_ARGUMENT',
      `${payload.length} bytes: a record has 1 to ${this.#maxPayloadBytes}`,
      { reason: 'MESSAGE_TOO_LARGE', fate: 'not-sent' },
    )
  }

  #checkedHead(): readonly Uint8Array[] {
    const head = this.#head()
    for (const payload of head) {
      const refused = this.#refusal(payload)
      if (refused) throw refused
    }
    return head
  }

  #group(): { readonly members: Waiting[]; readonly bytes: number } {
    let bytes = 0
    let count = 0
    for (const { payload } of this.#waiting) {
      const more = recordBytes(payload.length)
      if (count > 0 && bytes + more > COMMIT_BYTES) break
      bytes += more
      count++
    }
    return { members: this.#waiting.splice(0, count), bytes }
  }

  /** The file that takes so many bytes more; a new one where the last is full or not ours. */
  async #fileFor(bytes: number): Promise<OpenFile> {
    if (this.#file && this.#end + bytes <= this.#segmentBytes) return this.#file
    await this.#leave()
    const number = (this.#segments.at(-1) ?? 0) + 1
    const file = await this.#files.create(this.#path(number))
    this.#segments.push(number)
    this.#file = file
    this.#end = this.#zerosEnd = 0
    if (this.#syncs) await this.#files.syncFolder(this.#folder)
    return file
  }

  /** Nothing more is written to the file. */
  async #leave(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    // Zeros that stay say nothing, and only take room.
    if (this.#zerosEnd > this.#end) await file?.truncate(this.#end).catch(() => {})
    await file?.close()
  }

  /**
   * After a failure nobody knows what of the last write is on the disk: what failed is cut off where that can be
   * done, and the next append begins a new file.
   */
  async #abandon(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (!file) return
    await file.truncate(this.#end).catch(() => {})
    await file.close().catch(() => {})
  }

  /**
   * All records of a segment, in order, up to the first that is not whole. They are on stable storage when it settles:
   * whoever wrote them may have ended before his sync, and what was read will be acted upon.
   */
  async read(segment: number): Promise<LogRecord[]> {
    const file = await this.#files.open(this.#path(segment))
    try {
      if (this.#syncs) await file.sync()
      const bytes = Buffer.alloc((await file.status()).size)
      const whole = bytes.subarray(0, await file.read(bytes, 0))
      const records: LogRecord[] = []
      for (let offset = 0; ; ) {
        const payload = readRecord(whole, offset, this.#maxPayloadBytes)
        if (!payload) return records
        records.push({ segment, offset, payload })
        offset += recordBytes(payload.length)
      }
    } finally {
      await file.close()
    }
  }

  /** Forgets a segment; not the one that is written. */
  async remove(segment: number): Promise<void> {
    const index = this.#segments.indexOf(segment)
    if (index < 0 || (this.#file && index === this.#segments.length - 1)) return
    await this.#files.remove(this.#path(segment))
    this.#segments.splice(index, 1)
  }

  /** Settles when all that was appended has. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#leave()
  }

  #path(segment: number): string {
    return segmentPath(this.#folder, segment)
  }
}

export function segmentPath(folder: string, segment: number): string {
  return join(folder, `${String(segment).padStart(10, '0')}.log`)
}

/** How many bytes of a segment come before the zeros that may stand at its end. */
export async function usedBytes(files: Files, path: string): Promise<number> {
  const { size } = await files.status(path)
  if (size < AHEAD_FROM) return size
  const file = await files.openToRead(path)
  try {
    const from = Math.max(0, size - AHEAD_BYTES) & ~7
    const tail = Buffer.alloc(size - from)
    let used = await file.read(tail, from)
    while (used > 0 && tail[used - 1] === 0) used--
    return from + ((used + 7) & ~7)
  } finally {
    await file.close()
  }
}

function totalBytes(payloads: readonly Uint8Array[]): number {
  return payloads.reduce((bytes, { length }) => bytes + recordBytes(length), 0)
}

/** The segments of a log, from the oldest to the newest. */
export async function segmentsIn(files: Files, folder: string): Promise<number[]> {
  const names = await files.list(folder)
  const numbers = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number)
  return numbers.sort((one, other) => one - other)
}

/** What a failed operation in a folder is to whoever asked for it. */
export function diskFailure(folder: string, error: unknown): ViaductError {
  if (error instanceof ViaductError) return error
  const errno = errnoOf(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EFBIG') {
    return new ViaductError(
      'RESOURCE_EXHAUSTED',
      `${folder}: the disk is full (${errno}): nothing was stored`,
      {
        reason: 'DISK_FULL',
        fate: 'unknown',
        cause: error,
      },
    )
  }
  return new ViaductError('UNAVAILABLE', `${folder}: it cannot be written: ${messageOf(error)}`, {
    reason: 'DISK_FAILED',
    fate: 'unknown',
    cause: error,
  })
}
