import type { MappedItems } from './mapped.ts'

/** A stream whose values are opened as they are read. */
export interface OpenedStream {
  readonly items: MappedItems
  readonly output: Promise<{ readonly index: number; readonly value: unknown }>
  readonly cutShort: () => unknown
}

/** Its items, to the last one that the callee has sent; once more from the beginning if the session was stale. */
export class StreamItems implements AsyncIterableIterator<unknown, undefined> {
  #begun: Promise<OpenedStream>
  readonly #again: (error: unknown) => Promise<OpenedStream>
  #left = false

  constructor(begun: Promise<OpenedStream>, again: (error: unknown) => Promise<OpenedStream>) {
    this.#begun = begun
    this.#again = again
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    const { items, output, cutShort } = await this.#begun
    if (this.#left) return { done: true, value: undefined }
    let result: IteratorResult<unknown, undefined>
    try {
      result = await items.next()
    } catch (error) {
      if (items.count > 0) throw error
      this.#begun = this.#again(error)
      return this.next()
    }
    if (result.done && !this.#left && (await output).index !== items.count) throw cutShort()
    return result
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#left = true
    this.#begun.then(({ items }) => items.return()).then(undefined, () => {})
    return { done: true, value: undefined }
  }
}
