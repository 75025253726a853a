import { MAX_TIMER_MS } from '../core/clock.ts'

/** Time as the host layer sees it: injected, so that a test can replay a minute in a millisecond. */
export interface HostClock {
  /** Monotonic milliseconds. */
  now(): number
  /** Calls back once, no sooner than `ms` milliseconds from now, unless the returned function was called. */
  after(ms: number, callback: () => void): () => void
}

/** Real time. Unlike the core's clock it keeps the process alive: one that waits to restart a child has work to do. */
export const hostClock: HostClock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/**
 * A timer that does not hold a suspended machine against anybody. When it fires more than `lateMs` late, this
 * process did not run in between (it was stopped, or its own loop was busy), so nobody it waits for had a
 * fair chance: `onLate` is told and the whole `ms` begin again. An infinite `ms` never fires.
 *
 * @returns a function that cancels it
 */
export function patientTimeout(
  clock: HostClock,
  ms: number,
  lateMs: number,
  onTime: () => void,
  onLate?: () => void,
): () => void {
  if (ms > MAX_TIMER_MS) return () => {}
  let cancel = () => {}
  const arm = () => {
    const due = clock.now() + ms
    cancel = clock.after(ms, () => {
      if (clock.now() - due <= lateMs) return onTime()
      arm()
      onLate?.()
    })
  }
  arm()
  return () => cancel()
}
