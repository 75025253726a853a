import { FRAGMENT_BYTES } from '../wire/limits.ts'

interface Waiting {
  resolve(result: IteratorResult<unknown, undefined>): void
  reject(error: unknown): void
}

const DONE: IteratorResult<unknown, undefined> = { value: undefined, done: true }

/**
 * Items as they arrive, for one reader. What the reader has taken is granted to the sender again, so a
 * reader that stops pulling stops the far generator. Ends once: by {@link end}, {@link fail} or the reader.
 */
export class Items implements AsyncIterableIterator<unknown, undefined> {
  readonly #grant: (bytes: number) => void
  readonly #onLeave: () => void
  #values: unknown[] = []
  #costs: number[] = []
  #head = 0
  #owed = 0
  /** Bytes of an item that is being put together while whole ones wait for the reader. */
  #unfinished = 0
  #ended = false
  #error: unknown
  #failed = false
  #waiting: Waiting[] = []
  /** Called when the reader has taken the last item that waited. */
  onempty: (() => void) | undefined

  /**
   * @param grant gives the sender credit for so many bytes.
   * @param onLeave the reader has left before the end.
   */
  constructor(grant: (bytes: number) => void, onLeave: () => void) {
    this.#grant = grant
    this.#onLeave = onLeave
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Items that wait for the reader. */
  get waiting(): number {
    return this.#values.length - this.#head
  }

  push(value: unknown, cost: number): void {
    if (this.#ended) return
    const reader = this.#waiting.shift()
    if (reader) {
      this.owe(cost)
      reader.resolve({ value, done: false })
      return
    }
    this.#values.push(value)
    this.#costs.push(cost + this.#unfinished)
    this.#unfinished = 0
  }

  /** Bytes that have been taken in, to be granted again. */
  owe(bytes: number): void {
    this.#owed += bytes
    if (this.#owed >= FRAGMENT_BYTES && !this.#ended) {
      const owed = this.#owed
      this.#owed = 0
      this.#grant(owed)
    }
  }

  /**
   * Bytes of an item that is being put together. They are granted at once only while no whole item waits: so a
   * reader that rests holds one item over its window at most, however large items are.
   */
  oweUnfinished(bytes: number): void {
    if (this.waiting === 0) this.owe(bytes)
    else this.#unfinished += bytes
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const reader of this.#waiting.splice(0)) reader.resolve(DONE)
  }

  /** The reader gets what had arrived, then the error. */
  fail(error: unknown): void {
    if (this.#ended) return
    this.#ended = true
    const first = this.#waiting.shift()
    if (first) first.reject(error)
    else {
      this.#error = error
      this.#failed = true
    }
    for (const reader of this.#waiting.splice(0)) reader.resolve(DONE)
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#head < this.#values.length) {
      const value = this.#values[this.#head]
      const cost = this.#costs[this.#head] as number
      this.#values[this.#head] = undefined
      this.#head++
      if (this.#head === this.#values.length) {
        this.#values = []
        this.#costs = []
        this.#head = 0
      } else if (this.#head >= 4096) {
        this.#values = this.#values.slice(this.#head)
        this.#costs = this.#costs.slice(this.#head)
        this.#head = 0
      }
      const unfinished = this.waiting === 0 ? this.#unfinished : 0
      this.#unfinished -= unfinished
      this.owe(cost + unfinished)
      if (this.waiting === 0) this.onempty?.()
      return Promise.resolve({ value, done: false })
    }
    if (this.#failed) {
      this.#failed = false
      return Promise.reject(this.#error)
    }
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#values = []
    this.#costs = []
    this.#head = 0
    this.#failed = false
    if (!this.#ended) {
      this.end()
      this.#onLeave()
    }
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
