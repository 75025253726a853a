import { createServer, type Server } from 'node:net'
import type { Client, ClientOptions } from '../contract/client.ts'
import type { ContractOf } from '../contract/entries.ts'
import { Peer } from '../contract/peer.ts'
import type { Handlers, ServeOptions } from '../contract/serve.ts'
import type { ContractEvent, ContractSubscription, SubscribeOptions, Topic } from '../contract/topics.ts'
import type { PeerWatch, WatchOptions } from '../contract/watch.ts'
import type { Serving, Target, TopicEvent } from '../core/call.ts'
import { systemClock } from '../core/clock.ts'
import { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import type { AlertChange } from '../hub/alerts.ts'
import type { HubStats, PeerStatus } from '../hub/answers.ts'
import { HubCore, type MetricsOptions } from '../hub/core.ts'
import type { Rules } from '../hub/manifest.ts'
import { type MetricsReport, reportOf } from '../hub/metrics.ts'
import type { ReplayRules } from '../hub/replayRules.ts'
import { Linger } from '../transports/linger.ts'
import { memoryTransports } from '../transports/memory.ts'
import { socketTransport } from '../transports/socket.ts'
import { stdioTransport } from '../transports/stdio.ts'
import { isCloseReason } from '../wire/closeReason.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { checkId, removeCredential, writeCredential } from './credentials.ts'
import type { HangEvidence } from './evidence.ts'
import type { HubControl } from './hubControl.ts'
import { nodeCrypto } from './join.ts'
import { launchHub } from './launch.ts'
import { openRuntimeFolder, type RuntimeFolder, type SocketName } from './runtimeFolder.ts'
import { claimSocket, type SocketClaim } from './socketClaim.ts'
import type {
  ChangeDetails,
  ChildSpec,
  ChildState,
  ChildStatus,
  StartedChild,
  SupervisedLink,
} from './supervision.ts'
import { Supervisor } from './supervisor.ts'

/** The id and type of the command line, which may run several times at once. */
const CLI = 'cli'

export interface ListenOptions {
  /** Names the runtime folder: one hub per app and user. */
  readonly app: string
  /** The id of the peer within the hub's own process, or of the launcher. Default `main`, of type `main`. */
  readonly id?: string
  readonly type?: string
  /** Without one, see {@link Rules}: deny by default. */
  readonly manifest?: Rules
  /** What is kept of topics for subscribers that come back. Default: of each 100 events, for a minute. */
  readonly replay?: ReplayRules
  /** Given, `{}` will do, alerts are looked for and logged from the start; else while somebody listens. */
  readonly metrics?: MetricsOptions
  /** Stands in for the system's folder for temporary files. */
  readonly base?: string
  /** The name of the socket in the runtime folder; whoever joins finds it by itself. Default `hub.sock`. */
  readonly socket?: SocketName
  /** Stacks travel with errors of this process's own peer. */
  readonly debug?: boolean
  /**
   * The hub's process stays awake for 0.2 ms after it was written to, while that makes messages come faster. Default
   * true; false lets it sleep at once.
   */
  readonly linger?: boolean
  /** Told what an operator should know. Default: a line on stderr. */
  readonly log?: (text: string) => void
}

/** What is told of a supervised child. */
export interface ChildChange {
  readonly id: string
  readonly state: ChildState
  readonly reason?: string
  /** What was seen of it before it was killed, if it was taken for hung. */
  readonly evidence?: HangEvidence
}

/**
 * A hub as its own process sees it: it has a peer of its own, supervises children, and admits others.
 * `Hub.listen` runs the switch within this process; `Hub.launch` runs it in one of its own, behind the same
 * functions, so that no busy loop here holds up the traffic of others.
 */
export class Hub {
  /** This process's own peer on the hub. */
  readonly peer: Peer
  readonly app: string
  readonly #control: HubControl

  constructor(app: string, peer: Peer, control: HubControl) {
    this.app = app
    this.peer = peer
    this.#control = control
  }

  /**
   * Starts a hub in this process.
   *
   * @throws ViaductError ALREADY_EXISTS / HUB_RUNNING · FAILED_PRECONDITION / RUNTIME_FOLDER_UNSAFE,
   * SOCKET_PATH_TOO_LONG · INVALID_ARGUMENT / BAD_APP_NAME, MANIFEST_INVALID
   */
  static async listen(options: ListenOptions): Promise<Hub> {
    const embedded = await EmbeddedHub.open(options)
    return new Hub(options.app, embedded.peer, embedded)
  }

  /** Starts a hub in a process of its own; it ends with this one. Throws as {@link Hub.listen}. */
  static async launch(options: ListenOptions): Promise<Hub> {
    const { peer, control } = await launchHub(options)
    return new Hub(options.app, peer, control)
  }

  /** A contract's methods as functions, towards a target. */
  client<E>(contract: ContractOf<E>, target: Target, options?: ClientOptions): Client<E> {
    return this.peer.client(contract, target, options)
  }

  serve<E>(
    contract: ContractOf<E>,
    handlers: Handlers<E>,
    options?: ServeOptions & { readonly partial?: false },
  ): Serving {
    return this.peer.serve(contract, handlers, options)
  }

  publish<Sent>(
    topic: Topic<Sent, unknown>,
    data: NoInfer<Sent>,
    options?: { readonly key?: string },
  ): boolean {
    return this.peer.publish(topic, data, options)
  }

  subscribe<Received>(
    topic: Topic<unknown, Received>,
    options?: SubscribeOptions,
  ): ContractSubscription<Received> {
    return this.peer.subscribe(topic, options)
  }

  /** Subscribes to all topics of a contract, or to all that a pattern matches. */
  subscribeAll<E>(topics: ContractOf<E>, options?: SubscribeOptions): ContractSubscription<ContractEvent<E>>
  subscribeAll(pattern: string, options?: SubscribeOptions): ContractSubscription<TopicEvent>
  subscribeAll(topics: ContractOf | string, options?: SubscribeOptions): ContractSubscription<TopicEvent> {
    return typeof topics === 'string'
      ? this.peer.subscribeAll(topics, options)
      : this.peer.subscribeAll(topics, options)
  }

  /**
   * Starts a child process and keeps it running. Its link is a socket pair that it inherits; calls to it
   * wait while it starts. Settles when the hub has taken the order; see {@link whenReady}.
   */
  supervise(id: string, spec: ChildSpec): Promise<void> {
    return this.#control.supervise(id, spec)
  }

  /** Settles when the child may be called; rejects when it has failed for good. */
  whenReady(id: string): Promise<void> {
    return this.#control.whenReady(id)
  }

  /** Stops one child in order. */
  stop(id: string): Promise<void> {
    return this.#control.stop(id)
  }

  /** Sends a signal to a child, as an outsider would. False when it does not run. */
  kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<boolean> {
    return this.#control.kill(id, signal)
  }

  /** All supervised children. */
  children(): Promise<ChildStatus[]> {
    return this.#control.children()
  }

  /** Lets a process that no supervisor started join under this id: writes its key to the runtime folder. */
  admit(id: string, options: { readonly type: string }): Promise<void> {
    return this.#control.admit(id, options.type)
  }

  /** Who is connected. */
  who(): Promise<PeerStatus[]> {
    return this.#control.who()
  }

  /** Who is connected, and each change of it; see {@link Peer.watch}. */
  watch(options?: WatchOptions): PeerWatch {
    return this.peer.watch(options)
  }

  /** What went through the hub, and what waits in it. */
  stats(): Promise<HubStats> {
    return this.#control.stats()
  }

  /** What went on in the window that runs; without one, since the start. */
  metrics(): Promise<MetricsReport> {
    return this.#control.metrics()
  }

  /** Told of each window when it is over, until the returned function is called. */
  onMetrics(listener: (report: MetricsReport) => void): () => void {
    return this.#control.onMetrics(listener)
  }

  /** Told when a threshold is crossed, either way, until the returned function is called. */
  onAlert(listener: (change: AlertChange) => void): () => void {
    return this.#control.onAlert(listener)
  }

  /** Told each change of a supervised child, until the returned function is called. */
  onChange(listener: (change: ChildChange) => void): () => void {
    return this.#control.onChange(listener)
  }

  /** Stops the children in order, closes all links, removes what is in the runtime folder. */
  close(): Promise<void> {
    return this.#control.close()
  }
}

/** The hub within this process. */
export class EmbeddedHub implements HubControl {
  readonly core: HubCore
  readonly #supervisor: Supervisor
  readonly #server: Server
  readonly #claim: SocketClaim
  readonly #folder: RuntimeFolder
  readonly #keys: Map<string, { type: string; key: Uint8Array }>
  readonly #listeners = new Set<(change: ChildChange) => void>()
  readonly #log: (text: string) => void
  readonly #onExit = () => this.#claim.release()
  readonly #options: ListenOptions
  readonly #linger: Linger | boolean
  #peer: Peer | undefined
  #closing: Promise<void> | undefined

  static async open(options: ListenOptions): Promise<EmbeddedHub> {
    const { app, base, socket } = options
    const folder = openRuntimeFolder(app, { socket, ...(base === undefined ? {} : { base }) })
    const claim = await claimSocket(folder)
    try {
      const hub = new EmbeddedHub(options, folder, claim)
      await hub.#listen()
      process.on('exit', hub.#onExit)
      return hub
    } catch (error) {
      claim.release()
      throw error
    }
  }

  private constructor(options: ListenOptions, folder: RuntimeFolder, claim: SocketClaim) {
    this.#options = options
    this.#folder = folder
    this.#claim = claim
    this.#keys = new Map()
    this.#linger = options.linger === false ? false : new Linger()
    this.#log = options.log ?? ((text) => process.stderr.write(`viaduct hub ${options.app}: ${text}\n`))
    this.core = new HubCore({
      clock: systemClock,
      crypto: nodeCrypto,
      rules: options.manifest,
      replay: options.replay,
      metrics: options.metrics,
      pair: () => memoryTransports(),
      makePeer: (transport, peerOptions) => new PeerCore(transport, peerOptions),
      credential: (asked) => {
        const known = this.#keys.get(asked)
        return known && { identity: { id: asked, type: known.type, shared: asked === CLI }, key: known.key }
      },
      log: this.#log,
    })
    this.#supervisor = new Supervisor({
      app: options.app,
      attach: (child) => this.#attach(child),
      onChange: (child, state, details) => this.#changed(child, state, details),
    })
    this.#server = createServer((socket) =>
      this.core.accept(socketTransport(socket, { linger: this.#linger })),
    )
    this.#admitSync(CLI, CLI)
    for (const name of this.core.manifest.unsupervisedIds()) this.#admitSync(name, name)
    this.#serveControl()
  }

  /** This process's own peer on the hub. It is there from the first look on: a hub alone in its process has none. */
  get peer(): Peer {
    if (!this.#peer) {
      const { id = 'main', type = 'main', debug = false } = this.#options
      this.core.operators.add(id)
      const zone = this.core.manifest.zone(id, type)
      this.#peer = new Peer(this.core.local(id, type, { debug }), { id, type, zone, session: '' })
    }
    return this.#peer
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#claim.address, () => {
        this.#server.off('error', reject)
        this.#server.on('error', () => {
          // A failed accept (no descriptors left) loses that connection alone.
        })
        resolve()
      })
    })
  }

  /** The same functions for an operator in another process: methods of the hub's own. */
  #serveControl(): void {
    const text = (input: unknown, key: string): string => {
      const value = fieldOf(input, key)
      if (typeof value === 'string') return value
      throw new ViaductError('INVALID_ARGUMENT', `input.${key}: a string`, { path: `input.${key}` })
    }
    this.core.service.extend({
      children: () => this.#supervisor.status(),
      supervise: (input) => this.supervise(text(input, 'id'), specOf(input)),
      whenReady: (input) => this.whenReady(text(input, 'id')),
      stop: (input) => this.stop(text(input, 'id')),
      kill: (input) => this.kill(text(input, 'id'), signalOf(text(input, 'signal'))),
      admit: (input) => this.admit(text(input, 'id'), text(input, 'type')),
    })
  }

  async supervise(id: string, spec: ChildSpec): Promise<void> {
    this.core.expect(id, spec.type)
    try {
      this.#supervisor.supervise(id, spec)
    } catch (error) {
      this.core.unexpect(id)
      throw error
    }
  }

  /** A link that is its own proof: of a supervised child, or of the launcher. */
  accept(transport: Transport, identity: { id: string; type: string; pid: number }): Promise<string> {
    return new Promise((resolve) => {
      this.core.accept(transport, { identity, supervised: true, onClosed: resolve })
    })
  }

  #attach({ id, type, pid, socket, output }: StartedChild): SupervisedLink {
    let settleClosed: (reason: string) => void = () => {}
    const closed = new Promise<string>((resolve) => {
      settleClosed = resolve
    })
    const onStray = (bytes: Uint8Array) => {
      const text = strayText(bytes)
      settleClosed(text)
      // An exit that follows at once would hide the reason.
      this.#log(`${id}: ${text}`)
    }
    const transport = output
      ? stdioTransport(socket, output, { onStray })
      : socketTransport(socket, { linger: this.#linger })
    const ready = new Promise<void>((resolve) => {
      this.core.accept(transport, {
        identity: { id, type, pid },
        supervised: true,
        onReady: () => resolve(),
        onClosed: (reason) => {
          // Until the supervisor says what becomes of it, calls may wait for it.
          if (this.#isWanted(id)) this.core.expect(id, type)
          settleClosed(reason)
        },
      })
    })
    const port = () => {
      const found = this.core.registry.get(id)
      return found?.info.pid === pid ? found : undefined
    }
    return {
      ready,
      closed,
      ping: () =>
        new Promise((resolve) => {
          port()?.link.ping(() => resolve())
        }),
      drain: () => this.core.drain(id),
      resting: () => (port()?.busy?.until ?? 0) > this.core.clock.now(),
      printsStack: () => port()?.printsStack ?? false,
      close: (reason) => {
        const why = isCloseReason(reason) ? reason : 'GOING_AWAY'
        const found = port()
        if (found) found.link.close(why)
        else transport.close(why)
      },
    }
  }

  /** Whether the supervisor would start this child again. */
  #isWanted(id: string): boolean {
    const state = this.#supervisor.status().find((child) => child.id === id)?.state
    return state === 'starting' || state === 'ready'
  }

  #changed(id: string, state: ChildState, { reason, evidence }: ChangeDetails): void {
    const child = this.#supervisor.status().find((known) => known.id === id)
    if (state === 'starting' || state === 'backoff') this.core.expect(id, child?.type ?? '')
    else this.core.unexpect(id)
    if (evidence) this.#log(`${id} ${reason ?? 'hung'}`)
    this.core.presence.child(id, { type: child?.type ?? '', state, reason, restarts: child?.restarts })
    const change = {
      id,
      state,
      ...(reason === undefined ? {} : { reason }),
      ...(evidence ? { evidence } : {}),
    }
    for (const listener of this.#listeners) listener(change)
    this.core.service.publish('$hub.child', change)
  }

  whenReady(id: string): Promise<void> {
    return this.#supervisor.whenReady(id)
  }

  stop(id: string): Promise<void> {
    return this.#supervisor.stop(id)
  }

  async kill(id: string, signal: NodeJS.Signals): Promise<boolean> {
    return this.#supervisor.kill(id, signal)
  }

  async children(): Promise<ChildStatus[]> {
    return this.#supervisor.status()
  }

  async admit(id: string, type: string): Promise<void> {
    this.#admitSync(checkId(id), type)
  }

  #admitSync(id: string, type: string): void {
    this.#keys.set(id, { type, key: writeCredential(this.#folder, id) })
  }

  async who(): Promise<PeerStatus[]> {
    return this.core.service.who()
  }

  async stats(): Promise<HubStats> {
    return this.core.service.stats()
  }

  async metrics(): Promise<MetricsReport> {
    return reportOf(this.core.metrics.now())
  }

  onMetrics(listener: (report: MetricsReport) => void): () => void {
    return this.core.metrics.listen((window) => listener(reportOf(window)))
  }

  onAlert(listener: (change: AlertChange) => void): () => void {
    return this.core.alerts.listen(listener)
  }

  onChange(listener: (change: ChildChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#server.close()
    await this.#supervisor.stop()
    this.core.close()
    for (const id of this.#keys.keys()) removeCredential(this.#folder, id)
    process.off('exit', this.#onExit)
    this.#claim.release()
  }
}

/** What came over stdout instead of frames, and what to do about it. */
function strayText(bytes: Uint8Array): string {
  const printed = JSON.stringify(Buffer.from(bytes.subarray(0, STRAY_BYTES)).toString('utf8'))
  return (
    `its stdout is its link, and it printed ${printed} there: call join() before anything is printed, print to ` +
    "stderr, give what it starts itself another stdout, or leave out link: 'stdio'"
  )
}
const STRAY_BYTES = 80

function specOf(input: unknown): ChildSpec {
  const spec = fieldOf(input, 'spec')
  if (!isSpec(spec)) {
    throw new ViaductError('INVALID_ARGUMENT', 'input.spec: { type, run: [command, …args] }', {
      path: 'input.spec',
    })
  }
  return spec
}

function isSpec(value: unknown): value is ChildSpec {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'run' in value &&
    Array.isArray(value.run) &&
    value.run.length > 0 &&
    value.run.every((word: unknown) => typeof word === 'string')
  )
}

const SIGNALS: ReadonlySet<string> = new Set([
  'SIGKILL',
  'SIGTERM',
  'SIGINT',
  'SIGSTOP',
  'SIGCONT',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
])

function isSignal(name: string): name is NodeJS.Signals {
  return SIGNALS.has(name)
}

function signalOf(name: string): NodeJS.Signals {
  if (isSignal(name)) return name
  throw new ViaductError('INVALID_ARGUMENT', `input.signal: one of ${[...SIGNALS].join(', ')}`, {
    path: 'input.signal',
  })
}
