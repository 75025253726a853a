import type { PeerChange, PeerRow, PeerState } from './answers.ts'
import type { Port } from './port.ts'
import type { Registry } from './registry.ts'

/** What a supervisor knows of a child. */
export interface ChildNews {
  readonly type: string
  readonly state: 'starting' | 'ready' | 'backoff' | 'stopping' | 'stopped' | 'failed'
  /** Why it was lost, in words. */
  readonly reason?: string | undefined
  /** How often it was started again. */
  readonly restarts?: number | undefined
}

/** What happened, where the row alone does not say it. */
interface Circumstance {
  readonly reason?: string | undefined
  readonly methods?: readonly string[]
}

/**
 * Who is there and how, as rows, and each change of a row as it happens. Whoever changes what a row is made of says
 * so here; a row that comes out the same is no change. All that tells of changes rests on this.
 */
export class Presence {
  readonly #registry: Registry
  readonly #now: () => number
  readonly #rows = new Map<string, PeerRow>()
  readonly #children = new Map<string, ChildNews>()
  readonly #listeners = new Set<(change: PeerChange) => void>()

  /** @param now milliseconds since 1970. */
  constructor(registry: Registry, now: () => number = Date.now) {
    this.#registry = registry
    this.#now = now
  }

  /** One row for each peer that is connected, and each supervised child that is not. */
  rows(): PeerRow[] {
    return [...this.#rows.values()]
  }

  /** Told of every change until the returned function is called. Listeners may not throw. */
  listen(listener: (change: PeerChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  joined(port: Port): void {
    this.#update('joined', port.info.id)
  }

  left(port: Port, reason: string): void {
    this.#update('left', port.info.id, { reason })
  }

  /** A peer is ready, drains, or rests. */
  changed(port: Port): void {
    this.#update('state', port.info.id)
  }

  served(port: Port, methods: readonly string[]): void {
    if (methods.length > 0) this.#update('served', port.info.id, { methods })
  }

  withdrawn(port: Port, methods: readonly string[]): void {
    if (methods.length > 0) this.#update('withdrawn', port.info.id, { methods })
  }

  /** A supervised child has changed. */
  child(id: string, news: ChildNews): void {
    const before = this.#children.get(id)
    if (news.state === 'stopped') this.#children.delete(id)
    // Why it was lost stays known while it is started again.
    else
      this.#children.set(id, {
        ...news,
        reason: news.reason ?? (news.state === 'starting' ? before?.reason : undefined),
      })
    const restarts = news.state === 'starting' && before?.state === 'backoff'
    this.#update(restarts ? 'restart' : 'state', id, {
      reason: news.reason ?? (restarts ? before.reason : undefined),
    })
  }

  /** How a connected peer stands. */
  stateOf(port: Port): PeerState {
    if (port.draining) return 'draining'
    if (!port.ready && port.info.zone !== 'hub') return 'starting'
    return port.busy ? 'busy' : 'ready'
  }

  #row(id: string): PeerRow | undefined {
    const child = this.#children.get(id)
    const restarts = child?.restarts ? { restarts: child.restarts } : {}
    const port = this.#registry.get(id)
    if (port) {
      const { type, zone, session, pid } = port.info
      return {
        id,
        type,
        zone,
        session,
        ...(pid === undefined ? {} : { pid }),
        state: this.stateOf(port),
        methods: this.#registry.served(port).size,
        ...restarts,
      }
    }
    // Without a link a child is on its way, or will not come; what its supervisor does not know yet is not said.
    if (!child || child.state === 'ready' || child.state === 'stopping') return undefined
    const { type, state, reason } = child
    if (state === 'stopped') return undefined
    return { id, type, state, methods: 0, ...(reason === undefined ? {} : { reason }), ...restarts }
  }

  #update(kind: PeerChange['kind'], id: string, { reason, methods }: Circumstance = {}): void {
    const before = this.#rows.get(id)
    const peer = this.#row(id)
    if (peer) this.#rows.set(id, peer)
    else this.#rows.delete(id)
    // Methods may be served anew with other handlers, which changes no row and is news all the same.
    if (methods === undefined && same(before, peer)) return
    const change: PeerChange = {
      kind,
      at: this.#now(),
      id,
      ...(peer ? { peer } : {}),
      ...(reason === undefined ? {} : { reason }),
      ...(methods ? { methods } : {}),
    }
    for (const listener of this.#listeners) listener(change)
  }
}

const FIELDS = ['type', 'zone', 'session', 'pid', 'state', 'methods', 'reason', 'restarts'] as const

function same(one: PeerRow | undefined, other: PeerRow | undefined): boolean {
  if (!one || !other) return one === other
  return FIELDS.every((field) => one[field] === other[field])
}
