import { HUB_REPLAY_BYTES } from '../wire/limits.ts'
import type { Port } from './port.ts'
import type { Publication } from './publication.ts'
import { boundsOf, type ReplayBounds, type ReplayRules } from './replayRules.ts'

/** What keeping an event costs besides its bytes. */
const EVENT_COST = 256
/** One publisher's events take at most one part in so many of what the hub may hold for it. */
const PUBLISHER_SHARE = 8

/** An event that is kept, until it is not. */
interface Kept {
  readonly owner: KeptEvents
  readonly source: Account
  readonly cost: number
  event: Publication | undefined
}

/** The last events of one topic, without a gap between them. */
export class KeptEvents {
  readonly bounds: Required<ReplayBounds>
  readonly queue = new KeptQueue()
  /** The number of the newest event that is not kept, or not any more. */
  lost: number

  constructor(bounds: Required<ReplayBounds>, lost: number) {
    this.bounds = bounds
    this.lost = lost
  }
}

/** Kept events in the order in which they came. Those that have gone leave it when they come to the front. */
class KeptQueue {
  #entries: Kept[] = []
  #head = 0
  count = 0
  cost = 0

  push(entry: Kept): void {
    this.#entries.push(entry)
    this.count++
    this.cost += entry.cost
  }

  /** One of its entries has gone. */
  left({ cost }: Kept): void {
    this.count--
    this.cost -= cost
    if (this.#entries.length > 2 * this.count + 64) {
      this.#entries = this.#entries.filter(({ event }) => event !== undefined)
      this.#head = 0
    }
  }

  get oldest(): Kept | undefined {
    while (this.#entries[this.#head]?.event === undefined && this.#head < this.#entries.length) this.#head++
    return this.#entries[this.#head]
  }

  events(): Publication[] {
    return this.#entries.flatMap(({ event }) => event ?? [])
  }
}

/** What is kept of one publisher, by its id: coming back under it makes no room. */
interface Account {
  readonly id: string
  readonly queue: KeptQueue
}

/**
 * The last events of topics, for subscribers that come back. Bounded by topic, by publisher and altogether; of what
 * is over a bound the oldest goes, and with it what is older in the same topic.
 */
export class ReplayLog {
  readonly #rules: ReplayRules
  readonly #all = new KeptQueue()
  readonly #accounts = new Map<string, Account>()

  constructor(rules: ReplayRules) {
    this.#rules = rules
  }

  boundsFor(topic: string): Required<ReplayBounds> {
    return boundsOf(this.#rules, topic)
  }

  /** What is kept of all topics: events, and what they cost in bytes. */
  get size(): { readonly events: number; readonly bytes: number } {
    return { events: this.#all.count, bytes: this.#all.cost }
  }

  keep(event: Publication, from: Port): void {
    const owner = event.topic.kept
    const { bounds, queue } = owner
    if (bounds.count === 0) {
      owner.lost = event.number
      return
    }
    const { id } = from.info
    let source = this.#accounts.get(id)
    if (!source) {
      source = { id, queue: new KeptQueue() }
      this.#accounts.set(id, source)
    }
    const entry: Kept = { owner, source, cost: event.bytes + EVENT_COST, event }
    queue.push(entry)
    source.queue.push(entry)
    this.#all.push(entry)
    this.#age(owner, event.at)
    while (queue.count > bounds.count || queue.cost > bounds.bytes) this.#drop(queue.oldest)
    const share = from.limits.queueBytes / PUBLISHER_SHARE
    while (source.queue.cost > share) this.#drop(source.queue.oldest)
    while (this.#all.cost > HUB_REPLAY_BYTES) this.#drop(this.#all.oldest)
  }

  /** What is kept of a topic after an event, the oldest first. */
  after(kept: KeptEvents, number: number, now: number): Publication[] {
    this.#age(kept, now)
    return kept.queue.events().filter((event) => event.number > number)
  }

  /** The topic is forgotten. */
  forget({ queue }: KeptEvents): void {
    while (queue.count > 0) this.#drop(queue.oldest)
  }

  #age({ bounds, queue }: KeptEvents, now: number): void {
    for (let oldest = queue.oldest; oldest?.event; oldest = queue.oldest) {
      if (now - oldest.event.at <= bounds.ageMs) return
      this.#drop(oldest)
    }
  }

  /** Drops an event, and all that are older in its topic: what is kept of one has no holes. */
  #drop(last: Kept | undefined): void {
    if (!last?.event) return
    const { owner } = last
    while (last.event !== undefined) {
      const oldest = owner.queue.oldest
      if (!oldest?.event) return
      owner.lost = oldest.event.number
      oldest.event = undefined
      owner.queue.left(oldest)
      this.#all.left(oldest)
      const { source } = oldest
      source.queue.left(oldest)
      if (source.queue.count === 0) this.#accounts.delete(source.id)
    }
  }
}
