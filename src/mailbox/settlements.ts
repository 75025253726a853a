import type { Arrival } from './message.ts'
import type { Persistence } from './persistence.ts'
import type { Inbox, Settled } from './store.ts'

/** Lets a store forget what is over, in groups: all that ends while one group is removed makes the next. */
export class Settlements {
  readonly #inbox: Pick<Inbox, 'settled'>
  readonly #persistence: Persistence
  readonly #onAcknowledged: ((id: string) => void) | undefined
  #waiting: Settled[] = []
  #isRunning = false

  constructor(
    inbox: Pick<Inbox, 'settled'>,
    persistence: Persistence,
    onAcknowledged: ((id: string) => void) | undefined,
  ) {
    this.#inbox = inbox
    this.#persistence = persistence
    this.#onAcknowledged = onAcknowledged
  }

  add(arrival: Arrival, acknowledge: boolean): void {
    this.#waiting.push({ arrival, acknowledge: acknowledge && arrival.requiresAck })
    this.#run()
  }

  #run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    // What ends in this turn goes together.
    void this.#persistence.hold(Promise.resolve().then(() => this.#next()))
  }

  #next(): void {
    const group = this.#waiting
    this.#waiting = []
    this.#isRunning = group.length > 0
    if (!this.#isRunning) return
    this.#persistence.once(
      this.#inbox.settled(group),
      () => {
        if (this.#onAcknowledged) this.#tell(group)
        this.#next()
      },
      () => {
        this.#persistence.later(() => {
          this.#waiting.push(...group)
          this.#run()
        })
        this.#next()
      },
    )
  }

  #tell(group: readonly Settled[]): void {
    for (const { arrival, acknowledge } of group) if (acknowledge) this.#onAcknowledged?.(arrival.id)
  }
}
