import type { PeerInfo } from '../core/call.ts'
import { Slots, STATE, slotOf } from '../core/exchange.ts'
import type { Link } from '../core/link.ts'
import { type Entry, Fifo } from '../core/outbox.ts'
import type { Rates } from '../core/rates.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import { HIGH_WATER_SHARE, HUB_QUEUE_BYTES, LOW_WATER_SHARE, MIN_WINDOW_BYTES } from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import type { Traffic } from './traffic.ts'

/** One stream gets at most one part in so many of what its reader has left for windows. */
const WINDOW_SHARE = 32

/** Bounds of one peer, by its zone or the manifest. */
export interface PortLimits {
  readonly messageBytes: number
  readonly exchanges: number
  /** Queued data the hub holds for this peer: half for what it sends, half for what it gets. */
  readonly queueBytes: number
  readonly queueMessages: number
}

/** One method on a route as the hub decided it once. */
export interface RouteMethod {
  readonly name: string
  readonly fingerprint: string
  /** 0 allowed, else the number of a reason. */
  status: number
}

/** A route's way to one peer: the number under which the hub opened it there. */
export interface Binding {
  readonly port: Port
  readonly route: number
  /** Methods of the route that were told to the peer. */
  told: number
  /** By method index: whether the peer serves it, and whether its fingerprint is the caller's. */
  readonly serves: boolean[]
  /** On a route to anyone: whether it serves the method and may be called there; `serves` is of those that come first. */
  readonly able: boolean[]
  readonly same: boolean[]
  readonly traffic: (Traffic | undefined)[]
}

/** Takes calls that are not forwarded to a peer, or not yet: topics, and calls whose target is starting. */
export interface Gathering {
  call(from: Port, route: HubRoute, method: number, bytes: Uint8Array, at: number, length: number): void
  /** CANCEL, CREDIT and the like of an exchange that `call` has accepted. */
  frame(from: Port, kind: number, id: number, bytes: Uint8Array, at: number): void
  /** The caller has gone. */
  lost(from: Port, id: number): void
}

/** A route that a peer has opened. */
export interface HubRoute {
  readonly number: number
  readonly methods: RouteMethod[]
  readonly bindings: Binding[]
  readonly gathering: Gathering | undefined
  /** Whether the target is known to be on its way, so that a call may wait for it. */
  awaited(): boolean
  /** What a call is told when nobody is behind it. */
  readonly absent: ReasonName
  readonly target: string
}

/** What the hub keeps of the exchanges that it has forwarded to one peer, by slot of that link. */
export class Forwarded {
  readonly slots: Slots
  readonly ids: number[] = []
  readonly states: number[] = []
  readonly callers: (Port | undefined)[] = []
  readonly callerIds: number[] = []
  readonly deadlines: number[] = []
  readonly startedAt: number[] = []
  /** Whether its latency was recorded: at the first item, or else at the end. */
  readonly timed: boolean[] = []
  /** Its caller, or the hub, has cancelled it because its time was over. */
  readonly expired: boolean[] = []
  /** The hub itself has: what its callee still says of it, but for an error, is not handed on. */
  readonly overdue: boolean[] = []
  readonly traffic: (Traffic | undefined)[] = []
  /** The lane of the call, in which all of its frames wait. */
  readonly lanes: number[] = []
  /** Item bytes that may still come from the callee, and from the caller. */
  readonly creditDown: number[] = []
  readonly creditUp: number[] = []
  /** Payload bytes still to come of the message under way, from the callee and from the caller. */
  readonly restDown: number[] = []
  readonly restUp: number[] = []
  /** The kind of the fragmented message under way, by direction. */
  readonly kindDown: number[] = []
  readonly kindUp: number[] = []
  /** How many functions of the caller the call refers to, and how many calls of them are under way. */
  readonly references: number[] = []
  readonly backs: number[] = []
  /** The lease in the callee's END; 0 when it ends the exchange. */
  readonly leases: number[] = []
  /** Exchanges that are answered, and outlive it because functions are kept. */
  kept = 0
  /** The how manieth CALL to this peer it is; 0 until it has left the hub. */
  readonly numbers: number[] = []
  /** The code in the head of the callee's ERROR. */
  readonly codes: number[] = []
  /** Called when the last of them has ended. */
  onempty: (() => void) | undefined

  constructor(limit: number) {
    this.slots = new Slots(limit)
  }

  /** The slot of an exchange that is open here, or -1. */
  find(id: number): number {
    const slot = slotOf(id)
    return this.ids[slot] === id && this.states[slot] !== STATE.idle ? slot : -1
  }

  /** A CALL that had waited leaves. */
  leaves(id: number, number: number): void {
    const slot = this.find(id)
    if (slot >= 0) this.numbers[slot] = number
  }

  /** The exchange is answered and goes on: for what is kept of it there are no items any more. */
  keep(slot: number): void {
    const caller = this.callers[slot]
    if (caller) caller.granted -= this.creditDown[slot] as number
    this.creditDown[slot] = 0
    this.restUp[slot] = 0
    this.deadlines[slot] = Number.POSITIVE_INFINITY
    this.states[slot] = STATE.kept
    this.kept++
    this.#emptied()
  }

  #emptied(): void {
    if (this.slots.open === this.kept) this.onempty?.()
  }

  free(slot: number): void {
    if (this.states[slot] === STATE.kept) this.kept--
    const id = this.ids[slot] as number
    const caller = this.callers[slot]
    if (caller) caller.granted -= this.creditDown[slot] as number
    this.states[slot] = STATE.idle
    this.callers[slot] = undefined
    this.traffic[slot] = undefined
    this.ids[slot] = -1
    this.slots.free(id)
    this.#emptied()
  }
}

/** Bytes that wait in the hub, for all its peers together: at most HUB_QUEUE_BYTES. */
export interface Budget {
  queuedBytes: number
}

/** The hub's end of one link. */
export class Port {
  readonly link: Link
  readonly info: PeerInfo
  readonly limits: PortLimits
  /** How many calls a second it may make; undefined: any. */
  readonly rates: Rates | undefined
  readonly routes: (HubRoute | undefined)[] = []
  readonly forwarded: Forwarded
  /** The calls that this peer has made, by its own slots: where they went. */
  readonly madeIds: number[] = []
  readonly madeTo: (Port | Gathering | undefined)[] = []
  readonly madeAs: number[] = []
  draining = false
  ready = false
  /** It has declared that it may be silent until then, by the hub's clock; what ends that can be called off. */
  busy: { readonly until: number; cancel(): void } | undefined
  /** It prints its stacks on stderr at SIGUSR2. */
  printsStack = false
  closed: CloseReason | undefined
  /** Bytes and messages of this peer that wait in others' outboxes. */
  chargedBytes = 0
  chargedMessages = 0
  /** Item bytes that callees may send to this peer now: its windows, all together. */
  granted = 0
  /** Its calls that wait for a target to start. */
  waiting = 0
  /** Bytes of the frames of those. */
  waitingBytes = 0
  /** Bytes of events that wait for this peer, over all its subscriptions. */
  eventBytes = 0
  /** Methods defined on its routes. */
  methods = 0
  #overBudget = false
  #holds = 0
  readonly #fifos = new Map<number, Fifo>()
  readonly #idle: (() => void)[] = []
  /** Peers whose transports may still look at what was read from this one. */
  readonly #lentTo = new Set<Port>()
  /** The next number for a route that the hub opens towards this peer. */
  nextRoute = 1
  readonly number: number
  readonly #budget: Budget
  calls = 0
  refused = 0
  late = 0

  /** @param budget what waits in the hub as a whole, counted by all its ports. */
  constructor(number: number, link: Link, info: PeerInfo, limits: PortLimits, budget: Budget, rates?: Rates) {
    this.rates = rates
    this.number = number
    this.#budget = budget
    this.link = link
    this.info = info
    this.limits = limits
    this.forwarded = new Forwarded(limits.exchanges)
  }

  /** Calls forwarded to this peer that it has not ended. */
  get load(): number {
    return this.forwarded.slots.open - this.forwarded.kept
  }

  /** Calls back once, when this peer answers nothing: now, if it is so. */
  whenIdle(idle: () => void): void {
    if (this.load === 0) {
      idle()
      return
    }
    this.#idle.push(idle)
    this.forwarded.onempty = () => {
      this.forwarded.onempty = undefined
      for (const waiting of this.#idle.splice(0)) waiting()
    }
  }

  /** What of a window may be granted now, so that all that comes of it stays within this peer's half. */
  grantable(window: number): number {
    const room = Math.max(0, this.limits.queueBytes / 2 - this.granted)
    return Math.min(window, room, Math.max(MIN_WINDOW_BYTES, Math.floor(room / WINDOW_SHARE)))
  }

  /** Whether what others may make this peer hold is used up. */
  get full(): boolean {
    const { outbox } = this.link
    return (
      outbox.queuedBytes > this.limits.queueBytes / 2 ||
      outbox.queuedMessages > this.limits.queueMessages ||
      this.#budget.queuedBytes > HUB_QUEUE_BYTES
    )
  }

  /** A view of what was read from this peer is given to another's transport. */
  lend(to: Port): void {
    this.#lentTo.add(to)
  }

  /** Has such views written now. @returns whether there are any left: as a rule there are none. */
  stillLends(): boolean {
    if (this.#lentTo.size === 0) return false
    for (const to of this.#lentTo) {
      if (!to.link.settle()) return true
      this.#lentTo.delete(to)
    }
    return false
  }

  /** The queue for frames of one source that have to wait for this peer. */
  fifo(source: Port, lane: number): Fifo {
    const key = source.number * 4 + lane
    let fifo = this.#fifos.get(key)
    if (!fifo) {
      fifo = new Fifo((entry) => source.#discharge(entry))
      this.#fifos.set(key, fifo)
    }
    return fifo
  }

  /** Counts what waits at others because of this peer; past its budget its link is not read. */
  charge(bytes: number): void {
    this.chargedBytes += bytes
    this.chargedMessages++
    this.#budget.queuedBytes += bytes
    const share = HIGH_WATER_SHARE / 2
    if (
      !this.#overBudget &&
      (this.chargedBytes > this.limits.queueBytes * share ||
        this.chargedMessages > this.limits.queueMessages * share)
    ) {
      this.#overBudget = true
      this.hold()
    }
  }

  #discharge(entry: Entry): void {
    this.discharge(entry.size, entry.messages)
  }

  discharge(bytes: number, messages: number): void {
    this.chargedBytes -= bytes
    this.chargedMessages -= messages
    this.#budget.queuedBytes -= bytes
    const share = LOW_WATER_SHARE / 2
    if (
      this.#overBudget &&
      this.chargedBytes < this.limits.queueBytes * share &&
      this.chargedMessages < this.limits.queueMessages * share
    ) {
      this.#overBudget = false
      this.unhold()
    }
  }

  /** Stops reading this peer until {@link unhold} was called as often. */
  hold(): void {
    if (this.#holds++ === 0) this.link.pause()
  }

  unhold(): void {
    if (--this.#holds === 0) this.link.resume()
  }

  get paused(): boolean {
    return this.#holds > 0
  }

  /** What others had waiting here is forgotten with the link. */
  release(): void {
    for (const fifo of this.#fifos.values()) {
      while (fifo.take()) {
        // Taking it discharges its source.
      }
    }
    this.#fifos.clear()
  }

  /** Forgets a peer that has gone. */
  forget(source: Port): void {
    for (let lane = 0; lane < 4; lane++) this.#fifos.delete(source.number * 4 + lane)
    // Not all transports ask what is lent still.
    for (const to of this.#lentTo) if (to.link.settle()) this.#lentTo.delete(to)
  }
}
