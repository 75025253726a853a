import type { CloseReason } from '../wire/closeReason.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, readU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS, HEADER_BYTES } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'
import { Assembly, isCut } from './assembly.ts'
import { type PeerLimits, TRUSTED_LIMITS } from './bounds.ts'
import type { Caller, CallOptions, Handler, ItemStream, PeerInfo, Server, Serving, Target } from './call.ts'
import type { CallbackSides } from './callbacks.ts'
import { Callee } from './callee.ts'
import { Calls } from './caller.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Served } from './incoming.ts'
import { InRoutes } from './inRoutes.ts'
import { isOptional, Link, type LinkEvents } from './link.ts'
import { Message } from './message.ts'
import type { Method } from './method.ts'
import { Outgoing } from './outgoing.ts'
import { Output } from './output.ts'
import { OutRoutes } from './outRoutes.ts'
import { type Route, targetKey } from './route.ts'
import { NOBODY } from './served.ts'
import { serving } from './serving.ts'
import { type Sweep, sweepOver } from './sweep.ts'
import type { Transport } from './transport.ts'

export interface PeerOptions {
  readonly clock?: Clock
  readonly limits?: PeerLimits
  /** Who is at the far end, for links that need no hub to say so. */
  readonly far?: PeerInfo
  /** Stacks travel with errors. */
  readonly debug?: boolean
  /** Functions may be arguments; those that come without it are refused. */
  readonly callbacks?: CallbackSides
  /** The far end is a hub: it stamps who calls, and what is served here is announced to it. */
  readonly hub?: boolean
  /** Takes part in the admission; the link is held until {@link LinkCore.admitted}. */
  readonly admission?: LinkEvents['admission']
}

/**
 * One end of a link: it makes calls and answers them, and both ends may be of this class. It owns the link; a
 * handler owns its call until it returns; an item stream is its reader's. Here messages are put together and
 * handed to the side that they concern: {@link Calls} makes calls, {@link Callee} answers them.
 */
export class LinkCore implements Caller, Server {
  readonly link: Link
  readonly clock: Clock
  readonly limits: PeerLimits
  readonly #output: Output
  protected readonly outRoutes: OutRoutes
  readonly #inRoutes: InRoutes
  readonly #outgoing: Outgoing
  protected readonly calls: Calls
  readonly #callee: Callee
  readonly #sweep: Sweep
  readonly #assembly = new Assembly()
  readonly #message = new Message()
  readonly #base: Route
  readonly #callers = new Map<string, Caller>()
  readonly #pinging = new Set<() => void>()
  #onDrained: (() => void) | undefined
  /** The far end has seen our GOAWAY: no call that crossed it is still to come. */
  #goawaySeen = false
  readonly #closed: Promise<CloseReason>
  #settleClosed: (reason: CloseReason) => void = () => {}

  constructor(transport: Transport, options: PeerOptions = {}) {
    const {
      admission,
      callbacks,
      debug = false,
      far = NOBODY,
      hub = false,
      limits = TRUSTED_LIMITS,
    } = options
    this.clock = options.clock ?? systemClock
    this.limits = limits
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    this.link = new Link(transport, this.clock, limits.messageBytes, {
      frame: (bytes, at, length) => this.#frame(bytes, at, length),
      ...(admission ? { admission } : {}),
      goaway: () => {
        this.calls.farDraining = true
      },
      drained: () => this.#drained(),
      closed: (reason) => this.#end(reason),
    })
    this.#output = new Output(this.link, limits, () => this.openCalls)
    this.outRoutes = new OutRoutes(this.#output)
    this.#inRoutes = new InRoutes(this.#output, limits.messageBytes, hub, far)
    this.#sweep = sweepOver(this.clock, (now) => Math.min(this.#outgoing.sweep(now), this.#callee.sweep(now)))
    this.#outgoing = new Outgoing(this.link, limits.exchanges, this.#sweep)
    const ended = () => this.#checkDrained()
    this.calls = new Calls(
      this.#output,
      this.outRoutes,
      this.#outgoing,
      limits,
      this.#sweep,
      ended,
      debug,
      callbacks,
    )
    this.#callee = new Callee(this.#output, this.#inRoutes, this.#sweep, {
      limits,
      debug,
      callbacks,
      onEnded: (id) => {
        if (this.#assembly.bytes > 0) this.#assembly.drop(id, false)
        this.#checkDrained()
      },
    })
    this.#base = this.outRoutes.to(undefined)
    if (admission) this.link.outbox.hold()
  }

  /** Settles with the reason when the link has ended; never rejects. */
  get closed(): Promise<CloseReason> {
    return this.#closed
  }

  get isClosed(): boolean {
    return this.link.closed !== undefined
  }

  /** Calls that are open in both directions. */
  get openCalls(): number {
    return this.#outgoing.open + this.#callee.table.open
  }

  /**
   * The link was admitted: what was held back goes out.
   *
   * @param limits what the far end takes from us, where that is less than its preamble said.
   */
  admitted(far: PeerInfo, limits?: { readonly messageBytes: number; readonly exchanges: number }): void {
    this.#inRoutes.far = far
    if (limits) {
      this.link.farMessageBytes = limits.messageBytes
      this.#outgoing.limit = limits.exchanges
    }
    this.link.outbox.drained()
  }

  /** A caller bound to a target. The same target gives the same caller. */
  to(target: Target): Caller {
    const key = targetKey(target)
    let caller = this.#callers.get(key)
    if (!caller) {
      const route = this.outRoutes.to(target)
      caller = {
        call: (method, input, options) => this.calls.call(route, method, input, options),
        stream: (method, input, options) => this.calls.stream(route, method, input, options),
        notify: (method, input) => this.calls.notify(route, method, input),
        isIdempotent: (method) => route.isIdempotent(method),
      }
      this.#callers.set(key, caller)
    }
    return caller
  }

  /** Calls the far end itself and settles with its answer. */
  call(method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    return this.calls.call(this.#base, method, input, options)
  }

  isIdempotent(method: Method): boolean {
    return this.#base.isIdempotent(method)
  }

  /** Opens a stream from the far end itself. */
  stream(method: Method, input: unknown, options?: CallOptions): ItemStream {
    return this.calls.stream(this.#base, method, input, options)
  }

  /** Sends one way. False when the outbox is full and the message was not taken; see {@link drained}. */
  notify(method: Method, input: unknown): boolean {
    return this.calls.notify(this.#base, method, input)
  }

  /** Makes several calls whose frames leave in one write; each settles by itself. */
  batch<T extends readonly PromiseLike<unknown>[]>(
    make: () => [...T],
  ): Promise<{ [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }> {
    return Promise.allSettled(this.link.outbox.cork(make))
  }

  /** Settles when the outbox takes more, one-way messages too: at once unless it is full. */
  drained(): Promise<void> {
    if (!this.#output.fullOneWay || this.isClosed) return Promise.resolve()
    return new Promise((resolve) => this.#output.whenRoom(resolve))
  }

  /** Milliseconds of a round trip to the far end of the link. */
  ping(): Promise<number> {
    if (this.isClosed) return Promise.reject(linkError('LINK_LOST', 'ping', 'not-sent'))
    return new Promise((resolve, reject) => {
      const lost = () => reject(linkError('LINK_LOST', 'ping', 'unknown'))
      this.#pinging.add(lost)
      this.link.ping((roundTripMs) => {
        this.#pinging.delete(lost)
        resolve(roundTripMs)
      })
    })
  }

  /**
   * Serves a method until it is withdrawn; see {@link Serving}.
   *
   * @throws ViaductError ALREADY_EXISTS when the name is served here.
   */
  handle(method: Method, handler: Handler): Serving {
    const served = this.#inRoutes.serve(method, handler)
    this.onServed(method)
    return serving((graceMs) => this.#withdraw(served, graceMs))
  }

  /** Settles when none of its calls runs; those that do after `graceMs` are aborted. */
  #withdraw(served: Served, graceMs: number): Promise<void> {
    if (this.#inRoutes.withdraw(served)) this.onWithdrawn(served.method)
    return this.#callee.drained(served, graceMs, this.#closed)
  }

  protected onServed(_method: Method): void {}

  protected onWithdrawn(_method: Method): void {}

  /** Calls back when the outbox takes more. */
  whenRoom(resume: () => void): void {
    this.#output.whenRoom(resume)
  }

  #frame(bytes: Uint8Array, at: number, length: number): void {
    const kind = bytes[at + AT.kind] as number
    const flags = bytes[at + AT.flags] as number
    const payloadBytes = readU32(bytes, at + AT.payloadBytes)
    if (kind === KIND.CALL && (flags & FLAG.ANSWER) !== 0) {
      this.link.violation()
    } else if ((flags & FLAG.MORE) !== 0 || kind === KIND.FRAGMENT) {
      this.#fragment(kind, flags, bytes, at, length, payloadBytes)
    } else if (length - HEADER_BYTES !== padded(payloadBytes)) {
      this.link.violation()
    } else {
      if (kind === KIND.CALL) this.link.accepted++
      this.#receive(this.#message.frame(bytes, at, payloadBytes))
    }
  }

  /** A whole message goes to the side that it concerns. */
  #receive(message: Message): void {
    const { id, isAnswer } = message
    switch (message.kind) {
      case KIND.CALL:
        this.#callee.call(message)
        return
      case KIND.ITEM:
        if (isAnswer) this.calls.item(message)
        else this.#callee.item(message)
        return
      case KIND.END:
        if (!isAnswer) {
          this.#callee.end(id)
          return
        }
        // An item that a hub stopped forwarding after a cancel was left unfinished.
        if (this.#assembly.bytes > 0) this.#assembly.drop(id, true)
        this.calls.end(message)
        return
      case KIND.ERROR:
        if (!isAnswer) return
        this.#assembly.drop(id, true)
        this.calls.error(message)
        return
      case KIND.CREDIT:
        if (isAnswer) this.calls.credit(id, message.window)
        else this.#callee.credit(id, message.window)
        return
      case KIND.CANCEL:
        if (!isAnswer) this.#callee.cancel(id, this.#assembly.drop(id, false))
        return
      case KIND.PROGRESS:
        if (isAnswer) this.calls.progress(message)
        return
      case KIND.OPEN:
        this.#inRoutes.open(message)
        return
      case KIND.ROUTE:
        this.outRoutes.receive(message)
        return
      case KIND.DROP:
        this.#inRoutes.drop(message.route)
        return
      case KIND.BACK:
        if (isAnswer) this.calls.back(message)
        else this.#callee.back(message)
        return
      case KIND.RELEASE:
        if (isAnswer) this.calls.released(id)
        return
      default:
        if (!isOptional(message.kind)) this.link.violation()
    }
  }

  #fragment(kind: number, flags: number, bytes: Uint8Array, at: number, length: number, size: number): void {
    if ((flags & FLAG.MORE) === 0 ? length !== HEADER_BYTES + padded(size) : !isCut(kind, length, size)) {
      this.link.violation()
      return
    }
    // Counted by its first frame: in that order the far end counts too.
    if (kind === KIND.CALL) this.link.accepted++
    const id = readU32(bytes, at + AT.id)
    const side = (flags & FLAG.ANSWER) === 0 ? this.#callee : this.calls
    if (kind !== KIND.FRAGMENT) {
      if (!this.#admits(kind, flags, id, size, readU32(bytes, at + AT.window))) return
      if (!this.#assembly.begin(bytes, at, length)) this.link.violation()
      else if (kind === KIND.ITEM) side.owe(id, length)
      return
    }
    const header = this.#assembly.headerOf(bytes, at)
    const added = this.#assembly.add(bytes, at, length)
    if (added === 'bad') this.link.violation()
    else if (added === 'more' && header?.[AT.kind] === KIND.ITEM) side.owe(id, creditOf(size))
    if (typeof added !== 'string') this.#receive(this.#message.assembled(added.header, added.payload, size))
  }

  /** Whether a message of which the first fragment has come is put together. */
  #admits(kind: number, flags: number, id: number, total: number, window: number): boolean {
    const isAnswer = (flags & FLAG.ANSWER) !== 0
    const isOneWay = (flags & FLAG.ONE_WAY) !== 0
    // Of an exchange that is not open it is late, and so are the fragments after it.
    if (kind !== KIND.CALL && !(isAnswer ? this.calls : this.#callee).isOpen(id)) return false
    // An error may cut a message of its direction short.
    if (kind === KIND.ERROR) this.#assembly.drop(id, isAnswer)
    const { messageBytes, queueBytes } = this.limits
    if (total > messageBytes || this.#assembly.bytes + total > queueBytes) {
      // Its call fails, the link lives, its fragments are dropped as late.
      if (isAnswer) {
        if (kind !== KIND.ITEM) this.#assembly.drop(id, true)
        this.calls.tooLarge(id, kind === KIND.ITEM || (kind === KIND.END && window > 0))
      } else if (kind !== KIND.CALL) this.#callee.tooLarge(id)
      else if (!isOneWay) this.#callee.bare(id, 'MESSAGE_TOO_LARGE')
      return false
    }
    if (kind !== KIND.CALL || isOneWay || this.#callee.begin(id, (flags & FLAG.UPLOAD) !== 0)) return true
    this.link.violation()
    return false
  }

  #drained(): void {
    this.#output.drained()
    this.#checkDrained()
  }

  /**
   * Goes away in good order: takes no new calls, finishes those that run, then closes the link.
   *
   * @param graceMs how long to wait for handlers.
   */
  async drain(graceMs = CALL_TIMEOUT_MS): Promise<void> {
    if (this.isClosed) return
    this.#callee.draining = true
    this.link.goAway()
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(graceMs, resolve)
      const finished = () => {
        cancel()
        resolve()
      }
      this.#onDrained = finished
      void this.#closed.then(finished)
      // The far end has seen GOAWAY when it answers this; calls that crossed it have come before.
      this.link.ping(() => {
        this.#goawaySeen = true
        this.#checkDrained()
      })
    })
    this.close()
  }

  #checkDrained(): void {
    // Answers that still wait in the outbox are part of finishing.
    if (this.#goawaySeen && this.openCalls === 0 && !this.link.outbox.congested) this.#onDrained?.()
  }

  /** Ends the link now. Calls that are open fail with LINK_LOST. */
  close(reason: CloseReason = 'GOING_AWAY'): void {
    this.link.close(reason)
  }

  #end(reason: CloseReason): void {
    this.#sweep.stop()
    // A subscription has no end of its own: a link that ends in good order is one.
    if (reason === 'GOING_AWAY') this.#outgoing.endSubscriptions()
    this.#outgoing.fail((call) =>
      linkError('LINK_LOST', `${call.method.name} (${reason})`, this.link.fateOf(call.number)),
    )
    this.#callee.table.fail(linkError('LINK_LOST', `the caller’s link (${reason})`, 'unknown'))
    for (const lost of this.#pinging) lost()
    this.#pinging.clear()
    this.#drained()
    this.#settleClosed(reason)
  }
}
