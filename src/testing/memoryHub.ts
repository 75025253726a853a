import { Peer } from '../contract/peer.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { PeerCore } from '../core/peer.ts'
import { nodeCrypto } from '../host/join.ts'
import { HubCore, type MetricsOptions } from '../hub/core.ts'
import type { Rules } from '../hub/manifest.ts'
import type { ReplayRules } from '../hub/replayRules.ts'
import { memoryTransports } from '../transports/memory.ts'

export interface MemoryHubOptions {
  /**
   * What peers may do, as `Hub.listen` takes it. Default as there: types of the trusted and semi-trusted zones
   * (`main`, `network`, `ai`, `worker`, …) may do everything, all others nothing.
   */
  readonly manifest?: Rules
  /** What is kept of topics for subscribers that come back, as `Hub.listen` takes it. */
  readonly replay?: ReplayRules
  /** How its traffic is measured, as `Hub.listen` takes it. */
  readonly metrics?: MetricsOptions
  readonly clock?: Clock
  /** Told what an operator should know. Default: nobody. */
  readonly log?: (text: string) => void
}

/** A hub and its peers within one process: the real switch, rules and limits, without sockets and files. */
export interface MemoryHub {
  /** The switchboard itself, for tests that look inside. */
  readonly core: HubCore
  /**
   * Joins a peer. It is ready to call at once, and to be called when this turn has ended.
   *
   * @param type default: the id without a trailing number, so `ai-1` is of type `ai`.
   */
  peer(id: string, type?: string): Peer
  /** Ends every link. */
  close(): void
}

/** An in-memory hub for tests. */
export function memoryHub(options: MemoryHubOptions = {}): MemoryHub {
  const { clock = systemClock, manifest, replay, metrics, log } = options
  const core = new HubCore({
    clock,
    crypto: nodeCrypto,
    rules: manifest,
    replay,
    metrics,
    pair: () => memoryTransports(clock),
    makePeer: (transport, peerOptions) => new PeerCore(transport, peerOptions),
    ...(log ? { log } : {}),
  })
  return {
    core,
    peer(id, type = id.replace(/-\d+$/, '')) {
      const peer = new Peer(core.local(id, type), {
        id,
        type,
        zone: core.manifest.zone(id, type),
        session: core.registry.get(id)?.info.session ?? '',
      })
      // It takes work as soon as what follows has said what it serves.
      clock.afterTurn(() => {
        if (!peer.isClosed) peer.ready().catch(() => {})
      })
      return peer
    },
    close: () => core.close(),
  }
}
