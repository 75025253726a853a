type Check = (value: unknown, index: number) => unknown

/** What is done with each thing that an iterator gives. Checks may answer with a promise, and may throw. */
export interface ItemChecks {
  readonly item: Check
  /** The return value; default: as it is. */
  readonly output?: (value: unknown) => unknown
  /** What the source throws is thrown as what this throws; default: as it is. */
  readonly error?: (error: unknown) => unknown
}

/**
 * The source's items, each checked as it is taken; nothing is read ahead. An item that does not pass ends
 * the source (its `return` is called) and the iteration. `return` is handed on at once, also while a
 * `next` is pending, so that leaving a loop reaches a source that waits. The iterator owns its source.
 */
export class CheckedItems implements AsyncIterableIterator<unknown, unknown> {
  readonly #source: AsyncIterator<unknown, unknown>
  readonly #checks: ItemChecks
  #index = 0
  #ended = false

  constructor(source: AsyncIterable<unknown>, checks: ItemChecks) {
    this.#source = source[Symbol.asyncIterator]()
    this.#checks = checks
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<unknown, unknown>> {
    if (this.#ended) return { done: true, value: undefined }
    const result = await this.#pull()
    if (this.#ended) return { done: true, value: undefined }
    if (result.done) {
      this.#ended = true
      const { output } = this.#checks
      return { done: true, value: output ? await output(result.value) : result.value }
    }
    try {
      return { done: false, value: await this.#checks.item(result.value, this.#index++) }
    } catch (error) {
      this.#ended = true
      // Not awaited: the reader has to hear of the fault, whatever the source does with its end.
      this.#source.return?.().then(undefined, () => undefined)
      throw error
    }
  }

  async return(value?: unknown): Promise<IteratorResult<unknown, unknown>> {
    this.#ended = true
    return (await this.#source.return?.(value)) ?? { done: true, value }
  }

  async #pull(): Promise<IteratorResult<unknown, unknown>> {
    try {
      return await this.#source.next()
    } catch (error) {
      this.#ended = true
      await this.#checks.error?.(error)
      throw error
    }
  }
}
