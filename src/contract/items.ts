/** What is done with each thing that an iterator gives. Checks may answer with a promise, and may throw. */
export interface ItemChecks {
  readonly item: (value: unknown, index: number) => unknown
  /** The return value; default: as it is. */
  readonly output?: (value: unknown) => unknown
  /** What the source or a check throws is thrown as what this throws; default: as it is. */
  readonly error?: (error: unknown) => PromiseLike<never>
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
      try {
        const { done = false, value } = ended ? END : await source.next()
        if (ended) return END
        ended = done
        if (!done) return { done, value: await item(value, index++) }
        return { done, value: output ? await output(value) : value }
      } catch (thrown) {
        ended = true
        // Not awaited: the reader has to hear of the fault, whatever the source does with its end.
        source.return?.().then(undefined, () => {})
        await error?.(thrown)
        throw thrown
      }
    },
    async return(value) {
      ended = true
      return (await source.return?.(value)) ?? END
    },
  }
}

const END: IteratorResult<unknown, unknown> = { done: true, value: undefined }
