import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { HistoryEntry } from './schemas.ts'

/** Kept in memory for `recent`. */
const RECENT = 1_000
/** Keys remembered, newest last; an entry repeated after so many others is stored again. */
const KEYS = 10_000

/**
 * The history as a plain file, one JSON entry a line. Appending a key that is there already changes
 * nothing, so a caller that does not know whether its last attempt arrived asks again. A process killed
 * while it writes leaves at most one broken line, which the next one passes over.
 * The object owns the file until `close`; one process at a time may have it open.
 */
export class HistoryFile {
  readonly #file: FileHandle
  readonly #keys = new Set<string>()
  readonly #recent: HistoryEntry[] = []
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Opens or creates the file (mode 0600) and reads what it holds. */
  static async open(path: string): Promise<HistoryFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const history = new HistoryFile(await open(path, 'a+', 0o600))
    for await (const line of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      const entry = parseEntry(line)
      if (entry !== undefined) history.#remember(entry)
    }
    const { size } = await history.#file.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await history.#file.read(last, 0, 1, size - 1)
    // The broken line of a killed process must not swallow the next entry.
    if (size > 0 && last[0] !== 0x0a) await history.#file.write('\n')
    return history
  }

  /** Settles once the entry is in the file. False when its key was there before. */
  append(entry: HistoryEntry): Promise<boolean> {
    const stored = this.#tail.then(async () => {
      if (this.#keys.has(entry.key)) return false
      await this.#file.appendFile(`${JSON.stringify(entry)}\n`)
      this.#remember(entry)
      return true
    })
    this.#tail = stored.catch(() => undefined)
    return stored
  }

  /** The newest entries, oldest of them first. */
  recent(limit: number): HistoryEntry[] {
    return limit < 1 ? [] : this.#recent.slice(-limit)
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#tail
    await this.#file.close()
  }

  #remember(entry: HistoryEntry): void {
    this.#keys.add(entry.key)
    this.#recent.push(entry)
    if (this.#recent.length > RECENT) this.#recent.shift()
    if (this.#keys.size <= KEYS) return
    const [oldest] = this.#keys
    if (oldest !== undefined) this.#keys.delete(oldest)
  }
}

function parseEntry(line: string): HistoryEntry | undefined {
  try {
    return HistoryEntry.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
