import { type BodyLimits, decodeBody } from '../wire/body.ts'
import type { Dictionary } from '../wire/dictionary.ts'
import { CODES, isViaductError, ViaductError } from '../wire/errors.ts'
import { AT, FLAG, KIND, padded, readU16, readU32, writeU32 } from '../wire/frame.ts'
import {
  CALL_TIMEOUT_MS,
  HEADER_BYTES,
  HUB_BODY_BYTES,
  HUB_BODY_DEPTH,
  MAX_DEPTH,
  MAX_METHODS,
  MAX_ROUTES,
  MIN_WINDOW_BYTES,
  TRUSTED_MAX_EXCHANGES,
  TRUSTED_MAX_KEYS,
  TRUSTED_MESSAGE_BYTES,
  TRUSTED_QUEUE_BYTES,
  WINDOW_BYTES,
} from '../wire/limits.ts'
import { FATE, linkError, REASONS, type ReasonName, reasonName } from '../wire/reasons.ts'
import { Assembly, isCut } from './assembly.ts'
import type {
  Caller,
  CallOptions,
  Handler,
  ItemStream,
  PeerInfo,
  Publisher,
  Server,
  Subscription,
  Target,
} from './call.ts'
import { type Clock, systemClock } from './clock.ts'
import { errorFrom, errorValue, UNREADABLE } from './errorValue.ts'
import { EFFECT, EVENT } from './exchange.ts'
import { InCall, Incoming, type Served } from './incoming.ts'
import { Items } from './items.ts'
import { type CloseReason, isOptional, Link, type LinkEvents } from './link.ts'
import { LANES, type Method } from './method.ts'
import type { Entry } from './outbox.ts'
import { cancelled, fateOf, type OutCall, Outgoing } from './outgoing.ts'
import { describeTarget, Route, type RouteTarget, targetKey } from './route.ts'
import { type Cut, Sender } from './sender.ts'
import { type InRoute, openLines, peerInfo, type RouteLine, routeLine, routeLines } from './served.ts'
import { ItemAnswer, TopicSubscription } from './streams.ts'
import { Sweep } from './sweep.ts'
import type { Transport } from './transport.ts'
import { Writer } from './writer.ts'

export interface PeerLimits extends BodyLimits {
  /** Longest message taken in, bytes. */
  readonly messageBytes: number
  /** Calls open at once in each direction. */
  readonly exchanges: number
  /** Bytes that may wait in the outbox before calls are refused. */
  readonly queueBytes: number
}

export const TRUSTED_LIMITS: PeerLimits = {
  messageBytes: TRUSTED_MESSAGE_BYTES,
  maxDepth: MAX_DEPTH,
  maxKeys: TRUSTED_MAX_KEYS,
  exchanges: TRUSTED_MAX_EXCHANGES,
  queueBytes: TRUSTED_QUEUE_BYTES,
}

export interface PeerOptions {
  readonly clock?: Clock
  readonly limits?: PeerLimits
  /** Who is at the far end, for links that need no hub to say so. */
  readonly far?: PeerInfo
  /** Stacks travel with errors. */
  readonly debug?: boolean
  /** The far end is a hub: what is served here is announced to it. */
  readonly hub?: boolean
  /** Takes part in the admission; the link is held until {@link PeerCore.admitted}. */
  readonly admission?: LinkEvents['admission']
}

const NOBODY: PeerInfo = { id: '', type: '', zone: 'local', session: '' }
const LINK_LIMITS: BodyLimits = { maxDepth: HUB_BODY_DEPTH, maxKeys: MAX_METHODS * 4 }
const LANE_OF: Record<Method['lane'], number> = LANES

/**
 * One end of a link: it makes calls and answers them, and both ends are of this class. It owns the link; a
 * handler owns its call until it returns; an item stream is its reader's.
 */
export class PeerCore implements Caller, Publisher, Server {
  readonly link: Link
  readonly clock: Clock
  readonly limits: PeerLimits
  readonly #writer: Writer
  readonly #debug: boolean
  readonly #hub: boolean
  readonly #out: Outgoing
  readonly #in: Incoming
  readonly #sweep: Sweep
  readonly #assembly = new Assembly()
  readonly #routes = new Map<string, Route>()
  readonly #routesByNumber: Route[] = []
  readonly #inRoutes = new Map<number, InRoute>()
  readonly #served = new Map<string, Served>()
  readonly #callers = new Map<string, Caller>()
  readonly #base: Route
  #announced: Method[] = []
  #far: PeerInfo
  #draining = false
  #farDraining = false
  #waitingForRoom: (() => void)[] = []
  readonly #pinging = new Set<() => void>()
  #onDrained: (() => void) | undefined
  readonly #closed: Promise<CloseReason>
  #settleClosed: (reason: CloseReason) => void = () => {}

  constructor(transport: Transport, options: PeerOptions = {}) {
    this.clock = options.clock ?? systemClock
    this.limits = options.limits ?? TRUSTED_LIMITS
    this.#debug = options.debug ?? false
    this.#hub = options.hub ?? false
    this.#far = options.far ?? NOBODY
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    const { admission } = options
    this.#sweep = new Sweep(this.clock, (now) => Math.min(this.#out.sweep(now), this.#in.sweep(now)))
    this.link = new Link(transport, this.clock, this.limits.messageBytes, {
      frame: (bytes, at, length) => this.#frame(bytes, at, length),
      ...(admission ? { admission } : {}),
      goaway: () => {
        this.#farDraining = true
      },
      drained: () => this.#drained(),
      closed: (reason) => this.#end(reason),
    })
    this.link.outbox.onheld = (entry) => lowerTimeLeft(entry, this.clock.now())
    this.#writer = new Writer(this.link.outbox)
    this.#out = new Outgoing(this.link, this.limits.exchanges, this.#sweep)
    this.#in = new Incoming(
      this.limits.exchanges,
      this.#sweep,
      () => this.clock.now(),
      (call, value) => {
        if (this.#in.get(call.id) === call) this.#answer(call, KIND.PROGRESS, value, undefined)
      },
    )
    this.#base = this.#route(undefined)
    this.#inRoutes.set(0, { source: this.#far, methods: [] })
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
    return this.#out.open + this.#in.open
  }

  /** The link was admitted: what was held back goes out. */
  admitted(far: PeerInfo): void {
    this.#far = far
    this.#inRoutes.set(0, { source: far, methods: this.#inRoutes.get(0)?.methods ?? [] })
    this.link.outbox.drained()
  }

  // Calling

  /** A caller bound to a target. The same target gives the same caller. */
  to(target: Target): Caller {
    const key = targetKey(target)
    let caller = this.#callers.get(key)
    if (!caller) {
      const route = this.#route(target)
      caller = {
        call: (method, input, options) => this.#call(route, method, input, options),
        stream: (method, input, options) => this.#stream(route, method, input, options),
        notify: (method, input) => this.#notify(route, method, input),
      }
      this.#callers.set(key, caller)
    }
    return caller
  }

  /** Calls the far end itself and settles with its answer. */
  call(method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    return this.#call(this.#base, method, input, options)
  }

  /** Opens a stream from the far end itself. */
  stream(method: Method, input: unknown, options?: CallOptions): ItemStream {
    return this.#stream(this.#base, method, input, options)
  }

  /** Sends one way. False when the outbox is full and the message was not taken; see {@link drained}. */
  notify(method: Method, input: unknown): boolean {
    return this.#notify(this.#base, method, input)
  }

  /** Publishes an event on the hub. False when the outbox is full and the event was not taken. */
  publish(topic: Method, data: unknown, options?: { readonly key?: string }): boolean {
    return this.#notify(this.#route({ topics: true }), topic, data, options?.key)
  }

  /** Subscribes to a topic on the hub; sent at once, `ready` settles when the hub has it. */
  subscribe(topic: Method, options: CallOptions = {}): Subscription {
    return new TopicSubscription((onRegistered) => {
      const bounded = { ...options, onProgress: onRegistered }
      const wish = { overflow: topic.overflow }
      return this.#open(this.#route({ topics: true }), topic, wish, bounded, true)
    })
  }

  /** Makes several calls whose frames leave in one write; each settles by itself. */
  batch<T extends readonly PromiseLike<unknown>[]>(
    make: () => [...T],
  ): Promise<{
    [K in keyof T]: PromiseSettledResult<Awaited<T[K]>>
  }> {
    return Promise.allSettled(this.link.outbox.cork(make))
  }

  /** Settles when the outbox takes more: at once unless it is full. */
  drained(): Promise<void> {
    if (!this.#full() || this.isClosed) return Promise.resolve()
    return new Promise((resolve) => this.#waitingForRoom.push(resolve))
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

  #full(): boolean {
    const { queuedBytes, heldBytes } = this.link.outbox
    return queuedBytes > this.limits.queueBytes / 2 || heldBytes > this.limits.queueBytes
  }

  #route(target: RouteTarget): Route {
    const key = targetKey(target)
    let route = this.#routes.get(key)
    if (!route) {
      route = new Route(this.#routesByNumber.length, target)
      this.#routes.set(key, route)
      this.#routesByNumber.push(route)
    }
    return route
  }

  #define(route: Route, method: Method): number {
    const index = route.define(method)
    const { target } = route
    const methods = [[index, method.name, method.fingerprint]]
    this.#control(KIND.OPEN, route.number, target ? { target, methods } : { methods })
    return index
  }

  /** Writes a link frame with a body, in the control lane. */
  #control(kind: number, route: number, value: unknown): void {
    const cut = this.#writer.write(kind, 0, 0, 0, route, 0, 0, value, undefined, false)
    if (cut)
      throw new ViaductError('RESOURCE_EXHAUSTED', 'a link frame is over its limit', {
        reason: 'MESSAGE_TOO_LARGE',
      })
  }

  #call(route: Route, method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(route, method, input, options, resolve, reject, undefined)
    })
  }

  #notify(route: Route, method: Method, input: unknown, key?: string): boolean {
    if (this.isClosed || this.#full()) return false
    let index = route.indexOf(method)
    if (index < 0) index = this.#define(route, method)
    const dictionary = route.same[index] ? method.input : undefined
    const flags = FLAG.ONE_WAY | LANE_OF[method.lane] | (dictionary ? FLAG.DICTIONARY : 0)
    const head = key === undefined ? undefined : keyHead(key)
    const cut = this.#writer.write(
      KIND.CALL,
      flags,
      index,
      0,
      route.number,
      0,
      0,
      input,
      dictionary,
      false,
      undefined,
      head,
    )
    if (cut) {
      if (this.#isTooLarge(cut)) throw linkError('MESSAGE_TOO_LARGE', `${method.name}: input`, 'not-sent')
      const id = this.#out.take()
      if (id < 0) return false
      const sender = new Sender(this.link.outbox, LANE_OF[method.lane], id, 0)
      sender.onidle = () => {
        this.#out.giveBack(id)
        this.#checkDrained()
      }
      sender.add(cut)
    }
    return true
  }

  #stream(route: Route, method: Method, input: unknown, options: CallOptions = {}): ItemStream {
    return this.#open(route, method, input, options, false)
  }

  #open(route: Route, method: Method, input: unknown, options: CallOptions, headed: boolean): ItemAnswer {
    let call: OutCall | undefined
    const live = (): OutCall | undefined => {
      while (call?.again) call = call.again
      return call
    }
    const abandon = (reason?: unknown): void => {
      const now = live()
      if (now) this.#out.abandon(now, 'CANCELLED', reason)
    }
    const items = new Items((bytes) => {
      const now = live()
      if (now) this.link.control(KIND.CREDIT, 0, now.id, 0, bytes)
    }, abandon)
    const output = new Promise<unknown>((resolve, reject) => {
      call = this.#begin(route, method, input, options, resolve, reject, items, headed)
    })
    return new ItemAnswer(items, output, abandon)
  }

  /** Writes a CALL and enters it in the table. Every way out settles it. */
  #begin(
    route: Route,
    method: Method,
    input: unknown,
    options: CallOptions | undefined,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
    items: Items | undefined,
    headed = false,
  ): OutCall | undefined {
    const refuse = (reason: ReasonName, given?: unknown): undefined => {
      const error = given ?? linkError(reason, method.name, 'not-sent')
      items?.fail(error)
      reject(error)
    }
    if (this.isClosed) return refuse('LINK_LOST')
    if (this.#farDraining) return refuse('DRAINING')
    if (this.#full()) return refuse('QUEUE_FULL')
    const timeoutMs = options?.timeoutMs ?? CALL_TIMEOUT_MS
    if (timeoutMs < 0) return refuse('DEADLINE_EXCEEDED')
    const signal = options?.signal
    if (signal?.aborted) return refuse('CANCELLED', cancelled(method, signal.reason, 'not-sent'))
    const id = this.#out.take()
    if (id < 0) return refuse('TOO_MANY_CALLS')
    let index = route.indexOf(method)
    if (index < 0) index = this.#define(route, method)
    const same = route.same[index] === true
    const dictionary = same ? method.input : undefined
    const lane = LANE_OF[options?.lane ?? method.lane]
    const window = items ? Math.max(MIN_WINDOW_BYTES, options?.windowBytes ?? WINDOW_BYTES) : 0
    const upload = options?.upload
    const flags = lane | (same ? FLAG.DICTIONARY : 0) | (upload ? FLAG.UPLOAD : 0)
    const timeLeft = timeoutMs > 0 && timeoutMs <= MAX_U32 ? Math.max(1, Math.ceil(timeoutMs)) : 0
    const eager = this.#out.open + this.#in.open <= 1
    const call: OutCall = {
      id,
      method,
      route,
      input: same ? input : undefined,
      dictionary: same,
      again: undefined,
      deadline: timeoutMs > 0 ? this.clock.now() + timeoutMs : Number.POSITIVE_INFINITY,
      idleMs: options?.idleTimeoutMs ?? 0,
      resolve,
      reject,
      release: undefined,
      items,
      sender: undefined,
      onProgress: options?.onProgress,
      entry: undefined,
      at: 0,
      headed,
      options,
    }
    try {
      const cut = this.#writer.write(
        KIND.CALL,
        flags,
        index,
        id,
        route.number,
        timeLeft,
        window,
        input,
        dictionary,
        eager,
      )
      if (cut) {
        if (this.#isTooLarge(cut)) {
          this.#out.giveBack(id)
          return refuse('MESSAGE_TOO_LARGE')
        }
        call.sender = new Sender(this.link.outbox, lane, id, MIN_WINDOW_BYTES)
        call.sender.add(cut)
      } else {
        call.entry = this.#writer.entry
        call.at = this.#writer.at
      }
    } catch (error) {
      this.#out.giveBack(id)
      return refuse('CANCELLED', named(error, method, 'input'))
    }
    this.#out.begin(call, upload !== undefined)
    if (signal || upload) this.#hang(call, lane, signal, upload)
    return call
  }

  /** Whether the far end would refuse a message; before it has said so, our own limit stands for its. */
  #isTooLarge(cut: Cut): boolean {
    const { messageBytes } = this.limits
    return cut.payloadBytes > Math.min(messageBytes, this.link.farMessageBytes || messageBytes)
  }

  /** Connects a call with its signal and its upload. */
  #hang(
    call: OutCall,
    lane: number,
    signal: AbortSignal | undefined,
    upload: AsyncIterable<unknown> | undefined,
  ): void {
    let stop: (() => void) | undefined
    let unlisten: (() => void) | undefined
    if (signal) {
      const listener = () => this.#out.abandon(call, 'CANCELLED', undefined, signal.reason)
      signal.addEventListener('abort', listener, { once: true })
      unlisten = () => signal.removeEventListener('abort', listener)
    }
    call.release = () => {
      unlisten?.()
      stop?.()
    }
    if (upload) {
      call.sender ??= new Sender(this.link.outbox, lane, call.id, MIN_WINDOW_BYTES)
      const dictionary = call.dictionary ? call.method.uploadItem : undefined
      const failed = (error: unknown) => this.#out.abandon(call, 'CANCELLED', error)
      try {
        stop = this.#pump(
          upload,
          call.sender,
          call.id,
          call.method,
          lane | (call.dictionary ? FLAG.DICTIONARY : 0),
          dictionary,
          () => {
            this.#write(KIND.END, lane, call.id, undefined, undefined, call.sender)
            this.#out.finished(call.id)
          },
          failed,
        )
      } catch (error) {
        failed(error)
      }
    }
  }

  /**
   * Sends what an iterable yields as items, as fast as credit and transport allow.
   *
   * @returns a function that stops it and lets the generator clean up.
   */
  #pump(
    iterable: AsyncIterable<unknown> | Iterable<unknown>,
    sender: Sender,
    id: number,
    method: Method,
    flags: number,
    dictionary: Dictionary | undefined,
    done: (output: unknown) => void,
    failed: (error: unknown) => void,
  ): () => void {
    let stopped = false
    let wake: (() => void) | undefined
    const iterator =
      Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]()
    const run = async (): Promise<void> => {
      try {
        for (;;) {
          const result = await iterator.next()
          if (stopped) return
          if (result.done) {
            done(result.value)
            return
          }
          try {
            this.#write(KIND.ITEM, flags, id, result.value, dictionary, sender)
          } catch (error) {
            const answer = (flags & FLAG.ANSWER) !== 0
            failed(named(error, method, answer ? 'item' : 'upload', answer ? INTERNAL : undefined))
            stop()
            return
          }
          while (!stopped && (sender.busy || sender.credit <= 0 || this.link.outbox.congested)) {
            await new Promise<void>((resolve) => {
              wake = resolve
              sender.onidle = resolve
              if (!sender.busy && sender.credit > 0) this.#waitingForRoom.push(resolve)
            })
          }
          if (stopped) return
        }
      } catch (error) {
        if (!stopped) failed(error)
      }
    }
    const stop = (): void => {
      if (stopped) return
      stopped = true
      wake?.()
      // However it takes it: nobody waits for it.
      void (async () => iterator.return?.())().catch(() => {})
    }
    void run()
    return stop
  }

  /** Writes an item or an end, behind what the sender still has. */
  #write(
    kind: number,
    flags: number,
    id: number,
    value: unknown,
    dictionary: Dictionary | undefined,
    sender: Sender | undefined,
  ): void {
    const credit = sender?.busy ? -1 : kind === KIND.ITEM && sender ? sender.credit : undefined
    const eager = this.#out.open + this.#in.open <= 1 && kind !== KIND.ITEM
    const cut = this.#writer.write(kind, flags, 0, id, 0, 0, 0, value, dictionary, eager, credit)
    if (cut) {
      if (kind === KIND.PROGRESS || this.#isTooLarge(cut)) {
        throw linkError('MESSAGE_TOO_LARGE', kind === KIND.PROGRESS ? 'progress' : 'value', 'unknown')
      }
      const large = sender ?? new Sender(this.link.outbox, flags & FLAG.LANE, id, 0)
      large.add(cut)
    } else if (sender && kind === KIND.ITEM) {
      sender.credit -= this.#writer.payloadBytes
    }
  }

  // Serving

  /**
   * Serves a method until the returned function withdraws it. Calls that run then are finished.
   *
   * @throws ViaductError ALREADY_EXISTS when the name is served here.
   */
  handle(method: Method, handler: Handler): () => void {
    if (this.#served.has(method.name)) {
      throw new ViaductError('ALREADY_EXISTS', `${method.name} is served here already; withdraw it first`)
    }
    const served: Served = { method, handler, running: 0, withdrawn: false }
    this.#served.set(method.name, served)
    this.#refresh(method.name, served)
    if (this.#hub) {
      if (this.#announced.length === 0) this.clock.afterTurn(() => this.announce())
      this.#announced.push(method)
    }
    return () => {
      if (served.withdrawn) return
      served.withdrawn = true
      this.#served.delete(method.name)
      this.#refresh(method.name, undefined)
      if (this.#hub && !this.isClosed) this.notify(WITHDRAW, { methods: [method.name] })
    }
  }

  /** Tells the hub what is served here and it does not know yet; happens by itself at the end of the turn. */
  announce(): void {
    const methods = this.#announced.filter((method) => this.#served.get(method.name)?.method === method)
    this.#announced = []
    for (let from = 0; from < methods.length; from += ANNOUNCE_LINES) {
      const lines = methods
        .slice(from, from + ANNOUNCE_LINES)
        .map(({ name, fingerprint }) => [name, fingerprint])
      this.notify(SERVE, { methods: lines })
    }
  }

  /** Tells callers who hold a route here what has become of a method. */
  #refresh(name: string, served: Served | undefined): void {
    this.#inRoutes.forEach((route, number) => {
      const lines: RouteLine[] = []
      route.methods.forEach((method, index) => {
        if (method?.name !== name) return
        method.served = served
        lines.push(routeLine(index, method, this.limits.messageBytes))
      })
      if (lines.length > 0) this.#control(KIND.ROUTE, number, { methods: lines })
    })
  }

  // Frames

  #frame(bytes: Uint8Array, at: number, length: number): void {
    const kind = bytes[at + AT.kind] as number
    const flags = bytes[at + AT.flags] as number
    if (kind === KIND.CALL && (flags & FLAG.ANSWER) !== 0) {
      this.link.violation()
      return
    }
    if ((flags & FLAG.MORE) !== 0 || kind === KIND.FRAGMENT) {
      this.#fragment(kind, flags, bytes, at, length)
      return
    }
    const payloadBytes = readU32(bytes, at + AT.payloadBytes)
    if (length - HEADER_BYTES !== padded(payloadBytes)) {
      this.link.violation()
      return
    }
    this.#message(
      kind,
      flags,
      bytes,
      at,
      bytes,
      at + HEADER_BYTES,
      at + HEADER_BYTES + payloadBytes,
      payloadBytes,
    )
  }

  /** A whole message: its header, and its payload, which is its own when it was put together. */
  #message(
    kind: number,
    flags: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
    cost: number,
  ): void {
    const id = readU32(header, at + AT.id)
    const answer = (flags & FLAG.ANSWER) !== 0
    switch (kind) {
      case KIND.CALL:
        this.#onCall(flags, id, header, at, payload, start, end)
        return
      case KIND.ITEM:
        if (answer) this.#onItem(id, flags, header, at, payload, start, end, cost)
        else this.#onUploadItem(id, flags, header, at, payload, start, end, cost)
        return
      case KIND.END:
        if (answer) this.#onEnd(id, flags, header, at, payload, start, end)
        else this.#onUploadEnd(id)
        return
      case KIND.ERROR:
        if (answer) this.#onError(id, header, at, payload, start, end)
        return
      case KIND.CREDIT:
        this.#onCredit(id, answer, readU32(header, at + AT.window))
        return
      case KIND.CANCEL:
        if (!answer) this.#onCancel(id)
        return
      case KIND.PROGRESS:
        if (answer) this.#onProgress(id, header, at, payload, start, end)
        return
      case KIND.OPEN:
        this.#onOpen(readU32(header, at + AT.route), payload, start, end)
        return
      case KIND.ROUTE:
        this.#onRoute(readU32(header, at + AT.route), payload, start, end)
        return
      case KIND.DROP:
        this.#inRoutes.delete(readU32(header, at + AT.route))
        return
      case KIND.BACK:
      case KIND.RELEASE:
        return
      default:
        if (!isOptional(kind)) this.link.violation()
    }
  }

  #fragment(kind: number, flags: number, bytes: Uint8Array, at: number, length: number): void {
    const answer = (flags & FLAG.ANSWER) !== 0
    const id = readU32(bytes, at + AT.id)
    const size = readU32(bytes, at + AT.payloadBytes)
    if ((flags & FLAG.MORE) === 0 ? length !== HEADER_BYTES + padded(size) : !isCut(kind, length, size)) {
      this.link.violation()
      return
    }
    if (kind !== KIND.FRAGMENT) {
      // Of an exchange that is not open it is late, and so are the fragments after it.
      if (kind !== KIND.CALL && !(answer ? this.#out.get(id) : this.#in.get(id))) return
      // An error may cut a message of its direction short.
      if (kind === KIND.ERROR) this.#assembly.drop(id, answer)
      const total = readU32(bytes, at + AT.payloadBytes)
      if (total > this.limits.messageBytes || this.#assembly.bytes + total > this.limits.queueBytes) {
        this.#tooLarge(kind, (flags & FLAG.ONE_WAY) === 0 ? id : 0, answer)
        return
      }
      if (kind === KIND.CALL && (flags & FLAG.ONE_WAY) === 0) {
        if (this.#in.begin(id, (flags & FLAG.UPLOAD) !== 0) === EFFECT.violation) {
          this.link.violation()
          return
        }
      }
      if (!this.#assembly.begin(bytes, at, length)) this.link.violation()
      else if (kind === KIND.ITEM) this.#owe(id, answer, length - HEADER_BYTES)
      return
    }
    const header = this.#assembly.headerOf(bytes, at)
    const added = this.#assembly.add(bytes, at, length)
    if (added === 'bad') this.link.violation()
    if (typeof added === 'string') {
      if (added === 'more' && header?.[AT.kind] === KIND.ITEM)
        this.#owe(id, answer, readU32(bytes, at + AT.payloadBytes))
      return
    }
    const first = added.header
    const firstFlags = (first[AT.flags] as number) & ~FLAG.MORE
    const cost = readU32(bytes, at + AT.payloadBytes)
    first[AT.flags] = firstFlags | FLAG.MORE
    this.#message(
      first[AT.kind] as number,
      firstFlags,
      first,
      0,
      added.payload,
      0,
      added.payload.length,
      cost,
    )
  }

  /** Grants the fragments of an unfinished item as they come. */
  #owe(id: number, answer: boolean, bytes: number): void {
    if (answer) this.#out.get(id)?.items?.oweUnfinished(bytes)
    else this.#in.get(id)?.items?.oweUnfinished(bytes)
  }

  /** A message over the limit: its call fails, the link lives, its fragments are dropped as late. */
  #tooLarge(kind: number, id: number, answer: boolean): void {
    if (kind === KIND.CALL) {
      if (id !== 0) this.#bare(id, 'MESSAGE_TOO_LARGE', 'not-sent')
    } else if (answer) {
      const call = this.#out.get(id)
      if (!call) return
      this.#out.abandon(
        call,
        'MESSAGE_TOO_LARGE',
        linkError('MESSAGE_TOO_LARGE', `${call.method.name}: its answer`, 'unknown'),
      )
      if (kind !== KIND.ITEM) this.#settled(id)
    } else {
      this.#in.get(id)?.abort(linkError('MESSAGE_TOO_LARGE', 'an uploaded item', 'unknown'))
    }
  }

  #decode(
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
    dictionary: Dictionary | undefined,
    limits: BodyLimits,
  ): unknown {
    let from = start + ((header[at + AT.flags] as number) & FLAG.SEALED ? 32 : 0)
    from += padded(readU16(header, at + AT.headBytes))
    const count = readU16(header, at + AT.segments)
    if (from > end) throw malformed('the head is longer than the payload')
    if (count === 0) return from === end ? undefined : decodeBody(payload, from, end, limits, dictionary)
    const table = from
    from += padded(count * 4)
    if (from > end) throw malformed('the segment table is longer than the payload')
    const owned = payload !== header
    const segments: Uint8Array[] = []
    for (let index = 0; index < count; index++) {
      const length = readU32(payload, table + index * 4)
      if (length > end - from) throw malformed('a segment is longer than the payload')
      // A view of a message that was put together; a copy of what stands in a chunk with others.
      segments.push(owned ? payload.subarray(from, from + length) : payload.slice(from, from + length))
      from += padded(length)
      if (from > end) throw malformed('the segments are longer than the payload')
    }
    return decodeBody(payload, from, end, limits, dictionary, segments)
  }

  #onCall(
    flags: number,
    id: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): void {
    const oneWay = (flags & FLAG.ONE_WAY) !== 0
    const cut = (flags & FLAG.MORE) !== 0 || payload !== header
    this.link.accepted++
    if (!oneWay && !cut && this.#in.begin(id, (flags & FLAG.UPLOAD) !== 0) === EFFECT.violation) {
      this.link.violation()
      return
    }
    const route = this.#inRoutes.get(readU32(header, at + AT.route))
    const method = route?.methods[readU16(header, at + AT.method)]
    if (!route || !method) return this.#refuse(oneWay, id, 'ROUTE_UNKNOWN')
    const served = method.served
    if (!served) return this.#refuse(oneWay, id, 'METHOD_NOT_FOUND')
    if (this.#draining) return this.#refuse(oneWay, id, 'DRAINING')
    const same = (flags & FLAG.DICTIONARY) !== 0
    if (same && served.method.fingerprint !== method.fingerprint) return this.#refuse(oneWay, id, 'SKEW')
    const timeLeft = readU32(header, at + AT.timeLeft)
    const deadline = timeLeft === 0 ? Number.POSITIVE_INFINITY : this.clock.now() + timeLeft
    const window = readU32(header, at + AT.window)
    const call = new InCall(this.#in, id, route.source, served, flags & FLAG.LANE, same, window, deadline)
    let input: unknown
    try {
      input = this.#decode(
        header,
        at,
        payload,
        start,
        end,
        same ? served.method.input : undefined,
        this.limits,
      )
    } catch (error) {
      if (oneWay) return
      this.#in.set(call)
      this.#failCall(call, named(error, served.method, 'input'))
      return
    }
    if (oneWay) {
      this.#runOneWay(served, input, call)
      return
    }
    if ((flags & FLAG.UPLOAD) !== 0) this.#acceptUpload(call)
    this.#in.set(call)
    this.#run(served, input, call)
  }

  #refuse(oneWay: boolean, id: number, reason: ReasonName): void {
    if (!oneWay) this.#bare(id, reason, 'not-sent')
  }

  #bare(id: number, reason: ReasonName, fate: 'not-sent' | 'unknown'): void {
    const { number, code } = REASONS[reason]
    this.link.control(KIND.ERROR, CODES[code], id, number, FATE[fate], FLAG.ANSWER)
    this.#in.end(id)
    this.#checkDrained()
  }

  #acceptUpload(call: InCall): void {
    call.items = new Items(
      (bytes) => this.link.control(KIND.CREDIT, 0, call.id, 0, bytes, FLAG.ANSWER),
      () => {},
    )
    // The caller began with the least window; from here on it has the usual one.
    this.link.control(KIND.CREDIT, 0, call.id, 0, WINDOW_BYTES - MIN_WINDOW_BYTES, FLAG.ANSWER)
  }

  #runOneWay(served: Served, input: unknown, call: InCall): void {
    try {
      const result = served.handler(input, call)
      if (isThenable(result)) result.then(undefined, () => {})
    } catch {
      // Nobody waits for it.
    }
  }

  #run(served: Served, input: unknown, call: InCall): void {
    served.running++
    try {
      const result = served.handler(input, call)
      if (isThenable(result)) {
        result.then(
          (output) => this.#answered(call, output),
          (error) => this.#failCall(call, error),
        )
      } else {
        this.#answered(call, result)
      }
    } catch (error) {
      this.#failCall(call, error)
    }
  }

  /** The handler has given its answer: one value, or items. Never throws. */
  #answered(call: InCall, output: unknown): void {
    try {
      if (call.served.method.kind !== 'call' && isIterable(output)) this.#answerItems(call, output)
      else this.#endCall(call, output)
    } catch (error) {
      this.#failCall(call, error)
    }
  }

  #answerItems(call: InCall, items: AsyncIterable<unknown> | Iterable<unknown>): void {
    if (call.aborted) {
      this.#failCall(call, linkError('CANCELLED', call.served.method.name, 'unknown'))
      return
    }
    call.sender = new Sender(this.link.outbox, call.lane, call.id, call.window)
    const { method } = call.served
    const flags = FLAG.ANSWER | call.lane | (call.dictionary ? FLAG.DICTIONARY : 0)
    const stop = this.#pump(
      items,
      call.sender,
      call.id,
      method,
      flags,
      call.dictionary ? method.item : undefined,
      (output) => this.#endCall(call, output),
      (error) => this.#failCall(call, error),
    )
    call.onAbort = () => {
      stop()
      call.sender?.clear()
      this.#failCall(call, linkError('CANCELLED', method.name, 'unknown'))
    }
  }

  #endCall(call: InCall, output: unknown): void {
    if (this.#in.get(call.id) !== call) return
    const { method } = call.served
    try {
      this.#answer(call, KIND.END, output, call.dictionary ? method.output : undefined)
    } catch (error) {
      this.#failCall(call, named(error, method, 'output', INTERNAL))
      return
    }
    this.#finish(call)
  }

  #failCall(call: InCall, thrown: unknown): void {
    if (this.#in.get(call.id) !== call) return
    try {
      this.#answer(call, KIND.ERROR, errorValue(thrown, this.#debug), undefined)
    } catch {
      this.#failPlainly(call, thrown)
    }
    this.#finish(call)
  }

  /** Its declared data cannot be sent: the error goes without, or as one that cannot be read. */
  #failPlainly(call: InCall, thrown: unknown): void {
    try {
      const { code, reason, message } = errorValue(thrown, false)
      this.#answer(call, KIND.ERROR, { code, reason, message }, undefined)
    } catch {
      this.#answer(call, KIND.ERROR, UNREADABLE, undefined)
    }
  }

  #answer(call: InCall, kind: number, value: unknown, dictionary: Dictionary | undefined): void {
    const flags = FLAG.ANSWER | call.lane | (dictionary ? FLAG.DICTIONARY : 0)
    this.#write(kind, flags, call.id, value, dictionary, call.sender)
  }

  #finish(call: InCall): void {
    this.#in.end(call.id)
    if (this.#assembly.bytes > 0) this.#assembly.drop(call.id, false)
    call.served.running--
    call.items?.end()
    this.#checkDrained()
  }

  #onItem(
    id: number,
    flags: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
    cost: number,
  ): void {
    if (this.#out.receive(id, EVENT.itemDown) !== EFFECT.deliver) return
    const call = this.#out.get(id)
    if (!call) return
    if (!call.items) {
      // Only a stream has items; the callee is of another mind.
      this.#out.abandon(
        call,
        'SKEW',
        new ViaductError(
          'FAILED_PRECONDITION',
          `${call.method.name}: the far side answers with items; declare it as a stream`,
          { reason: 'SKEW', fate: 'unknown' },
        ),
      )
      return
    }
    call.deadline = call.idleMs > 0 ? this.clock.now() + call.idleMs : Number.POSITIVE_INFINITY
    if (call.idleMs > 0) this.#sweep.expect(call.deadline)
    try {
      const dictionary = (flags & FLAG.DICTIONARY) !== 0 ? call.method.item : undefined
      const value = this.#decode(header, at, payload, start, end, dictionary, this.limits)
      if (!call.headed) call.items.push(value, cost)
      else {
        const headAt = start
        const headEnd = headAt + readU16(header, at + AT.headBytes)
        call.items.push({ value, head: payload.slice(headAt, headEnd) }, cost)
      }
    } catch (error) {
      // One publisher's malformed event ends nobody's subscription: it is passed over.
      if (call.headed) call.items.owe(cost)
      else this.#out.abandon(call, 'CANCELLED', named(error, call.method, 'item'))
    }
  }

  #onEnd(
    id: number,
    flags: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): void {
    const effect = this.#out.receive(id, EVENT.endDown)
    // An item that a hub stopped forwarding after a cancel was left unfinished.
    if (this.#assembly.bytes > 0) this.#assembly.drop(id, true)
    if (effect === EFFECT.free) this.#settled(id)
    if (effect !== EFFECT.settle) return
    const call = this.#take(id)
    if (!call) return
    try {
      const dictionary = (flags & FLAG.DICTIONARY) !== 0 ? call.method.output : undefined
      const output = this.#decode(header, at, payload, start, end, dictionary, this.limits)
      call.items?.end()
      call.resolve(output)
    } catch (error) {
      const refused = named(error, call.method, 'output')
      call.items?.fail(refused)
      call.reject(refused)
    }
  }

  #onError(
    id: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): void {
    const effect = this.#out.receive(id, EVENT.endDown)
    this.#assembly.drop(id, true)
    if (effect === EFFECT.free) this.#settled(id)
    if (effect !== EFFECT.settle) return
    const call = this.#take(id)
    if (!call) return
    const error =
      start === end ? this.#bareError(call, header, at) : this.#errorOf(call, header, at, payload, start, end)
    if (error.reason === 'SKEW' && error.fate === 'not-sent' && call.dictionary && !call.options?.upload) {
      // The server changed under the route: once more, self-describing. An upload has begun already.
      call.route.same[call.route.indexOf(call.method)] = false
      const left =
        call.deadline === Number.POSITIVE_INFINITY ? 0 : Math.max(1, call.deadline - this.clock.now())
      call.again = this.#begin(
        call.route,
        call.method,
        call.input,
        { ...call.options, timeoutMs: left },
        call.resolve,
        call.reject,
        call.items,
        call.headed,
      )
      return
    }
    call.items?.fail(error)
    call.reject(error)
  }

  #bareError(call: OutCall, header: Uint8Array, at: number): ViaductError {
    const reason = reasonName(readU32(header, at + AT.route))
    const retryAfterMs = readU32(header, at + AT.timeLeft)
    const subject = call.route.target
      ? `${call.method.name} on ${describeTarget(call.route.target)}`
      : call.method.name
    return linkError(reason, subject, fateOf(readU32(header, at + AT.window)), retryAfterMs || undefined)
  }

  #errorOf(
    call: OutCall,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): ViaductError {
    try {
      return errorFrom(
        this.#decode(header, at, payload, start, end, undefined, this.limits),
        call.method.name,
      )
    } catch (error) {
      return named(error, call.method, 'error')
    }
  }

  /** The call that an END or ERROR settles; its slot is free from here on. */
  #take(id: number): OutCall | undefined {
    const call = this.#out.settle(id)
    this.#checkDrained()
    return call
  }

  #settled(id: number): void {
    this.#out.free(id)
    this.#checkDrained()
  }

  #onUploadItem(
    id: number,
    flags: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
    cost: number,
  ): void {
    const effect = this.#in.receive(id, EVENT.itemUp)
    if (effect === EFFECT.violation) this.link.violation()
    if (effect !== EFFECT.deliver) return
    const call = this.#in.get(id)
    if (!call?.items) return
    try {
      const dictionary = (flags & FLAG.DICTIONARY) !== 0 ? call.served.method.uploadItem : undefined
      call.items.push(this.#decode(header, at, payload, start, end, dictionary, this.limits), cost)
    } catch (error) {
      call.items.fail(named(error, call.served.method, 'upload'))
    }
  }

  #onUploadEnd(id: number): void {
    const effect = this.#in.receive(id, EVENT.endUp)
    if (effect === EFFECT.violation) this.link.violation()
    else if (effect === EFFECT.finish) this.#in.get(id)?.items?.end()
  }

  #onCredit(id: number, answer: boolean, bytes: number): void {
    if (answer) {
      if (this.#out.receive(id, EVENT.credit) === EFFECT.credit) this.#out.get(id)?.sender?.grant(bytes)
    } else if (this.#in.receive(id, EVENT.credit) === EFFECT.credit) {
      this.#in.get(id)?.sender?.grant(bytes)
    }
  }

  #onCancel(id: number): void {
    const unfinished = this.#assembly.drop(id, false)
    if (this.#in.receive(id, EVENT.cancel) !== EFFECT.abort) return
    const call = this.#in.get(id)
    if (unfinished && !call) this.#bare(id, 'CANCELLED', 'not-sent')
    else call?.abort(linkError('CANCELLED', call.served.method.name, 'unknown'))
  }

  #onProgress(
    id: number,
    header: Uint8Array,
    at: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ): void {
    const call = this.#out.get(id)
    if (!call?.onProgress) return
    try {
      call.onProgress(this.#decode(header, at, payload, start, end, undefined, this.limits))
    } catch {
      // Progress is advice: what cannot be read, or a listener that throws, ends no call.
    }
  }

  #onOpen(number: number, payload: Uint8Array, start: number, end: number): void {
    const body = this.#linkBody(payload, start, end)
    const lines = openLines(body?.methods, MAX_METHODS)
    if (!body || !lines || (!this.#hub && this.#inRoutes.size >= MAX_ROUTES)) {
      this.link.violation()
      return
    }
    let route = this.#inRoutes.get(number)
    const source = this.#hub ? peerInfo(body.source) : undefined
    if (!route) {
      route = { source: source ?? this.#far, methods: [] }
      this.#inRoutes.set(number, route)
    } else if (source) {
      route.source = source
    }
    const answers: RouteLine[] = []
    for (const [index, name, fingerprint] of lines) {
      const method = { name, fingerprint, served: this.#served.get(name) }
      route.methods[index] = method
      answers.push(routeLine(index, method, this.limits.messageBytes))
    }
    if (!this.#hub) this.#control(KIND.ROUTE, number, { methods: answers })
  }

  #onRoute(number: number, payload: Uint8Array, start: number, end: number): void {
    const route = this.#routesByNumber[number]
    const body = this.#linkBody(payload, start, end)
    if (!body) this.link.violation()
    if (!route || !body) return
    route.peer = peerInfo(body.peer) ?? route.peer
    for (const [index, status, same] of routeLines(body.methods)) {
      if (index >= route.methods.length) continue
      route.status[index] = status
      route.same[index] = same
    }
  }

  #linkBody(payload: Uint8Array, start: number, end: number): Record<string, unknown> | undefined {
    if (end - start > HUB_BODY_BYTES) return undefined
    try {
      const value = decodeBody(payload, start, end, LINK_LIMITS)
      return typeof value === 'object' && value !== null ? { ...value } : undefined
    } catch {
      return undefined
    }
  }

  // Ending

  #drained(): void {
    const waiting = this.#waitingForRoom
    this.#waitingForRoom = []
    for (const resume of waiting) resume()
    this.#checkDrained()
  }

  /**
   * Goes away in good order: takes no new calls, finishes those that run, then closes the link.
   *
   * @param graceMs how long to wait for handlers.
   */
  async drain(graceMs = CALL_TIMEOUT_MS): Promise<void> {
    if (this.isClosed) return
    this.#draining = true
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
      this.link.ping(() => this.#checkDrained())
    })
    this.close()
  }

  #checkDrained(): void {
    // Answers that still wait in the outbox are part of finishing.
    if (this.#draining && this.openCalls === 0 && !this.link.outbox.congested) this.#onDrained?.()
  }

  /** Ends the link now. Calls that are open fail with LINK_LOST. */
  close(reason: CloseReason = 'GOING_AWAY'): void {
    this.link.close(reason)
  }

  #end(reason: CloseReason): void {
    this.#sweep.stop()
    // A subscription has no end of its own: a link that ends in good order is one.
    if (reason === 'GOING_AWAY') this.#out.endSubscriptions()
    this.#out.fail((call) => linkError('LINK_LOST', `${call.method.name} (${reason})`, 'unknown'))
    this.#in.fail(linkError('LINK_LOST', `the caller’s link (${reason})`, 'unknown'))
    for (const lost of this.#pinging) lost()
    this.#pinging.clear()
    this.#drained()
    this.#settleClosed(reason)
  }
}

const ANNOUNCE_LINES = 128
const INTERNAL = 'INTERNAL'
/** The longest time that fits into a header; beyond it the far end is told of none. */
const MAX_U32 = 2 ** 32 - 1
const SERVE = systemMethod('$hub.serve')
const WITHDRAW = systemMethod('$hub.withdraw')

function systemMethod(name: string): Method {
  return {
    name,
    kind: 'call',
    upload: false,
    fingerprint: '',
    lane: 'high',
    idempotent: true,
    overflow: 'block',
  }
}

function malformed(text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', text, { reason: 'MALFORMED_BODY' })
}

/** The same error with the method and the part it happened in, as `pages.analyze: input.url`. */
function named(error: unknown, method: Method, part: string, inside?: typeof INTERNAL): ViaductError {
  if (!isViaductError(error)) {
    return new ViaductError('INTERNAL', `${method.name}: ${part}: ${String(error)}`, { cause: error })
  }
  const path = error.path === undefined ? part : error.path.replace(/^value/, part)
  // What our own side made and cannot send is no fault of the other's argument.
  const code = inside && error.code === 'INVALID_ARGUMENT' ? inside : error.code
  return new ViaductError(code, `${method.name}: ${error.message.replace(/^value/, part)}`, {
    reason: error.reason,
    path,
    fate: part === 'input' ? 'not-sent' : 'unknown',
  })
}

/** A CALL that had to wait leaves with what is left of its time. */
function lowerTimeLeft(entry: Entry, now: number): void {
  const { bytes } = entry
  const held = Math.floor(now - entry.heldSince)
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += Math.max(HEADER_BYTES, readU32(bytes, at))) {
    const left = readU32(bytes, at + AT.timeLeft)
    if (bytes[at + AT.kind] === KIND.CALL && left > 0) {
      writeU32(bytes, at + AT.timeLeft, Math.max(1, left - held))
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function isIterable(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  return (
    typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
  )
}

function keyHead(key: string): Uint8Array {
  const text = new TextEncoder().encode(key)
  if (text.length > 64) {
    throw new ViaductError('INVALID_ARGUMENT', 'a conflation key is at most 64 bytes', {
      path: 'options.key',
    })
  }
  const head = new Uint8Array(padded(4 + text.length))
  head[0] = 3
  head[2] = text.length
  head.set(text, 4)
  return head
}
