import { ViaductError } from '../wire/errors.ts'
import type { CallContext, Caller, CallOptions, Handler, ItemStream, Target } from './call.ts'
import { isAsyncIterable, isThenable } from './guards.ts'
import type { Method } from './method.ts'

/** A call on its way out, at the side that makes it. */
export interface OutgoingCall {
  readonly side: 'caller'
  readonly method: Method
  readonly input: unknown
  /** Nobody waits for the reply; its value is whether the message was taken. */
  readonly oneWay: boolean
  readonly options: CallOptions
  /** Whom it goes to; undefined: the far end of the link. */
  readonly target: Target | undefined
  /** {@link Caller.isIdempotent} of its method. Absent: the method alone says it. */
  isIdempotent?(): boolean
}

/** A call on its way in, at the side that answers it. */
export interface IncomingCall {
  readonly side: 'callee'
  readonly method: Method
  readonly input: unknown
  /** Who asks, how long there is, what is uploaded: the link's word. To change it, see `ContextView`. */
  readonly context: CallContext
}

export type Call = OutgoingCall | IncomingCall

/** The answer of a call. */
export interface ValueReply {
  readonly value: unknown
}

/**
 * The answer of a stream. `done` settles once, whatever happens: with the stream's output, or with what ended it.
 * Who hands on other items hands on a `done` as well; the output is read from there alone.
 */
export interface ItemsReply {
  readonly items: AsyncIterable<unknown>
  readonly done: Promise<unknown>
}

export type Reply = ValueReply | ItemsReply

/** The rest of the way. It may answer at once, and may be called again, later, or not at all. */
export type Next = (call: Call) => Reply | PromiseLike<Reply>

/**
 * What shapes a call on its way, the same at both sides. The outer function runs once, when a client or a handler
 * is made, the inner one for each call:
 * ```ts
 * const timed: Interceptor = (next) => async (call) => {
 *   const began = performance.now()
 *   try {
 *     return await next(call)
 *   } finally {
 *     console.log(call.method.name, performance.now() - began)
 *   }
 * }
 * ```
 * A changed call is a copy: `next({ ...call, input })`.
 */
export interface Interceptor {
  (next: Next): Next
  /** What it is called in statistics and in the order of policies. */
  readonly policy?: string
  /** What it counted since it was made: numbers and short texts by name. Without it nothing is reported. */
  readonly stats?: () => PolicyStats
}

export interface PolicyStats {
  readonly [name: string]: number | string
}

/** Interceptors around the end of the way; the first one sees the call first and the reply last. */
export function compose(interceptors: readonly Interceptor[], last: Next): Next {
  return interceptors.reduceRight<Next>((next, interceptor) => interceptor(next), last)
}

export function isItems(reply: Reply): reply is ItemsReply {
  return 'items' in reply
}

/** A handler behind interceptors. */
export function interceptedHandler(
  method: Method,
  handler: Handler,
  interceptors: readonly Interceptor[],
): Handler {
  if (interceptors.length === 0) return handler
  const streams = method.kind === 'stream'
  const next = compose(interceptors, (call) => {
    if (call.side !== 'callee') throw misplaced(call)
    const answer = handler(call.input, call.context)
    if (streams && isAsyncIterable(answer)) return watched(answer, call.context.signal)
    return isThenable(answer) ? answer.then((value) => ({ value })) : { value: answer }
  })
  return (input, context) => {
    const reply = next({ side: 'callee', method, input, context })
    if (streams) return outputLast(reply)
    return isThenable(reply) ? Promise.resolve(reply).then(answerOf) : answerOf(reply)
  }
}

/** A caller behind interceptors. */
export function interceptedCaller(caller: Caller, interceptors: readonly Interceptor[]): Caller {
  return interceptors.length === 0 ? caller : new InterceptedCaller(caller, interceptors)
}

class InterceptedCaller implements Caller {
  readonly #next: Next
  readonly #caller: Caller
  readonly target: Target | undefined

  constructor(caller: Caller, interceptors: readonly Interceptor[]) {
    this.#caller = caller
    this.target = caller.target
    this.#next = compose(interceptors, (call) => {
      if (call.side !== 'caller') throw misplaced(call)
      const { method, input, options } = call
      if (call.oneWay) return { value: caller.notify(method, input) }
      if (method.kind !== 'stream') return caller.call(method, input, options).then((value) => ({ value }))
      const stream = caller.stream(method, input, options)
      return { items: stream, done: stream.output }
    })
  }

  #send(method: Method, input: unknown, options: CallOptions, oneWay: boolean): Reply | PromiseLike<Reply> {
    const { target } = this
    const isIdempotent = (): boolean => this.isIdempotent(method)
    return this.#next({ side: 'caller', method, input, options, oneWay, target, isIdempotent })
  }

  isIdempotent(method: Method): boolean {
    return this.#caller.isIdempotent?.(method) ?? method.idempotent
  }

  async call(method: Method, input: unknown, options: CallOptions = {}): Promise<unknown> {
    return answerOf(await this.#send(method, input, options, false))
  }

  stream(method: Method, input: unknown, options: CallOptions = {}): ItemStream {
    const controller = new AbortController()
    const { signal } = options
    const abort = (): void => controller.abort(signal?.reason)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
    const begun = (async () => {
      const reply = await this.#send(method, input, { ...options, signal: controller.signal }, false)
      if (isItems(reply)) return reply
      throw new ViaductError('INTERNAL', `${method.name}: an interceptor answered a stream with one value`, {
        reason: 'BAD_REPLY',
      })
    })()
    const output = begun.then(({ done }) => done)
    const ended = (): void => signal?.removeEventListener('abort', abort)
    // Readers of items alone do not look at the output: its failure is theirs already.
    output.then(ended, ended)
    const cancel = (reason?: unknown): void => controller.abort(reason)
    return { output, cancel, [Symbol.asyncIterator]: () => new OutputLast(begun, cancel) }
  }

  notify(method: Method, input: unknown): boolean {
    try {
      const reply = this.#send(method, input, {}, true)
      if (!isThenable(reply)) return answerOf(reply) === true
      // One way: who takes time over it took the message, and nobody hears of its failure.
      Promise.resolve(reply).catch(() => {})
      return true
    } catch {
      return false
    }
  }
}

function answerOf(reply: Reply): unknown {
  if (!isItems(reply)) return reply.value
  throw new ViaductError('INTERNAL', 'an interceptor answered a call with items', { reason: 'BAD_REPLY' })
}

function misplaced(call: Call): ViaductError {
  return new ViaductError(
    'INTERNAL',
    `${call.method.name}: an interceptor handed on a call of the other side`,
    {
      reason: 'BAD_CALL',
    },
  )
}

/**
 * A handler's items as a reply, whose `done` settles also when they are left early.
 * @param signal of the call: aborted before anybody has iterated, as when an interceptor's generator was never
 * begun, nobody will.
 */
function watched(items: AsyncIterable<unknown, unknown>, signal: AbortSignal): ItemsReply {
  let settle: (output: unknown) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const done = new Promise<unknown>((resolve, reject) => {
    settle = resolve
    fail = reject
  })
  // Not everybody looks at it, and who iterates hears of the failure anyway.
  done.catch(() => {})
  const source = items[Symbol.asyncIterator]()
  const abandoned = (): void => fail(signal.reason)
  if (signal.aborted) abandoned()
  else signal.addEventListener('abort', abandoned, { once: true })
  let isRead = false
  const iterator: AsyncIterator<unknown, unknown> = {
    async next() {
      if (!isRead) signal.removeEventListener('abort', abandoned)
      isRead = true
      try {
        const result = await source.next()
        if (result.done) settle(result.value)
        return result
      } catch (error) {
        fail(error)
        throw error
      }
    },
    async return(value) {
      fail(new ViaductError('CANCELLED', 'the reader left the stream'))
      return (await source.return?.(value)) ?? { done: true, value }
    },
  }
  return { items: { [Symbol.asyncIterator]: () => iterator }, done }
}

/** What the core answers a stream's call with: items that end with the output. */
function outputLast(reply: Reply | PromiseLike<Reply>): AsyncIterable<unknown, unknown> {
  const begun = Promise.resolve(reply).then((settled) =>
    isItems(settled) ? settled : Promise.reject(badStream()),
  )
  begun.catch(() => {})
  return { [Symbol.asyncIterator]: () => new OutputLast(begun) }
}

function badStream(): ViaductError {
  return new ViaductError('INTERNAL', 'an interceptor answered a stream with one value, or its handler did', {
    reason: 'BAD_REPLY',
  })
}

/** Items of a reply that may still be on its way; the return value is the output that its `done` tells. */
class OutputLast implements AsyncIterator<unknown, unknown> {
  readonly #begun: Promise<ItemsReply>
  readonly #onleave: (() => void) | undefined
  #iterator: AsyncIterator<unknown> | undefined
  #left = false

  /** @param onleave told when the reader leaves before the end. */
  constructor(begun: Promise<ItemsReply>, onleave?: () => void) {
    this.#begun = begun
    this.#onleave = onleave
  }

  async next(): Promise<IteratorResult<unknown, unknown>> {
    const reply = await this.#begun
    if (this.#left) return { done: true, value: undefined }
    this.#iterator ??= reply.items[Symbol.asyncIterator]()
    const result = await this.#iterator.next()
    return result.done ? { done: true, value: await reply.done } : result
  }

  async return(value?: unknown): Promise<IteratorResult<unknown, unknown>> {
    this.#left = true
    this.#onleave?.()
    if (this.#iterator) await this.#iterator.return?.()
    else this.#begun.then((reply) => reply.items[Symbol.asyncIterator]().return?.()).then(undefined, () => {})
    return { done: true, value }
  }
}
