/** What the hub's own methods answer (PROTOCOL.md, section 12). */

import type { ReasonName } from '../wire/reasons.ts'
import type { PolicyRow } from './policyReports.ts'

/**
 * How a peer stands. `busy`: connected, and has said that it will not answer for a while. `backoff`: a child that was
 * lost and will be started again. `failed`: one that will not.
 */
export type PeerState = 'starting' | 'ready' | 'busy' | 'draining' | 'backoff' | 'failed'

/** One row of `$hub.watch`: a peer that is connected, or a supervised child that is not. */
export interface PeerRow {
  readonly id: string
  readonly type: string
  readonly state: PeerState
  /** How many methods it serves. */
  readonly methods: number
  /** These two: of connected peers. */
  readonly zone?: string
  readonly session?: string
  readonly pid?: number
  /** Of a child that is not connected: why it was lost, in words. */
  readonly reason?: string
  /** Of a supervised child: how often it was started again. */
  readonly restarts?: number
}

/** One change of one row. */
export interface PeerChange {
  /** `restart`: a child that was lost is started again. */
  readonly kind: 'joined' | 'left' | 'state' | 'served' | 'withdrawn' | 'restart'
  /** Milliseconds since 1970, by the hub's clock. */
  readonly at: number
  readonly id: string
  /** The row from now on; absent: there is none any more. */
  readonly peer?: PeerRow
  /** Why a link ended, or a child was lost. */
  readonly reason?: string
  /** What it serves from now on, or serves no more. */
  readonly methods?: readonly string[]
}

/** All rows as they stand: the first thing that a watcher gets, and what it gets instead of changes it missed. */
export interface Snapshot {
  readonly kind: 'snapshot'
  readonly at: number
  /** Changes that were not told; `unknown` after the link was lost. */
  readonly missed: number | 'unknown'
  readonly peers: readonly PeerRow[]
}

/** One item of `$hub.watch`. A snapshot and the changes after it make the rows at any time. */
export type HubChange = Snapshot | PeerChange

/** One row of `$hub.who`. */
export interface PeerStatus {
  readonly id: string
  readonly type: string
  readonly zone: string
  readonly session: string
  readonly pid?: number
  /** How it stands; `ready` and `draining` say a part of it. */
  readonly state: PeerState
  readonly ready: boolean
  readonly draining: boolean
  /** How many methods it serves. */
  readonly methods: number
  /** How much longer it may be silent, as it has declared; 0: it has not. */
  readonly busyMs: number
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
  /** The errors by their codes; `UNSAID` are those of peers that put none into the head. */
  readonly errorCodes: { readonly [code: string]: number }
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
    /** Of the subscriptions of one type of peer with this group, one gets each event. */
    readonly group?: string
    readonly queued: number
    readonly queuedBytes: number
    readonly dropped: number
  }[]
  /** What the policies of peers have counted, as they last reported it. */
  readonly policies: readonly PolicyRow[]
}

/** One row of `$hub.describe`. */
export interface Description {
  readonly id: string
  readonly type: string
  readonly methods: readonly {
    readonly name: string
    readonly fingerprint: string
    /** A stream is answered with items. */
    readonly kind: 'call' | 'stream'
  }[]
}

/** What `$hub.ping` answers. */
export interface PingAnswer {
  readonly session: string
  readonly uptimeMs: number
  /** Milliseconds from the hub to the peer that was asked for, and back. */
  readonly peerMs?: number
}

export interface RouteRow {
  readonly id: string
  readonly type: string
  readonly session: string
  /** For those who may ask `$hub.who`. */
  readonly pid?: number
}

/** What `$hub.route` answers. */
export interface RouteAnswer {
  readonly peers: readonly RouteRow[]
  /** Of a filter: who passes it and serves a method that may not be called there, as far as the asker may know. */
  readonly denied?: readonly RouteRow[]
  readonly methods: readonly { readonly name: string; readonly status: ReasonName | 'OK' }[]
}
