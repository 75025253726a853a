/**
 * One supervised child through all its lives:
 *
 *    starting ──→ ready ──→ stopping → stopped        (stopping: from every state but failed)
 *      ↑    ↘     ↙
 *      └── backoff ──→ failed
 *
 * A loss is what comes first: the end of the process, the end of the link, a start that takes too long,
 * heartbeats that stay unanswered. Two lives never overlap.
 *
 * Calls do not wait for any of this: they fail with the link itself.
 */
import { ViaductError } from '../wire/errors.ts'
import { checkLimit } from './checkLimit.ts'
import { ChildProcess, isPassing, startError } from './childProcess.ts'
import { type HostClock, patientTimeout } from './clock.ts'
import { messageOf } from './errno.ts'
import { evidenceText, type HangEvidence, takeEvidence } from './evidence.ts'
import { HEARTBEAT_DEFAULTS, type HeartbeatLimits, lateMsOf, startHeartbeat } from './heartbeat.ts'
import { RestartPolicy } from './restartPolicy.ts'
import { StderrTail } from './stderrTail.ts'
import {
  type ChangeDetails,
  type ChildExit,
  type ChildSpec,
  type ChildState,
  type ChildStatus,
  EXIT_GRACE_MS,
  READY_TIMEOUT_MS,
  STOP_TIMEOUT_MS,
  type StartedChild,
  type SupervisedLink,
} from './supervision.ts'

/** A process that dies ends its link a moment before the system tells of its exit, which says more. */
const EXIT_NEWS_MS = 50

/** What a child needs of its supervisor. */
export interface ChildHost {
  readonly app: string
  readonly clock: HostClock
  readonly random: () => number
  readonly attach: (child: StartedChild) => SupervisedLink
  readonly onChange: (id: string, state: ChildState, details: ChangeDetails) => void
}

/** One process and its link. */
interface Life {
  readonly process: ChildProcess
  link: SupervisedLink | undefined
  /** True from the loss, or from the beginning of the stop: nothing that happens after it is a loss. */
  over: boolean
  /** Ends the timer that watches it, or the wait for the next life. */
  unwatch: () => void
}

interface Loss {
  /** In words: why. */
  readonly reason: string
  /** What the link is closed with (PROTOCOL.md, section 8). */
  readonly close: string
  readonly evidence?: HangEvidence
  /** How long the process may go on to exit by itself. */
  readonly graceMs?: number
  /** Set when starting again is of no use. */
  readonly final?: ViaductError
}

export class SupervisedChild {
  readonly id: string
  readonly spec: ChildSpec
  readonly #host: ChildHost
  readonly #policy: RestartPolicy
  readonly #heartbeat: HeartbeatLimits
  /** How late a timer may be before it shows that we did not run. */
  readonly #lateMs: number
  readonly #tail = new StderrTail()
  #state: ChildState = 'starting'
  #life: Life | undefined
  #predecessor: Promise<void> | undefined
  #startedAt: number | undefined
  #lastExit: ChildExit | undefined
  #lastLoss: string | undefined
  #lastHang: HangEvidence | undefined
  #error: ViaductError | undefined
  #stopping: Promise<void> | undefined
  #waiting: { resolve: () => void; reject: (error: ViaductError) => void }[] = []

  /** @throws ViaductError INVALID_ARGUMENT / BAD_LIMIT, BAD_LINK */
  constructor(id: string, spec: ChildSpec, host: ChildHost) {
    this.id = id
    this.spec = spec
    this.#host = host
    this.#policy = new RestartPolicy(spec.restart ?? {}, () => host.clock.now(), host.random)
    this.#heartbeat = { ...HEARTBEAT_DEFAULTS, ...spec.heartbeat }
    this.#lateMs = lateMsOf(this.#heartbeat)
    checkLink(spec.link)
    checkLimit('heartbeat.everyMs', this.#heartbeat.everyMs, 1)
    checkLimit('heartbeat.misses', this.#heartbeat.misses, 1)
    checkLimit('readyTimeoutMs', spec.readyTimeoutMs ?? READY_TIMEOUT_MS, 0)
    checkLimit('stopTimeoutMs', spec.stopTimeoutMs ?? STOP_TIMEOUT_MS, 0)
  }

  get state(): ChildState {
    return this.#state
  }

  get status(): ChildStatus {
    const running = this.#life?.process
    return {
      id: this.id,
      type: this.spec.type,
      state: this.#state,
      pid: running?.running ? running.pid : undefined,
      restarts: this.#policy.state.restarts,
      startedAt: this.#startedAt,
      lastExit: this.#lastExit,
      lastLoss: this.#lastLoss,
      lastHang: this.#lastHang,
      stderrTail: this.#tail.text,
    }
  }

  /**
   * Settles when the child may be called: at once if it may, else after its next start.
   *
   * @throws ViaductError UNAVAILABLE / CHILD_FAILED, CHILD_STOPPED · NOT_FOUND / COMMAND_NOT_FOUND
   */
  whenReady(): Promise<void> {
    if (this.#state === 'ready') return Promise.resolve()
    if (this.#error) return Promise.reject(this.#error)
    if (this.#state === 'stopped' || this.#state === 'stopping') return Promise.reject(this.#stopped())
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /** Starts its first life, after the last process of the child that had this id before is gone. */
  begin(predecessor?: SupervisedChild): void {
    if (!predecessor) {
      this.#start()
      return
    }
    this.#predecessor = predecessor.stop()
    void this.#predecessor.then(() => {
      if (this.#state === 'starting') this.#start()
    })
  }

  /** Sends a signal to the process itself, not to what it has started. False when none runs. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#life?.process.signal(signal) ?? false
  }

  /** Kills the process and all that it has started, at once and without a word. For our own sudden exit. */
  killNow(): void {
    this.#life?.process.kill()
  }

  /**
   * Drains the link (for half of `stopTimeoutMs` at most), ends it, gives the process {@link EXIT_GRACE_MS} to
   * exit by itself, sends SIGTERM, and kills its whole group when `stopTimeoutMs` are over. Settles when no
   * process is left. Never rejects.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  #start(): void {
    this.#startedAt = Date.now()
    const life: Life = {
      process: new ChildProcess({
        app: this.#host.app,
        id: this.id,
        spec: this.spec,
        clock: this.#host.clock,
        tail: this.#tail,
        onExit: (exit) => {
          this.#lastExit = exit
          const how = exit.signal === null ? `exited with code ${exit.code}` : `was killed by ${exit.signal}`
          this.#lose(life, { reason: how, close: 'TRANSPORT_CLOSED' })
        },
        onStartError: (error) => {
          const final = isPassing(error) ? {} : { final: startError(this.id, this.spec, error) }
          this.#lose(life, {
            reason: `was not started: ${messageOf(error)}`,
            close: 'TRANSPORT_CLOSED',
            ...final,
          })
        },
      }),
      link: undefined,
      over: false,
      unwatch: () => {},
    }
    this.#life = life
    const { pid, socket, output } = life.process
    this.#change('starting', pid === undefined ? {} : { pid })
    if (pid === undefined || !socket || life.over) return
    try {
      const started = { id: this.id, type: this.spec.type, pid, socket, ...(output ? { output } : {}) }
      this.#watch(life, pid, this.#host.attach(started))
    } catch (error) {
      socket.destroy()
      output?.destroy()
      this.#lose(life, { reason: `could not be attached: ${messageOf(error)}`, close: 'DENIED' })
    }
  }

  #watch(life: Life, pid: number, link: SupervisedLink): void {
    const { readyTimeoutMs = READY_TIMEOUT_MS } = this.spec
    life.link = link
    const awaitReady = () => {
      life.unwatch = patientTimeout(this.#host.clock, readyTimeoutMs, this.#lateMs, onTime)
    }
    const onTime = () => {
      if (life.process.isHeld || this.spec.run.some(waitsForDebugger)) return awaitReady()
      this.#lose(life, { reason: `was not ready within ${readyTimeoutMs} ms`, close: 'ADMISSION_TIMEOUT' })
    }
    awaitReady()
    link.ready.then(
      () => this.#ready(life, pid, link),
      (error: unknown) => {
        this.#lose(life, { reason: `did not become ready: ${messageOf(error)}`, close: 'TRANSPORT_CLOSED' })
      },
    )
    const onClosed = (why: unknown) => {
      const reason = `ended its link (${messageOf(why)})`
      this.#host.clock.after(EXIT_NEWS_MS, () => {
        this.#lose(life, { reason, close: 'TRANSPORT_CLOSED', graceMs: EXIT_GRACE_MS })
      })
    }
    link.closed.then(onClosed, onClosed)
  }

  #ready(life: Life, pid: number, link: SupervisedLink): void {
    if (life.over) return
    life.unwatch()
    life.unwatch = startHeartbeat({
      clock: this.#host.clock,
      limits: this.#heartbeat,
      pid,
      ping: async () => link.ping(),
      resting: () => link.resting?.() === true || life.process.isHeld,
      onHung: (line) => void this.#loseHung(life, pid, link, line),
    })
    this.#change('ready', { pid })
    for (const waiter of this.#waiting.splice(0)) waiter.resolve()
  }

  /** It is looked at before it is killed. It may end by itself meanwhile, or be stopped. */
  async #loseHung(life: Life, pid: number, link: SupervisedLink, line: string): Promise<void> {
    const { process } = life
    const evidence = await takeEvidence({
      clock: this.#host.clock,
      pid,
      stack: process.stack,
      printStacks: link.printsStack?.() ? () => void process.signal('SIGUSR2') : undefined,
      stderr: () => this.#tail.text,
    })
    if (life.over) return
    this.#lastHang = evidence
    this.#lose(life, {
      reason: `hung: ${line}; ${evidenceText(evidence)}`,
      close: 'HEARTBEAT_LOST',
      evidence,
    })
  }

  /** The end of a life that nobody asked for. */
  #lose(life: Life, loss: Loss): void {
    if (life.over) return
    life.over = true
    life.unwatch()
    life.link?.close(loss.close)
    this.#finish(life, loss.graceMs ?? 0)
    this.#lastLoss = loss.reason
    const delayMs = loss.final ? 'failed' : this.#policy.next()
    const details = {
      ...(life.process.exit ? { exit: life.process.exit } : {}),
      ...(loss.evidence ? { evidence: loss.evidence } : {}),
    }
    if (delayMs === 'failed') {
      const error = loss.final ?? this.#gaveUp(loss.reason)
      this.#error = error
      this.#change('failed', { reason: loss.reason, error, ...details })
      for (const waiter of this.#waiting.splice(0)) waiter.reject(error)
      return
    }
    const waited = new Promise<void>((resolve) => {
      life.unwatch = this.#host.clock.after(delayMs, resolve)
    })
    void Promise.all([waited, life.process.gone]).then(() => {
      if (this.#state === 'backoff') this.#start()
    })
    this.#change('backoff', { reason: loss.reason, delayMs, ...details })
  }

  /** Sees to it that a lost process ends. */
  #finish({ process }: Life, graceMs: number): void {
    if (graceMs === 0) process.kill()
    else void process.gone.then(this.#host.clock.after(graceMs, () => process.kill()))
  }

  async #stop(): Promise<void> {
    const [life, before] = [this.#life, this.#state]
    if (before !== 'failed') {
      this.#change('stopping', life?.process.pid === undefined ? {} : { pid: life.process.pid })
      for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#stopped())
      life?.unwatch()
      if (life && !life.over) await this.#stopLife(life, before === 'ready')
    }
    await this.#predecessor
    // A life that was over already is being ended by whoever noticed its loss.
    await life?.process.gone
    if (before !== 'failed') this.#change('stopped', this.#lastExit ? { exit: this.#lastExit } : {})
  }

  async #stopLife(life: Life, wasReady: boolean): Promise<void> {
    const { stopTimeoutMs = STOP_TIMEOUT_MS } = this.spec
    const { process, link } = life
    life.over = true
    const cancel = patientTimeout(this.#host.clock, stopTimeoutMs, this.#lateMs, () => process.kill())
    if (wasReady && link) {
      const drained = (async () => link.drain())().catch(() => {})
      await this.#orAfter(stopTimeoutMs / 2, drained, process.gone, link.closed)
    }
    link?.close('GOING_AWAY')
    if (wasReady) await this.#orAfter(Math.min(EXIT_GRACE_MS, stopTimeoutMs / 4), process.gone)
    process.signal('SIGTERM')
    await process.gone
    cancel()
  }

  /** Settles with the first of the events, or after `ms`; also when an event fails. */
  async #orAfter(ms: number, ...events: Promise<unknown>[]): Promise<void> {
    let cancel = () => {}
    const timeout = new Promise<void>((resolve) => {
      cancel = this.#host.clock.after(ms, resolve)
    })
    await Promise.race([timeout, ...events]).catch(() => {})
    cancel()
  }

  #change(state: ChildState, details: ChangeDetails): void {
    this.#state = state
    this.#host.onChange(this.id, state, details)
  }

  #gaveUp(reason: string): ViaductError {
    const { max, withinMs } = this.#policy.limits
    return new ViaductError(
      'UNAVAILABLE',
      `${this.id} ${reason}, after ${max} restarts within ${withinMs} ms: it is not started again. ` +
        'Its status has the end of its stderr; supervise it again when the cause is gone',
      { reason: 'CHILD_FAILED', fate: 'not-sent' },
    )
  }

  #stopped(): ViaductError {
    return new ViaductError('UNAVAILABLE', `${this.id} was stopped: supervise it again to start it`, {
      reason: 'CHILD_STOPPED',
      fate: 'not-sent',
    })
  }
}

/** An order may come from another process, where no compiler has seen it. */
function checkLink(link: unknown): void {
  if (link === undefined || link === 'socket' || link === 'stdio') return
  throw new ViaductError(
    'INVALID_ARGUMENT',
    `link: ${JSON.stringify(link)} is no way to a child: 'socket' or 'stdio'`,
    {
      reason: 'BAD_LINK',
      path: 'link',
    },
  )
}

/** An argument that makes Node wait for a debugger before it runs anything. */
function waitsForDebugger(argument: string): boolean {
  return argument.startsWith('--inspect-brk') || argument.startsWith('--inspect-wait')
}
