import { appendFileSync } from 'node:fs'
import { isViaductError } from 'viaduct'

const BUCKETS = 10_000
const KEPT_LINES = 500

/** How a call ended: `ok`, `taken` and `refused` for one-way messages, else its reason and fate. */
export function outcomeOf(error: unknown): string {
  if (!isViaductError(error)) return `STRANGE(${String(error).replaceAll(/\s/g, '_')})/none`
  return `${error.reason}/${error.fate ?? 'none'}`
}

/** Milliseconds, counted by the whole one, so that a long storm takes no more memory than a short one. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  count = 0
  max = 0

  add(ms: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor(ms)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.count++
    this.max = Math.max(this.max, ms)
  }

  /** The least whole number of ms that this share of all stays within. */
  share(of: number): number {
    let left = this.count * of
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0
      if (left <= 0) return bucket + 1
    }
    return BUCKETS
  }

  get figures(): { count: number; p50: number; p99: number; max: number } {
    return { count: this.count, p50: this.share(0.5), p99: this.share(0.99), max: Math.round(this.max) }
  }
}

/** One caller's own record: each call that it made, and what became of it. */
export class Ledger {
  readonly caller: string
  readonly #file: string
  readonly #open = new Set<string>()
  #lines: string[] = []
  made = 0
  settled = 0
  /** How long after its deadline the latest call settled. */
  lateMs = 0

  constructor(file: string, caller: string) {
    this.#file = file
    this.caller = caller
  }

  /** A new number. */
  begin(): string {
    const n = `${this.caller}.${this.made++}`
    this.#open.add(n)
    return n
  }

  settle(n: string, outcome: string, lateMs: number): void {
    // A call that settles twice is counted twice, and the sums differ.
    this.settled++
    this.#open.delete(n)
    this.lateMs = Math.max(this.lateMs, lateMs)
    this.#lines.push(`${n} ${outcome}\n`)
    if (this.#lines.length >= KEPT_LINES) this.flush()
  }

  /** Those that have not settled. */
  get open(): string[] {
    return [...this.#open]
  }

  flush(): void {
    appendFileSync(this.#file, this.#lines.join(''))
    this.#lines = []
  }
}
