import { type Clock, MAX_TIMER_MS } from '../core/clock.ts'

/** A page's clock. A turn is over when three generations of microtasks have passed. */
export const pageClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS))
    return () => clearTimeout(timer)
  },
  async afterTurn(callback) {
    await undefined
    await undefined
    await undefined
    callback()
  },
}
