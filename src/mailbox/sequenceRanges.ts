/** A set of sequence numbers that grows nearly without gaps: kept as ranges, however many numbers it has. */
export class SequenceRanges {
  /** First, last, first, last …, ascending, with a gap between any two. */
  readonly #bounds: number[] = []

  get bounds(): readonly number[] {
    return this.#bounds
  }

  has(sequence: number): boolean {
    const at = this.#endingAtOrAfter(sequence)
    const first = this.#bounds[at]
    return first !== undefined && first <= sequence
  }

  /** Adds all from `first` to `last`. */
  add(first: number, last: number = first): void {
    const bounds = this.#bounds
    const greatest = bounds.at(-1)
    if (greatest === undefined || first > greatest + 1) {
      bounds.push(first, last)
      return
    }
    const from = this.#endingAtOrAfter(first - 1)
    let to = from
    let [low, high] = [first, last]
    for (; to < bounds.length; to += 2) {
      const [start = 0, end = 0] = [bounds[to], bounds[to + 1]]
      if (start > last + 1) break
      low = Math.min(low, start)
      high = Math.max(high, end)
    }
    if (to === from + 2) {
      bounds[from] = low
      bounds[from + 1] = high
    } else bounds.splice(from, to - from, low, high)
  }

  /** Where the first range stands that ends at a number or after it. */
  #endingAtOrAfter(sequence: number): number {
    let low = 0
    let high = this.#bounds.length / 2
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#bounds[middle * 2 + 1] ?? 0) < sequence) low = middle + 1
      else high = middle
    }
    return low * 2
  }
}
