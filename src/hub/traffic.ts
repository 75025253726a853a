import { Histogram } from '../core/histogram.ts'
import { CODES, type Code } from '../wire/errors.ts'

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
  /** Calls that were answered, failed or cancelled. */
  ended = 0
  errors = 0
  /** Errors by the number of their code; 0 is one that did not say. Made with the first error. */
  #codes: Uint32Array | undefined
  /** Messages and events that were not delivered because a queue was full. */
  dropped = 0
  /** From a call to its answer; of a stream to its first item. */
  readonly latency = new Histogram()

  constructor(from: string, to: string, method: string) {
    this.from = from
    this.to = to
    this.method = method
  }

  /** Counts an error by the code in its head. */
  failed(code: number): void {
    this.errors++
    this.#codes ??= new Uint32Array(CODE_NUMBERS)
    const known = code < CODE_NUMBERS ? code : 0
    this.#codes[known] = (this.#codes[known] as number) + 1
  }

  /** How many errors there were of one code. */
  errorsOf(code: Code): number {
    return this.#codes?.[CODES[code]] ?? 0
  }

  /** How many errors there were of each code; those that named none are `UNSAID`. */
  get errorCodes(): { readonly [code: string]: number } {
    const counts: { [code: string]: number } = {}
    this.#codes?.forEach((count, number) => {
      if (count > 0) counts[codeName(number)] = count
    })
    return counts
  }
}

const CODE_NAMES = new Map<number, Code>()
for (const [name, number] of Object.entries(CODES)) if (isCode(name)) CODE_NAMES.set(number, name)
const CODE_NUMBERS = Math.max(...CODE_NAMES.keys()) + 1

function isCode(name: string): name is Code {
  return Object.hasOwn(CODES, name)
}

/** The name of a code in a head, or `UNSAID`. */
export function codeName(number: number): Code | 'UNSAID' {
  return CODE_NAMES.get(number) ?? 'UNSAID'
}

/** Rows kept; what comes after is counted together. */
const MAX_ROWS = 4096
/** Rows of one sender; its further ones are counted together, so that nobody takes the rows of others. */
const MAX_ROWS_FROM_ONE = 512

/** All traffic of a hub by sender, target and method; rows outlive the peers they tell of. */
export class TrafficLog {
  readonly #rows = new Map<string, Traffic>()
  /** Rows by sender; no more senders than rows. */
  readonly #counts = new Map<string, number>()
  readonly #others = new Traffic('*', '*', '*')

  row(from: string, to: string, method: string): Traffic {
    const key = `${from}\n${to}\n${method}`
    let row = this.#rows.get(key)
    if (!row) {
      const own = this.#counts.get(from) ?? 0
      if (this.#rows.size >= MAX_ROWS) return this.#others
      if (own >= MAX_ROWS_FROM_ONE && method !== '*') return this.row(from, '*', '*')
      row = new Traffic(from, to, method)
      this.#rows.set(key, row)
      this.#counts.set(from, own + 1)
    }
    return row
  }

  /** Rows in the order in which they began. */
  rows(): Traffic[] {
    const rows = [...this.#rows.values()]
    return this.#others.calls + this.#others.oneWay > 0 ? [...rows, this.#others] : rows
  }
}
