/**
 * How long a spell is, and of how many reads, at least. In a shorter one a busy system still gives a process what it
 * saved in the spell before.
 */
const SPELL_MS = 25
const SPELL_READS = 8
/**
 * A longer wait is left out: it is the machine's or the user's. With more of these than so many, and than one in so
 * many reads, messages are too far apart.
 */
const GAP_MS = 2
const GAPS = 8

/** At which rate bytes come with lingering and without it, in a spell of each. */
export class Comparison {
  /** Whether this spell is one with lingering. */
  lingers: boolean
  /** The rate of the first spell, in bytes a millisecond. */
  #first: number | undefined
  #reads = 0
  #gaps = 0
  #since: number
  #spellReads = 0
  #spellBytes = 0

  constructor(now: number, lingers: boolean) {
    this.#since = now
    this.lingers = lingers
  }

  /** @returns by which factor more comes with lingering, once that is known; `sparse` when too little comes to tell. */
  heard(bytes: number, now: number, gapMs: number): number | 'sparse' | undefined {
    this.#reads++
    if (gapMs > GAP_MS) {
      this.#since += gapMs
      this.#gaps++
      return this.#gaps > GAPS + this.#reads / GAPS ? 'sparse' : undefined
    }
    this.#spellBytes += bytes
    this.#spellReads++
    const ms = now - this.#since
    if (ms < SPELL_MS || this.#spellReads < SPELL_READS) return undefined
    const rate = this.#spellBytes / ms
    if (this.#first !== undefined) return this.lingers ? rate / this.#first : this.#first / rate
    this.#first = rate
    this.lingers = !this.lingers
    this.#since = now
    this.#spellBytes = 0
    this.#spellReads = 0
    return undefined
  }
}
