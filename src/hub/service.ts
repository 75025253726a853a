import type { CallContext, Handler } from '../core/call.ts'
import { untyped } from '../core/method.ts'
import type { PeerCore } from '../core/peer.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { MAX_BUSY_MS } from '../wire/limits.ts'
import type { AlertChange, AlertSnapshot } from './alerts.ts'
import type {
  Description,
  HubStats,
  PeerChange,
  PeerStatus,
  PingAnswer,
  RouteAnswer,
  Snapshot,
} from './answers.ts'
import type { HubCore, ServeLine } from './core.ts'
import { everyone, type Filter, readFilter } from './everyone.ts'
import { type MetricsReport, reportOf } from './metrics.ts'
import { PeerKeys } from './peerKeys.ts'
import type { Port } from './port.ts'
import { TAP_METHOD, Tap } from './tap.ts'
import { WATCH_CAPACITY, Watch, type WatchSource } from './watch.ts'

/** Streams of `$hub.tap` that may be open at once. */
const MAX_TAPS = 16
/** Streams of `$hub.watch`, `$hub.metrics` and `$hub.alerts` that may be open at once, and those of one peer. */
const MAX_WATCHES = 64
const MAX_OWN_WATCHES = 8
/** Rows of traffic, and of policies, that one answer may carry. */
const MAX_TRAFFIC_ROWS = 2000
const MAX_POLICY_ROWS = 2000
/** Windows that wait for one reader of `$hub.metrics`. */
const METRICS_CAPACITY = 4

const WATCH_METHOD = '$hub.watch'
const METRICS_METHOD = '$hub.metrics'
const ALERTS_METHOD = '$hub.alerts'

/** The hub's own methods, `$hub.*`: an ordinary peer answers them, so every tool is an ordinary caller. */
export class HubService {
  readonly #hub: HubCore
  readonly #keys: PeerKeys

  constructor(hub: HubCore) {
    this.#hub = hub
    this.#keys = new PeerKeys(hub)
  }

  #peer: PeerCore | undefined
  /** Watches that are open, by who watches, and in all. */
  readonly #watches = new Map<string, number>()
  #watching = 0
  readonly #pings = new Map<Port, { readonly promise: Promise<number>; fail(): void }>()

  /** Further methods of the hub's own, `$hub.<name>`; who may call them is the manifest's to say. */
  extend(methods: Record<string, Handler>): void {
    const peer = this.#peer
    const port = this.#hub.registry.get('hub')
    if (!peer || !port) return
    for (const [name, handler] of Object.entries(methods)) {
      peer.handle(untyped(`$hub.${name}`), handler)
      // Directly: announcing it would need $hub.serve, which is one of these.
      this.#hub.registry.serve(port, `$hub.${name}`)
    }
    this.#hub.presence.changed(port)
  }

  /** Publishes one of the hub's own events. */
  publish(topic: string, data: unknown): void {
    this.#peer?.publish(untyped(topic, 'topic'), data)
  }

  serveOn(peer: PeerCore): void {
    this.#peer = peer
    const methods: Record<string, Handler> = {
      ping: (input, call) => this.ping(input, call),
      who: () => this.who(),
      describe: (input) => this.describe(input),
      stats: () => this.stats(),
      route: (input, call) => this.route(input, call),
      serve: (input, call) => this.#serve(input, this.#port(call)),
      withdraw: (input, call) => this.#withdraw(input, this.#port(call)),
      ready: (input, call) => {
        const port = this.#port(call)
        port.printsStack = textOf(input, 'stack') === 'stderr'
        this.#hub.ready(port)
      },
      busy: (input, call) => this.#busy(input, this.#port(call)),
      report: (input, call) => this.#hub.reports.take(this.#port(call), input),
      key: (input, call) => this.#keys.tell(this.#port(call), input),
      keysOf: (input, call) => this.#keys.ask(this.#port(call), input),
    }
    this.extend(methods)
    const streams: Record<string, Handler> = {
      [TAP_METHOD]: (input) => this.tap(input),
      [WATCH_METHOD]: (_, call) => this.watch(call.peer.id),
      [METRICS_METHOD]: (_, call) => this.metrics(call.peer.id),
      [ALERTS_METHOD]: (_, call) => this.alerts(call.peer.id),
    }
    const port = this.#hub.registry.get('hub')
    if (!port) return
    for (const [name, handler] of Object.entries(streams)) {
      peer.handle(untyped(name, 'stream'), handler)
      this.#hub.registry.serve(port, name, '', 'stream')
    }
    this.#hub.presence.changed(port)
  }

  /** Who is there, and each change of it; see {@link Watch}. */
  watch(watcher: string): Watch<PeerChange, Snapshot> {
    const { presence } = this.#hub
    return this.#watch(watcher, {
      capacity: WATCH_CAPACITY,
      listen: (listener) => presence.listen(listener),
      snapshot: (missed) => ({ kind: 'snapshot', at: Date.now(), missed, peers: presence.rows() }),
    })
  }

  /** What went on until now, then each window when it is over. */
  metrics(watcher: string): Watch<MetricsReport, MetricsReport> {
    const { metrics } = this.#hub
    return this.#watch(watcher, {
      capacity: METRICS_CAPACITY,
      listen: (listener) => metrics.listen((window) => listener(reportOf(window))),
      snapshot: (missed) => reportOf(metrics.now(), missed),
    })
  }

  /** The alerts that stand, then each that is raised or cleared. */
  alerts(watcher: string): Watch<AlertChange, AlertSnapshot> {
    const { alerts } = this.#hub
    return this.#watch(watcher, {
      capacity: WATCH_CAPACITY,
      listen: (listener) => alerts.listen(listener),
      snapshot: (missed) => ({ kind: 'snapshot', at: Date.now(), missed, alerts: alerts.all() }),
    })
  }

  #watch<Change, Now>(watcher: string, source: WatchSource<Change, Now>): Watch<Change, Now> {
    const own = this.#watches.get(watcher) ?? 0
    if (own >= MAX_OWN_WATCHES || this.#watching >= MAX_WATCHES) {
      throw new ViaductError(
        'RESOURCE_EXHAUSTED',
        `${watcher} watches this hub ${own} times already, and ${this.#watching} do in all: end one of them`,
        { reason: 'TOO_MANY_WATCHES' },
      )
    }
    return new Watch(source, (by) => {
      this.#watching += by
      const now = (this.#watches.get(watcher) ?? 0) + by
      if (now > 0) this.#watches.set(watcher, now)
      else this.#watches.delete(watcher)
    })
  }

  /** What goes through the hub, as it goes; see {@link Tap}. */
  tap(input: unknown): Tap {
    if (this.#hub.taps.size >= MAX_TAPS) {
      throw new ViaductError('RESOURCE_EXHAUSTED', `${MAX_TAPS} others watch this hub's traffic already`, {
        reason: 'TOO_MANY_TAPS',
      })
    }
    return new Tap(this.#hub.taps, { peer: textOf(input, 'peer'), method: textOf(input, 'method') })
  }

  /** How the hub is; with `{ id }` also the milliseconds of a round trip from the hub to that peer. */
  ping(input: unknown, call: CallContext): PingAnswer | Promise<PingAnswer> {
    const answer = { session: this.#hub.session, uptimeMs: this.#hub.clock.now() - this.#hub.startedAt }
    const id = textOf(input, 'id')
    if (id === undefined) return answer
    if (!this.#hub.manifest.mayCall(this.#hub.subjectOf(this.#port(call)), '$hub.who', ['hub'])) {
      throw new ViaductError(
        'PERMISSION_DENIED',
        '$hub.ping: only peers that may ask $hub.who may ping others',
      )
    }
    const port = this.#hub.registry.get(id)
    if (!port) throw gone(id)
    return this.#pingPort(port).then((peerMs) => ({ ...answer, peerMs }))
  }

  /** One ping of a peer is under way at a time, whoever asks: a peer that hangs collects no others. */
  #pingPort(port: Port): Promise<number> {
    const running = this.#pings.get(port)
    if (running) return running.promise
    let fail = (): void => {}
    const promise = new Promise<number>((resolve, reject) => {
      fail = () => reject(gone(port.info.id))
      port.link.ping((ms) => {
        this.#pings.delete(port)
        resolve(ms)
      })
    })
    this.#pings.set(port, { promise, fail })
    return promise
  }

  /** A peer has gone: whoever waits for a sign of life from it is told, and no rest of it ends. */
  left(port: Port): void {
    port.busy?.cancel()
    this.#pings.get(port)?.fail()
    this.#pings.delete(port)
  }

  #port(call: CallContext): Port {
    const port = this.#hub.registry.get(call.peer.id)
    if (!port) throw gone(call.peer.id)
    return port
  }

  who(): PeerStatus[] {
    return this.#hub.registry.all().map((port) => {
      const { link, info } = port
      return {
        ...info,
        state: this.#hub.presence.stateOf(port),
        ready: port.ready || info.zone === 'hub',
        draining: port.draining,
        methods: this.#hub.registry.served(port).size,
        busyMs: Math.max(0, Math.round((port.busy?.until ?? 0) - this.#hub.clock.now())),
        open: port.load,
        queuedBytes: link.outbox.queuedBytes,
        queuedMessages: link.outbox.queuedMessages,
        paused: port.paused,
        calls: port.calls,
        refused: port.refused,
        bytesIn: link.bytesRead,
        bytesOut: link.outbox.bytesWritten,
      }
    })
  }

  describe(input: unknown): Description[] {
    const wanted = typeof input === 'object' && input !== null ? input : {}
    const id = 'id' in wanted ? wanted.id : undefined
    const type = 'type' in wanted ? wanted.type : undefined
    return this.#hub.registry
      .all()
      .filter(
        (port) =>
          (id === undefined || port.info.id === id) && (type === undefined || port.info.type === type),
      )
      .map((port) => ({
        id: port.info.id,
        type: port.info.type,
        methods: [...this.#hub.registry.served(port)].map(([name, served]) => ({ name, ...served })),
      }))
  }

  stats(): HubStats {
    const peers = this.who()
    return {
      session: this.#hub.session,
      uptimeMs: this.#hub.clock.now() - this.#hub.startedAt,
      frames: this.#hub.switch.frames,
      published: this.#hub.topics.published,
      queuedBytes: peers.reduce((sum, peer) => sum + peer.queuedBytes, 0),
      peers,
      traffic: this.#hub.traffic
        .rows()
        .slice(0, MAX_TRAFFIC_ROWS)
        .map((row) => ({
          from: row.from,
          to: row.to,
          method: row.method,
          calls: row.calls,
          oneWay: row.oneWay,
          items: row.items,
          bytes: row.bytes,
          errors: row.errors,
          errorCodes: row.errorCodes,
          dropped: row.dropped,
          p50Ms: row.latency.percentile(0.5),
          p95Ms: row.latency.percentile(0.95),
          p99Ms: row.latency.percentile(0.99),
          maxMs: row.latency.maxMs,
        })),
      kept: this.#hub.topics.kept,
      subscriptions: this.#hub.topics.stats(),
      policies: this.#hub.reports.rows().slice(0, MAX_POLICY_ROWS),
    }
  }

  /**
   * Who is behind a target, and what the asking peer may call there. A peer is named to those who may call one of
   * the methods on it, and, when none is asked for, to those who may ask $hub.who.
   */
  route(input: unknown, call: CallContext): RouteAnswer {
    const { target, methods } = routeQuestion(input)
    if ('filter' in target) return everyone(this.#hub, this.#port(call), target.filter, methods)
    const { registry, manifest } = this.#hub
    const only = 'id' in target ? registry.get(target.id) : undefined
    const ports = 'id' in target ? (only ? [only] : []) : [...registry.ofType(target.type)]
    const names = 'id' in target ? [target.id, ...(only ? [only.info.type] : [])] : [target.type]
    const subject = this.#hub.subjectOf(this.#port(call))
    const maySee = ({ info }: Port): boolean =>
      methods.length === 0
        ? manifest.mayCall(subject, '$hub.who', ['hub'])
        : methods.some((name) => manifest.mayCall(subject, name, [info.id, info.type]))
    return {
      peers: ports
        .filter(maySee)
        .map(({ info }) => ({ id: info.id, type: info.type, session: info.session })),
      methods: methods.map((name) => {
        if (!manifest.mayCall(subject, name, names)) return { name, status: 'PERMISSION_DENIED' }
        if (ports.length === 0) return { name, status: 'TARGET_UNAVAILABLE' }
        const served = ports.some((port) => registry.served(port).has(name))
        return { name, status: served ? 'OK' : 'METHOD_NOT_FOUND' }
      }),
    }
  }

  #serve(input: unknown, port: Port): void {
    const lines = listOf(input).flatMap((line): ServeLine[] => {
      if (!Array.isArray(line)) return []
      const [name, fingerprint, kind, idempotent]: unknown[] = line
      return isName(name) && typeof fingerprint === 'string' && fingerprint.length <= 16
        ? [[name, fingerprint, kind === 'stream' ? 'stream' : 'call', idempotent === true]]
        : []
    })
    const own = lines.filter(([name]) => !name.startsWith('$') || port.info.zone === 'hub')
    this.#hub.serve(port, own)
  }

  #busy(input: unknown, port: Port): void {
    const forMs = fieldOf(input, 'forMs')
    if (typeof forMs !== 'number' || !(forMs >= 0 && forMs <= MAX_BUSY_MS)) {
      throw new ViaductError('INVALID_ARGUMENT', `$hub.busy: input.forMs: 0 to ${MAX_BUSY_MS} milliseconds`, {
        path: 'input.forMs',
      })
    }
    const { clock, presence } = this.#hub
    const over = (): void => {
      port.busy = undefined
      presence.changed(port)
    }
    port.busy?.cancel()
    port.busy = forMs > 0 ? { until: clock.now() + forMs, cancel: clock.after(forMs, over) } : undefined
    presence.changed(port)
  }

  #withdraw(input: unknown, port: Port): void {
    this.#hub.withdraw(port, listOf(input).filter(isName))
  }
}

function gone(id: string): ViaductError {
  return new ViaductError('UNAVAILABLE', `peer ${id} is not there`, { reason: 'TARGET_UNAVAILABLE' })
}

function textOf(input: unknown, key: string): string | undefined {
  const value = fieldOf(input, key)
  return typeof value === 'string' ? value : undefined
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 256
}

function listOf(input: unknown): unknown[] {
  const methods = fieldOf(input, 'methods')
  return Array.isArray(methods) ? methods : []
}

type Asked = { readonly id: string } | { readonly type: string } | { readonly filter: Filter }

function routeQuestion(input: unknown): { target: Asked; methods: string[] } {
  const asked = fieldOf(input, 'target')
  const methods = listOf(input).filter(isName)
  if (typeof asked === 'object' && asked !== null) {
    if ('id' in asked && typeof asked.id === 'string') return { target: { id: asked.id }, methods }
    if ('type' in asked && typeof asked.type === 'string') return { target: { type: asked.type }, methods }
  }
  const filter =
    typeof asked === 'object' && asked !== null && 'filter' in asked ? readFilter(asked.filter) : undefined
  if (filter) return { target: { filter }, methods }
  throw new ViaductError('INVALID_ARGUMENT', '$hub.route: input.target: { id }, { type } or { filter }', {
    path: 'input.target',
  })
}
