/** What is done with what an iterator gives, one at a time. */
export interface Mapping {
  readonly item: (value: unknown, index: number) => Promise<unknown>
  /** One more item behind the last one. @param count of those before it. */
  readonly last?: (count: number) => Promise<unknown>
  /** What is thrown instead of what the source threw. */
  readonly error?: (error: unknown, count: number) => Promise<unknown>
}

/** Items as they pass; nothing is read ahead. Leaving is handed on at once, also while an item is awaited. */
export class MappedItems implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: AsyncIterator<unknown>
  readonly #mapping: Mapping
  #count = 0
  #ended = false
  #left = false

  constructor(source: AsyncIterable<unknown>, mapping: Mapping) {
    this.#source = source[Symbol.asyncIterator]()
    this.#mapping = mapping
  }

  /** Items that have passed. */
  get count(): number {
    return this.#count
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#ended || this.#left) return DONE
    const result = await this.#pull()
    if (this.#left) return DONE
    const { item, last } = this.#mapping
    if (result.done) {
      this.#ended = true
      return last ? { done: false, value: await last(this.#count) } : DONE
    }
    try {
      return { done: false, value: await item(result.value, this.#count++) }
    } catch (error) {
      this.#ended = true
      // Not awaited: the reader has to hear of the fault, whatever the source does with its end.
      this.#source.return?.().then(undefined, () => {})
      throw error
    }
  }

  async #pull(): Promise<IteratorResult<unknown>> {
    try {
      return await this.#source.next()
    } catch (error) {
      this.#ended = true
      throw this.#mapping.error ? await this.#mapping.error(error, this.#count) : error
    }
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#left = true
    await this.#source.return?.()
    return DONE
  }
}

const DONE: IteratorResult<unknown, undefined> = { done: true, value: undefined }

/** The items until the one that says how many there were. */
export async function* untilLast(
  source: AsyncIterable<unknown>,
  open: (
    given: unknown,
  ) => Promise<{ readonly isLast: boolean; readonly index: number; readonly value: unknown }>,
  cutShort: () => unknown,
): AsyncGenerator<unknown, void> {
  let count = 0
  for await (const given of source) {
    const { isLast, index, value } = await open(given)
    if (index !== count) throw cutShort()
    if (isLast) return
    count++
    yield value
  }
  throw cutShort()
}

/** No items. */
export const NO_ITEMS: AsyncIterable<unknown> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(DONE) }),
}
