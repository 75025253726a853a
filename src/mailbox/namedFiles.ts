/** Beyond so many names that wait they are let go, and the folder is read instead. */
const MAX_NAMES = 10_000

/** Names of files that notifications told of, to be looked at in that order. */
export class NamedFiles {
  #names: string[] = []
  #next = 0
  /** Removed by ourselves: a notification will name them. */
  readonly #removed = new Set<string>()
  #hears = false

  /** Whether notifications name what they are about. */
  get hears(): boolean {
    return this.#hears
  }

  get isEmpty(): boolean {
    return this.#next === this.#names.length
  }

  /** A notification named it. @returns whether somebody else changed something */
  heard(name: string): boolean {
    this.#hears = true
    return !this.#removed.delete(name)
  }

  /** @returns false when there are too many: it is let go */
  add(name: string): boolean {
    if (this.#names.length >= MAX_NAMES) return false
    this.#names.push(name)
    return true
  }

  take(): string | undefined {
    const name = this.#names[this.#next]
    if (name === undefined || ++this.#next < this.#names.length) return name
    this.#names = []
    this.#next = 0
    return name
  }

  /** We have removed it. */
  removed(name: string): void {
    if (!this.#hears) return
    // Their notifications were lost.
    if (this.#removed.size >= MAX_NAMES) this.#removed.clear()
    this.#removed.add(name)
  }

  /** Notifications come no more. */
  stop(): void {
    this.#hears = false
    this.#removed.clear()
  }
}
