import type {
  Caller,
  CallOptions,
  Handler,
  ItemStream,
  PeerInfo,
  Publisher,
  Serving,
  Subscription,
  SubscriptionOptions,
  Target,
  TopicEvent,
} from '../core/call.ts'
import type { Interceptor } from '../core/interceptor.ts'
import { type Method, untyped } from '../core/method.ts'
import type { PeerCore } from '../core/peer.ts'
import { targetKey } from '../core/route.ts'
import { NOBODY } from '../core/served.ts'
import { serving } from '../core/serving.ts'
import { ResumingSubscription } from '../core/subscription.ts'
import type { MetricsReport } from '../hub/metrics.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import { ViaductError } from '../wire/errors.ts'
import { MAX_BUSY_MS } from '../wire/limits.ts'
import { methodOf } from './byName.ts'
import { checkClosed, checkHandler } from './codecs.ts'
import type { ContractOf } from './entries.ts'
import {
  type Answer,
  type BroadcastOptions,
  type BroadcastResult,
  broadcast,
  type CallAllOptions,
  type Called,
  type CalledInput,
  type CalledOutput,
  callAll,
  type PeerSelection,
} from './fanOut.ts'
import { LinkPeer } from './linkPeer.ts'
import { PolicyReporter } from './policyReporter.ts'
import {
  type ContractEvent,
  type ContractSubscription,
  publish,
  type SubscribeOptions,
  subscribe,
  subscribeAll,
  type Topic,
} from './topics.ts'
import { type PeerWatch, WATCH, type WatchOptions, watchHub } from './watch.ts'

const READY = untyped('$hub.ready')

const BUSY = untyped('$hub.busy')

/**
 * One end of a link whose far end may be a hub: what any end does, and topics, calls to all, and who is there. Over a
 * link that comes back it goes on.
 */
export class Peer extends LinkPeer<PeerCore> {
  #info: PeerInfo
  readonly #callers = new Map<string, Caller>()
  /** What is served, so that it can be served again over another link. */
  readonly #served = new Map<Method, { readonly handler: Handler; serving: Serving }>()
  readonly #publisher: Publisher
  readonly #closed: Promise<CloseReason>
  #settleClosed: (reason: CloseReason) => void = () => {}
  readonly #resumes: boolean
  #finished = false
  #numbered = 0
  readonly #onRefused = new Set<(topic: string) => void>()
  #resumed: (() => void)[] = []
  /** What policies count is told to a hub. */
  readonly #reporter = new PolicyReporter(() => this.core)
  readonly #onLink = new Set<() => void>()

  /** @param resumes somebody brings another link when this one is lost: see {@link resume}. */
  constructor(core: PeerCore, info: PeerInfo = NOBODY, resumes = false) {
    super(core)
    this.#listen(core)
    this.#info = info
    this.#resumes = resumes
    this.#publisher = {
      publish: (topic, data, options) => this.core.publish(topic, data, options),
      subscribe: (topic, options) => this.#resuming(options, (now) => this.core.subscribe(topic, now)),
      subscribeAll: (pattern, options) =>
        this.#resuming(options, (now) => this.core.subscribeAll(pattern, now)),
    }
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    if (!resumes) void core.closed.then((reason) => this.finish(reason))
  }

  /** Who this is, as the hub says; of a peer without a hub, nobody. */
  get info(): PeerInfo {
    return this.#info
  }

  get id(): string {
    return this.#info.id
  }

  /** Settles with the reason when the link has ended for good; never rejects. */
  override get closed(): Promise<CloseReason> {
    return this.#closed
  }

  override get isClosed(): boolean {
    return this.#finished
  }

  /** Whether there is a link now; a peer that joined by itself dials again when it was lost. */
  get isConnected(): boolean {
    return !this.core.isClosed
  }

  /** The next number for what this peer sends, from 1 on and over all its links: for formats that number their messages. */
  nextNumber(): number {
    return ++this.#numbered
  }

  /** Goes on over another link: what was served is served there, subscriptions are made again. */
  resume(core: PeerCore, info: PeerInfo): void {
    this.adopt(core)
    this.#listen(core)
    this.#info = info
    this.#reporter.again()
    for (const [method, served] of this.#served) served.serving = core.handle(method, served.handler)
    for (const listener of this.#onLink) listener()
    for (const resumed of this.#resumed.splice(0)) resumed()
  }

  /** Calls back now, unless there is no link, and over each further link, until the returned function is called. */
  onLink(listener: () => void): () => void {
    this.#onLink.add(listener)
    if (this.isConnected) listener()
    return () => this.#onLink.delete(listener)
  }

  /** No further link will come. */
  finish(reason: CloseReason): void {
    this.#finished = true
    this.#reporter.end()
    this.#settleClosed(reason)
    for (const resumed of this.#resumed.splice(0)) resumed()
  }

  /** A subscription that is made again over each further link, if there are to be any. */
  #resuming<Event>(
    options: SubscriptionOptions = {},
    open: (options: SubscriptionOptions) => Subscription<Event>,
  ): Subscription<Event> {
    if (!this.#resumes) return open(options)
    return new ResumingSubscription(
      // What one member of a group missed, another had.
      (lastEventId) => {
        const goesOn = lastEventId !== undefined && options.group === undefined
        return open(goesOn ? { ...options, lastEventId } : options)
      },
      () => this.#again(),
    )
  }

  /** Settles when there is a link; false when there will be none. */
  async #again(): Promise<boolean> {
    if (!this.#resumes) return !this.core.isClosed
    if (this.core.isClosed && !this.#finished) {
      await new Promise<void>((resolve) => this.#resumed.push(resolve))
    }
    return !this.#finished
  }

  /**
   * Who is on the hub: a snapshot, then each change, as `$hub.who` may be asked for. A reader that falls behind
   * gets a snapshot instead of what it missed.
   */
  watch(options?: WatchOptions): PeerWatch {
    return watchHub(
      () => this.core.stream(WATCH, undefined),
      () => this.#again(),
      options,
    )
  }

  #listen(core: PeerCore): void {
    core.onRefused = (topic) => {
      for (const listener of this.#onRefused) listener(topic)
    }
  }

  /**
   * Tells of each topic that this peer publishes although no rule of the hub's manifest allows it, once for a link,
   * until the returned function is called. Such events reach nobody, and nothing else would say so.
   */
  onRefused(listener: (topic: string) => void): () => void {
    this.#onRefused.add(listener)
    return () => this.#onRefused.delete(listener)
  }

  /** Reports to the hub what policies count that stand at a caller made by hand; those of a client are reported by itself. */
  report(policies: readonly Interceptor[], name: string): void {
    this.#reporter.add(policies, name)
  }

  /** What goes through the hub in the window that runs, or since the start while it counts none. For those who may ask `$hub.metrics`. */
  async metrics(): Promise<MetricsReport> {
    for await (const report of this.stream('$hub.metrics')) if (isReport(report)) return report
    throw new ViaductError('INTERNAL', '$hub.metrics answered with something else')
  }

  protected override notePolicies(policies: readonly Interceptor[], contract: ContractOf): void {
    this.#reporter.add(policies, contract['~contract'].name)
  }

  /** Publishes an event. False when the outbox is full and the event was not taken; see {@link drained}. */
  publish<Sent>(
    topic: Topic<Sent, unknown>,
    data: NoInfer<Sent>,
    options?: { readonly key?: string },
  ): boolean {
    return publish(this.#publisher, topic, data, options)
  }

  /** Subscribes to a topic. The subscription is sent at once; its `ready` settles when the hub has it. */
  subscribe<Received>(
    topic: Topic<unknown, Received>,
    options?: SubscribeOptions,
  ): ContractSubscription<Received> {
    return subscribe(this.#publisher, topic, options)
  }

  /**
   * Subscribes to all topics of a contract, or to all whose names match a pattern, `pages.*` or `*`, as far as this
   * peer may subscribe to them. Events come with their topic; those of a pattern are not checked.
   */
  subscribeAll<E>(topics: ContractOf<E>, options?: SubscribeOptions): ContractSubscription<ContractEvent<E>>
  subscribeAll(pattern: string, options?: SubscribeOptions): ContractSubscription<TopicEvent>
  subscribeAll(topics: ContractOf | string, options?: SubscribeOptions): ContractSubscription<TopicEvent> {
    return typeof topics === 'string'
      ? subscribeAll(this.#publisher, topics, options)
      : subscribeAll(this.#publisher, topics, options)
  }

  /** Who makes calls towards a target; without one, towards the far end of the link. */
  override to(target?: Target): Caller {
    const key = targetKey(target)
    let caller = this.#callers.get(key)
    if (!caller) {
      caller = new PresentCaller(() => this.core, target)
      this.#callers.set(key, caller)
    }
    return caller
  }

  /** Serves one method by name until it is withdrawn; see {@link Serving}. */
  override handle(method: string | Method, handler: Handler): Serving {
    const known = methodOf(method, 'call')
    checkHandler(known, handler)
    const served = { handler, serving: this.core.handle(known, handler) }
    this.#served.set(known, served)
    return serving((graceMs) => {
      // Also while there is no link: the next one does not serve it again.
      if (this.#served.get(known) === served) this.#served.delete(known)
      return served.serving.withdraw({ graceMs })
    })
  }

  /**
   * Calls a method on every other peer that serves it and passes the filter. Settles with one answer for each, in
   * the order in which the hub named them: a value, or the error of the one that failed, died or may not be called.
   * Nobody there is an empty list.
   *
   * @throws ViaductError PERMISSION_DENIED / PERMISSION_DENIED when the method may be called on none of them; what
   * the hub answers when it cannot be asked who is there.
   */
  callAll<M extends Called>(
    method: M,
    input: CalledInput<M>,
    filter?: PeerSelection,
    options?: CallAllOptions<CalledOutput<M>>,
  ): Promise<Answer<CalledOutput<M>>[]>
  callAll(
    method: string | Method,
    input?: unknown,
    filter?: PeerSelection,
    options?: CallAllOptions,
  ): Promise<Answer<unknown>[]>
  callAll(
    method: string | Method,
    input?: unknown,
    filter: PeerSelection = {},
    options: CallAllOptions = {},
  ): Promise<Answer<unknown>[]> {
    return callAll(this, methodOf(method, 'call'), input, filter, options)
  }

  /**
   * Sends one way to every other peer that serves the method and passes the filter; settles when the hub has it for
   * each of them, with whom it was sent to and whom not. Nobody answers. Throws as {@link callAll} does, and for an
   * input that cannot be sent.
   */
  broadcast<M extends Called>(
    method: M,
    input: CalledInput<M>,
    filter?: PeerSelection,
    options?: BroadcastOptions,
  ): Promise<BroadcastResult>
  broadcast(
    method: string | Method,
    input?: unknown,
    filter?: PeerSelection,
    options?: BroadcastOptions,
  ): Promise<BroadcastResult>
  broadcast(
    method: string | Method,
    input?: unknown,
    filter: PeerSelection = {},
    options: BroadcastOptions = {},
  ): Promise<BroadcastResult> {
    return broadcast(this, methodOf(method, 'call'), input, filter, options)
  }

  /** Tells the hub that this peer takes work now. `join()` does so by itself unless told not to. */
  ready(): Promise<void> {
    this.core.announce()
    return this.core.call(READY, undefined).then(() => {})
  }

  /**
   * Tells the hub that this peer's loop may stand still until then: its supervisor does not take the silence for
   * a hang. Await it before the work begins, because what is sent leaves only while the loop turns. The next one
   * replaces it; 0 ends it. It ends with the link as well.
   *
   * @param untilMs milliseconds since 1970, as `Date.now() + 60_000`; at most an hour from now.
   * @throws ViaductError INVALID_ARGUMENT / BAD_BUSY
   */
  busy(untilMs: number): Promise<void> {
    const forMs = untilMs === 0 ? 0 : untilMs - Date.now()
    if (!(forMs >= 0 && forMs <= MAX_BUSY_MS)) {
      const error = new ViaductError(
        'INVALID_ARGUMENT',
        `busy(${untilMs}): give a time from now to ${MAX_BUSY_MS} ms from now in milliseconds since 1970, as ` +
          'Date.now() + 60_000, or 0 to end it',
        { reason: 'BAD_BUSY', path: 'untilMs' },
      )
      return Promise.reject(error)
    }
    return this.core.call(BUSY, { forMs }).then(() => {})
  }

  /** Goes away in good order: takes no new calls, finishes those that run, then closes. */
  override drain(graceMs?: number): Promise<void> {
    // Whoever goes does not dial again.
    void this.core.closed.then((reason) => this.finish(reason))
    return super.drain(graceMs)
  }

  /** Ends the link now, and for good; open calls fail with LINK_LOST. */
  override close(reason?: CloseReason): void {
    super.close(reason)
    this.finish(reason ?? 'GOING_AWAY')
  }
}

/** A caller over whatever link there is at the time of the call. */
class PresentCaller implements Caller {
  readonly #present: () => PeerCore
  readonly target: Target | undefined
  #core: PeerCore | undefined
  #caller: Caller | undefined

  constructor(present: () => PeerCore, target: Target | undefined) {
    this.#present = present
    this.target = target
  }

  #bound(): Caller {
    const core = this.#present()
    if (this.#caller && core === this.#core) return this.#caller
    this.#core = core
    this.#caller = this.target ? core.to(this.target) : core
    return this.#caller
  }

  call(method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    try {
      checkClosed(method, input)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#bound().call(method, input, options)
  }

  stream(method: Method, input: unknown, options?: CallOptions): ItemStream {
    checkClosed(method, input)
    return this.#bound().stream(method, input, options)
  }

  notify(method: Method, input: unknown): boolean {
    checkClosed(method, input)
    return this.#bound().notify(method, input)
  }

  isIdempotent(method: Method): boolean {
    return this.#bound().isIdempotent?.(method) ?? method.idempotent
  }
}

function isReport(value: unknown): value is MetricsReport {
  return typeof value === 'object' && value !== null && 'total' in value && 'methods' in value
}
