import type { BodyLimits } from '../wire/body.ts'
import type { Dictionary } from '../wire/dictionary.ts'
import { CODES, ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_REFERENCES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'
import { FATE, REASONS, type ReasonName, reasonName, reasonNumber } from '../wire/reasons.ts'
import { boundsFor } from './bounds.ts'
import type { CallbackSides } from './callbacks.ts'
import { marksOf } from './callHead.ts'
import { type ErrorValue, errorFrom, sendError } from './errorValue.ts'
import { EFFECT, EVENT } from './exchange.ts'
import { isIterable } from './guards.ts'
import { InCall, Incoming, type Served } from './incoming.ts'
import type { InRoutes } from './inRoutes.ts'
import { Items } from './items.ts'
import type { Message } from './message.ts'
import { named } from './named.ts'
import type { Output } from './output.ts'
import { pump } from './pump.ts'
import type { References, ReferencesHost } from './references.ts'
import { Sender } from './sender.ts'
import { whenSettled } from './settled.ts'
import type { Sweep } from './sweep.ts'

export interface CalleeOptions {
  readonly limits: BodyLimits & { readonly exchanges: number }
  /** Stacks travel with errors. */
  readonly debug: boolean
  readonly callbacks: CallbackSides | undefined
  /** Called when an exchange has ended. */
  onEnded(id: number): void
}

/** Answers calls: runs handlers, and writes what they give. */
export class Callee {
  readonly #output: Output
  readonly #routes: InRoutes
  readonly #options: CalleeOptions
  readonly table: Incoming
  /** Takes no further calls. */
  draining = false
  readonly #references: ReferencesHost = {
    now: () => this.#output.link.clock.now(),
    back: (references, index, number, args) => this.#back(references, index, number, args),
    release: (references) => this.#release(references),
  }

  constructor(output: Output, routes: InRoutes, sweep: Sweep, options: CalleeOptions) {
    this.#output = output
    this.#routes = routes
    this.#options = options
    this.table = new Incoming(
      options.limits.exchanges,
      sweep,
      () => output.link.clock.now(),
      (call, value) => {
        // Advice: a handler that reports faster than the link carries fills no queue with it.
        if (this.table.get(call.id) !== call || output.full) return
        // What has to be cut, and all that is said after it, goes by one sender.
        call.sender ??= new Sender(output.link.outbox, call.lane, call.id, 0)
        this.#answer(call, KIND.PROGRESS, value, undefined)
      },
    )
  }

  /** Enters a CALL in the table. @returns false when its slot is taken or out of bounds: a violation. */
  begin(id: number, upload: boolean): boolean {
    return this.table.begin(id, upload) !== EFFECT.violation
  }

  /** CALL, whole. A call that was cut has been entered with its first fragment. */
  call(message: Message): void {
    const { id, isOneWay } = message
    const { link } = this.#output
    if (!isOneWay && !message.wasCut && !this.begin(id, message.hasUpload)) {
      link.violation()
      return
    }
    const route = this.#routes.get(message.route)
    const method = route?.methods[message.method]
    if (!route || !method) return this.#refuse(message, 'ROUTE_UNKNOWN')
    const { served } = method
    if (!served) return this.#refuse(message, 'METHOD_NOT_FOUND')
    if (this.draining) return this.#refuse(message, 'DRAINING')
    if (!isOneWay && this.#output.overfull) return this.#refuse(message, 'QUEUE_FULL')
    const same = message.usesDictionary
    if (same && served.method.fingerprint !== method.fingerprint) return this.#refuse(message, 'SKEW')
    const { timeLeft } = message
    const deadline = timeLeft === 0 ? Number.POSITIVE_INFINITY : link.clock.now() + timeLeft
    const lane = message.flags & FLAG.LANE
    const marks = message.hasHead ? marksOf(message.head()) : undefined
    const call = new InCall(this.table, id, route.source, served, lane, same, message.window, deadline, marks)
    let input: unknown
    try {
      input = message.read(
        same ? served.method.input : undefined,
        boundsFor(route.source, this.#options.limits),
        isOneWay ? undefined : this.#referred(call, message),
      )
    } catch (error) {
      if (isOneWay) return
      this.#enter(call)
      this.#fail(call, named(error, served.method, 'input'))
      return
    }
    if (isOneWay) {
      runOneWay(call, input)
      return
    }
    if (message.hasUpload) this.#acceptUpload(call)
    this.#enter(call)
    this.#run(call, input)
  }

  /** A call runs until {@link #left}. */
  #enter(call: InCall): void {
    this.table.set(call)
    call.served.running++
  }

  /** What the functions of a CALL become for its handler. */
  #referred(call: InCall, message: Message): readonly unknown[] | undefined {
    const count = message.references
    if (count === 0) return undefined
    if (count > MAX_REFERENCES) {
      throw new ViaductError('INVALID_ARGUMENT', `over ${MAX_REFERENCES} functions`, {
        reason: 'MALFORMED_BODY',
      })
    }
    const { callbacks } = this.#options
    if (!callbacks) {
      throw new ViaductError(
        'UNIMPLEMENTED',
        'functions are not taken here: this peer was made without `callbacks`',
      )
    }
    const { id, lane, peer, served } = call
    call.references = new callbacks.References(this.#references, id, lane, peer, served.method.name, count)
    return call.references.proxies()
  }

  /** Calls a function of the caller. */
  #back({ id, lane, name }: References, index: number, number: number, args: unknown[]): void {
    const what = `${name}: callbacks[${index}]`
    if (this.#output.full) throw linkError('QUEUE_FULL', what, 'not-sent')
    const flags = FLAG.ANSWER | lane
    try {
      this.#output.write(KIND.BACK, flags, id, args, undefined, undefined, index, 0, number)
    } catch (error) {
      throw named(error, { name }, `callbacks[${index}].arguments`)
    }
  }

  /** BACK of the caller: what a function of its gave. */
  back(message: Message): void {
    const { id } = message
    if (this.table.receive(id, EVENT.back) !== EFFECT.back) return
    const references = this.table.references(id)
    const pending = references?.take(message.window)
    if (!references || !pending) return
    const what = `${references.name}: callbacks[${pending.index}]`
    try {
      const value = message.read(undefined, boundsFor(references.peer, this.#options.limits))
      if (message.method === 0) pending.resolve(value)
      else if (message.isEmpty && message.route !== 0) {
        pending.reject(linkError(reasonName(message.route), what, 'not-sent'))
      } else pending.reject(errorFrom(value, what))
    } catch (error) {
      pending.reject(named(error, references, `callbacks[${pending.index}].result`))
    }
  }

  /** Nothing that was kept is held any more, or its lease is over. @param reason of those who hold it yet. */
  #release(references: References, reason?: unknown): void {
    const { id, lane, sender } = references
    references.end(reason)
    this.#output.write(KIND.RELEASE, FLAG.ANSWER | lane, id, undefined, undefined, sender)
    this.table.end(id)
    this.#options.onEnded(id)
  }

  /** Ends what has expired; returns the earliest deadline left. */
  sweep(now: number): number {
    return this.table.sweep(now, (references) => this.#release(references))
  }

  #refuse(message: Message, reason: ReasonName): void {
    if (!message.isOneWay) this.bare(message.id, reason)
  }

  /** Answers a call whose handler did not run. */
  bare(id: number, reason: ReasonName): void {
    const { number, code } = REASONS[reason]
    this.#output.link.control(KIND.ERROR, CODES[code], id, number, FATE['not-sent'], FLAG.ANSWER)
    this.table.end(id)
    this.#options.onEnded(id)
  }

  #acceptUpload(call: InCall): void {
    const { link } = this.#output
    call.items = new Items(
      (bytes) => link.control(KIND.CREDIT, 0, call.id, 0, bytes, FLAG.ANSWER),
      () => {},
    )
    // The caller began with the least window; from here on it has the usual one.
    link.control(KIND.CREDIT, 0, call.id, 0, WINDOW_BYTES - MIN_WINDOW_BYTES, FLAG.ANSWER)
  }

  #run(call: InCall, input: unknown): void {
    try {
      whenSettled(
        call.served.handler(input, call),
        (output) => this.#answered(call, output),
        (error) => this.#fail(call, error),
      )
    } catch (error) {
      this.#fail(call, error)
    }
  }

  /** The handler has given its answer: one value, or items. Never throws. */
  #answered(call: InCall, output: unknown): void {
    try {
      if (call.served.method.kind !== 'call' && isIterable(output)) this.#answerItems(call, output)
      else this.#end(call, output)
    } catch (error) {
      this.#fail(call, error)
    }
  }

  #answerItems(call: InCall, items: AsyncIterable<unknown> | Iterable<unknown>): void {
    const { method } = call.served
    if (call.aborted) {
      this.#fail(call, linkError('CANCELLED', method.name, 'unknown'))
      return
    }
    call.sender ??= new Sender(this.#output.link.outbox, call.lane, call.id, 0)
    const { sender } = call
    sender.credit += call.window
    const dictionary = call.dictionary ? method.item : undefined
    const flags = FLAG.ANSWER | call.lane | (dictionary ? FLAG.DICTIONARY : 0)
    const refused = (error: unknown) => named(error, method, 'item', true)
    const stop = pump(items, {
      ...this.#output.itemFlow(sender, call.id, flags, dictionary, refused),
      done: (output) => this.#end(call, output),
      failed: (error) => this.#fail(call, error),
    })
    call.onAbort = (reason) => {
      stop()
      sender.clear()
      this.#fail(call, reason)
    }
  }

  #end(call: InCall, output: unknown): void {
    if (this.table.get(call.id) !== call) return
    const { method } = call.served
    const { references } = call
    const leaseMs = references?.leaseMs ?? 0
    if (leaseMs > 0) call.sender ??= new Sender(this.#output.link.outbox, call.lane, call.id, 0)
    try {
      this.#answer(call, KIND.END, output, call.dictionary ? method.output : undefined, leaseMs)
    } catch (error) {
      this.#fail(call, named(error, method, 'output', true))
      return
    }
    if (!references || leaseMs === 0) {
      this.#finish(call)
      return
    }
    references.sender = call.sender
    references.answered(leaseMs)
    this.table.keep(call.id, references)
    this.#left(call)
  }

  #fail(call: InCall, thrown: unknown): void {
    if (this.table.get(call.id) !== call) return
    sendError(thrown, this.#options.debug, (value) => this.#answerError(call, value))
    this.#finish(call)
  }

  #answerError(call: InCall, value: ErrorValue): void {
    const reason = reasonNumber(value.reason)
    const flags = FLAG.ANSWER | call.lane
    this.#output.write(KIND.ERROR, flags, call.id, value, undefined, call.sender, CODES[value.code], reason)
  }

  #answer(call: InCall, kind: number, value: unknown, dictionary: Dictionary | undefined, leaseMs = 0): void {
    const flags = FLAG.ANSWER | call.lane | (dictionary ? FLAG.DICTIONARY : 0)
    this.#output.write(kind, flags, call.id, value, dictionary, call.sender, 0, 0, leaseMs)
  }

  /**
   * Settles when no call of a method runs here, or the link has ended. After `graceMs` those that do are aborted,
   * and their callers told at once, whatever the handlers do.
   */
  async drained(served: Served, graceMs: number, closed: Promise<unknown>): Promise<void> {
    if (served.running === 0) return
    const idle = new Promise<void>((resolve) => {
      const before = served.onidle
      served.onidle = () => {
        before?.()
        resolve()
      }
    })
    if (graceMs === Number.POSITIVE_INFINITY) return void (await Promise.race([idle, closed]))
    const over = new Promise<void>((resolve) => {
      const cancel = this.#output.link.clock.after(graceMs, () => {
        for (const call of this.table.of(served)) this.#cutOff(call)
        resolve()
      })
      void idle.then(cancel)
      void closed.then(cancel)
    })
    await Promise.race([idle, over, closed])
  }

  #cutOff(call: InCall): void {
    const error = linkError('WITHDRAWN', call.served.method.name, 'unknown')
    call.abort(error)
    this.#fail(call, error)
  }

  #finish(call: InCall): void {
    this.table.end(call.id)
    call.references?.end()
    this.#left(call)
  }

  #left(call: InCall): void {
    left(call.served)
    call.items?.end()
    this.#options.onEnded(call.id)
  }

  /** ITEM of the caller. */
  item(message: Message): void {
    const effect = this.table.receive(message.id, EVENT.itemUp)
    if (effect === EFFECT.violation) this.#output.link.violation()
    if (effect !== EFFECT.deliver) return
    const call = this.table.get(message.id)
    if (!call?.items) return
    const { method } = call.served
    try {
      const dictionary = message.usesDictionary ? method.uploadItem : undefined
      call.items.push(message.read(dictionary, boundsFor(call.peer, this.#options.limits)), message.cost)
    } catch (error) {
      call.items.fail(named(error, method, 'upload'))
    }
  }

  /** END of the caller: it has sent its last item. */
  end(id: number): void {
    const effect = this.table.receive(id, EVENT.endUp)
    if (effect === EFFECT.violation) this.#output.link.violation()
    else if (effect === EFFECT.finish) this.table.get(id)?.items?.end()
  }

  credit(id: number, bytes: number): void {
    if (this.table.receive(id, EVENT.credit) === EFFECT.credit) this.table.get(id)?.sender?.grant(bytes)
  }

  /** @param unfinished the CALL itself had not come whole. */
  cancel(id: number, unfinished: boolean): void {
    if (this.table.receive(id, EVENT.cancel) !== EFFECT.abort) return
    const call = this.table.get(id)
    const kept = call ? undefined : this.table.references(id)
    if (kept) this.#release(kept, linkError('CANCELLED', kept.name, 'unknown'))
    else if (unfinished && !call) this.bare(id, 'CANCELLED')
    else call?.abort(linkError('CANCELLED', call.served.method.name, 'unknown'))
  }

  /** Whether a call of the far end with this id runs here. */
  isOpen(id: number): boolean {
    return this.table.get(id) !== undefined
  }

  /** Grants the fragments of an unfinished item as they come. */
  owe(id: number, bytes: number): void {
    this.table.get(id)?.items?.oweUnfinished(bytes)
  }

  /** An uploaded item is over the limit: the handler is told. */
  tooLarge(id: number): void {
    this.table.get(id)?.abort(linkError('MESSAGE_TOO_LARGE', 'an uploaded item', 'unknown'))
  }
}

/** One call of a method has ended. */
function left(served: Served): void {
  served.running--
  if (served.running === 0 && served.withdrawn) served.onidle?.()
}

/** Runs a handler whose answer nobody waits for, and whose failure nobody hears of. */
function runOneWay(call: InCall, input: unknown): void {
  const { served } = call
  const ended = (): void => left(served)
  served.running++
  try {
    whenSettled(served.handler(input, call), ended, ended)
  } catch {
    // Nobody waits for it.
    ended()
  }
}
