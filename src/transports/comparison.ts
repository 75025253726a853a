/**
 * How long a spell is, and of how many reads, at least. In a shorter one a busy system still gives a process what it
 * saved in the spell before.
 */
const SPELL_MS = 20
const SPELL_READS = 8
const SPELLS = 4
/**
 * A longer wait is left out: it is the machine's or the user's. With more of these than so many, and than one in so
 * many reads, messages are too far apart.
 */
const GAP_MS = 2
const GAPS = 8

/**
 * At which rate bytes come with lingering and without it, in four spells: one kind, the other twice, the first again. If
 * one half finds a gain and the other none, it was other traffic.
 */
export class Comparison {
  /** Whether this spell is one with lingering. */
  lingers: boolean
  /** Of each spell that is over, in bytes a millisecond. */
  readonly #rates: number[] = []
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
    this.#rates.push(this.#spellBytes / ms)
    if (this.#rates.length === SPELLS) return this.#gain()
    if (this.#rates.length % 2 === 1) this.lingers = !this.lingers
    this.#since = now
    this.#spellBytes = 0
    this.#spellReads = 0
    return undefined
  }

  #gain(): number {
    const [first = 0, second = 0, third = 0, fourth = 0] = this.#rates
    // The first and the last were of one kind, and this one is the last.
    const gains = [first / second, fourth / third].map((gain) => (this.lingers ? gain : 1 / gain))
    const [one = 0, other = 0] = gains
    return one > 1 && other > 1 ? Math.sqrt(one * other) : Math.min(one, other)
  }
}
