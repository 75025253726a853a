import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Files } from './files.ts'
import type { Usage } from './store.ts'
import { Turns } from './turns.ts'

const FRESH_MS = 1_000
/** A count takes no more than one part in so many of the time. */
const SHARE = 20

/** How much lies in a folder: counted anew each second at most, and more seldom where that takes long. */
export class FolderUsage {
  readonly #files: Files
  readonly #folder: string
  readonly #clock: Clock
  #messages = 0
  #bytes = 0
  #until = Number.NEGATIVE_INFINITY
  #counting: Promise<void> | undefined

  constructor(files: Files, folder: string, clock: Clock) {
    this.#files = files
    this.#folder = folder
    this.#clock = clock
  }

  /** A file was added by ourselves. */
  added(bytes: number): void {
    this.#messages++
    this.#bytes += bytes
  }

  async read(): Promise<Usage> {
    if (this.#clock.now() >= this.#until) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined
      })
      // Where there was a count, it serves until the next one is there.
      if (this.#until === Number.NEGATIVE_INFINITY) await this.#counting
    }
    return { messages: this.#messages, bytes: this.#bytes }
  }

  async #count(): Promise<void> {
    const began = this.#clock.now()
    const turns = new Turns()
    let messages = 0
    let bytes = 0
    try {
      for (const name of this.#files.namesNow(this.#folder)) {
        if (turns.over) await turns.next()
        if (!name.endsWith('.json')) continue
        messages++
        bytes += this.#sizeOf(name)
      }
      this.#messages = messages
      this.#bytes = bytes
    } catch {
      // Not there, or not to be read: a send will say so.
    }
    const now = this.#clock.now()
    this.#until = now + Math.max(FRESH_MS, (now - began) * SHARE)
  }

  #sizeOf(name: string): number {
    try {
      return this.#files.statusNow(join(this.#folder, name)).size
    } catch {
      return 0
    }
  }
}
