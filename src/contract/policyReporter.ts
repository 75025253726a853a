import type { Interceptor, PolicyStats } from '../core/interceptor.ts'
import { untyped } from '../core/method.ts'
import type { PeerCore } from '../core/peer.ts'
import { HUB_BODY_BYTES } from '../wire/limits.ts'

const REPORT = untyped('$hub.report')
/** At most so often. */
const REPORT_MS = 1000
/** What of a report the hub takes: in all, and of one policy. */
const MAX_POLICIES = 256
const MAX_STATS = 64
const MAX_NAME = 256
const MAX_TEXT = 128
/** No value takes more bytes than three for each character in JSON. */
const MAX_JSON = HUB_BODY_BYTES / 3 - 32

/**
 * Tells the hub what the policies of a peer have counted, when that has changed, at most once a second. Without policies
 * that count there is no timer.
 */
export class PolicyReporter {
  readonly #present: () => PeerCore
  readonly #policies = new Map<Interceptor, string>()
  #told: string | undefined
  #cancel: (() => void) | undefined
  #ended = false

  constructor(present: () => PeerCore) {
    this.#present = present
  }

  /** @param name what they stand at: their contract's. Each is told of once, where it stood first. */
  add(policies: readonly Interceptor[], name: string): void {
    if (this.#ended || !this.#present().hasHub) return
    for (const policy of policies) {
      if (policy.stats && this.#policies.size < MAX_POLICIES && !this.#policies.has(policy)) {
        this.#policies.set(policy, name)
      }
    }
    if (this.#policies.size > 0) this.#cancel ??= this.#wait()
  }

  /** Over a new link the hub knows nothing any more. */
  again(): void {
    this.#told = undefined
  }

  end(): void {
    this.#ended = true
    this.#cancel?.()
  }

  #wait(): () => void {
    return this.#present().clock.after(REPORT_MS, () => {
      this.#tell()
      if (!this.#ended) this.#cancel = this.#wait()
    })
  }

  #tell(): void {
    const core = this.#present()
    if (core.isClosed) return
    const policies = []
    let told = ''
    for (const [policy, name] of this.#policies) {
      const row = { policy: (policy.policy || 'policy').slice(0, MAX_NAME), name, stats: statsOf(policy) }
      const text = JSON.stringify(row)
      if (told.length + text.length > MAX_JSON) continue
      told += text
      policies.push(row)
    }
    if (told !== this.#told && core.notify(REPORT, { policies })) this.#told = told
  }
}

/** What the hub takes of what a policy has counted. */
function statsOf(policy: Interceptor): PolicyStats {
  const stats: { [name: string]: number | string } = {}
  try {
    for (const [name, value] of Object.entries(policy.stats?.() ?? {}).slice(0, MAX_STATS)) {
      if (typeof value === 'string') stats[name.slice(0, MAX_TEXT)] = value.slice(0, MAX_TEXT)
      else if (typeof value === 'number') stats[name.slice(0, MAX_TEXT)] = value
    }
  } catch {
    // It is no call's business that a policy cannot count.
  }
  return stats
}
