/**
 * The switch: reads a header, looks at a bit, writes a new header into the far outbox. It decodes nothing,
 * makes no promise and no closure for a frame, and knows neither peers nor codecs.
 */

import { isCut } from '../core/assembly.ts'
import type { Clock } from '../core/clock.ts'
import { EFFECT, EVENT, effectOf, nextState, STATE, slotOf, step } from '../core/exchange.ts'
import { isOptional } from '../core/link.ts'
import type { Entry } from '../core/outbox.ts'
import { type Sweep, sweepOver } from '../core/sweep.ts'
import { CODES } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, readU16, readU32, writeHeader, writeU32 } from '../wire/frame.ts'
import { referencesIn } from '../wire/head.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES, MAX_BACKS, MAX_REFERENCES, MIN_WINDOW_BYTES } from '../wire/limits.ts'
import { FATE, REASONS, type ReasonName, reasonName } from '../wire/reasons.ts'
import type { Binding, HubRoute } from './port.ts'
import { Port } from './port.ts'
import type { Taps } from './tap.ts'
import { codeName } from './traffic.ts'

/** Frames up to this size are copied and gathered; longer ones are changed and lent on where they lie. */
const COPY_BYTES = 2048
/** A forwarded call is cancelled so long after its deadline, in case its caller does not. */
const CANCEL_GRACE_MS = 100

export interface SwitchEvents {
  /** OPEN, ROUTE and DROP have bodies: they are read elsewhere. */
  control(port: Port, kind: number, bytes: Uint8Array, at: number, length: number): void
  /** A route's methods have to be told to a peer before its first call there. */
  tell(route: HubRoute, binding: Binding): void
  /** A call whose target is starting: keeps a copy and comes back with {@link Switch.frame}, or refuses. */
  wait(port: Port, route: HubRoute, bytes: Uint8Array, at: number, length: number): boolean
}

export class Switch {
  readonly clock: Clock
  readonly #events: SwitchEvents
  readonly #sweep: Sweep
  readonly ports = new Set<Port>()
  /** Who comes first among peers of equal load. */
  #turn = 0
  /** Frames forwarded since the start. */
  frames = 0
  /** Who watches the traffic; nobody, as a rule. */
  tap: Taps | undefined

  constructor(clock: Clock, events: SwitchEvents) {
    this.clock = clock
    this.#events = events
    this.#sweep = sweepOver(clock, (now) => this.#expire(now))
  }

  add(port: Port): void {
    this.ports.add(port)
    const { forwarded, link } = port
    link.outbox.onheld = (entry) => this.#held(port, entry)
    link.outbox.onleave = (entry) => link.count(entry, (id, number) => forwarded.leaves(id, number))
  }

  /** One frame of a peer. */
  frame(port: Port, bytes: Uint8Array, at: number, length: number): void {
    const kind = bytes[at + AT.kind] as number
    const flags = bytes[at + AT.flags] as number
    const payloadBytes = readU32(bytes, at + AT.payloadBytes)
    if (
      (flags & FLAG.MORE) === 0
        ? length !== HEADER_BYTES + padded(payloadBytes)
        : !isCut(kind, length, payloadBytes)
    ) {
      port.link.violation()
      return
    }
    if (kind === KIND.CALL) {
      this.#call(port, flags, bytes, at, length, payloadBytes)
    } else if (kind < KIND.CALL) {
      this.#events.control(port, kind, bytes, at, length)
    } else if ((flags & FLAG.ANSWER) !== 0) {
      this.#down(port, kind, flags, bytes, at, length, payloadBytes)
    } else {
      this.#up(port, kind, flags, bytes, at, length, payloadBytes)
    }
  }

  #call(
    from: Port,
    flags: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    payloadBytes: number,
  ): void {
    const id = readU32(bytes, at + AT.id)
    const oneWay = (flags & FLAG.ONE_WAY) !== 0
    const slot = slotOf(id)
    // A one-way message in fragments borrows an id, which has to be free like any other.
    const takesId = !oneWay || (flags & FLAG.MORE) !== 0
    if (
      (flags & FLAG.ANSWER) !== 0 ||
      (takesId && (slot >= from.limits.exchanges || from.madeTo[slot] !== undefined))
    ) {
      from.link.violation()
      return
    }
    from.calls++
    from.link.accepted++
    if (from.link.leaving) return this.#refuse(from, id, oneWay, 'DRAINING')
    const route = from.routes[readU32(bytes, at + AT.route)]
    const index = readU16(bytes, at + AT.method)
    const method = route?.methods[index]
    if (!route || !method) return this.#refuse(from, id, oneWay, 'ROUTE_UNKNOWN')
    if (method.status !== 0) {
      return this.#refuse(from, id, oneWay, reasonName(method.status), route, index)
    }
    if (payloadBytes > from.limits.messageBytes) {
      return this.#refuse(from, id, oneWay, 'MESSAGE_TOO_LARGE', route, index)
    }
    const binding = route.gathering ? undefined : pick(route, index, this.#turn++)
    if (from.rates) {
      const isServed = route.gathering !== undefined || binding !== undefined
      const waitMs = from.rates.take(from.info.id, method.name, this.clock.now(), isServed)
      if (waitMs > 0) return this.#refuse(from, id, oneWay, 'RATE_LIMITED', route, index, waitMs)
    }
    if (route.gathering) {
      route.gathering.call(from, route, index, bytes, at, length)
      return
    }
    const same = (flags & FLAG.DICTIONARY) !== 0
    if (!binding) {
      if (!oneWay && route.awaited() && this.#events.wait(from, route, bytes, at, length)) return
      return this.#refuse(from, id, oneWay, nobody(route, index), route, index)
    }
    if (same && !binding.same[index]) return this.#refuse(from, id, oneWay, 'SKEW', route, index)
    const to = binding.port
    if (to.draining) return this.#refuse(from, id, oneWay, 'DRAINING', route, index)
    const traffic = binding.traffic[index]
    if (to.full) {
      if (traffic) traffic.dropped++
      return this.#refuse(from, id, oneWay, 'QUEUE_FULL', route, index)
    }
    if (binding.told <= index) this.#events.tell(route, binding)
    if (traffic) {
      traffic.bytes += payloadBytes
      if (oneWay) traffic.oneWay++
      else traffic.calls++
    }
    if (oneWay && (flags & FLAG.MORE) === 0) {
      if (this.tap !== undefined)
        this.tap.emit('notify', from.info.id, to.info.id, method.name, flags, payloadBytes)
      if (this.#forward(from, to, flags, bytes, at, length, 0, binding.route)) to.link.called++
      return
    }
    const asked = oneWay ? 0 : readU32(bytes, at + AT.window)
    const window = from.grantable(asked)
    if (window < asked) {
      if (window < MIN_WINDOW_BYTES) return this.#refuse(from, id, oneWay, 'QUEUE_FULL', route, index)
      writeU32(bytes, at + AT.window, window)
    }
    const table = to.forwarded
    const farId = table.slots.take()
    if (farId < 0) return this.#refuse(from, id, oneWay, 'TOO_MANY_CALLS', route, index)
    const farSlot = slotOf(farId)
    const timeLeft = readU32(bytes, at + AT.timeLeft)
    table.ids[farSlot] = farId
    table.states[farSlot] = nextState(
      step(STATE.idle, (flags & FLAG.UPLOAD) !== 0 && !oneWay ? EVENT.callUpload : EVENT.call),
    )
    table.callers[farSlot] = from
    table.callerIds[farSlot] = id
    table.traffic[farSlot] = traffic
    table.lanes[farSlot] = flags & FLAG.LANE
    table.creditDown[farSlot] = window
    from.granted += window
    table.creditUp[farSlot] = MIN_WINDOW_BYTES
    table.restDown[farSlot] = 0
    table.restUp[farSlot] = (flags & FLAG.MORE) !== 0 ? payloadBytes - (length - HEADER_BYTES) : 0
    table.kindUp[farSlot] = oneWay ? KIND.NOOP : KIND.CALL
    table.codes[farSlot] = 0
    table.references[farSlot] = oneWay ? 0 : Math.min(MAX_REFERENCES, referencesIn(bytes, at, length))
    table.backs[farSlot] = 0
    table.leases[farSlot] = 0
    table.numbers[farSlot] = 0
    const now = this.clock.now()
    table.startedAt[farSlot] = now
    table.timed[farSlot] = false
    table.expired[farSlot] = false
    table.overdue[farSlot] = false
    table.deadlines[farSlot] = Number.POSITIVE_INFINITY
    if (timeLeft !== 0) {
      table.deadlines[farSlot] = now + timeLeft
      this.#sweep.expect(now + timeLeft + CANCEL_GRACE_MS)
    }
    from.madeIds[slot] = id
    from.madeTo[slot] = to
    from.madeAs[slot] = farId
    if (this.tap !== undefined) {
      this.tap.emit(oneWay ? 'notify' : 'call', from.info.id, to.info.id, method.name, flags, payloadBytes)
    }
    if (this.#forward(from, to, flags, bytes, at, length, farId, binding.route))
      table.numbers[farSlot] = ++to.link.called
  }

  /** A frame of a caller about a call that it has made. */
  #up(
    from: Port,
    kind: number,
    flags: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    payloadBytes: number,
  ): void {
    const id = readU32(bytes, at + AT.id)
    const slot = slotOf(id)
    const to = from.madeTo[slot]
    if (to === undefined || from.madeIds[slot] !== id) {
      from.late++
      return
    }
    if (!(to instanceof Port)) {
      to.frame(from, kind, id, bytes, at)
      return
    }
    const table = to.forwarded
    const farId = from.madeAs[slot] as number
    const far = table.find(farId)
    if (far < 0) return
    // In the lane of the call, whatever the frame says, and a CANCEL too: what overtakes what still waits
    // there would be late, and the rest of it without an end.
    const lane = table.lanes[far] as number
    if (kind === KIND.FRAGMENT) {
      const state = table.states[far]
      if (state === STATE.kept || (state === STATE.cancelled && table.kindUp[far] !== KIND.NOOP)) {
        // It was answered, or cancelled by the hub when its time was up; what its caller still says of it is late.
        from.late++
        return
      }
      const rest = (table.restUp[far] as number) - payloadBytes
      const last = (flags & FLAG.MORE) === 0
      if (
        rest < 0 ||
        last !== (rest === 0) ||
        !this.#spend(table.kindUp[far] === KIND.ITEM, table.creditUp, far, payloadBytes)
      ) {
        from.link.violation()
        return
      }
      table.restUp[far] = rest
      this.#count(table.traffic[far], payloadBytes)
      this.#forward(from, to, lane, bytes, at, length, farId, 0)
      if (last && table.kindUp[far] === KIND.NOOP) {
        table.free(far)
        from.madeTo[slot] = undefined
      }
      return
    }
    const event = upEvent(kind)
    if (event < 0) {
      if (!isOptional(kind)) from.link.violation()
      else this.#forward(from, to, lane, bytes, at, length, farId, 0)
      return
    }
    const result = step(table.states[far] as number, event)
    const effect = effectOf(result)
    if (
      effect === EFFECT.violation ||
      (kind !== KIND.CANCEL &&
        kind !== KIND.CREDIT &&
        kind !== KIND.BACK &&
        (table.restUp[far] as number) > 0)
    ) {
      from.link.violation()
      return
    }
    if (table.states[far] === STATE.kept && effect === EFFECT.abort) table.kept--
    table.states[far] = nextState(result)
    if (effect === EFFECT.late) return
    if (kind === KIND.ITEM || kind === KIND.END) {
      const more = (flags & FLAG.MORE) !== 0
      const here = more ? length - HEADER_BYTES : payloadBytes
      const isItem = kind === KIND.ITEM
      if (payloadBytes > from.limits.messageBytes || !this.#spend(isItem, table.creditUp, far, here)) {
        from.link.violation()
        return
      }
      table.restUp[far] = payloadBytes - here
      table.kindUp[far] = kind
      if (isItem) this.#item(table.traffic[far], here)
      else this.#count(table.traffic[far], here)
    } else if (kind === KIND.CREDIT) {
      const asked = readU32(bytes, at + AT.window)
      const granted = Math.min(asked, Math.max(0, from.limits.queueBytes / 2 - from.granted))
      if (granted < asked) writeU32(bytes, at + AT.window, granted)
      table.creditDown[far] = (table.creditDown[far] as number) + granted
      from.granted += granted
    } else if (kind === KIND.CANCEL) {
      table.restUp[far] = 0
      table.expired[far] = this.#isOver(table, far)
    } else if (kind === KIND.BACK) {
      const backs = (table.backs[far] as number) - 1
      if (backs < 0) {
        from.link.violation()
        return
      }
      table.backs[far] = backs
      this.#count(table.traffic[far], payloadBytes)
    }
    if (this.tap !== undefined) this.#tapUp(this.tap, from, to, far, kind, flags, payloadBytes)
    // In a refused BACK `route` is the number of the reason.
    const reason = kind === KIND.BACK && payloadBytes === 0 ? readU32(bytes, at + AT.route) : 0
    this.#forward(from, to, kind === KIND.CREDIT ? flags : lane, bytes, at, length, farId, reason)
    if (kind === KIND.CANCEL && table.kindUp[far] === KIND.NOOP) this.#cutShort(to, far)
  }

  /** A frame of a callee about a call that was forwarded to it. */
  #down(
    from: Port,
    kind: number,
    flags: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    payloadBytes: number,
  ): void {
    const table = from.forwarded
    const far = table.find(readU32(bytes, at + AT.id))
    if (far < 0) {
      from.late++
      return
    }
    const to = table.callers[far] as Port
    const id = table.callerIds[far] as number
    const more = (flags & FLAG.MORE) !== 0
    if (kind === KIND.FRAGMENT) {
      const rest = (table.restDown[far] as number) - payloadBytes
      const whole = table.kindDown[far] as number
      if (
        rest < 0 ||
        more === (rest === 0) ||
        (whole === KIND.ITEM && !this.#take(table, far, payloadBytes))
      ) {
        from.link.violation()
        return
      }
      table.restDown[far] = rest
      this.#count(table.traffic[far], payloadBytes)
      const isOverdue = whole === KIND.END && table.overdue[far] === true
      if (table.states[far] !== STATE.cancelled || (whole !== KIND.ITEM && !isOverdue))
        this.#forward(from, to, flags, bytes, at, length, id, 0)
      if (!more && whole !== KIND.ITEM) this.#ended(from, far, whole)
      return
    }
    const event = downEvent(kind, readU32(bytes, at + AT.window))
    if (event < 0) {
      const state = table.states[far]
      if (kind !== KIND.PROGRESS && !isOptional(kind)) from.link.violation()
      else if (state === STATE.open || state === STATE.asked)
        this.#forward(from, to, flags, bytes, at, length, id, 0)
      return
    }
    if (kind === KIND.BACK || kind === KIND.RELEASE) {
      this.#callback(from, to, far, event, flags, bytes, at, length, payloadBytes)
      return
    }
    if (event !== EVENT.credit && (table.restDown[far] as number) > 0) {
      // Only an error may cut a message short.
      if (kind !== KIND.ERROR) {
        from.link.violation()
        return
      }
    }
    const state = table.states[far] as number
    const effect = effectOf(step(state, event))
    if (event === EVENT.endKept && (table.references[far] as number) === 0) {
      from.link.violation()
      return
    }
    const here = more ? length - HEADER_BYTES : payloadBytes
    if (payloadBytes > from.limits.messageBytes) {
      from.link.violation()
      return
    }
    if (kind === KIND.ITEM) {
      if (!this.#take(table, far, here)) {
        from.link.violation()
        return
      }
      table.deadlines[far] = Number.POSITIVE_INFINITY
      if (effect !== EFFECT.late) this.#timed(table, far)
      this.#item(table.traffic[far], here)
    } else if (kind === KIND.CREDIT) {
      table.creditUp[far] = (table.creditUp[far] as number) + readU32(bytes, at + AT.window)
    } else {
      this.#count(table.traffic[far], here)
    }
    if (kind !== KIND.CREDIT) {
      table.restDown[far] = payloadBytes - here
      table.kindDown[far] = kind
      table.leases[far] = event === EVENT.endKept ? readU32(bytes, at + AT.window) : 0
      if (kind === KIND.ERROR) table.codes[far] = readU16(bytes, at + AT.method)
    }
    const isOverdue = kind === KIND.END && table.overdue[far] === true
    const isHandedOn = effect !== EFFECT.late && !isOverdue
    if (this.tap !== undefined && isHandedOn) {
      this.#tapDown(this.tap, from, to, far, bytes, at, payloadBytes)
    }
    // An END or ERROR is forwarded even after a cancel: it frees the caller's slot.
    // In an error `route` is the number of its reason.
    const reason = kind === KIND.ERROR ? readU32(bytes, at + AT.route) : 0
    if (isHandedOn) this.#forward(from, to, flags, bytes, at, length, id, reason)
    if ((event === EVENT.endDown || event === EVENT.endKept) && !more) this.#ended(from, far, kind)
  }

  /**
   * The callee is done with a call that the hub has cancelled. Its caller has not: for it, that is the end. An END would
   * tell of a whole stream, items of which were dropped.
   */
  #overdue(callee: Port, slot: number): void {
    const { callers, callerIds, traffic } = callee.forwarded
    const caller = callers[slot]
    const id = callerIds[slot] as number
    if (caller) this.bare(caller, id, 'DEADLINE_EXCEEDED', 'unknown', traffic[slot]?.method, callee.info.id)
  }

  /**
   * The callee calls a function of the caller, or keeps none any more. What its caller is handed is within
   * bounds: this link closes for what is not.
   */
  #callback(
    from: Port,
    to: Port,
    far: number,
    event: number,
    flags: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    payloadBytes: number,
  ): void {
    const table = from.forwarded
    const effect = effectOf(step(table.states[far] as number, event))
    const id = table.callerIds[far] as number
    if (effect === EFFECT.back) {
      const backs = (table.backs[far] as number) + 1
      if (backs > MAX_BACKS || readU16(bytes, at + AT.method) >= (table.references[far] as number)) {
        from.link.violation()
        return
      }
      if (to.full) {
        from.refused++
        const { number, code } = REASONS.QUEUE_FULL
        const called = readU32(bytes, at + AT.window)
        from.link.control(KIND.BACK, CODES[code], table.ids[far], number, called)
        return
      }
      table.backs[far] = backs
      this.#count(table.traffic[far], payloadBytes)
    }
    // RELEASE may not overtake the rest of the answer.
    if (effect === EFFECT.free && (table.restDown[far] as number) > 0) {
      from.link.violation()
      return
    }
    if (effect === EFFECT.late) return
    if (table.overdue[far] === true) this.#overdue(from, far)
    else
      this.#forward(from, to, (flags & ~FLAG.LANE) | (table.lanes[far] as number), bytes, at, length, id, 0)
    if (effect === EFFECT.free) this.#freed(from, far)
  }

  /** Item bytes of a callee: what its caller was granted is less by so much. */
  #take(table: Port['forwarded'], slot: number, bytes: number): boolean {
    const caller = table.callers[slot]
    if (caller) caller.granted -= creditOf(bytes)
    return this.#spend(true, table.creditDown, slot, bytes)
  }

  #spend(isItem: boolean, credits: number[], slot: number, bytes: number): boolean {
    if (!isItem) return true
    const left = (credits[slot] as number) - creditOf(bytes)
    credits[slot] = left
    return left >= 0
  }

  #item(traffic: Port['forwarded']['traffic'][number], bytes: number): void {
    if (!traffic) return
    traffic.items++
    traffic.bytes += bytes
  }

  #count(traffic: Port['forwarded']['traffic'][number], bytes: number): void {
    if (traffic) traffic.bytes += bytes
  }

  /** The callee has answered: both sides' slots are free, unless functions are kept. */
  #ended(callee: Port, slot: number, kind: number): void {
    const table = callee.forwarded
    const traffic = table.traffic[slot]
    const state = table.states[slot]
    if (traffic && state !== STATE.kept) {
      traffic.ended++
      this.#timed(table, slot)
      if (table.expired[slot]) traffic.failed(CODES.DEADLINE_EXCEEDED)
      else if (kind === KIND.ERROR) traffic.failed(table.codes[slot] as number)
    }
    if (kind === KIND.END && (table.leases[slot] as number) > 0) {
      // After a cancel its RELEASE is still to come.
      if (state !== STATE.cancelled && state !== STATE.kept) table.keep(slot)
      return
    }
    if (kind === KIND.END && table.overdue[slot] === true) this.#overdue(callee, slot)
    this.#freed(callee, slot)
  }

  /** A call has its answer, or the first item of it. */
  #timed(table: Port['forwarded'], slot: number): void {
    if (table.timed[slot]) return
    table.timed[slot] = true
    table.traffic[slot]?.latency.record(this.clock.now() - (table.startedAt[slot] as number))
  }

  /**
   * Whether a call that its caller cancels now has run out of time. Its time began at the caller, so it may be over there a
   * little before it is here.
   */
  #isOver(table: Port['forwarded'], slot: number): boolean {
    const deadline = table.deadlines[slot] as number
    const early = Math.min(CANCEL_GRACE_MS, (deadline - (table.startedAt[slot] as number)) / 10)
    return this.clock.now() >= deadline - early
  }

  /** The exchange has ended: both sides' slots are free. */
  #freed(callee: Port, slot: number): void {
    const table = callee.forwarded
    const caller = table.callers[slot]
    if (caller) caller.madeTo[slotOf(table.callerIds[slot] as number)] = undefined
    table.free(slot)
  }

  /**
   * Writes a frame into another peer's outbox under the id and route that it knows.
   *
   * @returns whether it leaves at once.
   */
  #forward(
    from: Port,
    to: Port,
    flags: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    id: number,
    route: number,
  ): boolean {
    // Nobody is there to read it, and what is charged for a closed outbox would never be discharged.
    if (to.closed !== undefined) return false
    this.frames++
    const { outbox } = to.link
    const lane = flags & FLAG.LANE
    const isLent = length > COPY_BYTES
    // What was gathered goes first, and may leave no room.
    if (isLent) outbox.flush()
    const congested = outbox.congested
    const fifo = congested ? to.fifo(from, lane) : undefined
    if (congested) from.charge(length)
    if (isLent) {
      // The chunk is the hub's own, and nobody else looks at this part of it.
      writeU32(bytes, at + AT.id, id)
      writeU32(bytes, at + AT.route, route)
      // What has to wait is copied: it would keep the whole chunk, and only its own bytes are counted.
      if (congested || !to.link.borrows) {
        return outbox.lend(bytes.slice(at, at + length), lane, fifo) === undefined
      }
      from.lend(to)
      return outbox.lend(bytes.subarray(at, at + length), lane) === undefined
    }
    const start = outbox.room(length)
    const { slab } = outbox
    slab.set(bytes.subarray(at, at + length), start)
    writeU32(slab, start + AT.id, id)
    writeU32(slab, start + AT.route, route)
    const eager = to.forwarded.slots.open <= 1
    return outbox.commit(start, start + length, lane, eager, undefined, fifo) === undefined
  }

  /** Answers a call that is not forwarded. */
  #refuse(
    from: Port,
    id: number,
    oneWay: boolean,
    reason: ReasonName,
    route?: HubRoute,
    index = 0,
    retryAfterMs = 0,
  ): void {
    from.refused++
    const method = route?.methods[index]?.name
    if (!oneWay) this.bare(from, id, reason, 'not-sent', method, route?.target, retryAfterMs)
    else if (this.tap !== undefined) {
      this.tap.emit('refused', from.info.id, route?.target ?? 'hub', method ?? '', 0, 0, reason)
    }
  }

  /** A bare ERROR: no codec is needed to say it. Method and target are for those who watch. */
  bare(
    to: Port,
    id: number,
    reason: ReasonName,
    fate: 'not-sent' | 'unknown',
    method = '',
    target = 'hub',
    retryAfterMs = 0,
  ): void {
    const { number, code } = REASONS[reason]
    to.link.control(KIND.ERROR, CODES[code], id, number, FATE[fate], FLAG.ANSWER, retryAfterMs)
    if (this.tap === undefined) return
    if (fate === 'not-sent') this.tap.emit('refused', to.info.id, target, method, 0, 0, reason)
    else this.tap.emit('error', target, to.info.id, method, 0, 0, reason)
  }

  #tapUp(
    tap: Taps,
    from: Port,
    to: Port,
    slot: number,
    kind: number,
    flags: number,
    payloadBytes: number,
  ): void {
    const what =
      kind === KIND.ITEM
        ? 'item'
        : kind === KIND.END
          ? 'uploaded'
          : kind === KIND.CANCEL
            ? 'cancel'
            : undefined
    if (what === undefined) return
    const method = to.forwarded.traffic[slot]?.method ?? ''
    tap.emit(what, from.info.id, to.info.id, method, flags, payloadBytes)
  }

  #tapDown(
    tap: Taps,
    from: Port,
    to: Port,
    slot: number,
    bytes: Uint8Array,
    at: number,
    payloadBytes: number,
  ): void {
    const kind = bytes[at + AT.kind] as number
    if (kind === KIND.CREDIT) return
    const flags = bytes[at + AT.flags] as number
    const { traffic, startedAt } = from.forwarded
    const method = traffic[slot]?.method ?? ''
    const [source, caller] = [from.info.id, to.info.id]
    // A row that stands for many methods may hide the tap's own, whose items must not be shown.
    if (method === '*' && from.info.zone === 'hub') return
    if (kind === KIND.ITEM) {
      tap.emit('item', source, caller, method, flags, payloadBytes)
      return
    }
    const ms = this.clock.now() - (startedAt[slot] as number)
    if (kind === KIND.END) tap.emit('end', source, caller, method, flags, payloadBytes, 'OK', ms)
    else {
      const status = statusOf(readU16(bytes, at + AT.method), readU32(bytes, at + AT.route), payloadBytes)
      tap.emit('error', source, caller, method, flags, payloadBytes, status, ms)
    }
  }

  /** The hub itself cancels a call that it has forwarded. */
  #tapCancel(tap: Taps, callee: Port, slot: number, reason: ReasonName): void {
    const method = callee.forwarded.traffic[slot]?.method ?? ''
    tap.emit('cancel', 'hub', callee.info.id, method, 0, 0, reason)
  }

  /** What waited is about to be written: its time has run on. */
  #held(port: Port, entry: Entry): void {
    const held = Math.floor(this.clock.now() - entry.heldSince)
    const { bytes } = entry
    for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
      const left = readU32(bytes, at + AT.timeLeft)
      if (bytes[at + AT.kind] === KIND.CALL && left > 0) {
        if (left > held) writeU32(bytes, at + AT.timeLeft, left - held)
        else this.#expireQueued(port, bytes, at)
      }
      at += Math.max(HEADER_BYTES, readU32(bytes, at + AT.bytes))
    }
  }

  #expireQueued(port: Port, bytes: Uint8Array, at: number): void {
    if (((bytes[at + AT.flags] as number) & (FLAG.MORE | FLAG.ONE_WAY)) !== 0) return
    const slot = port.forwarded.find(readU32(bytes, at + AT.id))
    if (slot < 0) return
    bytes[at + AT.kind] = KIND.NOOP
    const caller = port.forwarded.callers[slot]
    const method = port.forwarded.traffic[slot]?.method
    if (caller) {
      const id = port.forwarded.callerIds[slot] as number
      this.bare(caller, id, 'DEADLINE_EXCEEDED', 'not-sent', method, port.info.id)
    }
    port.forwarded.codes[slot] = CODES.DEADLINE_EXCEEDED
    this.#ended(port, slot, KIND.ERROR)
  }

  #expire(now: number): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const port of this.ports) {
      const { deadlines, states } = port.forwarded
      for (let slot = 0; slot < deadlines.length; slot++) {
        const state = states[slot] as number
        if (state === STATE.idle || state === STATE.cancelled) continue
        const at = (deadlines[slot] as number) + CANCEL_GRACE_MS
        if (at > now) {
          if (at < earliest) earliest = at
          continue
        }
        port.forwarded.expired[slot] = true
        port.forwarded.overdue[slot] = true
        this.#cancel(port, slot)
        if (this.tap !== undefined) this.#tapCancel(this.tap, port, slot, 'DEADLINE_EXCEEDED')
      }
    }
    return earliest
  }

  /** A link has ended: every exchange of it settles, on both sides. */
  remove(port: Port): void {
    this.ports.delete(port)
    const { forwarded } = port
    for (let slot = 0; slot < forwarded.states.length; slot++) {
      if (forwarded.states[slot] === STATE.idle) continue
      const caller = forwarded.callers[slot]
      if (caller && forwarded.kindUp[slot] !== KIND.NOOP) {
        const method = forwarded.traffic[slot]?.method
        const id = forwarded.callerIds[slot] as number
        const fate = port.link.fateOf(forwarded.numbers[slot] as number)
        this.bare(caller, id, 'TARGET_UNAVAILABLE', fate, method, port.info.id)
      }
      forwarded.codes[slot] = CODES.UNAVAILABLE
      this.#ended(port, slot, KIND.ERROR)
    }
    for (let slot = 0; slot < port.madeTo.length; slot++) {
      const to = port.madeTo[slot]
      if (!to) continue
      port.madeTo[slot] = undefined
      if (to instanceof Port) this.#orphan(to, port.madeAs[slot] as number)
      else to.lost(port, port.madeIds[slot] as number)
    }
    port.release()
    for (const other of this.ports) other.forget(port)
  }

  /** The caller of a forwarded call has gone: the callee is told, and its answer goes nowhere. */
  #orphan(callee: Port, id: number): void {
    const slot = callee.forwarded.find(id)
    if (slot < 0) return
    if (callee.forwarded.states[slot] === STATE.cancelled) return
    if (this.tap !== undefined) this.#tapCancel(this.tap, callee, slot, 'LINK_LOST')
    this.#cancel(callee, slot)
  }

  /** The hub itself cancels a call that it has forwarded; the slot stays taken until the callee ends. */
  #cancel(callee: Port, slot: number): void {
    const { forwarded, link } = callee
    const { outbox } = link
    const caller = forwarded.callers[slot]
    const fifo = outbox.congested && caller ? callee.fifo(caller, forwarded.lanes[slot] as number) : undefined
    if (fifo) caller?.charge(HEADER_BYTES)
    const at = outbox.room(HEADER_BYTES)
    const id = forwarded.ids[slot] as number
    writeHeader(outbox.slab, at, HEADER_BYTES, KIND.CANCEL, 0, 0, id, 0, 0, 0, 0, 0, 0)
    outbox.commit(at, at + HEADER_BYTES, fifo ? (forwarded.lanes[slot] as number) : 0, false, undefined, fifo)
    if (forwarded.kindUp[slot] === KIND.NOOP) this.#cutShort(callee, slot)
    else {
      if (forwarded.states[slot] === STATE.kept) forwarded.kept--
      forwarded.states[slot] = STATE.cancelled
    }
  }

  /** Nothing will answer a one-way message that was cut short. */
  #cutShort(callee: Port, slot: number): void {
    const { forwarded } = callee
    const caller = forwarded.callers[slot]
    if (caller) caller.madeTo[slotOf(forwarded.callerIds[slot] as number)] = undefined
    forwarded.free(slot)
  }

  stop(): void {
    this.#sweep.stop()
  }
}

function upEvent(kind: number): number {
  switch (kind) {
    case KIND.ITEM:
      return EVENT.itemUp
    case KIND.END:
      return EVENT.endUp
    case KIND.CANCEL:
      return EVENT.cancel
    case KIND.CREDIT:
      return EVENT.credit
    case KIND.BACK:
      return EVENT.back
    default:
      return -1
  }
}

function downEvent(kind: number, window: number): number {
  switch (kind) {
    case KIND.ITEM:
      return EVENT.itemDown
    case KIND.END:
      return window > 0 ? EVENT.endKept : EVENT.endDown
    case KIND.ERROR:
      return EVENT.endDown
    case KIND.CREDIT:
      return EVENT.credit
    case KIND.BACK:
      return EVENT.back
    case KIND.RELEASE:
      return EVENT.release
    default:
      return -1
  }
}

/** What an ERROR's head says: its reason, else its code, else that it was one. */
function statusOf(code: number, reason: number, payloadBytes: number): string {
  if (reason !== 0 || payloadBytes === 0) return reasonName(reason)
  const name = codeName(code)
  return name === 'UNSAID' ? 'ERROR' : name
}

/** Why no peer behind a route takes a call. */
function nobody(route: HubRoute, method: number): ReasonName {
  const { bindings } = route
  // One that is starting has not said yet what it serves.
  if (route.awaited()) return 'TARGET_UNAVAILABLE'
  if (bindings.length === 0) return route.absent
  return bindings.some((binding) => binding.serves[method]) ? 'DRAINING' : 'METHOD_NOT_FOUND'
}

/** The least loaded peer that serves the method, those with the caller's fingerprint first; equals in turn. */
function pick(route: HubRoute, method: number, turn: number): Binding | undefined {
  const { bindings } = route
  const only = bindings.length === 1 ? bindings[0] : undefined
  if (only) return only.serves[method] ? only : undefined
  let best: Binding | undefined
  for (let at = 0; at < bindings.length; at++) {
    const binding = bindings[(at + turn) % bindings.length]
    if (!binding?.serves[method] || binding.port.draining) continue
    if (!best) best = binding
    else if (binding.same[method] !== best.same[method]) {
      if (binding.same[method]) best = binding
    } else if (binding.port.load < best.port.load) best = binding
  }
  return best
}
