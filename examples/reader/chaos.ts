import type { ReaderProcess } from './processes.ts'

/** What the chaos needs of a hub. */
export interface Victims {
  kill(id: string): Promise<boolean>
  onChange(listener: (change: { readonly id: string; readonly state: string }) => void): () => void
}

export type Work = 'parse' | 'analyze' | 'append' | 'attempts'

/** Who has a part in a call. Any call will do for the plugin: it has one of its own only. */
const PART_OF: Record<ReaderProcess['type'], readonly Work[]> = {
  network: ['parse'],
  renderer: ['parse'],
  ai: ['analyze'],
  lexicon: ['analyze'],
  plugin: ['parse', 'analyze', 'append', 'attempts'],
  worker: ['append'],
}
const ROUNDS = 2
/** At most so many calls begin in peace between two kills. */
const MOST_CALM = 8

/**
 * Kills every child once, in the middle of a call that it has a part in, and with enough documents a second
 * time. Order and pauses come from the seed; they are counted in calls, so a slow machine sees the same.
 */
export class Chaos {
  readonly #hub: Victims
  readonly #processes: readonly ReaderProcess[]
  readonly #random: () => number
  readonly #most: number
  readonly #unwatch: () => void
  /** Those whose loss the supervisor has not noticed yet. */
  readonly #dying = new Map<string, Promise<void>>()
  readonly #lost = new Map<string, () => void>()
  #order: ReaderProcess[]
  #rounds = 1
  #calm: number
  kills = 0

  /** @param calls how many calls a run without faults would make */
  constructor(
    hub: Victims,
    processes: readonly ReaderProcess[],
    { seed, calls }: { seed: number; calls: number },
  ) {
    this.#hub = hub
    this.#processes = processes
    this.#random = randomFrom(seed)
    this.#most = Math.min(MOST_CALM, Math.floor(calls / 12))
    this.#order = this.#shuffled()
    this.#calm = this.#pause()
    this.#unwatch = hub.onChange(({ id, state }) => {
      if (state !== 'backoff' && state !== 'failed') return
      this.#lost.get(id)?.()
    })
  }

  /** A call has just begun. */
  begun(work: Work): void {
    if (this.#calm-- > 0) return
    if (this.#order.length === 0) {
      if (this.#most === 0 || this.#rounds === ROUNDS) return
      this.#rounds++
      this.#order = this.#shuffled()
    }
    const at = this.#order.findIndex(({ id, type }) => PART_OF[type].includes(work) && !this.#dying.has(id))
    const victim = at < 0 ? undefined : this.#order.splice(at, 1)[0]?.id
    if (victim === undefined) return
    this.#calm = this.#pause()
    this.#dying.set(
      victim,
      this.#kill(victim)
        .catch(() => {})
        .then(() => void this.#dying.delete(victim)),
    )
  }

  /** Settles when every kill is over and noticed; none comes after it. */
  async end(): Promise<void> {
    this.#order = []
    this.#rounds = ROUNDS
    await Promise.all(this.#dying.values())
    this.#unwatch()
  }

  async #kill(id: string): Promise<void> {
    const lost = new Promise<void>((resolve) => {
      this.#lost.set(id, resolve)
    })
    // It does not run at the moment: it is on its way back from the last kill.
    if (!(await this.#hub.kill(id))) return
    this.kills++
    await lost
  }

  #pause(): number {
    return Math.floor(this.#random() * (this.#most + 1))
  }

  #shuffled(): ReaderProcess[] {
    const all = [...this.#processes]
    for (let at = all.length - 1; at > 0; at--) {
      const other = Math.floor(this.#random() * (at + 1))
      const [here, there] = [all[at], all[other]]
      if (here !== undefined && there !== undefined) [all[at], all[other]] = [there, here]
    }
    return all
  }
}

/** Numbers from 0 to below 1 (mulberry32): the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
