import { isViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { isObject } from '../wire/guards.ts'
import { type EventNumbers, eventOf, TAG, textOf } from '../wire/head.ts'
import type { EventGap, EventInfo, Subscription } from './call.ts'
import { eventId, positionOf } from './eventId.ts'
import type { ItemAnswer } from './streams.ts'

/** An item together with the head that the hub put on it. */
interface Headed {
  readonly value: unknown
  readonly head: Uint8Array
}

function isHeaded(item: unknown): item is Headed {
  return isObject(item) && 'head' in item
}

/** What a subscription is made of, besides its events. */
export interface SubscriptionParts<Yielded> {
  /** The name, or the pattern, that was subscribed. */
  readonly topic: string
  /** The event id that it goes on from. */
  readonly from: string | undefined
  readonly onGap: ((gap: EventGap) => void) | undefined
  readonly yielded: (data: unknown, event: EventInfo | undefined) => Yielded
}

/** A subscription's events, in order, with what the hub says of each. */
export class TopicSubscription<Yielded = unknown> implements Subscription<Yielded> {
  readonly ready: Promise<void>
  last: EventInfo | undefined
  readonly #parts: SubscriptionParts<Yielded>
  readonly #answer: ItemAnswer
  /** The position where it began. */
  #begun: string | undefined
  #session = ''

  constructor(
    open: (onRegistered: (said: unknown) => void) => ItemAnswer,
    parts: SubscriptionParts<Yielded>,
  ) {
    let registered = () => {}
    const ready = new Promise<void>((resolve) => {
      registered = resolve
    })
    this.#parts = parts
    this.#begun = parts.from
    this.#answer = open((said) => {
      registered()
      this.#registered(said)
    })
    this.ready = Promise.race([
      ready,
      this.#answer.output.then(
        () => {},
        (error: unknown) => Promise.reject(error),
      ),
    ])
    this.ready.catch(() => {})
  }

  get lastEventId(): string | undefined {
    return this.last?.eventId || this.#begun
  }

  get dropped(): bigint {
    return this.last?.dropped ?? 0n
  }

  cancel(reason?: unknown): void {
    this.#answer.cancel(reason)
  }

  /** The hub says where the subscription begins, before any event of it. */
  #registered(said: unknown): void {
    const at = fieldOf(said, 'at')
    const position = positionOf(at)
    if (!position || typeof at !== 'string') return
    const { from, onGap } = this.#parts
    this.#session = position.session
    this.#begun = at
    const gap = fieldOf(said, 'gap')
    if (from === undefined || gap === undefined) return
    const missed = fieldOf(gap, 'missed')
    const isKnown = typeof missed === 'bigint' || (typeof missed === 'number' && Number.isSafeInteger(missed))
    onGap?.({ missed: isKnown ? BigInt(missed) : 'unknown', from, to: at })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Yielded, void, undefined> {
    for await (const item of this.#answer) {
      if (!isHeaded(item)) continue
      const event = readEvent(item.head, this.#parts.topic, this.#session)
      this.last = event ?? this.last
      yield this.#parts.yielded(item.value, event)
    }
  }
}

/** What a head says of an event. Texts that few ask for are made when they are. */
class HeadedEvent implements EventInfo {
  readonly id: bigint
  readonly sequence: bigint
  readonly dropped: bigint
  readonly source: string
  readonly #head: Uint8Array
  readonly #topic: string
  readonly #session: string

  constructor(head: Uint8Array, { id, sequence, dropped }: EventNumbers, topic: string, session: string) {
    this.id = id
    this.sequence = sequence
    this.dropped = dropped
    this.source = textOf(head, TAG.SOURCE) ?? ''
    this.#head = head
    this.#topic = topic
    this.#session = session
  }

  get topic(): string {
    return textOf(this.#head, TAG.TOPIC) ?? this.#topic
  }

  get eventId(): string {
    return this.#session === '' ? '' : eventId(this.#session, this.id, this.sequence)
  }
}

/**
 * Reads EVENT, SOURCE and TOPIC out of a head.
 *
 * @param topic what was subscribed, for events that do not name their topic.
 * @param session the hub's; without it events have no id.
 */
export function readEvent(head: Uint8Array, topic = '', session = ''): EventInfo | undefined {
  const numbers = eventOf(head)
  return numbers && new HeadedEvent(head, numbers, topic, session)
}

/**
 * A subscription that outlives its link: when that is lost it is made again over the next one, and goes on after
 * the event that was yielded last. What the hub does not keep any more is told as a gap; the counts of what was
 * dropped go on.
 */
export class ResumingSubscription<Yielded = unknown> implements Subscription<Yielded> {
  readonly #open: (lastEventId: string | undefined) => Subscription<Yielded>
  readonly #again: () => Promise<boolean>
  #present: Subscription<Yielded>
  /** What is known of the links before this one. */
  #lastEventId: string | undefined
  #last: EventInfo | undefined
  #before = 0n
  #cancelled = false

  /**
   * @param open makes it over the present link, from the beginning or after an event.
   * @param again settles when there is a link once more; false when there will be none.
   */
  constructor(
    open: (lastEventId: string | undefined) => Subscription<Yielded>,
    again: () => Promise<boolean>,
  ) {
    this.#open = open
    this.#again = again
    this.#present = open(undefined)
  }

  get ready(): Promise<void> {
    return this.#present.ready
  }

  get lastEventId(): string | undefined {
    return this.#present.lastEventId ?? this.#lastEventId
  }

  get last(): EventInfo | undefined {
    return this.#present.last ?? this.#last
  }

  get dropped(): bigint {
    return this.#before + this.#present.dropped
  }

  cancel(reason?: unknown): void {
    this.#cancelled = true
    this.#present.cancel(reason)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Yielded, void, undefined> {
    for (;;) {
      try {
        yield* this.#present
      } catch (error) {
        if (!isViaductError(error) || error.reason !== 'LINK_LOST' || this.#cancelled) throw error
      }
      if (this.#cancelled || !(await this.#again())) return
      this.#lastEventId = this.lastEventId
      this.#last = this.last
      this.#before += this.#present.dropped
      this.#present = this.#open(this.#lastEventId)
    }
  }
}
