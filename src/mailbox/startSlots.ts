import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { errnoOf } from '../host/errno.ts'
import type { Files, OpenFile } from './files.ts'
import { MAX_NAME_BYTES } from './journalRecord.ts'

/** A start that was written to a slot. */
export interface Start {
  readonly id: string
  /** How many deaths of the message came before: its starts are counted anew after each. */
  readonly life: number
  readonly attempt: number
}

/** A divisor of a page: what the end of a process leaves of a write to one page is all or nothing. */
const SLOT_BYTES = 256
const HEAD = 16
const MAX_SLOTS = 65_536
const NOTHING = new Uint8Array(SLOT_BYTES)

/**
 * A file of slots, each `u32 crc32 of what follows, u32 attempt, u32 life, u32 bytes of id, id`: what is being done
 * just now. A slot is written before the handler runs, without a sync: it survives the process, not a loss of power.
 * One that is torn is empty.
 */
export class StartSlots {
  readonly #file: OpenFile
  readonly #buffer = Buffer.alloc(SLOT_BYTES)
  #count: number
  readonly #free: number[] = []
  /** Free ones that still say something. */
  readonly #stale = new Set<number>()
  /** What the slots held when the file was opened; they are taken until {@link free}. */
  readonly found: ReadonlyMap<number, Start>

  private constructor(file: OpenFile, content: Buffer) {
    this.#file = file
    this.#count = Math.ceil(content.length / SLOT_BYTES)
    const found = new Map<number, Start>()
    for (let slot = 0; slot < this.#count; slot++) {
      const start = readSlot(content.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES))
      if (start) found.set(slot, start)
      else this.free(slot)
    }
    this.found = found
  }

  static async open(files: Files, path: string): Promise<StartSlots> {
    const file = await files.open(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
      return files.create(path)
    })
    try {
      const content = Buffer.alloc(Math.min((await file.status()).size, MAX_SLOTS * SLOT_BYTES))
      return new StartSlots(file, content.subarray(0, await file.read(content, 0)))
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** Makes room for so many starts at once, so that none of them needs more of the disk. */
  async reserve(slots: number): Promise<void> {
    const more = slots - this.#free.length
    if (more <= 0) return
    await this.#file.write(new Uint8Array(more * SLOT_BYTES), this.#count * SLOT_BYTES)
    for (const until = this.#count + more; this.#count < until; this.#count++) this.#free.push(this.#count)
  }

  /** Writes a start to a slot of its own, before it returns. */
  take(start: Start): number {
    const slot = this.#free.pop() ?? this.#count++
    try {
      this.write(slot, start)
    } catch (error) {
      this.free(slot)
      throw error
    }
    return slot
  }

  /** Writes another start of the same message over the last. */
  write(slot: number, { id, life, attempt }: Start): void {
    const buffer = this.#buffer
    const end = HEAD + buffer.write(id, HEAD)
    buffer.writeUInt32LE(attempt, 4)
    buffer.writeUInt32LE(life, 8)
    buffer.writeUInt32LE(end - HEAD, 12)
    buffer.writeUInt32LE(crc32(buffer.subarray(4, end)), 0)
    this.#file.writeNow(buffer.subarray(0, end), slot * SLOT_BYTES)
    this.#stale.delete(slot)
  }

  /** The start is over, and that is recorded elsewhere: the slot says it until it is written again. */
  free(slot: number): void {
    this.#free.push(slot)
    this.#stale.add(slot)
  }

  /** Empties the slots that are free, so that nothing older comes up once the journal has forgotten it. */
  sweep(): void {
    for (const slot of this.#stale) this.#file.writeNow(NOTHING, slot * SLOT_BYTES)
    this.#stale.clear()
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function readSlot(from: Buffer): Start | undefined {
  if (from.length < HEAD) return undefined
  const end = HEAD + from.readUInt32LE(12)
  if (end === HEAD || end > HEAD + MAX_NAME_BYTES || end > from.length) return undefined
  if (from.readUInt32LE(0) !== crc32(from.subarray(4, end))) return undefined
  return { id: from.toString('utf8', HEAD, end), life: from.readUInt32LE(8), attempt: from.readUInt32LE(4) }
}
