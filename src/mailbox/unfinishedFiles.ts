import type { Clock } from '../core/clock.ts'

/** A file that is no JSON may be one that a program is writing in place, until it was left alone for so long. */
const UNFINISHED_MS = 2_000
/** One that was taken away meanwhile is forgotten then. */
const FORGET_MS = 60_000

/** Files that are no JSON yet. */
export class UnfinishedFiles {
  readonly #clock: Clock
  readonly #nowMs: () => number
  /** By name: since when they look as they do. */
  readonly #seen = new Map<string, { readonly mark: string; readonly since: number }>()

  constructor(clock: Clock, nowMs: () => number) {
    this.#clock = clock
    this.#nowMs = nowMs
  }

  /** Whether it has stayed as it is for long enough, by its own time or by ours. */
  isAbandoned(name: string, modifiedMs: number, size: number): boolean {
    if (this.#nowMs() - modifiedMs >= UNFINISHED_MS) return true
    const mark = `${modifiedMs} ${size}`
    const before = this.#seen.get(name)
    if (before?.mark === mark) return this.#clock.now() - before.since >= UNFINISHED_MS
    this.#seen.set(name, { mark, since: this.#clock.now() })
    return false
  }

  /** It is finished. */
  forget(name: string): void {
    if (this.#seen.size > 0) this.#seen.delete(name)
  }

  tidy(): void {
    const now = this.#clock.now()
    for (const [name, { since }] of this.#seen) if (now - since > FORGET_MS) this.#seen.delete(name)
  }
}
