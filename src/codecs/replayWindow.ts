/** Sequences that may come behind the highest one. */
export const REPLAY_WINDOW = 1024

/** Which sequences have come: each is taken once, and none that is further behind than the window. */
export class ReplayWindow {
  readonly #seen = new Uint8Array(REPLAY_WINDOW)
  #highest = 0

  /** @param sequence from 1 on. @returns whether it is the first time. */
  take(sequence: number): boolean {
    if (sequence > this.#highest) {
      const passed = Math.min(sequence - this.#highest, REPLAY_WINDOW)
      for (let back = 0; back < passed; back++) this.#seen[(sequence - back) % REPLAY_WINDOW] = 0
      this.#highest = sequence
    } else if (sequence <= this.#highest - REPLAY_WINDOW || this.#seen[sequence % REPLAY_WINDOW] === 1) {
      return false
    }
    this.#seen[sequence % REPLAY_WINDOW] = 1
    return true
  }
}
