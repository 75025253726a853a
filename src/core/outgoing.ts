import { type Fate, ViaductError } from '../wire/errors.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { LEASE_GRACE_MS, MAX_LEASE_MS } from '../wire/limits.ts'
import { linkError, REASON_TEXTS } from '../wire/linkError.ts'
import { FATE, type ReasonName } from '../wire/reasons.ts'
import type { CallOptions } from './call.ts'
import { EFFECT, EVENT, effectOf, nextState, Slots, STATE, slotOf, step } from './exchange.ts'
import type { Functions } from './functions.ts'
import type { Items } from './items.ts'
import type { Link } from './link.ts'
import type { Method } from './method.ts'
import type { Entry } from './outbox.ts'
import type { Route } from './route.ts'
import type { Sender } from './sender.ts'
import type { Sweep } from './sweep.ts'

/** A call that this side has made: what its answer settles. */
export interface OutCall {
  id: number
  readonly method: Method
  readonly route: Route
  readonly input: unknown
  /** Whether the input was written with the method's dictionary. */
  readonly dictionary: boolean
  /** Clock ms, or Infinity: by when it has to end, or of a stream to open. Never later than `totalAt`. */
  deadline: number
  /** By when it has to end, a stream too. */
  readonly totalAt: number
  readonly idleMs: number
  /** By when something has to come; Infinity without an idle bound, and while items wait for their reader. */
  idleAt: number
  resolve(value: unknown): void
  reject(error: unknown): void
  /** Undoes what hangs on the call: the signal's listener, the upload. */
  release: (() => void) | undefined
  items: Items | undefined
  sender: Sender | undefined
  onProgress: ((value: unknown) => void) | undefined
  /** The functions that the input refers to. */
  functions: Functions | undefined
  /** The how manieth CALL of this link it is; 0 until it has left. */
  number: number
  /** Where the CALL waits if it had to, so that it can be called off. */
  entry: Entry | undefined
  at: number
  /** Items are handed over together with their heads. */
  readonly headed: boolean
  readonly options: CallOptions | undefined
  /** The same call, sent once more under another id. */
  again: OutCall | undefined
}

/** The calls that one side of a link has made, by slot. */
export class Outgoing {
  readonly #link: Link
  readonly #slots: Slots
  readonly #calls: (OutCall | undefined)[] = []
  readonly #states: number[] = []
  readonly #ids: number[] = []
  readonly #sweep: Sweep
  /** Exchanges that are answered and outlive it. */
  #kept = 0

  constructor(link: Link, limit: number, sweep: Sweep) {
    this.#link = link
    this.#slots = new Slots(limit)
    this.#sweep = sweep
  }

  get open(): number {
    return this.#slots.open - this.#kept
  }

  /** The far end takes fewer calls at once than we would make. */
  set limit(exchanges: number) {
    this.#slots.limit = exchanges
  }

  /** An id for a new call, or -1 when every slot is taken. */
  take(): number {
    return this.#slots.take()
  }

  /** Gives back an id whose call was never written. */
  giveBack(id: number): void {
    this.#slots.free(id)
  }

  /** The call is on its way. */
  begin(call: OutCall, upload: boolean): void {
    const slot = slotOf(call.id)
    this.#calls[slot] = call
    this.#ids[slot] = call.id
    this.#states[slot] = nextState(step(STATE.idle, upload ? EVENT.callUpload : EVENT.call))
    this.#sweep.expect(Math.min(call.deadline, call.idleAt))
  }

  /** The open call behind an id, or undefined when it is late. */
  get(id: number): OutCall | undefined {
    const slot = slotOf(id)
    return this.#ids[slot] === id && this.#states[slot] !== STATE.idle ? this.#calls[slot] : undefined
  }

  /**
   * Takes a frame of the callee through the table.
   *
   * @returns the effect for the caller to carry out, with the call of {@link get}.
   */
  receive(id: number, event: number): number {
    const slot = slotOf(id)
    if (this.#ids[slot] !== id) return EFFECT.late
    const result = step(this.#states[slot] ?? STATE.idle, event)
    this.#become(slot, nextState(result))
    return effectOf(result)
  }

  /** The caller has sent its last item. */
  finished(id: number): void {
    const slot = slotOf(id)
    if (this.#ids[slot] === id)
      this.#states[slot] = nextState(step(this.#states[slot] ?? STATE.idle, EVENT.endUp))
  }

  #become(slot: number, state: number): void {
    if (this.#states[slot] === STATE.kept) this.#kept--
    if (state === STATE.kept) this.#kept++
    this.#states[slot] = state
  }

  /** The callee has answered, and keeps functions for so long after each use: the call, which is settled. */
  keep(id: number, leaseMs: number): OutCall | undefined {
    const call = this.get(id)
    if (!call?.functions) return undefined
    call.release?.()
    call.release = call.onProgress = call.sender = call.entry = undefined
    call.functions.leaseMs = Math.min(MAX_LEASE_MS, leaseMs)
    call.idleAt = Number.POSITIVE_INFINITY
    this.used(call)
    return call
  }

  /** A kept function was used: its lease begins anew. */
  used(call: OutCall): void {
    const leaseMs = call.functions?.leaseMs ?? 0
    if (leaseMs === 0) return
    call.deadline = this.#link.clock.now() + leaseMs + LEASE_GRACE_MS
    this.#sweep.expect(call.deadline)
  }

  /** Whether the callee of this call still takes what the caller says. */
  isOpen(call: OutCall): boolean {
    return this.get(call.id) === call && this.#states[slotOf(call.id)] !== STATE.cancelled
  }

  /** The callee has ended an exchange that somebody waits for: its call, whose slot is free from here on. */
  settle(id: number): OutCall | undefined {
    const call = this.#calls[slotOf(id)]
    if (call?.id !== id) return undefined
    this.free(id)
    return call
  }

  /** The callee is done with this id: the slot may be used again. */
  free(id: number): void {
    const slot = slotOf(id)
    const call = this.#calls[slot]
    this.#calls[slot] = undefined
    this.#ids[slot] = -1
    this.#become(slot, STATE.idle)
    this.#slots.free(id)
    call?.release?.()
  }

  /**
   * Settles a call from this side: it was cancelled, or its time is up. The slot stays taken until the
   * callee has ended too, unless the call had not left the outbox.
   *
   * @param given the error itself.
   * @param cause what a signal was aborted with, where there is no error yet.
   */
  abandon(call: OutCall, reason: ReasonName, given?: unknown, cause?: unknown): void {
    const slot = slotOf(call.id)
    if (this.#ids[slot] !== call.id || this.#states[slot] === STATE.idle) return
    if (this.#states[slot] === STATE.cancelled) return
    // It is settled: only its lease ends it, not a reader that leaves.
    if (this.#states[slot] === STATE.kept && reason !== 'LEASE_ENDED') return
    const unsent = callOff(call)
    const fate = unsent ? 'not-sent' : 'unknown'
    const error =
      given ??
      (cause === undefined ? linkError(reason, call.method.name, fate) : cancelled(call.method, cause, fate))
    if (unsent) {
      this.free(call.id)
    } else {
      this.#become(slot, nextState(step(this.#states[slot] ?? STATE.idle, EVENT.cancel)))
      call.release?.()
      call.release = undefined
      this.#link.control(KIND.CANCEL, 0, call.id)
    }
    call.items?.fail(error)
    call.reject(error)
  }

  /** Fails what has expired; returns the earliest deadline left. */
  sweep(now: number): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const call of this.#calls) {
      if (!call || this.#states[slotOf(call.id)] === STATE.cancelled) continue
      // The reader is slow, not the far side: the idle bound rests until it has taken what waits.
      if (call.idleAt <= now && call.items && call.items.waiting > 0) call.idleAt = Number.POSITIVE_INFINITY
      const due = Math.min(call.deadline, call.idleAt)
      if (due <= now) this.abandon(call, call.functions?.leaseMs ? 'LEASE_ENDED' : 'DEADLINE_EXCEEDED')
      else if (due < earliest) earliest = due
    }
    return earliest
  }

  /** Ends the subscriptions, whose readers then leave their loops as at the end of any stream. */
  endSubscriptions(): void {
    for (const call of this.#calls) {
      if (call?.method.kind !== 'topic') continue
      call.items?.end()
      call.resolve(undefined)
    }
  }

  /** The link has ended: every call settles. */
  fail(error: (call: OutCall) => ViaductError): void {
    for (let slot = 0; slot < this.#calls.length; slot++) {
      const call = this.#calls[slot]
      if (!call) continue
      const cancelled = this.#states[slot] === STATE.cancelled
      this.free(call.id)
      if (cancelled) continue
      const reason = error(call)
      call.items?.fail(reason)
      call.reject(reason)
    }
  }
}

/** The error of a call that a signal cancelled. */
export function cancelled(method: Method, cause: unknown, fate: Fate): ViaductError {
  return new ViaductError('CANCELLED', `${method.name}: ${REASON_TEXTS.CANCELLED}`, { fate, cause })
}

/** Takes a call out of the outbox. @returns whether none of it had left. */
function callOff(call: OutCall): boolean {
  if (call.sender?.clear()) return true
  const entry = call.entry
  if (!entry || entry.sent) return false
  new Uint8Array(entry.memory.buffer)[call.at + AT.kind] = KIND.NOOP
  return true
}

/** The fate that a bare ERROR carries. */
export function fateOf(window: number): Fate {
  return window === FATE['not-sent'] ? 'not-sent' : 'unknown'
}
