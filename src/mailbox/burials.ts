import type { DeathCause } from './deathCause.ts'
import { Fifo } from './fifo.ts'
import type { Arrival } from './message.ts'
import type { Persistence } from './persistence.ts'
import type { Station } from './station.ts'
import type { Body, Inbox } from './store.ts'

/** Dead letters that are written at once. */
const AT_ONCE = 8

export interface Burial {
  readonly arrival: Arrival
  /** Starts. */
  readonly attempts: number
  readonly cause: DeathCause
  /** Its letter is on stable storage. */
  readonly onWritten: () => void
  /** It could not be written; it is tried again. */
  readonly onFailure: () => void
}

/** Writes dead letters, some at once. */
export class Burials {
  readonly #station: Pick<Station, 'inbox' | 'deadLetters'>
  readonly #persistence: Persistence
  readonly #waiting = new Fifo<Burial>()
  #underWay = 0
  #isOver = false

  constructor(station: Pick<Station, 'inbox' | 'deadLetters'>, persistence: Persistence) {
    this.#station = station
    this.#persistence = persistence
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#underWay === 0
  }

  add(burial: Burial): void {
    this.#waiting.push(burial)
    this.#next()
  }

  /** Begins nothing more. */
  giveUp(): void {
    this.#isOver = true
  }

  #next(): void {
    while (this.#underWay < AT_ONCE && !this.#isOver) {
      const burial = this.#waiting.shift()
      if (!burial) return
      this.#underWay++
      void this.#persistence.hold(
        this.#write(burial).finally(() => {
          this.#underWay--
          this.#next()
        }),
      )
    }
  }

  async #write(burial: Burial): Promise<void> {
    const { arrival, attempts, cause, onWritten, onFailure } = burial
    const { inbox, deadLetters } = this.#station
    const content = await contentOf(inbox, arrival)
    await new Promise<void>((resolve) => {
      this.#persistence.once(
        deadLetters.add(arrival, content, cause, attempts),
        () => {
          onWritten()
          resolve()
        },
        () => {
          onFailure()
          // Behind all others: one that can never be written holds none of them up.
          this.#persistence.later(() => this.add(burial))
          resolve()
        },
      )
    })
  }
}

async function contentOf(inbox: Inbox, arrival: Arrival): Promise<Body | Uint8Array | undefined> {
  try {
    return arrival.fault ? await inbox.raw(arrival) : await inbox.body(arrival)
  } catch {
    return undefined
  }
}
