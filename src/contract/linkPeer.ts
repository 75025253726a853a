import type { Caller, CallOptions, Handler, ItemStream, Server, Serving, Target } from '../core/call.ts'
import type { Interceptor } from '../core/interceptor.ts'
import type { LinkCore } from '../core/linkCore.ts'
import type { Method } from '../core/method.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import { methodOf } from './byName.ts'
import { type Client, type ClientOptions, client } from './client.ts'
import type { ContractOf } from './entries.ts'
import { type Handlers, type ServeOptions, serveHandlers } from './serve.ts'

/**
 * One end of a link, with contracts: calls and answers, streams and notifications. Contracts are optional: `call`,
 * `stream`, `notify` and `handle` take a method's name as well.
 */
export class LinkPeer<Core extends LinkCore = LinkCore> implements Server {
  #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** The end of the present link, for transports, tools and tests. */
  get core(): Core {
    return this.#core
  }

  /** Goes on over another link. */
  protected adopt(core: Core): void {
    this.#core = core
  }

  /** Told of what shapes calls here, for those who have somebody to tell what it counts. */
  protected notePolicies(_policies: readonly Interceptor[], _contract: ContractOf): void {}

  /** Settles with the reason when the link has ended for good; never rejects. */
  get closed(): Promise<CloseReason> {
    return this.#core.closed
  }

  get isClosed(): boolean {
    return this.#core.isClosed
  }

  /** A contract's methods as functions, towards a target; without one, towards the far end of the link. */
  client<E>(contract: ContractOf<E>, target?: Target, options?: ClientOptions): Client<E> {
    if (options?.policies) this.notePolicies(options.policies, contract)
    return client(this.to(target), contract, options)
  }

  /** Serves a contract until it is withdrawn; see {@link Serving}. */
  serve<E>(
    contract: ContractOf<E>,
    handlers: Handlers<E>,
    options?: ServeOptions & { readonly partial?: false },
  ): Serving
  serve<E>(
    contract: ContractOf<E>,
    handlers: Partial<Handlers<E>>,
    options: ServeOptions & { readonly partial: true },
  ): Serving
  serve<E>(contract: ContractOf<E>, handlers: Partial<Handlers<E>>, options: ServeOptions = {}): Serving {
    if (options.policies) this.notePolicies(options.policies, contract)
    return serveHandlers(this, contract, handlers, options)
  }

  /** Who makes calls towards a target; without one, towards the far end of the link. */
  to(target?: Target): Caller {
    return target ? this.#core.to(target) : this.#core
  }

  /** Calls a method by name. */
  call(
    method: string | Method,
    input?: unknown,
    options: CallOptions & { readonly target?: Target } = {},
  ): Promise<unknown> {
    return this.to(options.target).call(methodOf(method, 'call'), input, options)
  }

  /** Opens a stream by name. */
  stream(
    method: string | Method,
    input?: unknown,
    options: CallOptions & { readonly target?: Target } = {},
  ): ItemStream {
    return this.to(options.target).stream(methodOf(method, 'stream'), input, options)
  }

  /** Sends one way by name. False when the outbox is full and the message was not taken. */
  notify(method: string | Method, input?: unknown, target?: Target): boolean {
    return this.to(target).notify(methodOf(method, 'call'), input)
  }

  /** Serves one method by name until it is withdrawn; see {@link Serving}. */
  handle(method: string | Method, handler: Handler): Serving {
    return this.#core.handle(methodOf(method, 'call'), handler)
  }

  /** Makes several calls whose frames leave in one write; each settles by itself. */
  batch<T extends readonly PromiseLike<unknown>[]>(
    make: () => [...T],
  ): Promise<{ [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }> {
    return this.#core.batch(make)
  }

  /** Milliseconds of a round trip to the far end of the link. */
  ping(): Promise<number> {
    return this.#core.ping()
  }

  /** Settles when the outbox takes more; at once unless it is full. */
  drained(): Promise<void> {
    return this.#core.drained()
  }

  /** Goes away in good order: takes no new calls, finishes those that run, then closes. */
  drain(graceMs?: number): Promise<void> {
    return this.#core.drain(graceMs)
  }

  /** Ends the link now; open calls fail with LINK_LOST. */
  close(reason: CloseReason = 'GOING_AWAY'): void {
    this.#core.close(reason)
  }
}
