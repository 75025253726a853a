import type { Clock } from '../core/clock.ts'

/** Less than this is not waited for, but the second after it: a timer may come a little before its time. */
const LEAST_MS = 50

/**
 * Milliseconds until a full second of the clock, so that all that looks each second wakes the process once, however
 * many mailboxes it has.
 */
export function untilFullSecond(clock: Clock): number {
  const leftMs = 1_000 - (clock.now() % 1_000)
  return leftMs < LEAST_MS ? leftMs + 1_000 : leftMs
}

/** Runs `tick` at each full second, until the returned function is called. */
export function eachSecond(clock: Clock, tick: () => void): () => void {
  const again = (): (() => void) =>
    clock.after(untilFullSecond(clock), () => {
      stop = again()
      tick()
    })
  let stop = again()
  return () => stop()
}
