import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Peer } from '../contract/peer.ts'
import { errorFrom } from '../core/errorValue.ts'
import { untyped } from '../core/method.ts'
import type { AlertChange } from '../hub/alerts.ts'
import type { HubStats, PeerStatus } from '../hub/answers.ts'
import type { MetricsReport } from '../hub/metrics.ts'
import { socketTransport } from '../transports/socket.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import type { ChildChange, ListenOptions } from './hub.ts'
import type { HubControl } from './hubControl.ts'
import { joinOver } from './join.ts'
import { StreamListeners } from './streamListeners.ts'
import type { ChildSpec, ChildStatus } from './supervision.ts'

const LINK_FD = 3
const WHEN_READY_MS = 0
/** How long the hub process may take to stop its children and go. */
const CLOSE_MS = 15_000

/** Starts the hub process and joins it over the socket pair that it inherited. */
export async function launchHub(options: ListenOptions): Promise<{ peer: Peer; control: HubControl }> {
  const { log, ...plain } = options
  const program = fileURLToPath(new URL('./hubProcess.js', import.meta.url))
  // A process group of its own: a terminal's Ctrl-C reaches this process, which stops the hub in order.
  const child = spawn(process.execPath, [program], {
    stdio: ['pipe', 'inherit', log ? 'pipe' : 'inherit', 'pipe', 'ipc'],
    detached: process.platform !== 'win32',
  })
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `ended with code ${code}` : `was killed by ${signal}`),
    )
  })
  if (log && child.stderr) child.stderr.on('data', (text: Buffer) => log(text.toString().trimEnd()))
  const socket = child.stdio[LINK_FD]
  if (!(socket instanceof Socket) || !child.stdin)
    throw new ViaductError('INTERNAL', 'the hub process has no link')
  const started = new Promise<unknown>((resolve) => child.once('message', resolve))
  // Of one that has ended already its exit says more.
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify({ ...plain, pid: process.pid }))
  const first = await Promise.race([started, exited])
  if (typeof first === 'string') {
    throw new ViaductError('INTERNAL', `the hub process ${first} before it had started`, {
      reason: 'HUB_START_FAILED',
    })
  }
  if (typeof first === 'object' && first !== null && 'error' in first) {
    await exited
    throw errorFrom(first.error, `hub ${options.app}`)
  }
  child.disconnect()
  child.unref()
  const peer = await joinOver(socketTransport(socket, options), options.app, options.debug)
  await peer.ready()
  return { peer, control: new RemoteHub(peer, () => child.ref(), exited) }
}

/** The hub's functions over its link. */
class RemoteHub implements HubControl {
  readonly #peer: Peer
  readonly #hold: () => void
  readonly #exited: Promise<unknown>
  readonly #listeners = new Set<(change: ChildChange) => void>()
  readonly #windows: StreamListeners<MetricsReport>
  readonly #alerts: StreamListeners<AlertChange>
  #watching = false
  #closing: Promise<void> | undefined

  /** @param hold keeps this process alive until the hub's has ended. */
  constructor(peer: Peer, hold: () => void, exited: Promise<unknown>) {
    this.#peer = peer
    this.#hold = hold
    this.#exited = exited
    this.#windows = new StreamListeners(() => peer.stream('$hub.metrics'), isWindow)
    this.#alerts = new StreamListeners(() => peer.stream('$hub.alerts'), isAlertChange)
  }

  async supervise(id: string, spec: ChildSpec): Promise<void> {
    await this.#ask('supervise', { id, spec: { cwd: process.cwd(), ...spec } })
  }

  async whenReady(id: string): Promise<void> {
    await this.#ask('whenReady', { id }, WHEN_READY_MS)
  }

  async stop(id: string): Promise<void> {
    await this.#ask('stop', { id }, CLOSE_MS)
  }

  async kill(id: string, signal: NodeJS.Signals): Promise<boolean> {
    return (await this.#ask('kill', { id, signal })) === true
  }

  async children(): Promise<ChildStatus[]> {
    const answer = await this.#ask('children', undefined)
    return isList<ChildStatus>(answer) ? answer : []
  }

  async admit(id: string, type: string): Promise<void> {
    await this.#ask('admit', { id, type })
  }

  async who(): Promise<PeerStatus[]> {
    const answer = await this.#ask('who', undefined)
    return isList<PeerStatus>(answer) ? answer : []
  }

  async stats(): Promise<HubStats> {
    const answer = await this.#ask('stats', undefined)
    if (isStats(answer)) return answer
    throw new ViaductError('INTERNAL', '$hub.stats answered with something else')
  }

  metrics(): Promise<MetricsReport> {
    return this.#peer.metrics()
  }

  onMetrics(listener: (report: MetricsReport) => void): () => void {
    return this.#windows.add(listener)
  }

  onAlert(listener: (change: AlertChange) => void): () => void {
    return this.#alerts.add(listener)
  }

  onChange(listener: (change: ChildChange) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#watching) {
      this.#watching = true
      void this.#watch()
    }
    return () => this.#listeners.delete(listener)
  }

  async #watch(): Promise<void> {
    try {
      for await (const change of this.#peer.core.subscribe(untyped('$hub.child', 'topic'))) {
        if (isChange(change)) for (const listener of this.#listeners) listener(change)
      }
    } catch (error) {
      // The link has ended, and with it the hub: its `closed` says so.
      if (!isViaductError(error)) throw error
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#hold()
    this.#peer.close()
    await this.#exited
  }

  #ask(method: string, input: unknown, timeoutMs?: number): Promise<unknown> {
    return this.#peer.call(`$hub.${method}`, input, timeoutMs === undefined ? {} : { timeoutMs })
  }
}

function isList<Row>(value: unknown): value is Row[] {
  return Array.isArray(value)
}

function isStats(value: unknown): value is HubStats {
  return typeof value === 'object' && value !== null && 'traffic' in value && 'peers' in value
}

function isWindow(value: unknown): value is MetricsReport {
  return (
    typeof value === 'object' && value !== null && 'total' in value && fieldOf(value, 'kind') === 'window'
  )
}

function isAlertChange(value: unknown): value is AlertChange {
  return typeof value === 'object' && value !== null && 'alert' in value && 'text' in value
}

function isChange(value: unknown): value is ChildChange {
  return typeof value === 'object' && value !== null && 'id' in value && 'state' in value
}
