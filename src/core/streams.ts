import { isViaductError } from '../wire/errors.ts'
import { eventOf, TAG, textOf } from '../wire/head.ts'
import type { EventInfo, ItemStream, Subscription } from './call.ts'
import type { Items } from './items.ts'

/** The answer of a stream, for one reader. */
export class ItemAnswer implements ItemStream {
  readonly items: Items
  readonly output: Promise<unknown>
  readonly cancel: (reason?: unknown) => void

  constructor(items: Items, output: Promise<unknown>, cancel: (reason?: unknown) => void) {
    this.items = items
    this.output = output
    this.cancel = cancel
    // Whoever only reads the items learns of a failure there.
    output.catch(() => {})
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.items
  }
}

/** An item together with the head that the hub put on it. */
interface Headed {
  readonly value: unknown
  readonly head: Uint8Array
}

function isHeaded(item: unknown): item is Headed {
  return typeof item === 'object' && item !== null && 'head' in item
}

/** A subscription's events, in order, with what the hub says of each. */
export class TopicSubscription implements Subscription {
  readonly ready: Promise<void>
  last: EventInfo | undefined
  readonly #answer: ItemAnswer

  constructor(open: (onRegistered: () => void) => ItemAnswer) {
    let registered = () => {}
    const ready = new Promise<void>((resolve) => {
      registered = resolve
    })
    this.#answer = open(registered)
    this.ready = Promise.race([
      ready,
      this.#answer.output.then(
        () => {},
        (error: unknown) => Promise.reject(error),
      ),
    ])
    this.ready.catch(() => {})
  }

  get dropped(): bigint {
    return this.last?.dropped ?? 0n
  }

  cancel(reason?: unknown): void {
    this.#answer.cancel(reason)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    for await (const item of this.#answer) {
      if (!isHeaded(item)) continue
      this.last = readEvent(item.head) ?? this.last
      yield item.value
    }
  }
}

/** Reads an EVENT and a SOURCE out of a head. */
export function readEvent(head: Uint8Array): EventInfo | undefined {
  const event = eventOf(head)
  return event && { ...event, source: textOf(head, TAG.SOURCE) ?? '' }
}

/**
 * A subscription that outlives its link: when that is lost it is made again over the next one. Events
 * published in between are missed; the counts of what was dropped go on.
 */
export class ResumingSubscription implements Subscription {
  readonly #open: () => Subscription
  readonly #again: () => Promise<boolean>
  #present: Subscription
  #before = 0n
  #cancelled = false

  /** @param again settles when there is a link once more; false when there will be none. */
  constructor(open: () => Subscription, again: () => Promise<boolean>) {
    this.#open = open
    this.#again = again
    this.#present = open()
  }

  get ready(): Promise<void> {
    return this.#present.ready
  }

  get last(): EventInfo | undefined {
    return this.#present.last
  }

  get dropped(): bigint {
    return this.#before + this.#present.dropped
  }

  cancel(reason?: unknown): void {
    this.#cancelled = true
    this.#present.cancel(reason)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    for (;;) {
      try {
        yield* this.#present
      } catch (error) {
        if (!isViaductError(error) || error.reason !== 'LINK_LOST' || this.#cancelled) throw error
      }
      if (this.#cancelled || !(await this.#again())) return
      this.#before += this.#present.dropped
      this.#present = this.#open()
    }
  }
}
