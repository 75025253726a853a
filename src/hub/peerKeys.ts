import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import type { HubCore } from './core.ts'
import type { Port } from './port.ts'

const KEY_BYTES = 32
/** Public keys of one peer: the present one, and older ones while they count. */
const MAX_KEYS = 4

interface PeerKey {
  readonly key: Uint8Array
  readonly until: number
}

export interface KeysAnswer {
  readonly keys: readonly { readonly key: Uint8Array; readonly forMs?: number }[]
}

/** The public keys that peers have told the hub over their links, for those who may call them or be called. */
export class PeerKeys {
  readonly #hub: HubCore
  readonly #keys = new WeakMap<Port, readonly PeerKey[]>()

  constructor(hub: HubCore) {
    this.#hub = hub
  }

  /** The keys of a peer, from its own link: they replace what it told before. */
  tell(port: Port, input: unknown): void {
    const list = fieldOf(input, 'keys')
    if (!Array.isArray(list) || list.length > MAX_KEYS)
      throw invalid('input.keys', `a list of up to ${MAX_KEYS}`)
    const now = this.#hub.clock.now()
    this.#keys.set(
      port,
      list.map((line: unknown, index) => {
        const { key, forMs = Number.POSITIVE_INFINITY }: { key?: unknown; forMs?: unknown } =
          typeof line === 'object' && line !== null ? line : {}
        if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES) {
          throw invalid(`input.keys[${index}].key`, `${KEY_BYTES} bytes`)
        }
        if (typeof forMs !== 'number' || !(forMs >= 0)) {
          throw invalid(`input.keys[${index}].forMs`, 'milliseconds from 0 on')
        }
        return { key, until: now + forMs }
      }),
    )
  }

  /** Nothing for those who have nothing to do with that peer, as for a peer that is not there. */
  ask(asker: Port, input: unknown): KeysAnswer {
    const { id, method }: { id?: unknown; method?: unknown } =
      typeof input === 'object' && input !== null ? input : {}
    if (typeof id !== 'string') throw invalid('input.id', 'the id of a peer')
    if (typeof method !== 'string') throw invalid('input.method', 'the name of a method')
    const port = this.#hub.registry.get(id)
    if (!port || method.startsWith('$')) return { keys: [] }
    if (!this.#mayCall(asker, port, method) && !this.#mayCall(port, asker, method)) return { keys: [] }
    const now = this.#hub.clock.now()
    return {
      keys: (this.#keys.get(port) ?? [])
        .filter(({ until }) => until > now)
        .map(({ key, until }) => (Number.isFinite(until) ? { key, forMs: until - now } : { key })),
    }
  }

  #mayCall(from: Port, { info }: Port, method: string): boolean {
    return this.#hub.manifest.mayCall(this.#hub.subjectOf(from), method, [info.id, info.type])
  }
}

function invalid(path: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `$hub: ${path}: ${text}`, { path })
}
