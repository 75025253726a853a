/** A comparison is of so many spells, with and without by turns; each of so long, and so many reads, at least. */
const SPELLS = 4
const SPELL_MS = 5
const SPELL_READS = 8
/** A longer wait is left out: it is the machine's or the user's. With more of these than so many, and than
 * one in so many reads, messages are too far apart. */
const GAP_MS = 2
const GAPS = 8

/** At which rate bytes come, with something and without it, in spells that take turns. */
export class Comparison {
  readonly #startsWith: boolean
  readonly #with = { bytes: 0, ms: 0 }
  readonly #without = { bytes: 0, ms: 0 }
  #spells = 0
  #gaps = 0
  #reads = 0
  #spellReads = 0
  #spellBytes = 0
  #spellSince: number

  constructor(now: number, startsWith: boolean) {
    this.#startsWith = startsWith
    this.#spellSince = now
  }

  /** Whether this spell is one with it. */
  get lingers(): boolean {
    return this.#startsWith === (this.#spells % 2 === 0)
  }

  /** @returns by which factor more came with it, once that is known; `sparse` when too little comes to tell. */
  heard(bytes: number, now: number, gapMs: number): number | 'sparse' | undefined {
    this.#reads++
    if (gapMs > GAP_MS) {
      this.#spellSince += gapMs
      this.#gaps++
      return this.#gaps > GAPS + this.#reads / GAPS ? 'sparse' : undefined
    }
    this.#spellBytes += bytes
    this.#spellReads++
    const ms = now - this.#spellSince
    if (ms < SPELL_MS || this.#spellReads < SPELL_READS) return undefined
    const sum = this.lingers ? this.#with : this.#without
    sum.bytes += this.#spellBytes
    sum.ms += ms
    this.#spells++
    this.#spellSince = now
    this.#spellBytes = 0
    this.#spellReads = 0
    if (this.#spells < SPELLS) return undefined
    return (this.#with.bytes * this.#without.ms) / (this.#without.bytes * this.#with.ms)
  }
}
