/** S0's router; wraps a hub or a peer: messages are the inputs of ordinary calls, responses their outcomes. */

import { randomUUID } from 'node:crypto'
import { threadId } from 'node:worker_threads'
import { broadcast, callAll, type PeerIdentity } from '../../contract/fanOut.ts'
import type { Peer } from '../../contract/peer.ts'
import type { Handler as Answerer, CallContext, Caller, Serving, Target } from '../../core/call.ts'
import { ContextView } from '../../core/contextView.ts'
import { type Interceptor, interceptedCaller } from '../../core/interceptor.ts'
import { type Method, untyped } from '../../core/method.ts'
import { handleAll } from '../../core/serving.ts'
import { Hub, type ListenOptions } from '../../host/hub.ts'
import { type JoinOptions, join } from '../../host/join.ts'
import type { MetricsReport } from '../../hub/metrics.ts'
import { isRetryable, retry } from '../../policies/retry.ts'
import { ViaductError } from '../../wire/errors.ts'
import { fieldOf } from '../../wire/fieldOf.ts'
import { linkError } from '../../wire/linkError.ts'
import type {
  CompleteIPCMessage,
  Handler,
  HandlerContext,
  IPCMessage,
  IPCResponse,
  ProcessFilter,
  UncheckedArgs,
} from './message.ts'
import { failed, ofBatch, ok } from './response.ts'
import { type IPCSender, routers } from './retry.ts'
import { invalid, MAX_RETRY_COUNT, readArrived, readFields, readItem, readMethod } from './validate.ts'

export interface HandlerOptions {
  /** It may run twice: a timeout of it is retried. Default false. */
  readonly idempotent?: boolean
}

export interface RouterOptions<H extends Hub | undefined> {
  /** The hub, in the process that runs it. */
  readonly hub: H
  /** Responses carry stacks. */
  readonly debug?: boolean | undefined
}

/** Sends and answers S0's messages. What is not S0's own is there as {@link peer} and {@link hub}. */
export class IPCRouter<H extends Hub | undefined = Hub | undefined> implements IPCSender {
  readonly peer: Peer
  /** Of the process that listens: it supervises and admits the others. */
  readonly hub: H
  readonly #debug: boolean
  readonly #policies: readonly Interceptor[]

  /** A router over a peer that is there already: a hub's own, or another one without a hub. */
  constructor(peer: Peer, { hub, debug = false }: RouterOptions<H>) {
    this.peer = peer
    this.hub = hub
    this.#debug = debug
    const { clock } = peer.core
    this.#policies = [retry({ maxRetries: MAX_RETRY_COUNT, retriesOf: retryCountOf, perTry: true, clock })]
    peer.report(this.#policies, 'IPCRouter')
    routers.add(this, peer.closed)
  }

  /** The main process: starts the hub, at `ipc-router.sock` in the runtime folder. Throws as `Hub.listen` does. */
  static async listen(options: Omit<ListenOptions, 'socket'>): Promise<IPCRouter<Hub>> {
    const hub = await Hub.listen({ ...options, socket: 'ipc-router.sock' })
    return new IPCRouter(hub.peer, { hub, debug: options.debug })
  }

  /** All other processes; one that the hub supervises gives no options. Throws as `join` does. */
  static async connect(options: JoinOptions = {}): Promise<IPCRouter<undefined>> {
    return new IPCRouter(await join(options), { hub: undefined, debug: options.debug })
  }

  /**
   * Serves a method until it is withdrawn. What the handler returns, or a promise of it, is the response's result.
   *
   * @throws ViaductError INVALID_ARGUMENT / INVALID_MESSAGE for a name that no message can have; ALREADY_EXISTS
   */
  registerHandler<Args extends unknown[] = UncheckedArgs>(
    method: string,
    handler: Handler<Args>,
    options: HandlerOptions = {},
  ): Serving {
    return handleAll(this.peer, [this.#served(method, handler, options)])
  }

  #served<Args extends unknown[]>(method: string, handler: Handler<Args>, options: HandlerOptions) {
    const { idempotent = false } = options
    readMethod(method, 'method')
    const answer: Answerer = (input, call) =>
      // Which arguments a method takes is between its two ends: S0 has no schemas.
      this.#answer(method, handler as Handler<unknown[]>, input, call)
    return [{ ...untyped(method), idempotent }, answer] as const
  }

  /** Serves `namespace.name` for each; all or, when one cannot be served, none. Throws as {@link registerHandler}. */
  registerNamespace(
    namespace: string,
    handlers: Readonly<Record<string, Handler>>,
    options: HandlerOptions = {},
  ): Serving {
    const served = Object.entries(handlers).map(([name, handler]) =>
      this.#served(`${namespace}.${name}`, handler, options),
    )
    return handleAll(this.peer, served)
  }

  /** Resolves to a response whatever becomes of the message; never rejects. */
  async send(message: IPCMessage): Promise<IPCResponse> {
    const since = this.#now
    try {
      const complete = this.#complete(message)
      if (complete.type === 'batch') return await this.#sendBatch(complete)
      return await this.#sendOne(complete)
    } catch (error) {
      return this.#failed(idOf(message), error, since)
    }
  }

  /** {@link send} to the process of that id. */
  sendTo(targetProcess: string, message: IPCMessage): Promise<IPCResponse> {
    return this.send({ ...message, target: targetProcess })
  }

  /**
   * Sends to every other process that registered the method and passes the filter. One response each, with its source;
   * a single one without a source when the message could be sent to nobody. Never rejects.
   */
  async broadcast(message: IPCMessage, filter: ProcessFilter = {}): Promise<IPCResponse[]> {
    const since = this.#now
    try {
      const { target: _, ...complete } = this.#complete(message)
      if (complete.type === 'batch') throw invalid('type', 'a batch goes to one process: broadcast its items')
      return await this.#broadcast(complete, filter, since)
    } catch (error) {
      return [this.#failed(idOf(message), error, since)]
    }
  }

  /**
   * Calls a method and resolves to what its handler returns.
   *
   * @throws ViaductError of the handler, the link or the hub.
   */
  async call(method: string, ...args: unknown[]): Promise<unknown> {
    const message = { id: randomUUID(), type: 'request', source: this.peer.id, method, args } as const
    const { result } = await this.#ask(this.#complete(message))
    return result
  }

  /**
   * What goes through the hub now, in all, for each method and for each pair of processes; windows of 60 s are told by
   * `hub.onMetrics`.
   *
   * @throws ViaductError PERMISSION_DENIED for untrusted processes.
   */
  getMetrics(): Promise<MetricsReport> {
    return this.hub ? this.hub.metrics() : this.peer.metrics()
  }

  /** Goes away; in the main process the hub with all its children. */
  async close(): Promise<void> {
    if (this.hub) await this.hub.close()
    else this.peer.close()
  }

  get #now(): number {
    return this.peer.core.clock.now()
  }

  /** What is sent of a message, with every field filled. */
  #complete(message: IPCMessage): CompleteIPCMessage {
    const complete = readFields({
      sequence: 0,
      timestamp: Date.now(),
      processId: process.pid,
      threadId,
      ...message,
    })
    const { source, type } = complete
    if (type === 'response') throw invalid('type', 'a response is what a handler returns: send a request')
    if (source !== this.peer.id) throw foreign(source, this.peer.id)
    return {
      ...complete,
      sequence: message.sequence ?? this.peer.nextNumber(),
      processId: process.pid,
      threadId,
    }
  }

  async #sendOne(message: CompleteIPCMessage): Promise<IPCResponse> {
    const since = this.#now
    try {
      if (!message.options.requiresResponse || message.type === 'notification') {
        this.#notify(message)
        return ok(message.id, undefined, this.#now - since)
      }
      const { result, duration = this.#now - since } = await this.#ask(message)
      return ok(message.id, result, duration)
    } catch (error) {
      return this.#failed(message.id, error, since, message)
    }
  }

  /** Items leave in one write, and settle one by one. */
  async #sendBatch(batch: CompleteIPCMessage): Promise<IPCResponse> {
    const since = this.#now
    const type = batch.options.requiresResponse ? 'request' : 'notification'
    const messages = batch.args.map((item, at): CompleteIPCMessage => {
      const sequence = at === 0 ? batch.sequence : this.peer.nextNumber()
      return { ...batch, ...readItem(item, `args[${at}]`), id: randomUUID(), type, sequence }
    })
    const settled = await this.peer.batch(() => messages.map((message) => this.#sendOne(message)))
    const responses = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    return ofBatch(batch.id, responses, this.#now - since)
  }

  #notify(message: CompleteIPCMessage): void {
    const method = methodOf(message)
    if (this.peer.to(targetOf(message)).notify(method, message)) return
    throw linkError(this.peer.isConnected ? 'QUEUE_FULL' : 'LINK_LOST', method.name, 'not-sent')
  }

  async #ask(message: CompleteIPCMessage): Promise<Answer> {
    const { timeout, priority } = message.options
    const caller = this.#callerTo(targetOf(message))
    return answerOf(await caller.call(methodOf(message), message, { timeoutMs: timeout, lane: priority }))
  }

  #callerTo(target: Target | undefined): Caller {
    return interceptedCaller(this.peer.to(target), target ? this.#policies : [])
  }

  #isIdempotent(message: CompleteIPCMessage): boolean {
    return this.#callerTo(targetOf(message)).isIdempotent?.(methodOf(message)) ?? false
  }

  async #broadcast(
    message: CompleteIPCMessage,
    filter: ProcessFilter,
    since: number,
  ): Promise<IPCResponse[]> {
    const { peer } = this
    const method = methodOf(message)
    const { timeout, priority, requiresResponse } = message.options
    const fail = (to: PeerIdentity, error: unknown): IPCResponse => {
      return { ...this.#failed(message.id, error, since, { ...message, target: to.id }), source: to.id }
    }
    if (!requiresResponse || message.type === 'notification') {
      const { sent, refused } = await broadcast(peer, method, message, filter, { timeoutMs: timeout })
      return [
        ...sent.map(({ id }) => ({ ...ok(message.id, undefined, this.#now - since), source: id })),
        ...refused.map((one) => fail(one.peer, one.error)),
      ]
    }
    const from = {
      isConnected: peer.isConnected,
      to: (target?: Target) => this.#callerTo(target),
      drained: () => peer.drained(),
    }
    const answers = await callAll(from, method, message, filter, { timeoutMs: timeout, lane: priority })
    return answers.map((answer) => {
      if (!answer.ok) return fail(answer.peer, answer.error)
      const { result, duration = this.#now - since } = answerOf(answer.value)
      return { ...ok(message.id, result, duration), source: answer.peer.id }
    })
  }

  async #answer(
    method: string,
    handler: Handler<unknown[]>,
    input: unknown,
    call: CallContext,
  ): Promise<Answer> {
    const message = readArrived(input, { methods: [method] })
    const { type, source, processId } = message
    if (type !== 'request' && type !== 'notification') throw invalid('type', `no handler takes a ${type}`)
    if (source !== call.peer.id) throw foreign(source, call.peer.id)
    const stamped = { ...message, target: this.peer.id, processId: call.peer.pid ?? processId }
    const since = this.#now
    const result = await handler(message.args, new MessageContext(call, stamped))
    return { result, duration: this.#now - since }
  }

  /** @param sent what may have reached a handler. */
  #failed(requestId: string, error: unknown, since: number, sent?: CompleteIPCMessage): IPCResponse {
    const retryable =
      isRetryable(error, false) || (sent !== undefined && isRetryable(error, this.#isIdempotent(sent)))
    return failed({ requestId, error, duration: this.#now - since, debug: this.#debug, retryable })
  }
}

/** The output of a router's handler. Of other peers the output is the result, and nothing is known of its duration. */
interface Answer {
  readonly result: unknown
  readonly duration?: number
}

function answerOf(output: unknown): Answer {
  const duration = fieldOf(output, 'duration')
  const isAnswer = typeof output === 'object' && output !== null && 'result' in output
  return isAnswer && typeof duration === 'number' ? { result: output.result, duration } : { result: output }
}

class MessageContext extends ContextView implements HandlerContext {
  readonly message: CompleteIPCMessage

  constructor(call: CallContext, message: CompleteIPCMessage) {
    super(call)
    this.message = message
  }
}

function methodOf({ method, options }: CompleteIPCMessage): Method {
  return { ...untyped(method), lane: options.priority }
}

function targetOf({ target }: CompleteIPCMessage): Target {
  return target === undefined ? { any: true } : { id: target }
}

function retryCountOf({ input }: { readonly input: unknown }): number {
  const count = fieldOf(fieldOf(input, 'options'), 'retryCount')
  return typeof count === 'number' ? count : 0
}

function idOf(message: unknown): string {
  const id = fieldOf(message, 'id')
  return typeof id === 'string' ? id.slice(0, 64) : ''
}

function foreign(source: string, id: string): ViaductError {
  return new ViaductError(
    'PERMISSION_DENIED',
    `IPCMessage: source: ${JSON.stringify(source)} is not who sends this, which is ${JSON.stringify(id)}`,
    { path: 'source' },
  )
}
