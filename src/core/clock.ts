/** Time and turns, given to the core as an argument so that a test's virtual clock can stand in. */
import { isObject } from '../wire/guards.ts'

export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /**
   * Runs `callback` once after `ms`, of which hosts know at most {@link MAX_TIMER_MS}; the returned function calls it
   * off. Does not keep a process alive.
   */
  after(ms: number, callback: () => void): () => void
  /** Runs `callback` when the current turn of the event loop, with its microtasks, has ended. */
  afterTurn(callback: () => void): void
}

interface Unreferenced {
  unref(): void
}

function canUnref(timer: unknown): timer is Unreferenced {
  return isObject(timer) && 'unref' in timer
}

/** Node's process.nextTick, where there is one. */
function nextTickOf(host: object): ((callback: () => void) => void) | undefined {
  if (!('process' in host)) return undefined
  const { process } = host
  if (!isObject(process) || !('nextTick' in process)) return undefined
  const { nextTick } = process
  return typeof nextTick === 'function' ? (callback) => void nextTick.call(process, callback) : undefined
}

// Node runs nextTick callbacks queued by microtasks once those have run dry, which is the end of the turn.
// Elsewhere a microtask that lets two generations of others pass comes close enough.
const nextTick = /* @__PURE__ */ nextTickOf(globalThis)

/** The longest timer of every host, 24.8 days: what is longer would end at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS))
    if (canUnref(timer)) timer.unref()
    return () => clearTimeout(timer)
  },
  afterTurn: nextTick ?? ((callback) => queueMicrotask(() => queueMicrotask(() => queueMicrotask(callback)))),
}
