import { type Clock, MAX_TIMER_MS, systemClock } from '../core/clock.ts'
import { ViaductError } from '../wire/errors.ts'
import { badOption, count, given, readOptions } from './options.ts'

export interface MessageQueueOptions {
  /** Messages that it is made for. Default 1,000. */
  readonly capacity?: number
  /** With so many messages in it, enqueue waits. Default 80 % of the capacity. */
  readonly highWaterMark?: number
  /** With so few messages in it, those who wait go on. Default 20 % of the capacity. */
  readonly lowWaterMark?: number
  /** Calls of enqueue, and of dequeue, that may wait at once. Default: the capacity. */
  readonly maxWaiting?: number
  readonly clock?: Clock
}

export interface WaitOptions {
  /** Ends the wait, which fails with CANCELLED; nothing is added or taken then. */
  readonly signal?: AbortSignal
}

/** Somebody who waits in a line, until its turn, its signal, its time or the end of the queue. */
class Waiting<Value> {
  readonly promise: Promise<Value>
  readonly #line: { delete(waiting: Waiting<Value>): unknown }
  readonly #signal: AbortSignal | undefined
  readonly #onAbort: () => void
  #resolve: (value: Value) => void = () => {}
  #reject: (error: ViaductError) => void = () => {}
  /** Calls off the end of its time. */
  cancelTimeout: () => void = () => {}

  constructor(what: string, line: { delete(waiting: Waiting<Value>): unknown }, signal?: AbortSignal) {
    this.#line = line
    this.#signal = signal
    this.#onAbort = () => this.fail(cancelled(what, signal?.reason))
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  settle(value: Value): void {
    this.#leave()
    this.#resolve(value)
  }

  fail(error: ViaductError): void {
    this.#leave()
    this.#reject(error)
  }

  #leave(): void {
    this.#line.delete(this)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.cancelTimeout()
  }
}

/**
 * Messages in order, with pause and resume: from the high mark on enqueue waits, until no more are left than the low
 * mark says; then those who wait go on in their order, up to the high mark. Every promise settles, at the latest
 * with {@link close}.
 */
export class MessageQueue<Message> {
  readonly capacity: number
  /** In messages, not as a share. */
  readonly highWaterMark: number
  readonly lowWaterMark: number
  readonly #maxWaiting: number
  readonly #clock: Clock
  #messages: { readonly message: Message }[] = []
  /** Who waits to enqueue, and what. */
  readonly #senders = new Map<Waiting<void>, Message>()
  readonly #readers = new Set<Waiting<Message | null>>()
  #paused = false
  #closed = false

  /**
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the option's path: marks are whole numbers of messages, and
   * the low one is below the high one.
   */
  constructor(options: MessageQueueOptions = {}) {
    const { capacity, clock, ...read } = readOptions('messageQueue', options, {
      capacity: count(1000),
      // What is not given follows from the capacity.
      highWaterMark: count(0),
      lowWaterMark: count(-1, 0),
      maxWaiting: count(0),
      clock: given<Clock>(systemClock, 'a clock'),
    })
    const highWaterMark = read.highWaterMark || Math.ceil(capacity * 0.8)
    const lowWaterMark =
      read.lowWaterMark < 0 ? Math.min(Math.floor(capacity * 0.2), highWaterMark - 1) : read.lowWaterMark
    if (highWaterMark > capacity) {
      const text = `${highWaterMark} will not do: give at most the capacity, ${capacity} messages`
      throw badOption('messageQueue', 'highWaterMark', text)
    }
    if (lowWaterMark >= highWaterMark) {
      const text = `${lowWaterMark} will not do: give less than the high mark, ${highWaterMark} messages`
      throw badOption('messageQueue', 'lowWaterMark', text)
    }
    this.capacity = capacity
    this.highWaterMark = highWaterMark
    this.lowWaterMark = lowWaterMark
    this.#maxWaiting = read.maxWaiting || capacity
    this.#clock = clock
  }

  /**
   * Settles when the message is in the queue.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / QUEUE_FULL when too many wait already, CANCELLED of the signal,
   * UNAVAILABLE / QUEUE_CLOSED; the message is in no queue then.
   */
  async enqueue(message: Message, { signal }: WaitOptions = {}): Promise<void> {
    if (signal?.aborted) throw cancelled('enqueue', signal.reason)
    if (this.#closed) throw closed()
    if (!this.#paused) {
      this.#put(message)
      return
    }
    if (this.#senders.size >= this.#maxWaiting) throw this.#full('enqueue')
    const waiting = new Waiting<void>('enqueue', this.#senders, signal)
    this.#senders.set(waiting, message)
    return waiting.promise
  }

  /**
   * The next message; null when there was none in time, or the queue was closed and is empty.
   *
   * @param timeoutMs how long to wait for one; 0: not at all. Default: until there is one.
   * @throws ViaductError RESOURCE_EXHAUSTED / QUEUE_FULL when too many wait already, CANCELLED of the signal
   */
  async dequeue(
    timeoutMs: number = Number.POSITIVE_INFINITY,
    { signal }: WaitOptions = {},
  ): Promise<Message | null> {
    if (signal?.aborted) throw cancelled('dequeue', signal.reason)
    if (this.length > 0) return this.#take()
    if (this.#closed || !(timeoutMs > 0)) return null
    if (this.#readers.size >= this.#maxWaiting) throw this.#full('dequeue')
    const waiting = new Waiting<Message | null>('dequeue', this.#readers, signal)
    this.#readers.add(waiting)
    if (timeoutMs < Number.POSITIVE_INFINITY) {
      waiting.cancelTimeout = this.#clock.after(Math.min(timeoutMs, MAX_TIMER_MS), () => waiting.settle(null))
    }
    return waiting.promise
  }

  /** Messages in the queue; those of enqueues that wait are not. */
  get length(): number {
    return this.#messages.length
  }

  async size(): Promise<number> {
    return this.length
  }

  /** Throws away what is in the queue; those who wait to enqueue go on. */
  async clear(): Promise<void> {
    this.#messages = []
    this.#refill()
  }

  /** Takes no more: who waits to enqueue is refused, what is in the queue can be taken still. */
  close(): void {
    this.#closed = true
    for (const sender of this.#senders.keys()) sender.fail(closed())
    for (const reader of this.#readers) reader.settle(null)
  }

  #put(message: Message): void {
    const [reader] = this.#readers
    if (reader) {
      reader.settle(message)
      return
    }
    this.#messages.push({ message })
    if (this.length >= this.highWaterMark) this.#paused = true
  }

  #take(): Message | null {
    const first = this.#messages.shift()
    this.#refill()
    return first ? first.message : null
  }

  /** Lets those go on who wait, when little enough is left. */
  #refill(): void {
    if (this.length > this.lowWaterMark) return
    this.#paused = false
    for (const [sender, message] of this.#senders) {
      if (this.#paused) return
      sender.settle()
      this.#put(message)
    }
  }

  #full(what: string): ViaductError {
    return new ViaductError(
      'RESOURCE_EXHAUSTED',
      `${what}: ${this.#maxWaiting} wait already: await what was begun, or raise maxWaiting`,
      { reason: 'QUEUE_FULL', fate: 'not-sent' },
    )
  }
}

function cancelled(what: string, cause: unknown): ViaductError {
  return new ViaductError('CANCELLED', `${what}: its signal was aborted`, { fate: 'not-sent', cause })
}

function closed(): ViaductError {
  return new ViaductError('UNAVAILABLE', 'enqueue: the queue is closed', {
    reason: 'QUEUE_CLOSED',
    fate: 'not-sent',
  })
}
