import { type Clock, systemClock } from '../core/clock.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/**
 * Time that stands still until a test lets it pass. Timers fire in order of their time, those of one time in
 * the order they were set. Turns are real: what happens in memory settles by itself between two timers.
 */
export class VirtualClock implements Clock {
  #now: number
  #timers: Timer[] = []
  #count = 0

  /** @param startMs what {@link now} says at first. */
  constructor(startMs = 0) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#count++, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  afterTurn(callback: () => void): void {
    systemClock.afterTurn(callback)
  }

  /** Timers that have not fired and were not called off. */
  get pending(): number {
    return this.#timers.length
  }

  /**
   * Lets `ms` milliseconds pass. Settles when every timer within them has fired, and all that came of it in
   * this process has happened.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await this.settle()
    for (let timer = this.#next(until); timer; timer = this.#next(until)) {
      const due = timer
      this.#timers = this.#timers.filter((other) => other !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
      await this.settle()
    }
    this.#now = until
  }

  /** Settles when promises, turns and everything that travels in memory have come to rest. No time passes. */
  settle(): Promise<void> {
    // Node runs an immediate when nextTick callbacks and microtasks have run dry.
    return new Promise((resolve) => {
      setImmediate(resolve)
    })
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at > until) continue
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }
}
