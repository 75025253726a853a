import type { Clock } from './clock.ts'

/** Sweeps are at least so far apart, however many deadlines differ. */
const MIN_GAP_MS = 4
/** What a timer of every host takes; one that is due later is set again. */
const MAX_GAP_MS = 2 ** 31 - 1

/**
 * One timer for all deadlines of a link. Nothing is done per call but a comparison: a sweep reads the table
 * of open exchanges when the earliest deadline it knew has come.
 */
export class Sweep {
  readonly #clock: Clock
  readonly #sweep: (now: number) => number
  #at = Number.POSITIVE_INFINITY
  #cancel: (() => void) | undefined

  /** @param sweep fails what has expired by `now` and returns the earliest deadline that is left. */
  constructor(clock: Clock, sweep: (now: number) => number) {
    this.#clock = clock
    this.#sweep = sweep
  }

  /** There is a deadline at `deadline` (the clock's ms). */
  expect(deadline: number): void {
    if (deadline >= this.#at || deadline === Number.POSITIVE_INFINITY) return
    this.#at = deadline
    this.#cancel?.()
    const gapMs = Math.min(MAX_GAP_MS, Math.max(MIN_GAP_MS, deadline - this.#clock.now()))
    this.#cancel = this.#clock.after(gapMs, () => this.#run())
  }

  #run(): void {
    this.#cancel = undefined
    this.#at = Number.POSITIVE_INFINITY
    this.expect(this.#sweep(this.#clock.now()))
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#at = Number.NEGATIVE_INFINITY
  }
}
