import type { Clock } from '../../src/core/clock.ts'

interface Timer {
  readonly at: number
  readonly number: number
  readonly callback: () => void
}

/** A core clock that stands still until it is told to pass; turns of the loop are taken one by one. */
export class TurnClock implements Clock {
  #now = 1000
  #number = 0
  #timers: Timer[] = []
  #turns: (() => void)[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, number: this.#number++, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  afterTurn(callback: () => void): void {
    this.#turns.push(callback)
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Runs turns until none is asked for: everything that needs no promise has happened then. */
  turns(): void {
    for (let due = this.#turns; due.length > 0; due = this.#turns) {
      this.#turns = []
      for (const turn of due) turn()
    }
  }

  /** Lets turns and promises alternate until both rest. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      if (this.#turns.length > 0) {
        quiet = 0
        this.turns()
      } else quiet++
      for (let job = 0; job < 8; job++) await Promise.resolve()
    }
  }

  /** Lets time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    this.skip(ms)
    await this.settle()
  }

  /** The same without promises. */
  skip(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      let next: Timer | undefined
      for (const timer of this.#timers) {
        if (
          timer.at <= until &&
          (!next || timer.at < next.at || (timer.at === next.at && timer.number < next.number))
        )
          next = timer
      }
      if (!next) break
      const due = next
      this.#timers = this.#timers.filter((other) => other !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
      this.turns()
    }
    this.#now = until
  }
}
