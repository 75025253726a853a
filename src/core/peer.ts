import { Announcements } from './announcements.ts'
import type { EventInfo, Publisher, Subscription, SubscriptionOptions, TopicEvent } from './call.ts'
import { callbacks } from './callbacks.ts'
import { LinkCore, type PeerOptions } from './linkCore.ts'
import { checkMethod, type Method, untyped } from './method.ts'
import { Publications } from './publications.ts'
import { TopicSubscription } from './subscription.ts'
import type { Transport } from './transport.ts'

/** One end of a link whose far end may be a hub: it publishes and subscribes as well, and announces what it serves. */
export class PeerCore extends LinkCore implements Publisher {
  readonly #announcements: Announcements | undefined
  readonly #publications = new Publications()

  constructor(transport: Transport, options: PeerOptions = {}) {
    super(transport, { callbacks, ...options })
    this.#announcements = options.hub ? new Announcements(this) : undefined
    this.outRoutes.onTopic = (route, index, maxBytes) => this.#publications.said(route, index, maxBytes)
  }

  /** Whether the far end is a hub. */
  get hasHub(): boolean {
    return this.#announcements !== undefined
  }

  /** Publishes an event on the hub. False when the outbox is full and the event was not taken. */
  publish(topic: Method, data: unknown, options?: { readonly key?: string }): boolean {
    const route = this.outRoutes.to({ topics: true })
    const taken = this.calls.notify(route, topic, data, options?.key)
    if (taken) this.#publications.sent(route, topic)
    return taken
  }

  /** Called once for each topic that was published here although no rule allows it. */
  set onRefused(listener: ((topic: string) => void) | undefined) {
    this.#publications.onRefused = listener
  }

  /** Subscribes to a topic on the hub; sent at once, `ready` settles when the hub has it. */
  subscribe(topic: Method, options: SubscriptionOptions = {}): Subscription {
    return this.#subscribe(topic, options, (data) => data)
  }

  /** Subscribes to all topics that a pattern matches and this peer may subscribe to. */
  subscribeAll(pattern: string, options: SubscriptionOptions = {}): Subscription<TopicEvent> {
    return this.#subscribe(untyped(pattern, 'topic'), options, (data, event) => ({
      topic: event?.topic ?? pattern,
      data,
    }))
  }

  #subscribe<Yielded>(
    topic: Method,
    options: SubscriptionOptions,
    yielded: (data: unknown, event: EventInfo | undefined) => Yielded,
  ): TopicSubscription<Yielded> {
    checkMethod(topic)
    const { overflow = topic.overflow, maxAgeMs, group, lastEventId, onGap, ...call } = options
    const wish = {
      overflow,
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
      ...(group === undefined ? {} : { group }),
      ...(lastEventId === undefined ? {} : { lastEventId }),
    }
    const route = this.outRoutes.to({ topics: true })
    return new TopicSubscription(
      (onProgress) => this.calls.stream(route, topic, wish, { ...call, onProgress }, true),
      { topic: topic.name, from: lastEventId, onGap, yielded },
    )
  }

  /** Tells the hub what is served here and it does not know yet; happens by itself at the end of the turn. */
  announce(): void {
    this.#announcements?.flush()
  }

  protected override onServed(method: Method): void {
    this.#announcements?.served(method)
  }

  protected override onWithdrawn(method: Method): void {
    this.#announcements?.withdrawn(method.name)
  }
}
