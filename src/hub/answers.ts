/** What the hub's own methods answer (PROTOCOL.md, section 12). */

import type { ReasonName } from '../wire/reasons.ts'

/** One row of `$hub.who`. */
export interface PeerStatus {
  readonly id: string
  readonly type: string
  readonly zone: string
  readonly session: string
  readonly pid?: number
  readonly ready: boolean
  readonly draining: boolean
  /** Calls that it answers now. */
  readonly open: number
  readonly queuedBytes: number
  readonly queuedMessages: number
  /** Not read at the moment, because others hold too much of what it sent. */
  readonly paused: boolean
  readonly calls: number
  readonly refused: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** One row of the traffic in `$hub.stats`. */
export interface TrafficRow {
  readonly from: string
  readonly to: string
  readonly method: string
  readonly calls: number
  readonly oneWay: number
  readonly items: number
  readonly bytes: number
  readonly errors: number
  readonly dropped: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface HubStats {
  readonly session: string
  readonly uptimeMs: number
  readonly frames: number
  readonly published: number
  readonly queuedBytes: number
  readonly peers: readonly PeerStatus[]
  readonly traffic: readonly TrafficRow[]
  /** What is kept of topics for subscribers that come back. */
  readonly kept: { readonly events: number; readonly bytes: number }
  readonly subscriptions: readonly {
    readonly topic: string
    readonly subscriber: string
    readonly queued: number
    readonly queuedBytes: number
    readonly dropped: number
  }[]
}

/** One row of `$hub.describe`. */
export interface Description {
  readonly id: string
  readonly type: string
  readonly methods: readonly { readonly name: string; readonly fingerprint: string }[]
}

/** What `$hub.ping` answers. */
export interface PingAnswer {
  readonly session: string
  readonly uptimeMs: number
  /** Milliseconds from the hub to the peer that was asked for, and back. */
  readonly peerMs?: number
}

/** What `$hub.route` answers. */
export interface RouteAnswer {
  readonly peers: readonly { readonly id: string; readonly type: string; readonly session: string }[]
  readonly methods: readonly { readonly name: string; readonly status: ReasonName | 'OK' }[]
}
