/** What {@link EndedIds} says of a message that is done; of a dead one, how often it had been redriven. */
export const DONE = -1

/**
 * Messages that are over, by id: the last `window` of them at least, about twice as many at most. Two generations:
 * when the younger is full, the elder is forgotten.
 */
export class EndedIds {
  readonly #window: number
  #elder = new Map<string, number>()
  #younger = new Map<string, number>()
  /** How many of each were set as dead. */
  #elderDead = 0
  #youngerDead = 0

  constructor(window: number) {
    this.#window = window
  }

  get(id: string): number | undefined {
    return this.#younger.get(id) ?? this.#elder.get(id)
  }

  /** Whether any of them is dead: few are, and a question less for each of the others is worth it. */
  get hasDead(): boolean {
    return this.#elderDead + this.#youngerDead > 0
  }

  /** @returns whether this began a new generation */
  set(id: string, end: number): boolean {
    const full = this.#younger.size >= this.#window
    if (full) {
      this.#elder = this.#younger
      this.#elderDead = this.#youngerDead
      this.#younger = new Map()
      this.#youngerDead = 0
    }
    this.#younger.set(id, end)
    if (end !== DONE) this.#youngerDead++
    return full
  }

  /** All that is remembered, in the order of what is forgotten first. */
  *[Symbol.iterator](): Generator<[string, number]> {
    yield* this.#elder
    yield* this.#younger
  }
}
