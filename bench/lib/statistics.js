/** @param {number[]} numbers */
export function median(numbers) {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @param {ArrayLike<number>} sorted @param {number} q */
export function percentile(sorted, q) {
  return sorted.length === 0 ? Number.NaN : sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

/**
 * Medians of the rounds of one contender. The ratio is taken in each round to the floor of that same round, which
 * ran next to it, and only then is the median taken.
 *
 * @typedef {object} Summary
 * @property {number} rate
 * @property {number} [ratio]
 * @property {[number, number]} [ratioRange] lowest and highest of the rounds
 * @property {number} cpuUs
 * @property {number} peakRssBytes
 * @property {number} rssGrowthBytes
 * @property {number} [p50Us]
 * @property {number} [p99Us]
 * @property {number} [storedP50Us]
 * @property {number} [aloneP50Us]
 * @property {number} [lost] of all rounds together
 * @property {number} [producedWhilePaused] the most of the rounds
 * @property {boolean} [stillProducing]
 * @property {boolean} [stoppedOnBreak] in every round
 * @property {import('./measure.js').Figures[]} rounds
 *
 * @param {import('./measure.js').Figures[]} rounds by number of the round; holes where it failed
 * @param {import('./measure.js').Figures[]} floor
 * @returns {Summary}
 */
export function summarise(rounds, floor) {
  const there = rounds.filter(Boolean)
  /** @param {(figures: import('./measure.js').Figures) => number | undefined} pick */
  const middle = (pick) => median(there.map((figures) => pick(figures) ?? Number.NaN))
  const ratios = rounds.flatMap((figures, round) => (floor[round] ? [figures.rate / floor[round].rate] : []))
  const first = there[0]
  /** @type {Summary} */
  const summary = {
    rate: middle((figures) => figures.rate),
    cpuUs: middle((figures) => figures.cpuUs),
    peakRssBytes: middle((figures) => figures.peakRssBytes),
    rssGrowthBytes: middle((figures) => figures.rssGrowthBytes),
    rounds: there,
  }
  if (ratios.length > 0) {
    summary.ratio = median(ratios)
    summary.ratioRange = [Math.min(...ratios), Math.max(...ratios)]
  }
  if (first.p50Us !== undefined) {
    summary.p50Us = middle((figures) => figures.p50Us)
    summary.p99Us = middle((figures) => figures.p99Us)
  }
  if (first.storedP50Us !== undefined) {
    summary.storedP50Us = middle((figures) => figures.storedP50Us)
    summary.aloneP50Us = middle((figures) => figures.aloneP50Us)
  }
  if (first.lost !== undefined) summary.lost = there.reduce((sum, figures) => sum + (figures.lost ?? 0), 0)
  if (first.stoppedOnBreak !== undefined) {
    summary.producedWhilePaused = Math.max(...there.map((figures) => figures.producedWhilePaused ?? 0))
    summary.stillProducing = there.some((figures) => figures.stillProducing)
    summary.stoppedOnBreak = there.every((figures) => figures.stoppedOnBreak)
  }
  return summary
}
