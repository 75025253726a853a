import type { Clock } from './clock.ts'

/** Sweeps are at least so far apart, however many deadlines differ. */
const MIN_GAP_MS = 4

/**
 * One timer for all deadlines of a link. Nothing is done per call but a comparison: a sweep reads the table
 * of open exchanges when the earliest deadline it knew has come.
 */
export interface Sweep {
  /** There is a deadline at `deadline` (the clock's ms). */
  expect(deadline: number): void
  stop(): void
}

/** @param sweep fails what has expired by `now` and returns the earliest deadline that is left. */
export function sweepOver(clock: Clock, sweep: (now: number) => number): Sweep {
  let earliest = Infinity
  let cancel = (): void => {}

  const expect = (deadline: number): void => {
    if (deadline >= earliest) return
    earliest = deadline
    cancel()
    // One that is later than a timer can be is set again.
    cancel = clock.after(Math.max(MIN_GAP_MS, deadline - clock.now()), () => {
      earliest = Infinity
      expect(sweep(clock.now()))
    })
  }

  return {
    expect,
    stop() {
      earliest = -Infinity
      cancel()
    },
  }
}
