import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { errnoOf } from '../host/errno.ts'
import type { Files, OpenFile } from './files.ts'

/** A start that was written to a page. */
export interface Start {
  readonly id: string
  /** How many deaths of the message came before: its starts are counted anew after each. */
  readonly life: number
  readonly attempt: number
}

/** A page as the last process left it. */
export interface FoundPage {
  readonly page: number
  /** In the order in which they were to happen. */
  readonly starts: readonly Start[]
  /** Whether all of them happened; else the process ended while they did. */
  readonly isBegun: boolean
}

/** What the end of a process leaves of a write to one page is all or nothing. */
const PAGE_BYTES = 4096
const HEAD = 12
const START_HEAD = 9
const MAX_PAGES = 4_096
const RESERVED_PAGES = 64
const NOTHING = new Uint8Array(PAGE_BYTES)
const BEGUN = Uint8Array.of(1, 0, 0, 0)

/**
 * A file of pages, each `u32 crc32 of what follows the next field, u32 1 when all have begun, u32 starts`, and each
 * start `u32 attempt, u32 life, u8 bytes of id, id`: what is being done just now. Starts of one turn share a page,
 * which is written before their handlers run, without a sync: it survives the process, not a loss of power. A page
 * that is torn is empty.
 */
export class StartPages {
  readonly #file: OpenFile
  readonly #buffer = Buffer.alloc(PAGE_BYTES)
  /** Starts of each page that are not over. */
  readonly #open: number[] = []
  readonly #free: number[] = []
  /** Free ones that still say something. */
  readonly #stale = new Set<number>()
  /** What the pages held when the file was opened; they are taken until all of their starts were left. */
  readonly found: readonly FoundPage[]

  private constructor(file: OpenFile, content: Buffer) {
    this.#file = file
    const found: FoundPage[] = []
    for (let at = 0; at < content.length; at += PAGE_BYTES) {
      const page = this.#open.length
      const read = readPage(content.subarray(at, at + PAGE_BYTES))
      this.#open.push(read?.starts.length ?? 0)
      if (read) found.push({ page, ...read })
      else this.#release(page)
    }
    this.found = found
  }

  static async open(files: Files, path: string): Promise<StartPages> {
    const file = await files.open(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
      return files.create(path)
    })
    try {
      const content = Buffer.alloc(Math.min((await file.status()).size, MAX_PAGES * PAGE_BYTES))
      return new StartPages(file, content.subarray(0, await file.read(content, 0)))
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** Makes room ahead, so that so many starts, or most of them, need no more of the disk. */
  async reserve(starts: number): Promise<void> {
    const more = Math.min(starts, RESERVED_PAGES) - this.#free.length
    if (more <= 0) return
    await this.#file.write(new Uint8Array(more * PAGE_BYTES), this.#open.length * PAGE_BYTES)
    for (let count = 0; count < more; count++) this.#free.push(this.#open.push(0) - 1)
  }

  /** Writes starts that are about to happen to a page of their own, before it returns; as many as there is room for. */
  take(starts: readonly Start[]): { readonly page: number; readonly count: number } {
    const page = this.#free.pop() ?? this.#open.push(0) - 1
    try {
      const count = this.#write(page, starts, false)
      this.#open[page] = count
      return { page, count }
    } catch (error) {
      this.#release(page)
      throw error
    }
  }

  /** All starts of a page have happened. */
  begun(page: number): void {
    this.#file.writeNow(BEGUN, page * PAGE_BYTES + 4)
  }

  /** Of the starts of a page these alone have happened and are not over: it says nothing of others any more. */
  keep(page: number, starts: readonly Start[]): void {
    this.#open[page] = starts.length
    if (starts.length === 0) this.#release(page)
    else this.#write(page, starts, true)
  }

  #write(page: number, starts: readonly Start[], isBegun: boolean): number {
    const buffer = this.#buffer
    let at = HEAD
    let count = 0
    for (const { id, life, attempt } of starts) {
      if (at + START_HEAD + Buffer.byteLength(id) > PAGE_BYTES) break
      const length = buffer.write(id, at + START_HEAD)
      buffer.writeUInt32LE(attempt, at)
      buffer.writeUInt32LE(life, at + 4)
      at = buffer.writeUInt8(length, at + 8) + length
      count++
    }
    buffer.writeUInt32LE(isBegun || count === 1 ? 1 : 0, 4)
    buffer.writeUInt32LE(count, 8)
    buffer.writeUInt32LE(crc32(buffer.subarray(8, at)), 0)
    this.#file.writeNow(buffer.subarray(0, at), page * PAGE_BYTES)
    this.#stale.delete(page)
    return count
  }

  /** One of a page's starts is over, and that is recorded elsewhere: the page says it until it is written again. */
  leave(page: number): void {
    const left = (this.#open[page] ?? 0) - 1
    this.#open[page] = left
    if (left === 0) this.#release(page)
  }

  #release(page: number): void {
    this.#free.push(page)
    this.#stale.add(page)
  }

  /** Empties the pages that are free, so that nothing older comes up once the journal has forgotten it. */
  sweep(): void {
    for (const page of this.#stale) this.#file.writeNow(NOTHING, page * PAGE_BYTES)
    this.#stale.clear()
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function readPage(from: Buffer): Omit<FoundPage, 'page'> | undefined {
  if (from.length < HEAD) return undefined
  const count = from.readUInt32LE(8)
  const starts: Start[] = []
  let at = HEAD
  while (starts.length < count) {
    const id = at + START_HEAD
    const end = id <= from.length ? id + from.readUInt8(at + 8) : id
    if (end > from.length || end === id) return undefined
    const [attempt, life] = [from.readUInt32LE(at), from.readUInt32LE(at + 4)]
    starts.push({ id: from.toString('utf8', id, end), life, attempt })
    at = end
  }
  if (count === 0 || from.readUInt32LE(0) !== crc32(from.subarray(8, at))) return undefined
  return { starts, isBegun: from.readUInt32LE(4) === 1 }
}
