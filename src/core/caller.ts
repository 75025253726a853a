import type { BodyLimits } from '../wire/body.ts'
import { ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { MAX_KEY_BYTES, TAG, textEntry } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS, FRAGMENT_BYTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'
import { type ReasonName, reasonName } from '../wire/reasons.ts'
import { boundsFor } from './bounds.ts'
import type { CallOptions } from './call.ts'
import type { CallbackSides } from './callbacks.ts'
import { callHead } from './callHead.ts'
import { errorFrom } from './errorValue.ts'
import { EFFECT, EVENT } from './exchange.ts'
import type { Functions } from './functions.ts'
import { Items } from './items.ts'
import type { Message } from './message.ts'
import { LANES, type Method } from './method.ts'
import { named } from './named.ts'
import { cancelled, fateOf, type OutCall, type Outgoing } from './outgoing.ts'
import type { Output } from './output.ts'
import type { OutRoutes } from './outRoutes.ts'
import { pump } from './pump.ts'
import { describeTarget, type Route } from './route.ts'
import { type Cut, Sender } from './sender.ts'
import { ItemAnswer, notAStream } from './streams.ts'
import type { Sweep } from './sweep.ts'

const LANE_OF: Record<Method['lane'], number> = LANES
/** The longest time that fits into a header; beyond it the far end is told of none. */
const MAX_U32 = 2 ** 32 - 1

/** How a call settles, and what takes its items. */
interface Settling {
  resolve(value: unknown): void
  reject(error: unknown): void
  readonly items: Items | undefined
  /** Items are handed over together with their heads. */
  readonly headed: boolean
}

/** Makes calls: writes them, and carries out what their answers mean. */
export class Calls {
  readonly #output: Output
  readonly #routes: OutRoutes
  readonly #table: Outgoing
  readonly #limits: BodyLimits
  readonly #sweep: Sweep
  /** Called whenever an exchange has ended. */
  readonly #onEnded: () => void
  readonly #debug: boolean
  readonly #callbacks: CallbackSides | undefined
  /** The far end takes no further calls. */
  farDraining = false

  constructor(
    output: Output,
    routes: OutRoutes,
    table: Outgoing,
    limits: BodyLimits,
    sweep: Sweep,
    onEnded: () => void,
    debug: boolean,
    callbacks: CallbackSides | undefined,
  ) {
    this.#output = output
    this.#routes = routes
    this.#table = table
    this.#limits = limits
    this.#sweep = sweep
    this.#onEnded = onEnded
    this.#debug = debug
    this.#callbacks = callbacks
    output.writer.refers = callbacks !== undefined
    output.link.outbox.onleave = (entry) => output.link.count(entry, (id, number) => this.#leaves(id, number))
  }

  /** A CALL that had waited leaves, or the first frame of one that is cut. */
  #leaves(id: number, number: number): void {
    const call = this.#table.get(id)
    if (call) call.number = number
  }

  get #now(): number {
    return this.#output.link.clock.now()
  }

  call(route: Route, method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(route, method, input, options, { resolve, reject, items: undefined, headed: false })
    })
  }

  /** Sends one way. False when the outbox is full and the message was not taken. */
  notify(route: Route, method: Method, input: unknown, key?: string): boolean {
    const { link, writer } = this.#output
    if (link.closed !== undefined || this.#output.fullOneWay) return false
    const index = this.#routes.index(route, method)
    const lane = LANE_OF[method.lane]
    const dictionary = route.same[index] ? method.input : undefined
    const flags = FLAG.ONE_WAY | lane | (dictionary ? FLAG.DICTIONARY : 0)
    const head = key === undefined ? undefined : keyHead(key)
    const credit = undefined
    const cut = writer.write(
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
      credit,
      head,
    )
    if (cut) return this.#notifyLarge(method, cut, lane)
    if (!writer.entry) link.called++
    return true
  }

  /** A one-way message that is cut borrows an id until its last fragment is written. */
  #notifyLarge(method: Method, cut: Cut, lane: number): boolean {
    if (this.#output.isTooLarge(cut))
      throw linkError('MESSAGE_TOO_LARGE', `${method.name}: input`, 'not-sent')
    const id = this.#table.take()
    // Not for want of room: who waits for that to come would wait for nothing.
    if (id < 0) throw linkError('TOO_MANY_CALLS', method.name, 'not-sent')
    const sender = new Sender(this.#output.link.outbox, lane, id, 0)
    sender.onidle = () => {
      this.#table.giveBack(id)
      this.#onEnded()
    }
    sender.add(cut)
    return true
  }

  stream(
    route: Route,
    method: Method,
    input: unknown,
    options: CallOptions = {},
    headed = false,
  ): ItemAnswer {
    let call: OutCall | undefined
    const live = (): OutCall | undefined => {
      while (call?.again) call = call.again
      return call
    }
    const abandon = (reason?: unknown): void => {
      const now = live()
      if (now) this.#table.abandon(now, 'CANCELLED', reason)
    }
    const items = new Items((bytes) => {
      const now = live()
      if (now) this.#output.link.control(KIND.CREDIT, 0, now.id, 0, bytes)
    }, abandon)
    const output = new Promise<unknown>((resolve, reject) => {
      call = this.#begin(route, method, input, options, { resolve, reject, items, headed })
    })
    return new ItemAnswer(items, output, abandon)
  }

  /** Writes a CALL and enters it in the table. Every way out settles it. */
  #begin(
    route: Route,
    method: Method,
    input: unknown,
    options: CallOptions | undefined,
    settling: Settling,
  ): OutCall | undefined {
    const { items } = settling
    const refuse = (reason: ReasonName, given?: unknown): undefined => {
      const error = given ?? linkError(reason, method.name, 'not-sent')
      items?.fail(error)
      settling.reject(error)
    }
    const { link, writer } = this.#output
    if (link.closed !== undefined) return refuse('LINK_LOST')
    if (this.farDraining) return refuse('DRAINING')
    if (this.#output.full) return refuse('QUEUE_FULL')
    const timeoutMs = options?.timeoutMs ?? CALL_TIMEOUT_MS
    if (timeoutMs < 0) return refuse('DEADLINE_EXCEEDED')
    const signal = options?.signal
    if (signal?.aborted) return refuse('CANCELLED', cancelled(method, signal.reason, 'not-sent'))
    let index: number
    try {
      index = this.#routes.index(route, method)
    } catch (error) {
      return refuse('CANCELLED', error)
    }
    const id = this.#table.take()
    if (id < 0) return refuse('TOO_MANY_CALLS')
    const same = route.same[index] === true
    const lane = LANE_OF[options?.lane ?? method.lane]
    const window = items ? Math.max(MIN_WINDOW_BYTES, options?.windowBytes ?? WINDOW_BYTES) : 0
    const upload = options?.upload
    const flags = lane | (same ? FLAG.DICTIONARY : 0) | (upload ? FLAG.UPLOAD : 0)
    const now = this.#now
    const totalAt = now + (options?.totalTimeoutMs ?? Number.POSITIVE_INFINITY)
    const deadline = Math.min(totalAt, timeoutMs > 0 ? now + timeoutMs : Number.POSITIVE_INFINITY)
    const leftMs = deadline - now
    const timeLeft = leftMs <= MAX_U32 ? Math.max(1, Math.ceil(leftMs)) : 0
    const idleMs = options?.idleTimeoutMs ?? 0
    const call: OutCall = {
      id,
      method,
      route,
      input: same ? input : undefined,
      dictionary: same,
      again: undefined,
      deadline,
      totalAt,
      idleMs,
      idleAt: idleMs > 0 ? now + idleMs : Number.POSITIVE_INFINITY,
      resolve: settling.resolve,
      reject: settling.reject,
      release: undefined,
      items,
      sender: undefined,
      onProgress: options?.onProgress,
      functions: undefined,
      number: 0,
      entry: undefined,
      at: 0,
      headed: settling.headed,
      options,
    }
    try {
      const dictionary = same ? method.input : undefined
      const { eager } = this.#output
      const cut = writer.write(
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
        FRAGMENT_BYTES,
        options && callHead(options),
      )
      const functions = writer.takeReferences()
      if (functions.length > 0) call.functions = this.#functions(call, lane, functions)
      if (cut) {
        if (this.#output.isTooLarge(cut)) {
          this.#table.giveBack(id)
          return refuse('MESSAGE_TOO_LARGE')
        }
        call.sender = new Sender(link.outbox, lane, id, MIN_WINDOW_BYTES)
        call.sender.add(cut)
      } else {
        call.entry = writer.entry
        call.at = writer.at
        if (!call.entry) call.number = ++link.called
      }
    } catch (error) {
      this.#table.giveBack(id)
      return refuse('CANCELLED', named(error, method, 'input'))
    }
    this.#table.begin(call, upload !== undefined)
    if (items && idleMs > 0) items.onempty = () => this.#alive(call)
    if (signal || upload) this.#hang(call, lane, signal, upload)
    return call
  }

  #functions(call: OutCall, lane: number, functions: readonly CallableFunction[]): Functions | undefined {
    const host = {
      output: this.#output,
      debug: this.#debug,
      used: () => this.#table.used(call),
      isOpen: () => this.#table.isOpen(call),
    }
    return this.#callbacks && new this.#callbacks.Functions(host, call.method, call.id, lane, functions)
  }

  /** BACK of the callee: it calls a function of ours. */
  back(message: Message): void {
    if (this.#table.receive(message.id, EVENT.back) !== EFFECT.back) return
    const call = this.#table.get(message.id)
    if (!call) return
    this.#alive(call)
    if (!call.functions?.back(message, this.#bounds(call))) this.#output.link.violation()
  }

  /** RELEASE of the callee: it keeps nothing any more. */
  released(id: number): void {
    if (this.#table.receive(id, EVENT.release) !== EFFECT.free) return
    this.#table.free(id)
    this.#onEnded()
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
      const listener = () => this.#table.abandon(call, 'CANCELLED', undefined, signal.reason)
      signal.addEventListener('abort', listener, { once: true })
      unlisten = () => signal.removeEventListener('abort', listener)
    }
    call.release = () => {
      unlisten?.()
      stop?.()
    }
    if (!upload) return
    const sender = call.sender ?? new Sender(this.#output.link.outbox, lane, call.id, MIN_WINDOW_BYTES)
    call.sender = sender
    const failed = (error: unknown) => this.#table.abandon(call, 'CANCELLED', error)
    const dictionary = call.dictionary ? call.method.uploadItem : undefined
    try {
      const flags = lane | (dictionary ? FLAG.DICTIONARY : 0)
      const refused = (error: unknown) => named(error, call.method, 'upload')
      stop = pump(upload, {
        ...this.#output.itemFlow(sender, call.id, flags, dictionary, refused),
        done: () => {
          this.#output.write(KIND.END, lane, call.id, undefined, undefined, sender)
          this.#table.finished(call.id)
        },
        failed,
      })
    } catch (error) {
      failed(error)
    }
  }

  /** ITEM of the callee. */
  item(message: Message): void {
    if (this.#table.receive(message.id, EVENT.itemDown) !== EFFECT.deliver) return
    const call = this.#table.get(message.id)
    if (!call) return
    if (!call.items) {
      this.#table.abandon(call, 'SKEW', notAStream(call.method))
      return
    }
    this.#opened(call)
    this.#alive(call)
    try {
      const value = message.read(message.usesDictionary ? call.method.item : undefined, this.#bounds(call))
      call.items.push(call.headed ? { value, head: message.head() } : value, message.cost)
    } catch (error) {
      // One publisher's malformed event ends nobody's subscription: it is passed over.
      if (call.headed) call.items.owe(message.cost)
      else this.#table.abandon(call, 'CANCELLED', named(error, call.method, 'item'))
    }
  }

  /** A stream has opened: from here on its total bound alone holds. */
  #opened(call: OutCall): void {
    call.deadline = call.totalAt
    this.#sweep.expect(call.deadline)
  }

  /** Something has come, or the reader has taken what had: the idle bound begins anew. */
  #alive(call: OutCall): void {
    if (call.idleMs <= 0) return
    call.idleAt = this.#now + call.idleMs
    this.#sweep.expect(call.idleAt)
  }

  /** END of the callee. */
  end(message: Message): void {
    const call = message.window > 0 ? this.#keep(message) : this.#settle(message.id)
    if (!call) return
    try {
      const output = message.read(message.usesDictionary ? call.method.output : undefined, this.#bounds(call))
      call.items?.end()
      call.resolve(output)
    } catch (error) {
      const refused = named(error, call.method, 'output')
      call.items?.fail(refused)
      call.reject(refused)
    }
  }

  /** The call that an END settles with which functions are kept. */
  #keep({ id, window }: Message): OutCall | undefined {
    const open = this.#table.get(id)
    if (open && !open.functions) {
      this.#output.link.violation()
      return undefined
    }
    if (this.#table.receive(id, EVENT.endKept) !== EFFECT.keep) return undefined
    const call = this.#table.keep(id, window)
    this.#onEnded()
    return call
  }

  /** ERROR of the callee, or of a hub or link on the way to it. */
  error(message: Message): void {
    const call = this.#settle(message.id)
    if (!call) return
    const error = message.isEmpty ? bareError(call, message) : this.#errorOf(call, message)
    if (error.reason === 'SKEW' && error.fate === 'not-sent' && call.dictionary && !call.options?.upload) {
      this.#again(call)
      return
    }
    call.items?.fail(error)
    call.reject(error)
  }

  /** The server changed under the route: once more, self-describing. An upload would have begun already. */
  #again(call: OutCall): void {
    const { route, method, input, deadline, totalAt } = call
    route.same[route.indexOf(method)] = false
    const timeoutMs = deadline === Number.POSITIVE_INFINITY ? 0 : Math.max(1, deadline - this.#now)
    const totalTimeoutMs = Math.max(1, totalAt - this.#now)
    call.again = this.#begin(route, method, input, { ...call.options, timeoutMs, totalTimeoutMs }, call)
  }

  #errorOf(call: OutCall, message: Message): ViaductError {
    try {
      return errorFrom(message.read(undefined, this.#bounds(call)), call.method.name)
    } catch (error) {
      return named(error, call.method, 'error')
    }
  }

  /** The call that an END or ERROR settles, if somebody still waits; its slot is free from here on. */
  #settle(id: number): OutCall | undefined {
    const effect = this.#table.receive(id, EVENT.endDown)
    if (effect === EFFECT.free) this.#table.free(id)
    const call = effect === EFFECT.settle ? this.#table.settle(id) : undefined
    if (effect === EFFECT.free || call) this.#onEnded()
    return call
  }

  #bounds(call: OutCall): BodyLimits {
    return boundsFor(call.route.peer, this.#limits)
  }

  progress(message: Message): void {
    const call = this.#table.get(message.id)
    if (!call) return
    // The hub has the subscription: that is its opening, however long the first event takes.
    if (call.headed) this.#opened(call)
    this.#alive(call)
    if (!call.onProgress) return
    try {
      call.onProgress(message.read(undefined, this.#bounds(call)))
    } catch {
      // Progress is advice: what cannot be read, or a listener that throws, ends no call.
    }
  }

  credit(id: number, bytes: number): void {
    if (this.#table.receive(id, EVENT.credit) === EFFECT.credit) this.#table.get(id)?.sender?.grant(bytes)
  }

  /** Whether an exchange of ours with this id is open. */
  isOpen(id: number): boolean {
    return this.#table.get(id) !== undefined
  }

  /** Grants the fragments of an unfinished item as they come. */
  owe(id: number, bytes: number): void {
    const call = this.#table.get(id)
    if (!call) return
    call.items?.oweUnfinished(bytes)
    this.#alive(call)
  }

  /**
   * An answer is over the limit: its call fails, and what follows of it is late.
   *
   * @param goesOn the exchange does not end with it: it is an item, or functions are kept.
   */
  tooLarge(id: number, goesOn: boolean): void {
    const call = this.#table.get(id)
    if (!call) return
    const error = linkError('MESSAGE_TOO_LARGE', `${call.method.name}: its answer`, 'unknown')
    this.#table.abandon(call, 'MESSAGE_TOO_LARGE', error)
    // That has freed the slot of a call that had not left the outbox: nothing answers it.
    const isTaken = this.#table.get(id) === call
    if (goesOn && isTaken) return
    if (isTaken) this.#table.free(id)
    this.#onEnded()
  }
}

function bareError(call: OutCall, message: Message): ViaductError {
  const { target } = call.route
  const subject = target ? `${call.method.name} on ${describeTarget(target)}` : call.method.name
  return linkError(reasonName(message.route), subject, fateOf(message.window), message.timeLeft || undefined)
}

/** @throws ViaductError INVALID_ARGUMENT when the key is too long. */
function keyHead(key: string): Uint8Array {
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) {
    throw new ViaductError('INVALID_ARGUMENT', `a conflation key is at most ${MAX_KEY_BYTES} bytes`, {
      path: 'options.key',
    })
  }
  return textEntry(TAG.KEY, key)
}
