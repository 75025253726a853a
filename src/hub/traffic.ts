import { Histogram } from './histogram.ts'

/** What went from one peer to one target by one method. */
export class Traffic {
  readonly from: string
  readonly to: string
  readonly method: string
  calls = 0
  /** One-way messages: notifications, or events published. */
  oneWay = 0
  items = 0
  /** Payload bytes in both directions. */
  bytes = 0
  errors = 0
  /** One-way messages and events that were not delivered. */
  dropped = 0
  readonly latency = new Histogram()

  constructor(from: string, to: string, method: string) {
    this.from = from
    this.to = to
    this.method = method
  }
}

/** Rows kept; what comes after is counted together. */
const MAX_ROWS = 4096

/** All traffic of a hub by sender, target and method; rows outlive the peers they tell of. */
export class TrafficLog {
  readonly #rows = new Map<string, Traffic>()
  readonly #others = new Traffic('*', '*', '*')

  row(from: string, to: string, method: string): Traffic {
    const key = `${from}\n${to}\n${method}`
    let row = this.#rows.get(key)
    if (!row) {
      if (this.#rows.size >= MAX_ROWS) return this.#others
      row = new Traffic(from, to, method)
      this.#rows.set(key, row)
    }
    return row
  }

  /** Rows in the order in which they began. */
  rows(): Traffic[] {
    const rows = [...this.#rows.values()]
    return this.#others.calls + this.#others.oneWay > 0 ? [...rows, this.#others] : rows
  }
}
