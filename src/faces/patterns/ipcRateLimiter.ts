// Wraps Rates: token buckets, with S1's limits unless others are given.
import type { Clock } from '../../core/clock.ts'
import { type RateLimits, Rates, s1RateLimits } from '../../core/rates.ts'
import { readOptions, time } from '../../policies/options.ts'
import { checkLimits } from '../../policies/rateLimit.ts'
import { isSeedName, spellingsOf } from './spellings.ts'

/** S1's limit of a message that has none of its own. */
const s1Others: RateLimits = { '*': 100 }

export class IPCRateLimiter {
  readonly #rates: Rates
  readonly #clock: Clock

  /** @param limits messages a second by name; `'*'`, of all others, is 100 unless it is given, as in S1. */
  constructor(limits: RateLimits = s1RateLimits, options?: { readonly clock?: Clock }) {
    const { clock } = readOptions('IPCRateLimiter', options, { clock: time() })
    checkLimits('IPCRateLimiter', limits)
    this.#rates = new Rates({ ...s1Others, ...limits })
    this.#clock = clock
  }

  /**
   * Whether a process may send one more message of this type now; if so, it counts. Both spellings of a name have one
   * limit, and all names that neither S1 nor the limits know have one together.
   *
   * @param processId as the hub says: `call.peer.id`.
   */
  checkRateLimit(processId: string | number, messageType: string): boolean {
    const names = spellingsOf(messageType)
    const name = names.find((one) => this.#rates.names(one)) ?? names[0] ?? messageType
    const isKnown = isSeedName(name) || this.#rates.names(name)
    return this.#rates.take(String(processId), name, this.#clock.now(), isKnown) === 0
  }
}
