import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Histogram } from '../../src/core/histogram.ts'

/** And what floating point adds. */
const ERROR = (1 / 32) * (1 + 1e-9)
const SHARES = [0.01, 0.5, 0.95, 0.99, 0.999, 1]

function made(durations: readonly number[]): Histogram {
  const histogram = new Histogram()
  for (const ms of durations) histogram.record(ms)
  return histogram
}

/** The duration that as many are at or below as the share says. */
function exact(durations: readonly number[], share: number): number {
  const sorted = [...durations].sort((one, other) => one - other)
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? 0
}

/** Over the whole range, each doubling as likely as the others. */
const duration = fc
  .double({ min: Math.log2(0.001), max: Math.log2(4_000_000), noNaN: true })
  .map((exponent) => 2 ** exponent)
const durations = fc.array(duration, { minLength: 1, maxLength: 400 })

describe('a histogram', () => {
  it('has percentiles within 1/32 of the exact ones, and an exact maximum', () => {
    fc.assert(
      fc.property(durations, (all) => {
        const histogram = made(all)
        expect(histogram.count).toBe(all.length)
        expect(histogram.maxMs).toBe(Math.max(...all))
        for (const share of SHARES) {
          const right = exact(all, share)
          expect(Math.abs(histogram.percentile(share) - right)).toBeLessThanOrEqual(right * ERROR)
        }
      }),
    )
  })

  it('without an earlier copy has the percentiles of what came since', () => {
    fc.assert(
      fc.property(durations, durations, durations, (before, since, others) => {
        const histogram = made(before)
        const copy = histogram.copy()
        for (const ms of since) histogram.record(ms)
        const window = made(others)
        window.add(histogram, copy)
        const all = [...others, ...since]
        expect(window.count).toBe(all.length)
        for (const share of SHARES) {
          const right = exact(all, share)
          expect(Math.abs(window.percentile(share) - right)).toBeLessThanOrEqual(right * ERROR)
        }
        // The copy is as it was.
        expect(copy.count).toBe(before.length)
        expect(copy.percentile(0.5)).toBe(made(before).percentile(0.5))
      }),
    )
  })

  it('takes whatever a clock says, and counts it at the edge of its range', () => {
    const histogram = made([0, -5, 1e-9, 1e12])
    expect(histogram.count).toBe(4)
    expect(histogram.percentile(0.5)).toBeLessThanOrEqual(0.0011)
    expect(histogram.maxMs).toBe(1e12)
    expect(new Histogram().percentile(0.99)).toBe(0)
  })

  it('takes memory only for the doublings that it has seen', () => {
    expect(new Histogram().memoryBytes).toBe(0)
    expect(made(Array(10_000).fill(1.5)).memoryBytes).toBe(64)
    // 1.024 ms is 2^10 µs.
    expect(made([1.1, 1.9, 3.9, 7]).memoryBytes).toBe(3 * 64)
    expect(made([0, 1e12]).memoryBytes).toBe(2048)
  })
})
