/** The last `capacity` things, in a list that is full once and then written round. */
export class Ring<T> {
  readonly #capacity: number
  readonly #kept: T[] = []
  /** Where the next one goes: where the oldest is, once it is full. */
  #at = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(one: T): void {
    this.#kept[this.#at] = one
    this.#at = (this.#at + 1) % this.#capacity
  }

  /** The oldest first. */
  all(): T[] {
    return [...this.#kept.slice(this.#at), ...this.#kept.slice(0, this.#at)]
  }

  clear(): void {
    this.#kept.length = 0
    this.#at = 0
  }
}
