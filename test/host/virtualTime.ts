import type { HostClock } from '../../src/host/clock.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** Time that stands still until it is told to pass. */
export class VirtualTime implements HostClock {
  #now = 0
  #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get pending(): number {
    return this.#timers.length
  }

  /** Lets time pass timer by timer, and what each sets off settle. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await settle()
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0]
      if (!next || next.at > until) break
      this.#now = Math.max(this.#now, next.at)
      this.#fire(next)
    }
    this.#now = until
  }

  /** The machine sleeps: time is later at once, and timers that were due fire late. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms
    await this.pass(0)
  }

  #fire(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer)
    timer.callback()
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}
