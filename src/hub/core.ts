import { type AdmissionCrypto, Admitting, type Identity } from '../core/admission.ts'
import { type PeerLimits, TRUSTED_LIMITS } from '../core/bounds.ts'
import type { PeerInfo } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { Link } from '../core/link.ts'
import type { PeerOptions } from '../core/linkCore.ts'
import type { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import { positive, type Rule, readOptions } from '../policies/options.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import { hex } from '../wire/hex.ts'
import { ADMISSION_TIMEOUT_MS, CALL_TIMEOUT_MS, HUB_BODY_BYTES } from '../wire/limits.ts'
import { LINK_BODY_LIMITS } from '../wire/linkBody.ts'
import { type AlertOptions, Alerts, alertLine } from './alerts.ts'
import { Manifest, manifest, type Rules, type Subject } from './manifest.ts'
import { Metrics, type MetricsTimes } from './metrics.ts'
import { PolicyReports } from './policyReports.ts'
import { type Budget, Port, type PortLimits } from './port.ts'
import { Presence } from './presence.ts'
import type { Queues } from './queueSamples.ts'
import { Registry, type ServedMethod } from './registry.ts'
import { DEFAULT_REPLAY, type ReplayRules, replayRules } from './replayRules.ts'
import { Routes } from './routes.ts'
import { HubService } from './service.ts'
import { Switch } from './switch.ts'
import { Taps } from './tap.ts'
import { Topics } from './topics.ts'
import { TrafficLog } from './traffic.ts'
import { Waiting } from './waiting.ts'

/** Links that may be on their way in at once; more are closed. */
const MAX_PENDING = 64
/** What the hub itself reads is small: a body that takes long to decode would hold everybody up. */
const SERVICE_LIMITS: PeerLimits = {
  ...TRUSTED_LIMITS,
  ...LINK_BODY_LIMITS,
  messageBytes: HUB_BODY_BYTES,
  sentBytes: TRUSTED_LIMITS.messageBytes,
}

/** How a hub measures its traffic, and when it raises an alarm. */
export interface MetricsOptions extends MetricsTimes {
  /** When to tell and log that a threshold was crossed; false: nobody asks for it but those who listen. */
  readonly alerts?: AlertOptions | false
}

const alertsOption: Rule<AlertOptions | false> = {
  fallback: {},
  expects: 'an object, or false',
  accepts: (value) => value === false || (typeof value === 'object' && value !== null),
}
const METRICS = { windowMs: positive(60_000), sampleMs: positive(1_000), alerts: alertsOption }

export interface HubOptions {
  readonly clock: Clock
  readonly crypto: AdmissionCrypto
  readonly rules?: Rules | undefined
  /** What is kept of topics for subscribers that come back. */
  readonly replay?: ReplayRules | undefined
  /** Given, alerts are looked for from the start, and logged; else while somebody listens. */
  readonly metrics?: MetricsOptions | undefined
  /** Two ends within this process, for the hub's own service and local peers. */
  pair(): [Transport, Transport]
  makePeer(transport: Transport, options: PeerOptions): PeerCore
  /** The key of an id that may prove itself. */
  credential?(id: string): { readonly identity: Identity; readonly key: Uint8Array } | undefined
  /** What an operator should know, once. */
  log?(text: string): void
}

export interface AcceptOptions {
  /** Who is there, where the link itself is the proof. */
  readonly identity?: Identity
  readonly supervised?: boolean
  onAdmitted?(port: Port): void
  onReady?(port: Port): void
  onClosed?(reason: CloseReason): void
}

/** One line of `$hub.serve`. */
export type ServeLine = readonly [
  name: string,
  fingerprint: string,
  kind?: ServedMethod['kind'],
  idempotent?: boolean,
]

/** Many links: admits peers, stamps who they are, switches frames between them. Never opens a body. */
export class HubCore {
  readonly clock: Clock
  readonly session: string
  readonly registry = new Registry()
  readonly presence = new Presence(this.registry)
  readonly traffic = new TrafficLog()
  readonly manifest: Manifest
  readonly switch: Switch
  readonly topics: Topics
  readonly taps = new Taps((taps) => {
    this.switch.tap = taps
    this.topics.tap = taps
  })
  readonly service: HubService
  readonly metrics: Metrics
  readonly alerts: Alerts
  readonly reports = new PolicyReports()
  readonly startedAt: number
  /** Ids that may use the hub's own methods without a rule: whoever runs it. */
  readonly operators = new Set<string>()
  readonly #options: HubOptions
  readonly #budget: Budget = { queuedBytes: 0 }
  readonly #routes: Routes
  readonly #waiting: Waiting
  readonly #supervised = new WeakSet<Port>()
  readonly #onReady = new WeakMap<Port, (port: Port) => void>()
  #pending = 0
  #numbers = 0
  #warned = false
  #closed = false

  constructor(options: HubOptions) {
    this.#options = options
    this.clock = options.clock
    this.startedAt = this.clock.now()
    this.session = hex(options.crypto.random(16))
    this.manifest = new Manifest(options.rules && manifest(options.rules))
    this.topics = new Topics({
      clock: this.clock,
      session: this.session,
      replay: replayRules(options.replay ?? DEFAULT_REPLAY),
      budget: this.#budget,
      manifest: this.manifest,
      traffic: this.traffic,
      subjectOf: (port) => this.subjectOf(port),
      bare: (port, id, reason, fate, method) => this.switch.bare(port, id, reason, fate, method, 'topics'),
    })
    this.#routes = new Routes(this.registry, this.manifest, this.traffic, this.topics, (port) =>
      this.subjectOf(port),
    )
    this.switch = new Switch(this.clock, {
      control: (port, kind, bytes, at) => this.#routes.control(port, kind, bytes, at),
      tell: (route, binding) => this.#routes.tell(route, binding),
      wait: (port, route, bytes, at, length) => this.#waiting.add(port, route, bytes, at, length),
    })
    this.#waiting = new Waiting(this.clock, this.switch, CALL_TIMEOUT_MS)
    const { alerts, ...times } = readOptions('metrics', options.metrics, METRICS)
    this.metrics = new Metrics(
      {
        clock: this.clock,
        startedAt: this.startedAt,
        traffic: () => this.traffic.rows(),
        queues: () => this.#queues(),
        retries: () => this.reports.retries(),
      },
      times,
    )
    this.alerts = new Alerts(this.metrics, alerts || {})
    if (options.metrics && alerts !== false) {
      this.alerts.listen((change) => options.log?.(alertLine(change)))
    }
    this.service = new HubService(this)
    this.service.serveOn(this.local('hub', 'hub', { limits: SERVICE_LIMITS }))
  }

  subjectOf(port: Port): Subject {
    const { id, type } = port.info
    return {
      id,
      type,
      zone: this.manifest.zone(id, type),
      supervised: this.#supervised.has(port),
      operator: this.operators.has(id),
    }
  }

  /** What waits in the hub: frames for peers, and events that are not yet frames. */
  #queues(): Queues {
    const peers = new Map<string, number>()
    const topics = new Map<string, number>()
    for (const { info, link } of this.registry.all()) peers.set(info.id, link.outbox.queuedMessages)
    for (const { topic, subscriber, queued } of this.topics.stats()) {
      peers.set(subscriber, (peers.get(subscriber) ?? 0) + queued)
      topics.set(topic, (topics.get(topic) ?? 0) + queued)
    }
    return { peers, topics }
  }

  get info(): PeerInfo {
    return { id: 'hub', type: 'hub', zone: 'hub', session: this.session }
  }

  /** A peer within this process, joined over memory. Its link is its proof. */
  local(id: string, type: string, options: Pick<PeerOptions, 'limits' | 'debug'> = {}): PeerCore {
    const [ours, theirs] = this.#options.pair()
    const info = this.#infoFor({ id, type }, undefined)
    const port = this.#attach(ours, info, this.manifest.limits(id, type))
    this.#supervised.add(port)
    port.ready = true
    this.#enter(port)
    return this.#options.makePeer(theirs, {
      clock: this.clock,
      limits: TRUSTED_LIMITS,
      ...options,
      hub: true,
      far: this.info,
    })
  }

  /**
   * A link from another process. It has ADMISSION_TIMEOUT_MS to prove who it is, unless the link is the proof:
   * a child may take longer than that to load its program, and its supervisor says how long.
   */
  accept(transport: Transport, options: AcceptOptions = {}): void {
    const proven = options.identity !== undefined
    if (this.#closed || (!proven && this.#pending >= MAX_PENDING)) {
      transport.close('DENIED')
      return
    }
    if (!proven) this.#pending++
    let port: Port | undefined
    let info: PeerInfo | undefined
    let pending = !proven
    const settle = (): void => {
      if (!pending) return
      pending = false
      this.#pending--
      cancel()
    }
    const admitting = new Admitting(
      {
        credential: (id) => this.#options.credential?.(id),
        admit: (identity, claimedPid) => {
          if (this.#closed || identity.id === 'hub') return undefined
          const id = identity.shared ? this.#freeId(identity.id) : identity.id
          info = this.#infoFor({ ...identity, id }, claimedPid)
          const { messageBytes, exchanges } = this.manifest.limits(info.id, info.type)
          return { ...info, hub: { session: this.session }, limits: { messageBytes, exchanges } }
        },
        admitted: () => {
          settle()
          if (!info) return
          this.registry.get(info.id)?.link.close('REPLACED')
          port = new Port(
            this.#numbers++,
            link,
            info,
            this.manifest.limits(info.id, info.type),
            this.#budget,
            this.manifest.rates(info.id, info.type),
          )
          if (options.supervised) this.#supervised.add(port)
          if (options.onReady) this.#onReady.set(port, options.onReady)
          this.#enter(port)
          options.onAdmitted?.(port)
        },
      },
      this.#options.crypto,
      options.identity,
    )
    const link = new Link(transport, this.clock, TRUSTED_LIMITS.messageBytes, {
      keeps: true,
      kept: () => port?.stillLends() ?? false,
      admission: (kind, bytes, at, length) => admitting.receive(link, kind, bytes, at, length),
      frame: (bytes, at, length) => {
        if (port) this.switch.frame(port, bytes, at, length)
        else link.violation()
      },
      goaway: () => {
        if (port) this.#drains(port)
      },
      drained: () => {
        if (port) this.topics.drained(port)
      },
      closed: (reason) => {
        settle()
        if (port) this.#leave(port, reason)
        options.onClosed?.(reason)
        // Calls may have waited for it, and nobody else may be on the way.
        this.#waiting.retry()
      },
    })
    const cancel = proven
      ? () => {}
      : this.clock.after(ADMISSION_TIMEOUT_MS, () => link.close('ADMISSION_TIMEOUT'))
  }

  #attach(transport: Transport, info: PeerInfo, limits: PortLimits): Port {
    const link: Link = new Link(transport, this.clock, TRUSTED_LIMITS.messageBytes, {
      keeps: true,
      kept: () => port.stillLends(),
      frame: (bytes, at, length) => this.switch.frame(port, bytes, at, length),
      goaway: () => this.#drains(port),
      drained: () => this.topics.drained(port),
      closed: (reason) => this.#leave(port, reason),
    })
    const rates = this.manifest.rates(info.id, info.type)
    const port: Port = new Port(this.#numbers++, link, info, limits, this.#budget, rates)
    return port
  }

  /** The id itself, or the first of `id.2`, `id.3` … that nobody has; no id that can be given out has a dot. */
  #freeId(id: string): string {
    let free = id
    for (let number = 2; this.registry.get(free); number++) free = `${id}.${number}`
    return free
  }

  #infoFor(identity: Identity, claimedPid: number | undefined): PeerInfo {
    const { id, type } = identity
    const pid = identity.pid ?? claimedPid
    return {
      id,
      type,
      zone: this.manifest.zone(id, type),
      session: hex(this.#options.crypto.random(16)),
      ...(pid === undefined ? {} : { pid }),
    }
  }

  #enter(port: Port): void {
    this.registry.add(port)
    this.switch.add(port)
    this.#routes.refresh(port)
    this.presence.joined(port)
    if (this.manifest.open && !this.#warned && port.info.zone !== 'hub') {
      this.#warned = true
      this.#options.log?.(
        'no manifest: supervised children of the trusted and semi-trusted zones may call, publish and subscribe to everything, all others nothing',
      )
    }
  }

  #drains(port: Port): void {
    port.draining = true
    this.presence.changed(port)
  }

  #leave(port: Port, reason: CloseReason): void {
    port.closed = reason
    this.registry.remove(port)
    this.service.left(port)
    this.reports.forget(port)
    this.topics.remove(port)
    this.switch.remove(port)
    this.#routes.remove(port)
    this.#waiting.remove(port)
    this.presence.left(port, reason)
  }

  /** What a peer says of its methods. */
  serve(port: Port, methods: readonly ServeLine[]): void {
    for (const [name, fingerprint, kind, idempotent] of methods)
      this.registry.serve(port, name, fingerprint, kind, idempotent)
    this.#routes.refresh(port, new Set(methods.map(([name]) => name)))
    this.#waiting.retry()
    this.presence.served(
      port,
      methods.map(([name]) => name),
    )
  }

  withdraw(port: Port, names: readonly string[]): void {
    for (const name of names) this.registry.withdraw(port, name)
    this.#routes.refresh(port, new Set(names))
    this.presence.withdrawn(port, names)
  }

  /** A peer has done what it does before it takes work. */
  ready(port: Port): void {
    if (port.ready) return
    port.ready = true
    this.presence.changed(port)
    this.registry.unexpect(port.info.id)
    this.#onReady.get(port)?.(port)
    this.#waiting.retry()
  }

  /** A supervisor is starting this peer: calls to it may wait for a while. */
  expect(id: string, type: string): void {
    this.registry.expect(id, type)
  }

  /** It will not come. */
  unexpect(id: string): void {
    this.registry.unexpect(id)
    this.#waiting.retry()
  }

  /** Settles when a peer has finished what it was doing, and takes nothing new; at once when it is not here. */
  drain(id: string): Promise<void> {
    const port = this.registry.get(id)
    if (!port) return Promise.resolve()
    this.#drains(port)
    port.link.goAway()
    // Also when its link ends: whatever was open there has ended then.
    return new Promise((resolve) => port.whenIdle(resolve))
  }

  close(): void {
    this.#closed = true
    // Its own peer, the first of all, goes last: what others have open with the hub ends with their links.
    for (const port of this.registry.all().reverse()) port.link.close('GOING_AWAY')
    this.#waiting.stop()
    this.switch.stop()
    this.metrics.stop()
  }
}
