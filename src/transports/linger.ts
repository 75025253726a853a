import { availableParallelism } from 'node:os'
import { Comparison } from './comparison.ts'

/** How long the loop stays awake after bytes came in. A sleeping process takes 50 to 150 µs to wake (W1, unlingered). */
const LINGER_MS = 0.2
/** The gain from which lingering begins, and below which it ends: it costs processor time. */
const WORTH_BEGINNING = 1.1
const WORTH_KEEPING = 1.03
/** How much one comparison counts beside those before it. */
const WEIGHT = 1 / 3
/** Between comparisons; longer each time that the choice stays. */
const HOLD_MS = 50
const HOLD_GROWTH = 2
const LONGEST_HOLD_MS = 2_000
/** How much a rate must change, over so many reads, to be another: that ends a hold before its time. */
const OTHER_RATE = 3
const RATE_READS = 64
/** Not before it has lasted so long: each time longer, from the first after a long hold. */
const LEAST_HOLD_MS = 25
const LONGEST_LEAST_HOLD_MS = 600
const LONG_HOLD_MS = 1_000

/** What a linger asks of its runtime; injected, so that a test can let time pass. */
export interface LingerHost {
  /** Monotonic milliseconds, with their fractions. */
  now(): number
  /** Runs `callback` once the loop has looked for events again, without waiting for any. */
  nextTurn(callback: () => void): void
  /** From 0 to 1. */
  random(): number
  /** How many processes run at the same time. */
  readonly cores: number
}

const systemHost: LingerHost = {
  now: () => performance.now(),
  nextTurn: (callback) => void setImmediate(callback),
  random: Math.random,
  cores: availableParallelism(),
}

/**
 * Keeps the event loop awake for 0.2 ms after bytes came in, because whoever asks again and again is answered
 * sooner by a process that has not gone to sleep. It compares, time and again, at which rate bytes come with
 * lingering and without, and does what is faster: nothing is burnt where messages come at a pace of their own, or
 * where others need the processor. One serves all links of a process.
 */
export class Linger {
  readonly #host: LingerHost
  #heardAt = Number.NEGATIVE_INFINITY
  /** Whether it stays awake after what comes in, but in comparisons. */
  #prefers = false
  /** A turn of the loop is asked for. */
  #awake = false
  /** The logarithm of how much faster bytes come with lingering, smoothed. */
  #gain = 0
  #comparison: Comparison | undefined
  #holdMs = HOLD_MS
  #holdSince = Number.NEGATIVE_INFINITY
  #leastHoldMs = LEAST_HOLD_MS
  #holdUntil: number
  /** What came of late, and the rate that this hold began with, in bytes a millisecond. */
  #since = 0
  #bytes = 0
  #reads = 0
  #heldRate: number | undefined

  constructor(host: LingerHost = systemHost) {
    this.#host = host
    this.#holdUntil = host.now() + HOLD_MS * host.random()
  }

  /** Whether what comes in now keeps the loop awake. */
  get lingers(): boolean {
    return this.#comparison?.lingers ?? this.#prefers
  }

  /** @param bytes that have come in, just now. */
  heard(bytes: number): void {
    // On a single core whoever stays awake keeps the others from answering.
    if (this.#host.cores < 2) return
    const now = this.#host.now()
    const gapMs = now - this.#heardAt
    this.#heardAt = now
    if (this.#comparison) this.#compare(this.#comparison, bytes, now, gapMs)
    else if (now >= this.#holdUntil || this.#isOtherRate(bytes, now)) {
      this.#comparison = new Comparison(now, this.#prefers)
    }
    if (this.lingers && !this.#awake) this.#stayAwake()
  }

  #stayAwake(): void {
    this.#awake = true
    this.#host.nextTurn(this.#turn)
  }

  readonly #turn = (): void => {
    this.#awake = false
    if (this.lingers && this.#host.now() - this.#heardAt < LINGER_MS) this.#stayAwake()
  }

  #compare(comparison: Comparison, bytes: number, now: number, gapMs: number): void {
    const gain = comparison.heard(bytes, now, gapMs)
    if (gain === undefined) return
    this.#comparison = undefined
    this.#gain = gain === 'sparse' ? 0 : this.#gain + (Math.log(gain) - this.#gain) * WEIGHT
    const prefers = this.#gain > Math.log(this.#prefers ? WORTH_KEEPING : WORTH_BEGINNING)
    this.#holdMs = prefers === this.#prefers ? Math.min(this.#holdMs * HOLD_GROWTH, LONGEST_HOLD_MS) : HOLD_MS
    this.#prefers = prefers
    // Processes that answer each other must not compare at the same time.
    this.#holdSince = now
    this.#holdUntil = now + this.#holdMs * (0.5 + this.#host.random())
    this.#heldRate = undefined
    this.#count(now)
  }

  /** Other traffic than the last comparison saw deserves one of its own. */
  #isOtherRate(bytes: number, now: number): boolean {
    this.#bytes += bytes
    if (++this.#reads < RATE_READS) return false
    const rate = this.#bytes / (now - this.#since)
    this.#count(now)
    this.#heldRate ??= rate
    if (rate < this.#heldRate * OTHER_RATE && rate * OTHER_RATE > this.#heldRate) return false
    const heldMs = now - this.#holdSince
    if (heldMs >= LONG_HOLD_MS) this.#leastHoldMs = LEAST_HOLD_MS
    if (heldMs < this.#leastHoldMs) return false
    this.#leastHoldMs = Math.min(2 * this.#leastHoldMs, LONGEST_LEAST_HOLD_MS)
    this.#holdMs = HOLD_MS
    this.#gain = 0
    return true
  }

  #count(since: number): void {
    this.#since = since
    this.#bytes = 0
    this.#reads = 0
  }
}
