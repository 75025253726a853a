/** So long work that runs at once may hold the event loop. */
const TURN_MS = 5

/** Gives others their turn within work that consists of many short steps. */
export class Turns {
  readonly #turnMs: number
  #since = performance.now()

  constructor(turnMs = TURN_MS) {
    this.#turnMs = turnMs
  }

  /** Whether the turn is over; then `next` is to be awaited. */
  get over(): boolean {
    return performance.now() - this.#since > this.#turnMs
  }

  async next(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    this.#since = performance.now()
  }
}
