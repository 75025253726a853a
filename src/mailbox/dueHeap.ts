/** What waits for a time: the earliest first, those of one time in the order they were added. */
export class DueHeap<T> {
  readonly #heap: { readonly dueMs: number; readonly order: number; readonly item: T }[] = []
  #count = 0

  get size(): number {
    return this.#heap.length
  }

  /** The earliest time; Infinity without any. */
  get dueMs(): number {
    return this.#heap[0]?.dueMs ?? Number.POSITIVE_INFINITY
  }

  add(item: T, dueMs: number): void {
    const heap = this.#heap
    const added = { dueMs, order: this.#count++, item }
    let at = heap.length
    heap.push(added)
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (!other || !isBefore(added, other)) break
      heap[at] = other
      at = above
    }
    heap[at] = added
  }

  /** Takes the first one whose time has come. */
  take(nowMs: number): T | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (!first || first.dueMs > nowMs) return undefined
    const last = heap.pop()
    if (!last || last === first) return first.item
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      let other = heap[below]
      if (!other) break
      const beside = heap[below + 1]
      if (beside && isBefore(beside, other)) {
        below++
        other = beside
      }
      if (!isBefore(other, last)) break
      heap[at] = other
      at = below
    }
    heap[at] = last
    return first.item
  }
}

interface Due {
  readonly dueMs: number
  readonly order: number
}

function isBefore(one: Due, other: Due): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order)
}
