import { FRAGMENT_BYTES } from '../wire/limits.ts'

/** Items as they arrive, for one reader. They end once: by `end`, or by the reader. */
export interface Items extends AsyncIterableIterator<unknown, undefined> {
  next(): Promise<IteratorResult<unknown, undefined>>
  return(): Promise<IteratorResult<unknown, undefined>>
  /** How many wait for the reader. */
  waiting(): number
  push(value: unknown, cost: number): void
  /**
   * Bytes of an item that is being put together. They are granted at once only while no whole item waits: so a reader
   * that rests holds one item over its window at most, however large items are. Its last part is told of too.
   */
  part(bytes: number): void
  /** The reader gets what had arrived, then the error if there is one: anything but undefined. */
  end(error?: unknown): void
  /** Called when the reader has taken the last item that waited. */
  onidle?: () => void
}

const DONE: IteratorResult<unknown, undefined> = { value: undefined, done: true }

/**
 * What the reader has taken is granted to the sender again, so a reader that stops pulling stops the far generator.
 *
 * @param grant gives the sender credit for so many bytes.
 * @param onleave the reader has left before the end.
 */
export function itemsFor(grant: (bytes: number) => void, onleave?: () => void): Items {
  /** Readers that wait. The first one looks again when called, the others after it. */
  const readers: (() => void)[] = []
  let queue: { readonly value: unknown; readonly cost: number }[] = []
  let owed = 0
  /** Bytes of an item that is being put together while whole ones wait. */
  let unfinished = 0
  let ended = false
  let failure: unknown

  const owe = (bytes: number): void => {
    owed += bytes
    if (owed < FRAGMENT_BYTES || ended) return
    const granted = owed
    // Before it is said: a transport may bring the next while it is sent to.
    owed = 0
    grant(granted)
  }

  return {
    waiting: () => queue.length,
    push(value, cost) {
      if (ended) return
      queue.push({ value, cost: cost + unfinished })
      unfinished = 0
      readers[0]?.()
    },
    part(bytes) {
      if (queue.length > 0) unfinished += bytes
      else owe(bytes)
    },
    end(error) {
      if (ended) return
      ended = true
      failure = error
      readers[0]?.()
    },
    async next() {
      if (readers.length > 0 || (queue.length === 0 && !ended)) {
        await new Promise<void>((resolve) => readers.push(resolve))
        readers.shift()
      }
      const first = queue.shift()
      if (queue.length > 0 || ended) readers[0]?.()
      if (first) {
        const rest = queue.length > 0 ? 0 : unfinished
        unfinished -= rest
        owe(first.cost + rest)
        if (queue.length === 0) this.onidle?.()
        return { value: first.value, done: false }
      }
      const error = failure
      failure = undefined
      if (error !== undefined) throw error
      return DONE
    },
    async return() {
      queue = []
      failure = undefined
      if (!ended) {
        this.end()
        onleave?.()
      }
      return DONE
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
