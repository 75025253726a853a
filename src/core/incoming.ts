import { linkError } from '../wire/linkError.ts'
import type { CallContext, Handler, PeerInfo } from './call.ts'
import type { CallMarks } from './callHead.ts'
import { EFFECT, EVENT, effectOf, nextState, STATE, slotOf, step } from './exchange.ts'
import { Items } from './items.ts'
import type { Method } from './method.ts'
import type { References } from './references.ts'
import type { Sender } from './sender.ts'
import type { Sweep } from './sweep.ts'

/** A method that is served here. */
export interface Served {
  readonly method: Method
  readonly handler: Handler
  /** Calls that are being answered now, one-way ones too; a withdrawn method drains. */
  running: number
  /** Called whenever none is left, once it was withdrawn. */
  onidle: (() => void) | undefined
  withdrawn: boolean
}

/** What a callee keeps of a call while its handler runs; handlers see it as their {@link CallContext}. */
export class InCall implements CallContext {
  readonly id: number
  readonly peer: PeerInfo
  readonly served: Served
  readonly lane: number
  /** Whether bodies of this exchange use the method's dictionary. */
  readonly dictionary: boolean
  readonly window: number
  readonly deadline: number
  readonly #marks: CallMarks | undefined
  readonly #owner: Incoming
  #controller: AbortController | undefined
  #aborted: unknown
  #isAborted = false
  items: Items | undefined
  sender: Sender | undefined
  /** The caller's functions that its input refers to. */
  references: References | undefined
  /** Set while an item or end is being produced, so that a cancel can stop the generator. */
  onAbort: ((reason: unknown) => void) | undefined

  constructor(
    owner: Incoming,
    id: number,
    peer: PeerInfo,
    served: Served,
    lane: number,
    dictionary: boolean,
    window: number,
    deadline: number,
    marks?: CallMarks,
  ) {
    this.#owner = owner
    this.#marks = marks
    this.id = id
    this.peer = peer
    this.served = served
    this.lane = lane
    this.dictionary = dictionary
    this.window = window
    this.deadline = deadline
  }

  get traceparent(): string | undefined {
    return this.#marks?.traceparent
  }

  get idempotencyKey(): string | undefined {
    return this.#marks?.idempotencyKey
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isAborted && !this.#controller.signal.aborted) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  get aborted(): boolean {
    return this.#isAborted
  }

  get timeLeftMs(): number {
    return this.deadline - this.#owner.now()
  }

  get upload(): AsyncIterable<unknown> {
    this.items ??= ended()
    return this.items
  }

  progress(value: unknown): void {
    if (!this.#isAborted) this.#owner.progress(this, value)
  }

  abort(reason: unknown): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#aborted = reason
    this.items?.fail(reason)
    this.references?.end(reason)
    this.#controller?.abort(reason)
    this.onAbort?.(reason)
  }
}

function ended(): Items {
  const items = new Items(
    () => {},
    () => {},
  )
  items.end()
  return items
}

/** The calls that one side of a link answers, by the slot that the caller chose. */
export class Incoming {
  readonly #limit: number
  readonly #sweep: Sweep
  readonly #ids: number[] = []
  readonly #states: number[] = []
  readonly #calls: (InCall | undefined)[] = []
  /** What outlives its answer, by id. */
  readonly #kept = new Map<number, References>()
  readonly now: () => number
  readonly progress: (call: InCall, value: unknown) => void
  /** Calls whose handlers have not ended. */
  open = 0

  constructor(
    limit: number,
    sweep: Sweep,
    now: () => number,
    progress: (call: InCall, value: unknown) => void,
  ) {
    this.#limit = limit
    this.#sweep = sweep
    this.now = now
    this.progress = progress
  }

  /** @returns EFFECT.start when the slot is free and within bounds, else EFFECT.violation. */
  begin(id: number, upload: boolean): number {
    const slot = slotOf(id)
    if (slot >= this.#limit) return EFFECT.violation
    const result = step(this.#states[slot] ?? STATE.idle, upload ? EVENT.callUpload : EVENT.call)
    if (effectOf(result) === EFFECT.violation) return EFFECT.violation
    this.#ids[slot] = id
    this.#states[slot] = nextState(result)
    this.open++
    return EFFECT.start
  }

  set(call: InCall): void {
    this.#calls[slotOf(call.id)] = call
    if (call.deadline !== Number.POSITIVE_INFINITY) this.#sweep.expect(call.deadline)
  }

  /** Takes a frame of the caller through the table; the effect is the peer's to carry out. */
  receive(id: number, event: number): number {
    const slot = slotOf(id)
    if (this.#ids[slot] !== id) return EFFECT.late
    const result = step(this.#states[slot] ?? STATE.idle, event)
    if (effectOf(result) !== EFFECT.violation) this.#states[slot] = nextState(result)
    return effectOf(result)
  }

  get(id: number): InCall | undefined {
    const slot = slotOf(id)
    return this.#ids[slot] === id ? this.#calls[slot] : undefined
  }

  /** The functions that may be called on this exchange. */
  references(id: number): References | undefined {
    return this.get(id)?.references ?? this.#kept.get(id)
  }

  /** The answer has been written, and functions are kept beyond it. */
  keep(id: number, references: References): void {
    if (this.receive(id, EVENT.endKept) !== EFFECT.keep) return
    this.#calls[slotOf(id)] = undefined
    this.#kept.set(id, references)
    this.open--
    this.expectKept(references)
  }

  expectKept(references: References): void {
    this.#sweep.expect(references.expires)
  }

  /** The calls that a served method answers now. */
  of(served: Served): InCall[] {
    return this.#calls.filter((call): call is InCall => call?.served === served)
  }

  /** The terminal frame has been written. */
  end(id: number): void {
    const slot = slotOf(id)
    if (this.#ids[slot] !== id || this.#states[slot] === STATE.idle) return
    this.#states[slot] = STATE.idle
    this.#calls[slot] = undefined
    if (!this.#kept.delete(id)) this.open--
  }

  /**
   * Aborts handlers whose time is up; returns the earliest deadline left.
   *
   * @param over ends a lease.
   */
  sweep(now: number, over: (references: References) => void): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const references of this.#kept.values()) {
      if (references.expires <= now) over(references)
      else if (references.expires < earliest) earliest = references.expires
    }
    for (const call of this.#calls) {
      if (!call || call.aborted) continue
      if (call.deadline > now) {
        if (call.deadline < earliest) earliest = call.deadline
      } else if (call.served.method.kind === 'call') {
        call.abort(linkError('DEADLINE_EXCEEDED', call.served.method.name, 'unknown'))
      }
    }
    return earliest
  }

  /** The link has ended: handlers are told. */
  fail(reason: unknown): void {
    for (const call of this.#calls) call?.abort(reason)
    for (const references of this.#kept.values()) references.end(reason)
    this.#kept.clear()
    this.#calls.length = 0
    this.#ids.length = 0
    this.#states.length = 0
    this.open = 0
  }
}
