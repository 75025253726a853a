/** What was opened last and is open still, for interfaces whose callers name none: as a rule a program has one. */
export class Latest<T> {
  readonly #open = new Set<T>()

  /** @param until settles when it is open no more. */
  add(value: T, until: PromiseLike<unknown>): void {
    this.#open.add(value)
    const closed = (): void => void this.#open.delete(value)
    until.then(closed, closed)
  }

  get(): T | undefined {
    return [...this.#open].at(-1)
  }
}
