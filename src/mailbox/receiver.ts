import { messageOf } from '../host/errno.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { Deliveries } from './deliveries.ts'
import { groupLog } from './groupLog.ts'
import { keepAlive } from './keepAlive.ts'
import type { MailboxLog, MailHandler, ReceiveSettings } from './options.ts'
import { AGAIN_MS } from './persistence.ts'
import type { ReceiverParts, ReceiverStats, Station } from './station.ts'

const NO_STATS: ReceiverStats = {
  ready: 0,
  leased: 0,
  delayed: 0,
  done: 0,
  dead: 0,
  retried: 0,
  duplicates: 0,
  bytes: 0,
  latencyMs: { p50: 0, p95: 0, p99: 0 },
}

/** Receives the messages of a mailbox from when it is the active receiver; stands by until then. */
export class Receiver {
  readonly #handler: MailHandler
  readonly #settings: ReceiveSettings
  readonly #parts: ReceiverParts
  readonly #tell: MailboxLog
  readonly #standby = new AbortController()
  readonly #letGo: () => void
  #taking: Promise<void> | undefined
  #cancelRetry: () => void = () => {}
  #cannot = ''
  #station: Station | undefined
  #deliveries: Deliveries | undefined
  #isLost = false
  #stopping: Promise<void> | undefined
  #isGone = false
  #became: () => void = () => {}
  #neverBecame: (error: ViaductError) => void = () => {}
  /** Resolves when it is active; rejects with UNAVAILABLE / CLOSED when it is stopped before. */
  readonly ready: Promise<void>

  constructor(handler: MailHandler, settings: ReceiveSettings, parts: ReceiverParts) {
    this.#handler = handler
    this.#settings = settings
    this.#parts = parts
    this.#tell = groupLog(parts.log, parts.group)
    this.ready = new Promise((resolve, reject) => {
      this.#became = resolve
      this.#neverBecame = reject
    })
    this.ready.catch(() => {})
    this.#letGo = keepAlive()
    settings.signal?.addEventListener('abort', () => void this.stop(), { once: true })
    if (settings.signal?.aborted) void this.stop()
  }

  /** Whether it is the one that the mailbox's messages go to. Others stand by. */
  get active(): boolean {
    return this.#station !== undefined && !this.#isLost && !this.#isGone
  }

  /** Whether `stop` has settled. */
  get isStopped(): boolean {
    return this.#isGone
  }

  stats(): ReceiverStats {
    return this.#deliveries?.stats() ?? NO_STATS
  }

  /** Stands by, and receives from when it is active. Failures that will not pass end it; `ready` tells. */
  begin(): void {
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined
    })
  }

  async #take(): Promise<void> {
    if (this.#stopping || this.#station) return
    try {
      const station = await this.#parts.takeOver(this.#standby.signal)
      if (this.#stopping) await station.close()
      else this.#activate(station)
    } catch (error) {
      if (this.#stopping) return
      const why = messageOf(error)
      // It tries again each second, and says so once.
      if (why !== this.#cannot) this.#tell('error', 'IPC receiver cannot start', { error: why })
      this.#cannot = why
      if (isViaductError(error) && error.code === 'FAILED_PRECONDITION') {
        this.#neverBecame(error)
        void this.stop()
        return
      }
      this.#cancelRetry = this.#parts.clock.after(AGAIN_MS, () => this.begin())
    }
  }

  #activate(station: Station): void {
    this.#station = station
    const deliveries = new Deliveries(this.#handler, this.#settings, station, this.#parts)
    this.#deliveries = deliveries
    station.lost?.addEventListener('abort', () => this.#lose(deliveries), { once: true })
    this.#tell('info', 'IPC watcher setup for group', {})
    this.#became()
    deliveries.begin()
  }

  #lose(deliveries: Deliveries): void {
    this.#tell('error', 'IPC receiver has lost its place', {})
    this.#isLost = true
    deliveries.lose()
    void this.stop()
  }

  /** Starts nothing more; settles when those that run have ended, or the grace is over. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#standby.abort()
    this.#cancelRetry()
    this.#deliveries?.halt()
    await this.#taking
    await this.#deliveries?.stop()
    this.#neverBecame(
      new ViaductError('UNAVAILABLE', 'the receiver was stopped before it was its turn', {
        reason: 'CLOSED',
      }),
    )
    try {
      await this.#station?.close()
    } finally {
      this.#isGone = true
      this.#letGo()
    }
  }
}
