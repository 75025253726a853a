/** Changes that wait for one reader of `$hub.watch` or `$hub.alerts`. */
export const WATCH_CAPACITY = 256

/** What a {@link Watch} is of. */
export interface WatchSource<Change, Snapshot> {
  /** Changes that wait for one reader; past them it is told how things stand instead. */
  readonly capacity: number
  /** Tells of every change until the returned function is called. */
  listen(listener: (change: Change) => void): () => void
  /** How things stand. */
  snapshot(missed: number): Snapshot
}

/**
 * One reader's view of something that changes: a snapshot, then each change. A reader that falls behind loses no state:
 * what waits for it is replaced by a snapshot that says how many changes it stands for. It watches from the first
 * `next` until `return`; no generator, whose `return` would wait for a change that may never come.
 */
export class Watch<Change, Snapshot> implements AsyncIterableIterator<Change | Snapshot, undefined> {
  readonly #source: WatchSource<Change, Snapshot>
  readonly #count: (by: 1 | -1) => void
  #changes: Change[] = []
  /** A snapshot is due. */
  #due = false
  #missed = 0
  #begun = false
  #ended = false
  #unlisten: () => void = () => {}
  #wake: (() => void) | undefined

  /** @param count is told when it begins and ends. */
  constructor(source: WatchSource<Change, Snapshot>, count: (by: 1 | -1) => void) {
    this.#source = source
    this.#count = count
  }

  #push(change: Change): void {
    if (this.#due) this.#missed++
    else if (this.#changes.length < this.#source.capacity) this.#changes.push(change)
    else {
      this.#missed = this.#changes.length + 1
      this.#changes = []
      this.#due = true
    }
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<Change | Snapshot, undefined>> {
    if (!this.#begun && !this.#ended) {
      this.#begun = true
      this.#count(1)
      const value = this.#source.snapshot(0)
      this.#unlisten = this.#source.listen((change) => this.#push(change))
      return { done: false, value }
    }
    while (!this.#due && this.#changes.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#ended) return { done: true, value: undefined }
    if (this.#due) {
      const missed = this.#missed
      this.#due = false
      this.#missed = 0
      return { done: false, value: this.#source.snapshot(missed) }
    }
    const [value] = this.#changes.splice(0, 1)
    return value === undefined ? { done: true, value: undefined } : { done: false, value }
  }

  async return(): Promise<IteratorResult<Change | Snapshot, undefined>> {
    if (!this.#ended) {
      this.#ended = true
      this.#changes = []
      this.#unlisten()
      if (this.#begun) this.#count(-1)
      this.#wake?.()
    }
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
