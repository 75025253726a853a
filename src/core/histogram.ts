/** Buckets of equal width in each doubling: a percentile is at most 1/32 of itself off. */
const PER_DOUBLING = 16
/** Doublings from 1 µs on; what takes longer, 71 minutes, counts as that. */
const DOUBLINGS = 32
/** The exponent of 1 in a float64, as it stands above its first four bits of mantissa. */
const BIAS = 1023 * PER_DOUBLING

/** A float64's exponent and first bits of mantissa are the number of its bucket. */
const bits = new DataView(new ArrayBuffer(8))

function bucketOf(ms: number): number {
  bits.setFloat64(0, Math.max(1, ms * 1000))
  return Math.min(DOUBLINGS * PER_DOUBLING - 1, (bits.getUint32(0) >>> 16) - BIAS)
}

/** The middle of a bucket, ms. */
function middleOf(bucket: number): number {
  const within = (bucket % PER_DOUBLING) + 0.5
  return (2 ** Math.floor(bucket / PER_DOUBLING) * (1 + within / PER_DOUBLING)) / 1000
}

/**
 * A log-linear histogram of durations. Percentiles are within 3.2 % between 1 µs and 71 minutes, and never above the
 * longest duration, which is exact. Memory is 64 bytes for each doubling between the shortest and the longest, at most
 * 2 KiB; none before the first.
 */
export class Histogram {
  /** Counts of whole doublings, from {@link #from} on. */
  #counts = new Uint32Array(0)
  #from = 0
  count = 0
  maxMs = 0

  get memoryBytes(): number {
    return this.#counts.byteLength
  }

  record(ms: number): void {
    const bucket = bucketOf(ms)
    this.#reach(bucket)
    const at = bucket - this.#from
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.count++
    if (ms > this.maxMs) this.maxMs = ms
  }

  /** Makes room for a bucket. */
  #reach(bucket: number): void {
    if (bucket >= this.#from && bucket < this.#from + this.#counts.length) return
    const first = bucket - (bucket % PER_DOUBLING)
    const isFirst = this.#counts.length === 0
    const from = isFirst ? first : Math.min(first, this.#from)
    const to = isFirst ? 0 : this.#from + this.#counts.length
    const counts = new Uint32Array(Math.max(first + PER_DOUBLING, to) - from)
    if (!isFirst) counts.set(this.#counts, this.#from - from)
    this.#counts = counts
    this.#from = from
  }

  /** The duration below which this share (0 … 1) of all lies, in ms; 0 without any. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(share * this.count))
    if (left >= this.count) return this.maxMs
    for (let at = 0; at < this.#counts.length; at++) {
      left -= this.#counts[at] as number
      if (left <= 0) return Math.min(this.maxMs, middleOf(this.#from + at))
    }
    return this.maxMs
  }

  /** As it stands now; what is recorded later does not change it. */
  copy(): Histogram {
    const copy = new Histogram()
    copy.#counts = this.#counts.slice()
    copy.#from = this.#from
    copy.count = this.count
    copy.maxMs = this.maxMs
    return copy
  }

  /**
   * Adds what another has recorded, without what it had in an earlier copy. The longest of the rest is then as exact
   * as a percentile, unless it is the longest of all.
   */
  add(other: Histogram, without?: Histogram): void {
    if (other.count === (without?.count ?? 0)) return
    // Once for all, not doubling by doubling.
    this.#reach(other.#from)
    this.#reach(other.#from + other.#counts.length - 1)
    const shift = other.#from - this.#from
    const before = without?.count ? without : undefined
    const beforeShift = before ? other.#from - before.#from : 0
    let last = 0
    for (let at = 0; at < other.#counts.length; at++) {
      const all = other.#counts[at] as number
      if (all === 0) continue
      const was = at + beforeShift
      const isKnown = before !== undefined && was >= 0 && was < before.#counts.length
      const times = isKnown ? all - (before.#counts[was] as number) : all
      if (times <= 0) continue
      this.#counts[at + shift] = (this.#counts[at + shift] as number) + times
      last = other.#from + at
    }
    this.count += other.count - (without?.count ?? 0)
    const isLongest = other.maxMs > (without?.maxMs ?? 0)
    this.maxMs = Math.max(this.maxMs, isLongest ? other.maxMs : Math.min(other.maxMs, middleOf(last)))
  }
}
