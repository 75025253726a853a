/**
 * An async iterable that is pushed into: what a hand-written reader of items needs. `full` and `room` are called
 * when it holds too much and when it has room again; `stopped` when its reader left early.
 *
 * @template T
 * @param {{ high?: number, full?(): void, room?(): void, stopped?(): void }} [events]
 */
export function makeQueue(events = {}) {
  const high = events.high ?? 256
  const low = high / 4
  /** @type {(T | undefined)[]} */
  let items = []
  let head = 0
  let ended = false
  let isFull = false
  /** @type {((result: IteratorResult<T>) => void) | undefined} */
  let waiting

  /** @returns {IteratorResult<T>} */
  function take() {
    const value = /** @type {T} */ (items[head])
    items[head++] = undefined
    if (head === items.length) {
      items = []
      head = 0
    } else if (head >= 1024 && head * 2 >= items.length) {
      items = items.slice(head)
      head = 0
    }
    if (isFull && items.length - head <= low) {
      isFull = false
      events.room?.()
    }
    return { value, done: false }
  }

  return {
    /** @param {T} value */
    push(value) {
      if (ended) return
      if (waiting) {
        const resolve = waiting
        waiting = undefined
        resolve({ value, done: false })
        return
      }
      items.push(value)
      if (!isFull && items.length - head >= high) {
        isFull = true
        events.full?.()
      }
    },
    end() {
      ended = true
      waiting?.({ value: undefined, done: true })
      waiting = undefined
    },
    /** @returns {Promise<IteratorResult<T>>} */
    next() {
      if (items.length > head) return Promise.resolve(take())
      if (ended) return Promise.resolve({ value: undefined, done: true })
      return new Promise((resolve) => {
        waiting = resolve
      })
    },
    /** @returns {Promise<IteratorResult<T>>} */
    return() {
      const early = !ended
      ended = true
      items = []
      head = 0
      if (isFull) {
        isFull = false
        events.room?.()
      }
      if (early) events.stopped?.()
      return Promise.resolve({ value: undefined, done: true })
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
