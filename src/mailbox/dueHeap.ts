import { OrderedHeap } from './orderedHeap.ts'

interface Due<T> {
  readonly dueMs: number
  readonly order: number
  readonly item: T
}

/** What waits for a time: the earliest first, those of one time in the order they were added. */
export class DueHeap<T> {
  readonly #heap = new OrderedHeap<Due<T>>(
    (one, other) => one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order),
  )
  #count = 0

  get size(): number {
    return this.#heap.size
  }

  /** The earliest time; Infinity without any. */
  get dueMs(): number {
    return this.#heap.first?.dueMs ?? Number.POSITIVE_INFINITY
  }

  add(item: T, dueMs: number): void {
    this.#heap.add({ dueMs, order: this.#count++, item })
  }

  /** Takes the first one whose time has come. */
  take(nowMs: number): T | undefined {
    return this.dueMs <= nowMs ? this.#heap.take()?.item : undefined
  }
}
