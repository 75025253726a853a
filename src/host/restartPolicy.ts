/**
 * When to start a lost process again, and when to give up. Pure: time and chance are arguments.
 */
import { checkLimit } from './checkLimit.ts'

export interface RestartLimits {
  /** Restarts within `withinMs`; the loss after that is final. `Infinity`: never give up. 0: never restart. */
  readonly max: number
  readonly withinMs: number
  /** Wait before the first restart. The next ones wait `factor` times longer each, `maxDelayMs` at most. */
  readonly initialDelayMs: number
  readonly maxDelayMs: number
  readonly factor: number
}

export const RESTART_DEFAULTS: RestartLimits = {
  max: 3,
  withinMs: 60_000,
  initialDelayMs: 100,
  maxDelayMs: 5_000,
  factor: 2,
}

export interface RestartState {
  /** Restarts in all. */
  readonly restarts: number
  /** Restarts in a row: since one was followed by `withinMs` without a loss. */
  readonly attempt: number
  readonly failed: boolean
}

export class RestartPolicy {
  readonly limits: RestartLimits
  readonly #now: () => number
  readonly #random: () => number
  /** When the last restarts were due, at most `max` of them. */
  readonly #recent: number[] = []
  #last = Number.NEGATIVE_INFINITY
  #restarts = 0
  #attempt = 0
  #failed = false

  /**
   * @param now milliseconds, monotonic
   * @param random a number from 0 to below 1
   * @throws ViaductError INVALID_ARGUMENT / BAD_LIMIT
   */
  constructor(limits: Partial<RestartLimits>, now: () => number, random: () => number) {
    this.limits = { ...RESTART_DEFAULTS, ...limits }
    this.#now = now
    this.#random = random
    for (const [name, value] of Object.entries(this.limits)) {
      checkLimit(`restart.${name}`, value, name === 'factor' ? 1 : 0)
    }
  }

  get state(): RestartState {
    return { restarts: this.#restarts, attempt: this.#attempt, failed: this.#failed }
  }

  /**
   * To be asked once for each loss.
   *
   * @returns milliseconds to wait before the restart, half to all of the backoff's step by chance, so that
   * processes lost together do not come back together; or 'failed', now and ever after
   */
  next(): number | 'failed' {
    const { max, withinMs, initialDelayMs, maxDelayMs, factor } = this.limits
    const now = this.#now()
    while (this.#recent[0] !== undefined && this.#recent[0] <= now - withinMs) this.#recent.shift()
    if (this.#failed || this.#recent.length >= max) {
      this.#failed = true
      return 'failed'
    }
    this.#attempt = now - this.#last >= withinMs ? 1 : this.#attempt + 1
    this.#restarts++
    const step = Math.min(
      maxDelayMs,
      initialDelayMs * Math.min(factor ** (this.#attempt - 1), Number.MAX_VALUE),
    )
    const delayMs = step * (0.5 + this.#random() / 2)
    this.#last = now + delayMs
    if (max !== Number.POSITIVE_INFINITY) this.#recent.push(this.#last)
    return delayMs
  }
}
