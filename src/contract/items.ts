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
export function checkedItems(
  items: AsyncIterable<unknown>,
  { item, output, error }: ItemChecks,
): AsyncIterableIterator<unknown, unknown> {
  const source: AsyncIterator<unknown, unknown> = items[Symbol.asyncIterator]()
  let index = 0
  let ended = false
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const result = ended ? undefined : await pull()
      if (!result || ended) return { done: true, value: undefined }
      const { done, value } = result
      try {
        if (!done) return { done: false, value: await item(value, index++) }
      } catch (fault) {
        ended = true
        // Not awaited: the reader has to hear of the fault, whatever the source does with its end.
        source.return?.().then(undefined, () => {})
        throw fault
      }
      ended = true
      return { done: true, value: output ? await output(value) : value }
    },
    async return(value) {
      ended = true
      return (await source.return?.(value)) ?? { done: true, value }
    },
  }

  async function pull(): Promise<IteratorResult<unknown, unknown>> {
    try {
      return await source.next()
    } catch (thrown) {
      ended = true
      await error?.(thrown)
      throw thrown
    }
  }
}
