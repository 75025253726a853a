import type { Target } from '../core/call.ts'
import { MAX_METHODS } from '../wire/limits.ts'
import type { Port } from './port.ts'

/** What a peer says of a method that it serves. */
export interface ServedMethod {
  readonly fingerprint: string
  readonly kind: 'call' | 'stream'
  /** It may run twice. */
  readonly idempotent?: true
}

/** Who is there, by id and by type, what each serves, and who is on the way. */
export class Registry {
  readonly #byId = new Map<string, Port>()
  readonly #byType = new Map<string, Set<Port>>()
  readonly #serves = new Map<Port, Map<string, ServedMethod>>()
  /** Ids and types that a supervisor is starting. */
  readonly #awaited = new Map<string, string>()

  get size(): number {
    return this.#byId.size
  }

  all(): Port[] {
    return [...this.#byId.values()]
  }

  get(id: string): Port | undefined {
    return this.#byId.get(id)
  }

  ofType(type: string): ReadonlySet<Port> {
    return this.#byType.get(type) ?? NONE
  }

  add(port: Port): void {
    const { id, type } = port.info
    this.#byId.set(id, port)
    let peers = this.#byType.get(type)
    if (!peers) {
      peers = new Set()
      this.#byType.set(type, peers)
    }
    peers.add(port)
    this.#serves.set(port, new Map())
  }

  remove(port: Port): void {
    const { id, type } = port.info
    if (this.#byId.get(id) === port) this.#byId.delete(id)
    const peers = this.#byType.get(type)
    peers?.delete(port)
    if (peers?.size === 0) this.#byType.delete(type)
    this.#serves.delete(port)
  }

  /** Methods that a peer serves, by name. */
  served(port: Port): ReadonlyMap<string, ServedMethod> {
    return this.#serves.get(port) ?? EMPTY
  }

  serve(
    port: Port,
    method: string,
    fingerprint = '',
    kind: ServedMethod['kind'] = 'call',
    idempotent = false,
  ): void {
    const methods = this.#serves.get(port)
    // More than can be called on any route are not kept.
    if (methods && (methods.size < MAX_METHODS || methods.has(method)))
      methods.set(method, { fingerprint, kind, ...(idempotent ? { idempotent } : {}) })
  }

  withdraw(port: Port, method: string): void {
    this.#serves.get(port)?.delete(method)
  }

  /** A peer is being started; calls to it may wait. */
  expect(id: string, type: string): void {
    this.#awaited.set(id, type)
  }

  /** It has come, or will not. */
  unexpect(id: string): void {
    this.#awaited.delete(id)
  }

  isAwaited(target: Target): boolean {
    if ('any' in target) return this.#awaited.size > 0
    if ('id' in target) return this.#awaited.has(target.id)
    for (const type of this.#awaited.values()) if (type === target.type) return true
    return false
  }
}

const NONE: ReadonlySet<Port> = new Set()
const EMPTY: ReadonlyMap<string, ServedMethod> = new Map()
