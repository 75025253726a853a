import { messageOf } from '../host/errno.ts'

/** After a failure of the disk. */
export const AGAIN_MS = 1_000

export interface PersistenceOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly onFailure: (error: string) => void
  /** Something is to be tried again at that time: `tryAgain` wants to be called then. */
  readonly onDue: (atMs: number) => void
  /** An operation has ended. */
  readonly onSettled: () => void
}

/** Operations of a disk that may fail: none is lost, each is tried again until it succeeds or `giveUp` is called. */
export class Persistence {
  readonly #options: PersistenceOptions
  #again: (() => void)[] = []
  #dueMs = Number.POSITIVE_INFINITY
  #underWay = 0
  #isOver = false

  constructor(options: PersistenceOptions) {
    this.#options = options
  }

  /** Operations that have begun and not ended. */
  get underWay(): number {
    return this.#underWay
  }

  /** When something is to be tried again; Infinity when nothing is. */
  get dueMs(): number {
    return this.#dueMs
  }

  /** Counts an operation that fails at nothing. */
  async hold(operation: Promise<unknown>): Promise<void> {
    this.#underWay++
    try {
      await operation
    } finally {
      this.#ended()
    }
  }

  /** Tries until it succeeds. */
  insist(write: () => Promise<unknown>, then: () => void): void {
    this.once(write(), then, () => this.later(() => this.insist(write, then)))
  }

  /** Waits for an operation that has begun. */
  once(operation: Promise<unknown>, then: () => void, onFailure: () => void): void {
    this.#underWay++
    operation.then(
      () => {
        this.#underWay--
        then()
        this.#options.onSettled()
      },
      (error: unknown) => {
        this.#underWay--
        this.#options.onFailure(messageOf(error))
        onFailure()
        this.#options.onSettled()
      },
    )
  }

  /** To be done again after a while. */
  later(again: () => void): void {
    if (this.#isOver) return
    this.#again.push(again)
    this.#dueMs = Math.min(this.#dueMs, this.#options.now() + AGAIN_MS)
    this.#options.onDue(this.#dueMs)
  }

  /** Tries what is due. */
  tryAgain(): void {
    if (this.#dueMs <= this.#options.now()) this.#tryAll()
  }

  /** Tries once more what failed, and from then on nothing again. */
  giveUp(): void {
    this.#isOver = true
    this.#tryAll()
  }

  #tryAll(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    for (const again of this.#again.splice(0)) again()
  }

  #ended(): void {
    this.#underWay--
    this.#options.onSettled()
  }
}
