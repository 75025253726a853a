import { setImmediate as nextTurn } from 'node:timers/promises'
import { isThenable } from '../core/guards.ts'
import { Histogram } from '../core/histogram.ts'
import { messageOf } from '../host/errno.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { Attempt, leaseExpired, Tracked } from './attempt.ts'
import { Burials } from './burials.ts'
import { causeOf, type DeathCause, isHopeless } from './deathCause.ts'
import { untilFullSecond } from './fullSecond.ts'
import { groupLog } from './groupLog.ts'
import type { Journal } from './journal.ts'
import { jsonValue } from './json.ts'
import { mailMessage } from './mailMessage.ts'
import type { Arrival, BodyFormat } from './message.ts'
import type { MailboxLog, MailHandler, ReceiveSettings } from './options.ts'
import { AGAIN_MS, Persistence } from './persistence.ts'
import { Schedule } from './schedule.ts'
import { Settlements } from './settlements.ts'
import type { ReceiverParts, ReceiverStats, Station } from './station.ts'
import type { Body, Inbox } from './store.ts'
import { Turnover } from './turnover.ts'

/** It looks at least so often, whether or not anything was notified. */
const LOOK_MS = 1_000
const GIVEN_UP_BEFORE: DeathCause = {
  reason: 'GIVEN_UP_BEFORE',
  message: 'a message of this id was given up before, and its letter is gone: redrive it to have it handled',
}

type DeliveriesParts = Omit<ReceiverParts, 'takeOver'>

/** A message that is about to be started. */
interface LoadedBody {
  readonly tracked: Tracked
  readonly format: BodyFormat
  readonly payload: unknown
}

/**
 * Starts a handler for each message that a station's store finds: at least once, and never again once it is done. All
 * of it happens in the process that holds the station.
 */
export class Deliveries {
  readonly #journal: Journal
  readonly #inbox: Inbox
  readonly #burials: Burials
  readonly #settlements: Settlements
  readonly #handler: MailHandler
  readonly #settings: ReceiveSettings
  readonly #parts: DeliveriesParts
  readonly #maxStarts: number
  readonly #tell: MailboxLog
  readonly #persistence: Persistence
  readonly #schedule = new Schedule<Tracked>()
  /** All that were taken and are not over, by id. */
  readonly #tracked = new Turnover<string, Tracked>()
  readonly #running = new Turnover<Attempt, true>()
  readonly #latency = new Histogram()
  /** Handlers, and bodies that are read for them. */
  #busy = 0
  #loaded = 0
  #loadedBytes = 0
  /** Starts of which the journal does not know the end. */
  #open = 0
  #aloneSinceMs = 0
  #loadedBodies: LoadedBody[] = []
  #looking = false
  #lookAgain = false
  /** At the end of this turn it starts what may be started, and looks. */
  #pumping = false
  #lookSoon = false
  /** Handled, and written by the journal together. */
  #ending: { readonly settled: Promise<void>; readonly group: Tracked[] } | undefined
  #timer: (() => void) | undefined
  #timerMs = Number.POSITIVE_INFINITY
  /** Starts nothing more. */
  #isHalted = false
  #isStopped = false
  #idle: (() => void) | undefined
  readonly #unwatch: () => void
  #done = 0
  #dead = 0
  #retried = 0
  #duplicates = 0

  constructor(handler: MailHandler, settings: ReceiveSettings, station: Station, parts: DeliveriesParts) {
    const { journal, inbox } = station
    this.#handler = handler
    this.#settings = settings
    this.#parts = parts
    this.#journal = journal
    this.#inbox = inbox
    this.#maxStarts = 1 + settings.maxRetries
    this.#tell = groupLog(parts.log, parts.group)
    this.#persistence = new Persistence({
      now: () => parts.clock.now(),
      onFailure: (error) => this.#tell('error', 'IPC state cannot be written; it tries again', { error }),
      onDue: (atMs) => this.#arm(atMs),
      onSettled: () => this.#idle?.(),
    })
    this.#burials = new Burials(station, this.#persistence)
    const onAcknowledged = (id: string): void => this.#tell('debug', 'ACK sent', { id })
    this.#settlements = new Settlements(inbox, this.#persistence, parts.log && onAcknowledged)
    this.#unwatch = inbox.watch(() => void this.#look())
  }

  begin(): void {
    this.#arm(this.#parts.clock.now() + untilFullSecond(this.#parts.clock))
    void this.#look()
  }

  stats(): ReceiverStats {
    const percentile = (share: number): number => this.#latency.percentile(share)
    return {
      ready: this.#schedule.ready,
      leased: this.#running.size,
      delayed: this.#schedule.delayed,
      done: this.#done,
      dead: this.#dead,
      retried: this.#retried,
      duplicates: this.#duplicates,
      bytes: this.#loadedBytes,
      latencyMs: { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) },
    }
  }

  /** Starts nothing more. */
  halt(): void {
    this.#isHalted = true
  }

  /** Another one receives: what runs here is not alone any more, and nothing of it is recorded. */
  lose(): void {
    this.#isHalted = true
    this.#isStopped = true
    for (const attempt of this.#running.keys()) attempt.abort(stopped())
  }

  /** Settles when those that run have ended, or the grace is over, and what they came to is written. */
  async stop(): Promise<void> {
    this.#isHalted = true
    if (this.#busy > 0) await this.#wait(this.#settings.graceMs, () => this.#busy === 0)
    for (const attempt of this.#running.keys()) {
      attempt.abort(stopped())
      this.#over(attempt)
      if (!this.#isStopped) this.#record(attempt.tracked, 'failed', () => {})
    }
    const isBuried = (): boolean => this.#burials.isIdle
    if (!isBuried()) await this.#wait(this.#settings.graceMs, isBuried)
    this.#isStopped = true
    this.#persistence.giveUp()
    this.#burials.giveUp()
    const isQuiet = (): boolean => this.#persistence.underWay === 0
    if (!isQuiet()) await this.#wait(Number.POSITIVE_INFINITY, isQuiet)
    this.#timer?.()
    this.#unwatch()
  }

  /** Until it is so, or the time is over. */
  #wait(ms: number, isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === Number.POSITIVE_INFINITY ? undefined : this.#parts.clock.after(ms, end)
      function end(): void {
        resolve()
      }
      this.#idle = () => {
        if (!isSo()) return
        cancel?.()
        this.#idle = undefined
        resolve()
      }
    })
  }

  // Taking ----------------------------------------------------------------------------------------------------------

  /** Half of it must be free, since many at once come cheaper. */
  get #hasRoom(): boolean {
    const { windowMessages, windowBytes } = this.#settings
    return this.#loaded <= windowMessages / 2 && this.#loadedBytes <= windowBytes / 2
  }

  /** Takes what the store has found, as long as there is room. */
  async #look(): Promise<void> {
    if (this.#looking) {
      this.#lookAgain = true
      return
    }
    this.#looking = true
    try {
      do {
        this.#lookAgain = false
        while (this.#hasRoom && !this.#isHalted) {
          // Half of it at a time: while the journal syncs the ends of one half, the other one runs.
          const arrivals = await this.#inbox.next(Math.ceil(this.#settings.windowMessages / 2))
          if (arrivals.length === 0) break
          for (const arrival of arrivals) this.#admit(arrival)
          this.#pump()
          // Handlers that return at once would otherwise keep all else from running.
          await nextTurn()
        }
      } while (this.#lookAgain && !this.#isHalted)
    } catch (error) {
      this.#tell('error', 'IPC messages cannot be read; it tries again', { error: messageOf(error) })
    } finally {
      this.#looking = false
    }
    this.#pump()
  }

  #admit(arrival: Arrival): void {
    const journal = this.#journal
    const known = journal.known(arrival)
    if (known === 'done') {
      this.#duplicates++
      this.#inbox.release(arrival)
      const settle = (): void => this.#settlements.add(arrival, true)
      if (journal.isRecorded(arrival)) settle()
      else this.#persistence.insist(() => journal.done(arrival), settle)
      return
    }
    const under = this.#tracked.get(arrival.id)
    if (under) {
      this.#inbox.release(arrival)
      under.twins = under.twins ?? []
      under.twins.push(arrival)
      return
    }
    const tracked = new Tracked(arrival, journal.starts(arrival.id))
    this.#tracked.set(arrival.id, tracked)
    this.#loaded++
    this.#loadedBytes += arrival.bytes
    if (known === 'dead') {
      // Most often its letter is there, since a crash came before the store forgot it. But that may have been purged,
      // and the message stored again: what is not done is in the store or a dead letter, never nowhere.
      this.#duplicates++
      this.#bury(tracked, GIVEN_UP_BEFORE)
    } else if (arrival.fault) {
      this.#bury(tracked, arrival.fault)
    } else if (tracked.starts >= this.#maxStarts) {
      const message = `its process ended, or its handler failed, ${tracked.starts} times`
      this.#bury(tracked, { reason: 'HANDLER_CRASHED', message })
    } else if (journal.suspects.has(arrival.id)) {
      this.#schedule.addSuspect(tracked)
      this.#aloneSinceMs = this.#parts.clock.now()
    } else {
      this.#add(tracked, arrival.notBeforeMs)
    }
  }

  /** To be started at that time; not held in memory until then. */
  #add(tracked: Tracked, dueMs: number): void {
    const nowMs = this.#parts.nowMs()
    if (dueMs <= nowMs) {
      this.#schedule.add(tracked, dueMs, nowMs)
      return
    }
    const { expiresAtMs } = tracked.arrival
    const wakeMs = expiresAtMs > 0 ? Math.min(dueMs, expiresAtMs) : dueMs
    this.#unload(tracked)
    this.#schedule.add(tracked, wakeMs, nowMs)
    this.#arm(this.#parts.clock.now() + (wakeMs - nowMs))
  }

  #unload(tracked: Tracked): void {
    if (!tracked.isLoaded) return
    tracked.isLoaded = false
    this.#loaded--
    this.#loadedBytes -= tracked.arrival.bytes
    this.#inbox.release(tracked.arrival)
  }

  // Starting --------------------------------------------------------------------------------------------------------

  /** Starts what may be started. */
  #pump(): void {
    const { concurrency, windowMessages } = this.#settings
    const nowMs = this.#parts.nowMs()
    do {
      while (
        !this.#isHalted &&
        this.#busy < concurrency &&
        this.#open + this.#loadedBodies.length < windowMessages
      ) {
        const tracked = this.#schedule.next(nowMs, this.#busy + this.#open)
        if (!tracked) break
        this.#prepare(tracked, nowMs)
      }
    } while (this.#startLoaded())
  }

  #prepare(tracked: Tracked, nowMs: number): void {
    const { arrival } = tracked
    if (!tracked.isLoaded) {
      tracked.isLoaded = true
      this.#loaded++
      this.#loadedBytes += arrival.bytes
    }
    if (arrival.expiresAtMs > 0 && arrival.expiresAtMs <= nowMs) {
      const message = `it was to be started before ${new Date(arrival.expiresAtMs).toISOString()}`
      this.#bury(tracked, { reason: 'EXPIRED', message })
      return
    }
    this.#busy++
    let body: Body | Promise<Body>
    try {
      body = this.#inbox.body(arrival)
    } catch (error) {
      this.#unreadable(tracked, error)
      return
    }
    if (!isThenable(body)) {
      this.#load(tracked, body)
      return
    }
    Promise.resolve(body).then(
      (read) => {
        this.#load(tracked, read)
        this.#pumpSoon()
      },
      (error: unknown) => {
        this.#unreadable(tracked, error)
        this.#pumpSoon()
      },
    )
  }

  #unreadable(tracked: Tracked, error: unknown): void {
    this.#busy--
    if (isViaductError(error) && error.code === 'NOT_FOUND') {
      // Somebody took it away, and means it.
      this.#record(tracked, 'done', () => this.#end(tracked, false))
    } else if (isViaductError(error) && error.code !== 'UNAVAILABLE') {
      this.#bury(tracked, { reason: error.reason, message: error.message })
    } else {
      this.#tell('error', 'IPC message cannot be read; it tries again', {
        id: tracked.arrival.id,
        error: messageOf(error),
      })
      this.#postpone(tracked)
    }
  }

  /** The disk failed; that is not the message's fault. */
  #postpone(tracked: Tracked): void {
    this.#schedule.acquit(tracked)
    this.#add(tracked, this.#parts.nowMs() + AGAIN_MS)
  }

  #load(tracked: Tracked, { format, bytes }: Body): void {
    try {
      const payload = format === 'json' ? jsonValue(bytes) : bytes
      this.#loadedBodies.push({ tracked, format, payload })
    } catch (error) {
      this.#unreadable(tracked, error)
    }
  }

  /**
   * Starts all whose bodies are there: the journal counts them together, then their handlers run.
   * @returns whether there were any
   */
  #startLoaded(): boolean {
    const batch = this.#loadedBodies
    if (batch.length === 0) return false
    this.#loadedBodies = []
    if (this.#isHalted) {
      this.#busy -= batch.length
      this.#idle?.()
      return false
    }
    const nowMs = this.#parts.nowMs()
    for (let begun = 0; begun < batch.length; ) {
      const rest = begun === 0 ? batch : batch.slice(begun)
      let attempts: number[]
      try {
        attempts = this.#journal.start(rest.map(({ tracked }) => tracked.arrival.id))
      } catch (error) {
        this.#unstarted(rest, error)
        return false
      }
      begun += attempts.length
      for (const [index, attempt] of attempts.entries()) {
        const one = rest[index]
        if (one) this.#run(one, attempt, nowMs)
      }
      this.#journal.begun()
    }
    return true
  }

  #unstarted(batch: readonly LoadedBody[], error: unknown): void {
    this.#busy -= batch.length
    for (const { tracked } of batch) {
      this.#tell('error', 'IPC message cannot be started; it tries again', {
        id: tracked.arrival.id,
        error: messageOf(error),
      })
      this.#postpone(tracked)
    }
  }

  #run({ tracked, format, payload }: LoadedBody, attemptNumber: number, nowMs: number): void {
    const { arrival } = tracked
    tracked.starts = attemptNumber
    tracked.isOpen = true
    this.#open++
    if (tracked.starts === 1) {
      this.#latency.record(Math.max(0, nowMs - Math.max(arrival.sentAtMs, arrival.notBeforeMs)))
    }
    const { clock, group, log } = this.#parts
    const { heartbeat, leaseMs } = this.#settings
    const leaseEndMs = heartbeat ? Number.POSITIVE_INFINITY : clock.now() + leaseMs
    const attempt = new Attempt(tracked, format, leaseEndMs, clock)
    this.#running.set(attempt, true)
    if (!heartbeat) this.#arm(leaseEndMs)
    if (log) {
      const { id, type } = arrival
      this.#tell('debug', 'Processing IPC message', { id, type, attempt: tracked.starts })
    }
    let result: unknown
    try {
      result = this.#handler.call(undefined, mailMessage(arrival, payload, group), attempt)
    } catch (error) {
      this.#failed(attempt, error)
      return
    }
    if (!isThenable(result)) {
      this.#succeeded(attempt)
      return
    }
    Promise.resolve(result).then(
      () => {
        this.#succeeded(attempt)
        this.#pumpSoon()
      },
      (error: unknown) => {
        this.#failed(attempt, error)
        this.#pumpSoon()
      },
    )
  }

  /** @returns whether it still counted */
  #over(attempt: Attempt): boolean {
    if (!this.#running.delete(attempt)) return false
    attempt.isOver = true
    this.#busy--
    this.#idle?.()
    return true
  }

  #succeeded(attempt: Attempt): void {
    if (!this.#over(attempt)) return
    const { tracked } = attempt
    this.#unload(tracked)
    const settled = this.#journal.done(tracked.arrival)
    // The journal gives one promise for all that it writes together.
    if (settled === this.#ending?.settled) {
      this.#ending.group.push(tracked)
      return
    }
    const group = [tracked]
    this.#ending = { settled, group }
    this.#persistence.once(
      settled,
      () => {
        for (const one of group) this.#succeededForGood(one)
      },
      () => {
        this.#persistence.later(() => {
          for (const one of group) this.#record(one, 'done', () => this.#succeededForGood(one))
        })
      },
    )
  }

  #succeededForGood(tracked: Tracked): void {
    this.#closeStart(tracked)
    this.#done++
    this.#end(tracked, true)
  }

  #closeStart(tracked: Tracked): void {
    if (!tracked.isOpen) return
    tracked.isOpen = false
    this.#open--
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (!this.#over(attempt)) return
    const { tracked } = attempt
    const cause = causeOf(error)
    if (tracked.starts >= this.#maxStarts || isHopeless(error)) {
      this.#bury(tracked, cause)
      return
    }
    this.#tellOf('Retrying IPC message', tracked, cause)
    this.#retried++
    const dueMs = this.#parts.nowMs() + this.#settings.retryDelayMs
    this.#record(tracked, 'failed', () => {
      this.#schedule.acquit(tracked)
      this.#add(tracked, dueMs)
      this.#pump()
    })
  }

  // Ending ----------------------------------------------------------------------------------------------------------

  /** The journal has the end of a start: `then` runs once that is durable. */
  #record(tracked: Tracked, what: 'done' | 'failed' | 'dead', then: () => void): void {
    this.#persistence.insist(
      () => this.#journal[what](tracked.arrival),
      () => {
        this.#closeStart(tracked)
        then()
      },
    )
  }

  /** It is over and the journal knows. */
  #end(tracked: Tracked, acknowledge: boolean): void {
    const { arrival, twins } = tracked
    this.#unload(tracked)
    this.#tracked.delete(arrival.id)
    this.#schedule.acquit(tracked)
    this.#settlements.add(arrival, acknowledge)
    // Their sequences are to be known as well, and one that was redriven since is another death's.
    for (const twin of twins ?? []) this.#admit(twin)
    this.#wake()
  }

  /** Room was made: looks and starts. */
  #wake(): void {
    this.#lookSoon = true
    this.#pumpSoon()
  }

  /** Once for all that happens in this turn, so that what is started then is counted together. */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#parts.clock.afterTurn(() => {
      this.#pumping = false
      this.#pump()
      if (!this.#lookSoon) return
      this.#lookSoon = false
      if (this.#hasRoom && !this.#looking && !this.#isHalted) void this.#look()
    })
  }

  /** Makes a dead letter of it, then lets the journal know, then lets the store forget it. */
  #bury(tracked: Tracked, cause: DeathCause): void {
    const { arrival, starts } = tracked
    this.#tellOf('IPC message failed', tracked, cause)
    this.#unload(tracked)
    this.#burials.add({
      arrival,
      attempts: starts,
      cause,
      onWritten: () => this.#buried(tracked),
      onFailure: () => {
        // Until it can be kept, it holds nobody up.
        this.#schedule.acquit(tracked)
        if (tracked.isOpen) this.#record(tracked, 'failed', () => this.#pump())
      },
    })
  }

  #tellOf(text: string, { arrival, starts }: Tracked, { reason, message }: DeathCause): void {
    const { id, type } = arrival
    this.#tell('warn', text, { id, type, attempt: starts, reason, error: message })
  }

  #buried(tracked: Tracked): void {
    const { arrival } = tracked
    if (this.#journal.known(arrival) === 'dead' && this.#journal.isRecorded(arrival)) {
      this.#end(tracked, false)
      return
    }
    this.#record(tracked, 'dead', () => {
      this.#dead++
      this.#end(tracked, false)
      this.#pump()
    })
  }

  // Time ------------------------------------------------------------------------------------------------------------

  /** One timer for all: it fires at that time at the latest. */
  #arm(atMs: number): void {
    if (this.#timer && this.#timerMs <= atMs) return
    this.#timer?.()
    this.#timerMs = atMs
    const delayMs = Math.max(0, Math.min(LOOK_MS, atMs - this.#parts.clock.now()))
    this.#timer = this.#parts.clock.after(delayMs, () => {
      this.#timer = undefined
      this.#timerMs = Number.POSITIVE_INFINITY
      this.#tick()
    })
  }

  #tick(): void {
    if (this.#isStopped) return
    const { clock, nowMs } = this.#parts
    const now = clock.now()
    let nextMs = now + untilFullSecond(clock)
    if (!this.#settings.heartbeat) {
      for (const attempt of this.#running.keys()) {
        if (attempt.leaseEndMs > now) {
          nextMs = Math.min(nextMs, attempt.leaseEndMs)
          continue
        }
        const error = leaseExpired(attempt.tracked.arrival.id)
        this.#failed(attempt, error)
        attempt.abort(error)
      }
    }
    this.#persistence.tryAgain()
    // What a suspect waits for, or does, may take hours: then it is no reason to hold up all others.
    if (this.#schedule.isHeldUp) {
      if (now - this.#aloneSinceMs >= this.#settings.leaseMs) this.#schedule.acquitAll()
    } else {
      this.#aloneSinceMs = now
    }
    this.#arm(Math.min(nextMs, now + Math.max(0, this.#schedule.dueMs - nowMs()), this.#persistence.dueMs))
    void this.#look()
    this.#pump()
  }
}

function stopped(): ViaductError {
  return new ViaductError('UNAVAILABLE', 'the receiver has stopped', { reason: 'CLOSED' })
}
