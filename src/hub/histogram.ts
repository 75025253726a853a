/** Buckets: four to a doubling, from 1 µs up to about 70 minutes. */
const PER_DOUBLING = 4
const BUCKETS = 32 * PER_DOUBLING

/** A log-linear histogram of durations in fixed memory (512 bytes); percentiles are within 19 %. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  count = 0
  maxMs = 0

  record(ms: number): void {
    const micros = Math.max(1, ms * 1000)
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log2(micros) * PER_DOUBLING))
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.count++
    if (ms > this.maxMs) this.maxMs = ms
  }

  /** Upper bound of the bucket in which this share (0 … 1) of the durations lies, in ms; 0 without any. */
  percentile(share: number): number {
    if (this.count === 0) return 0
    let left = Math.ceil(share * this.count)
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] as number
      if (left <= 0) return Math.min(this.maxMs, 2 ** ((bucket + 1) / PER_DOUBLING) / 1000)
    }
    return this.maxMs
  }
}
