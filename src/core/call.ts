import type { CallMarks } from './callHead.ts'
import type { Lane, Method, Overflow } from './method.ts'

/** Who is at the other end, as the link and the hub say; nothing here is claimed by the sender. */
export interface PeerInfo {
  readonly id: string
  readonly type: string
  readonly zone: string
  /** One life of the peer, 32 hexadecimal digits; another session is another process or connection. */
  readonly session: string
  /** Stamped for supervised children; as claimed by the others. */
  readonly pid?: number
}

/**
 * Whom a call goes to: a peer, the least loaded one of a type, or whoever serves the method and may be called there
 * (peers of type `main` first, then the least loaded). Without a target: the far end of the link itself.
 */
export type Target = { readonly id: string } | { readonly type: string } | { readonly any: true }

export interface CallOptions extends CallMarks {
  /**
   * Milliseconds until the call fails with DEADLINE_EXCEEDED; default CALL_TIMEOUT_MS; 0: none. Of streams it
   * bounds the opening: the first item, or the end. Nothing extends it.
   */
  readonly timeoutMs?: number
  /** The same from the call to its end, of streams too; default: none. Nothing extends it. */
  readonly totalTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly lane?: Lane
  /** Items of the caller, for methods with an upload. Pulled only as fast as credit comes. */
  readonly upload?: AsyncIterable<unknown>
  /** Bytes of items that may be under way towards this caller; default WINDOW_BYTES. */
  readonly windowBytes?: number
  /**
   * Fail with DEADLINE_EXCEEDED when nothing came for so many milliseconds: no progress, no item nor part of one.
   * Rests while items wait for their reader. Default: none.
   */
  readonly idleTimeoutMs?: number
  /** Told what the handler says of its work. What it throws ends nothing. */
  readonly onProgress?: (value: unknown) => void
}

/**
 * The answer of a stream: iterate it once. Leaving the loop cancels the far handler. `output` settles
 * with what the handler returned, or rejects with what ended the stream.
 */
export interface ItemStream<Item = unknown, Output = unknown> extends AsyncIterable<Item> {
  readonly output: Promise<Output>
  cancel(reason?: unknown): void
}

/** One event of a subscription, as the hub numbered and stamped it. */
export interface EventInfo {
  /** Names the event for a later subscription to go on from; '' when the hub keeps no events. */
  readonly eventId: string
  readonly topic: string
  readonly id: bigint
  readonly sequence: bigint
  /** Events of this subscription that were dropped until now, exactly. */
  readonly dropped: bigint
  readonly source: string
}

/** Events that a subscription will never see, told before the first one after them. */
export interface EventGap {
  /** How many; `unknown` when the hub is another one by now, or for a pattern. */
  readonly missed: bigint | 'unknown'
  /** The event id that was gone on from. */
  readonly from: string
  /** The position behind the gap. */
  readonly to: string
}

/** An event of a pattern's subscription. */
export interface TopicEvent<Data = unknown> {
  readonly topic: string
  readonly data: Data
}

export interface SubscriptionOptions extends Omit<CallOptions, 'upload'> {
  /** What happens to an event when this subscription's queue is full; default: what the topic says. */
  readonly overflow?: Overflow
  /** Events that waited longer at the hub are dropped, and counted. Default: they wait. */
  readonly maxAgeMs?: number
  /** Of the subscriptions with this group, among peers of one type, one gets each event, once at most. */
  readonly group?: string
  /** Goes on after this event: what the hub kept of later ones comes first. See {@link Subscription.lastEventId}. */
  readonly lastEventId?: string | undefined
  /** Told when events after `lastEventId` are not kept any more. */
  readonly onGap?: (gap: EventGap) => void
}

export interface Subscription<Data = unknown> extends AsyncIterable<Data> {
  /** Settles when the hub has registered the subscription. */
  readonly ready: Promise<void>
  /**
   * Where to go on from: the id of the event that was yielded last or, before the first, of the position where the
   * subscription began. Undefined until the hub has registered it.
   */
  readonly lastEventId: string | undefined
  /** What the hub said of the event that was yielded last. */
  readonly last: EventInfo | undefined
  /** Events dropped on this subscription until now. */
  readonly dropped: bigint
  cancel(reason?: unknown): void
}

/** What a handler is told of a call that was kept for it, and may come again under the same id. */
export interface Delivery {
  /** UUID v4: the same each time; also the call's idempotency key. */
  readonly id: string
  /** Which start of the handler for it this is: 1, 2 … */
  readonly attempt: number
  /** Who sent it, as it says itself: for people, never an authority. '' when it does not say. */
  readonly sender: string
  /** The handler works on it for so many milliseconds from now, before it is taken to hang. */
  extend(ms: number): void
}

/** What a handler is told of the call it answers. */
export interface CallContext extends CallMarks {
  /** Of a durable method; absent on all others. */
  readonly delivery?: Delivery | undefined
  /** Aborted when the caller cancels, the deadline passes or the link ends. Made when first asked for. */
  readonly signal: AbortSignal
  readonly peer: PeerInfo
  /** Milliseconds left, `Infinity` without a deadline. */
  readonly timeLeftMs: number
  /** Monotonic time (ms, the clock's) by which the caller wants the answer; `Infinity` without one. */
  readonly deadline: number
  /** The caller's items; empty for methods without an upload. */
  readonly upload: AsyncIterable<unknown>
  /**
   * Tells the caller how far the work is, in at most one frame; extends its idle bound. Advice: it is left out while
   * the outbox is full, and after a cancel.
   */
  progress(value: unknown): void
}

/**
 * Answers a call: returns the output, a promise of it, or (kind `stream`) an async iterable of items whose
 * return value is the output. What it throws becomes the caller's error.
 */
export type Handler = (input: unknown, call: CallContext) => unknown

/** One end that makes calls: a peer, or a peer's view of one target. Contracts are clients over this. */
export interface Caller {
  /** Whom it calls; undefined: the far end of the link. */
  readonly target?: Target | undefined
  call(method: Method, input: unknown, options?: CallOptions): Promise<unknown>
  stream(method: Method, input: unknown, options?: CallOptions): ItemStream
  /**
   * One way. False when the outbox is full and the message was not taken.
   * @throws ViaductError of what cannot be sent; TOO_MANY_CALLS when a large one finds every exchange slot taken.
   */
  notify(method: Method, input: unknown): boolean
  /**
   * Whether a method may run twice: it says so itself, or whoever serves it has told. That is known once a call of it
   * has reached the hub, so ask when a call has failed. Absent: the method alone says it.
   */
  isIdempotent?(method: Method): boolean
}

export interface Publisher {
  publish(topic: Method, data: unknown, options?: { key?: string }): boolean
  subscribe(topic: Method, options?: SubscriptionOptions): Subscription
  /** All topics that a pattern matches, `pages.*` or `*`, as far as this peer may subscribe to them. */
  subscribeAll(pattern: string, options?: SubscriptionOptions): Subscription<TopicEvent>
}

export interface WithdrawOptions {
  /**
   * Milliseconds for calls and streams that run; what runs then is aborted, and its callers get UNAVAILABLE /
   * WITHDRAWN, fate unknown. Default CALL_TIMEOUT_MS; 0 aborts now, `Infinity` never.
   */
  readonly graceMs?: number
}

/**
 * What is served until it is withdrawn. From then on callers get UNIMPLEMENTED / METHOD_NOT_FOUND, not sent, a
 * hub routes to others, and the name may be served again, by other handlers too, while the old calls drain.
 */
export interface Serving {
  /** Withdraws, and leaves the calls that run to finish in their own time. */
  (): void
  /** Withdraws, and settles when none of its calls runs any more; never rejects. May be called again. */
  withdraw(options?: WithdrawOptions): Promise<void>
}

/** One end that answers calls. */
export interface Server {
  /** Serves a method until it is withdrawn. */
  handle(method: Method, handler: Handler): Serving
}
