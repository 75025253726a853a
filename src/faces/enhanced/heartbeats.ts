import type { HostClock } from '../../host/clock.ts'

const MAX_PAUSE_MS = 60 * 60 * 1_000

/**
 * Beats until it is stopped: again when the last beat was acknowledged and `everyMs` have passed, so that beats do not
 * pile up where nobody receives; there it pauses twice as long each time, up to an hour.
 *
 * @param beat settles when the beat was received
 * @returns stops it
 */
export function beating(beat: () => Promise<void>, everyMs: number, clock: HostClock): () => void {
  let cancel = (): void => {}
  let stopped = false
  const next = (pauseMs: number): void => {
    if (stopped) return
    cancel = clock.after(pauseMs, () => {
      beat().then(
        () => next(everyMs),
        () => next(Math.min(Math.max(pauseMs, everyMs) * 2, MAX_PAUSE_MS)),
      )
    })
  }
  next(0)
  return () => {
    stopped = true
    cancel()
  }
}
