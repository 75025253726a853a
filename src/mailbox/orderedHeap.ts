/** The first of what it holds is found and taken quickly, the rest is in no order. */
export class OrderedHeap<T> {
  readonly #items: T[] = []
  readonly #isBefore: (one: T, other: T) => boolean

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = items[above]
      if (other === undefined || !this.#isBefore(item, other)) break
      items[at] = other
      at = above
    }
    items[at] = item
  }

  take(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      let other = items[below]
      const beside = items[below + 1]
      if (other === undefined) break
      if (beside !== undefined && this.#isBefore(beside, other)) {
        other = beside
        below++
      }
      if (!this.#isBefore(other, last)) break
      items[at] = other
      at = below
    }
    items[at] = last
    return first
  }
}
