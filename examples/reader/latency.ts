import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export interface Percentiles {
  readonly count: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

/** Recorded in microseconds, with three figures, up to one hour. */
const RANGE = { lowest: 1, highest: 3_600_000_000, figures: 3 }

/** Latencies under any number of names, in constant memory for each. */
export class Latencies {
  readonly #histograms = new Map<string, RecordableHistogram>()

  /** Times below a microsecond count as one, above an hour as one hour; what is not a number is left out. */
  record(name: string, ms: number): void {
    if (Number.isNaN(ms)) return
    let histogram = this.#histograms.get(name)
    if (histogram === undefined) {
      histogram = createHistogram(RANGE)
      this.#histograms.set(name, histogram)
    }
    histogram.record(Math.min(RANGE.highest, Math.max(RANGE.lowest, Math.round(ms * 1_000))))
  }

  /** `undefined` when nothing was recorded under the name. */
  percentiles(name: string): Percentiles | undefined {
    const histogram = this.#histograms.get(name)
    if (histogram === undefined) return undefined
    const at = (share: number): number => histogram.percentile(share) / 1_000
    return { count: histogram.count, p50Ms: at(50), p95Ms: at(95), p99Ms: at(99) }
  }
}
