import type { Clock } from '../core/clock.ts'
import { type EventPosition, eventId } from '../core/eventId.ts'
import { slotOf } from '../core/exchange.ts'
import { isNameOrPattern, isPattern } from '../core/pattern.ts'
import { Sender } from '../core/sender.ts'
import * as FLAG from '../wire/flag.ts'
import { padded, readU16, readU32 } from '../wire/frame.ts'
import { boundedTextOf, MAX_KEY_BYTES, TAG, textEntry } from '../wire/head.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES } from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import { Delivery } from './delivery.ts'
import { EventQueue } from './eventQueue.ts'
import { readBody, sendAnswer } from './linkBody.ts'
import type { Manifest, Subject } from './manifest.ts'
import type { Budget, Gathering, HubRoute, Port } from './port.ts'
import type { Publication } from './publication.ts'
import { ReplayLog } from './replayLog.ts'
import type { ReplayRules } from './replayRules.ts'
import type { Subscriber } from './subscriber.ts'
import { readWish, type WishFault } from './subscriptionWish.ts'
import type { Taps } from './tap.ts'
import { TopicIndex } from './topicIndex.ts'
import type { TrafficLog } from './traffic.ts'
import { Unfinished } from './unfinished.ts'

const NOBODY: readonly Subscriber[] = []

export interface TopicsHost {
  readonly clock: Clock
  readonly session: string
  readonly replay: ReplayRules
  readonly budget: Budget
  readonly manifest: Manifest
  readonly traffic: TrafficLog
  subjectOf(port: Port): Subject
  bare(port: Port, id: number, reason: ReasonName, fate: 'not-sent' | 'unknown', method?: string): void
}

/** What a subscription has waiting, and has lost. */
export interface SubscriptionStats {
  readonly topic: string
  readonly subscriber: string
  /** The group that it is of, by its own word: peers of another type have another one of that name. */
  readonly group?: string
  readonly queued: number
  readonly queuedBytes: number
  readonly dropped: number
}

/**
 * Publish and subscribe. A publication is a one-way call of the topic's name, a subscription a call that is
 * answered with items. Bodies are shared by all subscribers and read by none of this code; heads are
 * written for each. A subscriber that falls behind costs what its queue is allowed, and then its own events.
 */
export class Topics implements Gathering {
  readonly #host: TopicsHost
  readonly #log: ReplayLog
  readonly #index: TopicIndex
  readonly #delivery: Delivery
  readonly #subscribers = new Map<Port, Map<number, Subscriber>>()
  readonly #unfinished = new Unfinished()
  /** Events published since the hub began: the number of the newest. */
  published = 0
  #tap: Taps | undefined

  constructor(host: TopicsHost) {
    this.#host = host
    this.#log = new ReplayLog(host.replay)
    this.#index = new TopicIndex(this.#log, ({ port }, topic) =>
      host.manifest.maySubscribe(host.subjectOf(port), topic),
    )
    this.#delivery = new Delivery({
      budget: host.budget,
      now: () => host.clock.now(),
      overflow: (subscriber) => this.#end(subscriber, 'OVERFLOW'),
    })
  }

  /** Who watches the traffic; nobody, as a rule. */
  set tap(tap: Taps | undefined) {
    this.#tap = tap
    this.#delivery.tap = tap
  }

  call(from: Port, route: HubRoute, index: number, bytes: Uint8Array, at: number, length: number): void {
    const name = route.methods[index]?.name ?? ''
    const flags = bytes[at + AT.flags] as number
    const id = readU32(bytes, at + AT.id)
    if ((flags & FLAG.ONE_WAY) === 0) {
      if ((flags & FLAG.MORE) !== 0) this.#host.bare(from, id, 'MESSAGE_TOO_LARGE', 'not-sent', name)
      else this.#subscribe(from, id, name, flags & FLAG.LANE, bytes, at)
      return
    }
    if (!this.#host.manifest.mayPublish(this.#host.subjectOf(from), name)) {
      from.refused++
      this.#tap?.emit('refused', from.info.id, 'topics', name, flags, 0, 'PERMISSION_DENIED')
      return
    }
    if ((flags & FLAG.MORE) === 0) {
      const payloadBytes = readU32(bytes, at + AT.payloadBytes)
      // A copy, so that a waiting event does not pin the chunk that it came in.
      const payload = new Uint8Array(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + payloadBytes))
      this.#publish(from, name, bytes, at, payload)
      return
    }
    if (this.#unfinished.begin(from, name, bytes, at, length)) {
      const slot = slotOf(id)
      from.madeIds[slot] = id
      from.madeTo[slot] = this
    }
  }

  frame(from: Port, kind: number, id: number, bytes: Uint8Array, at: number): void {
    if (kind === KIND.FRAGMENT) {
      const whole = this.#unfinished.add(from, id, bytes, at)
      if (whole) this.#publish(from, whole.name, whole.header, 0, whole.payload)
      return
    }
    const subscriber = this.#subscribers.get(from)?.get(id)
    if (!subscriber) {
      if (kind === KIND.CANCEL) this.#unfinished.drop(from, id)
      return
    }
    if (kind === KIND.CREDIT) {
      subscriber.sender.grant(readU32(bytes, at + AT.window))
      this.#delivery.pump(subscriber)
    } else if (kind === KIND.CANCEL) {
      this.#end(subscriber, 'CANCELLED')
    }
  }

  lost(from: Port, id: number): void {
    const subscriber = this.#subscribers.get(from)?.get(id)
    if (subscriber) this.#forget([subscriber])
    this.#unfinished.remove(from)
  }

  /** The peer's outbox takes more: what waited for that, and not for credit, goes on. */
  drained(port: Port): void {
    for (const subscriber of this.#subscribers.get(port)?.values() ?? NOBODY) {
      if (subscriber.queue.length > 0) this.#delivery.pump(subscriber)
    }
  }

  /** A port has gone; holds on its reading mean nothing any more. */
  remove(port: Port): void {
    this.#forget([...(this.#subscribers.get(port)?.values() ?? NOBODY)])
    this.#unfinished.remove(port)
    for (const own of this.#subscribers.values()) {
      for (const subscriber of own.values()) subscriber.held.delete(port)
    }
  }

  #subscribe(from: Port, id: number, name: string, lane: number, bytes: Uint8Array, at: number): void {
    const { manifest, subjectOf } = this.#host
    if (!manifest.maySubscribe(subjectOf(from), name)) {
      from.refused++
      this.#host.bare(from, id, 'PERMISSION_DENIED', 'not-sent', name)
      return
    }
    const isEmpty = readU32(bytes, at + AT.payloadBytes) === 0
    const body = isEmpty ? {} : readBody(bytes, at)
    const wish = body ? readWish(from, body) : { path: '', wanted: 'an object that fits one frame' }
    if ('wanted' in wish) return this.#refuse(from, id, name, wish)
    if (!isNameOrPattern(name))
      return this.#refuse(from, id, name, { path: '', wanted: 'a name or a pattern' })
    const { overflow, maxAgeMs, group, after } = wish
    if (after?.session === this.#host.session && after.number > this.published) {
      const wanted = 'the id of an event that was published'
      return this.#refuse(from, id, name, { path: 'lastEventId', wanted })
    }
    const window = readU32(bytes, at + AT.window)
    const sender = new Sender(from.link.outbox, lane, id, window)
    const subscriber: Subscriber = {
      port: from,
      id,
      name,
      topic: isPattern(name) ? undefined : this.#index.get(name, this.published),
      group,
      lane,
      overflow,
      maxAgeMs,
      sender,
      window,
      traffic: this.#host.traffic.row('topics', from.info.id, name),
      queue: new EventQueue(),
      dropped: 0,
      held: new Set(),
      pumping: false,
      ended: false,
    }
    sender.onidle = () => this.#delivery.pump(subscriber)
    this.#index.add(subscriber)
    let own = this.#subscribers.get(from)
    if (!own) {
      own = new Map()
      this.#subscribers.set(from, own)
    }
    own.set(id, subscriber)
    const slot = slotOf(id)
    from.madeIds[slot] = id
    from.madeTo[slot] = this
    this.#tap?.emit('subscribe', from.info.id, 'topics', name, lane, 0)
    this.#begin(subscriber, after)
  }

  /** Says where a subscription begins, and gives it what is kept after the event that it goes on from. */
  #begin(subscriber: Subscriber, after: EventPosition | undefined): void {
    const { session, clock } = this.#host
    const { topic, port, id } = subscriber
    if (!after) {
      const here = eventId(session, this.published, topic?.sequence ?? 0)
      sendAnswer(port.link, KIND.PROGRESS, id, { at: here })
      return
    }
    const isOurs = after.session === session
    const number = isOurs ? after.number : 0
    const topics = topic ? [topic] : this.#visible(subscriber)
    const events = topics.flatMap(({ kept }) => this.#log.after(kept, number, clock.now()))
    if (!topic) events.sort((one, other) => one.number - other.number)
    const isGap =
      !isOurs ||
      topics.some(({ kept }) => kept.lost > number) ||
      (!topic && this.#index.forgottenNumber > number)
    let { sequence } = after
    let missed: number | undefined
    if (isGap && topic) {
      const first = events[0]
      const reached = first ? first.sequence - 1 : topic.sequence
      if (isOurs && number >= topic.since) missed = Math.max(0, reached - sequence)
      sequence = reached
    } else if (!isOurs) sequence = 0
    const behind = isGap && topic ? Math.max(number, topic.kept.lost) : number
    sendAnswer(port.link, KIND.PROGRESS, id, {
      at: eventId(session, behind, sequence),
      ...(isGap ? { gap: missed === undefined ? {} : { missed } } : {}),
    })
    for (const event of events) if (!subscriber.ended) this.#delivery.one(subscriber, event, undefined)
  }

  /** The topics of a pattern that its subscriber may subscribe to. */
  #visible({ name, port }: Subscriber) {
    const subject = this.#host.subjectOf(port)
    return [...this.#index.matching(name)].filter((topic) =>
      this.#host.manifest.maySubscribe(subject, topic.name),
    )
  }

  #refuse(from: Port, id: number, name: string, { path, wanted }: WishFault): void {
    from.refused++
    const place = path === '' ? 'its body' : path
    sendAnswer(from.link, KIND.ERROR, id, {
      code: 'INVALID_ARGUMENT',
      reason: 'BAD_SUBSCRIPTION',
      message: `subscribe ${name}: ${place} has to be ${wanted}`,
      path,
    })
    this.#tap?.emit('refused', from.info.id, 'topics', name, 0, 0, 'BAD_SUBSCRIPTION')
  }

  #publish(from: Port, name: string, header: Uint8Array, at: number, payload: Uint8Array): void {
    const headBytes = padded(readU16(header, at + AT.headBytes))
    if (headBytes > payload.length) return
    const topic = this.#index.get(name, this.published)
    const row = this.#host.traffic.row(from.info.id, 'topics', name)
    row.oneWay++
    row.bytes += payload.length
    if (this.#tap !== undefined) {
      const flags = header[at + AT.flags] as number
      this.#tap.emit('publish', from.info.id, 'topics', name, flags, payload.length)
    }
    const event: Publication = {
      topic,
      payload: headBytes === 0 ? payload : payload.subarray(headBytes),
      segments: readU16(header, at + AT.segments),
      source: sourceEntry(from),
      number: ++this.published,
      sequence: ++topic.sequence,
      // One that is too long, or no text, conflates nothing.
      key:
        headBytes === 0 ? undefined : boundedTextOf(payload.subarray(0, headBytes), TAG.KEY, MAX_KEY_BYTES),
      bytes: payload.length,
      at: this.#host.clock.now(),
    }
    this.#log.keep(event, from)
    const { each, groups } = this.#index.audience(topic)
    this.#delivery.all(event, each, groups, from)
  }

  #end(subscriber: Subscriber, reason: ReasonName): void {
    this.#forget([subscriber])
    subscriber.port.madeTo[slotOf(subscriber.id)] = undefined
    this.#host.bare(subscriber.port, subscriber.id, reason, 'unknown', subscriber.name)
  }

  /** Subscriptions have ended: all of them leave before what waited for one goes to others of its group. */
  #forget(subscribers: readonly Subscriber[]): void {
    const waiting = subscribers.map((subscriber) => {
      this.#index.delete(subscriber, this.published)
      const own = this.#subscribers.get(subscriber.port)
      own?.delete(subscriber.id)
      if (own?.size === 0) this.#subscribers.delete(subscriber.port)
      return this.#delivery.end(subscriber)
    })
    subscribers.forEach((subscriber, at) => {
      const { group } = subscriber
      if (group === undefined) return
      this.#delivery.handOver(subscriber, waiting[at] ?? [], ({ topic }) =>
        this.#index.audience(topic).groups.find(({ name }) => name === group),
      )
    })
  }

  /** What each subscription has waiting and has lost. */
  stats(): SubscriptionStats[] {
    return [...this.#subscribers.values()].flatMap((own) =>
      [...own.values()].map(({ name, port, group, queue, dropped }) => ({
        topic: name,
        subscriber: port.info.id,
        ...(group === undefined ? {} : { group: group.slice(port.info.type.length + 1) }),
        queued: queue.length,
        queuedBytes: queue.bytes,
        dropped,
      })),
    )
  }

  /** What is kept for subscribers that come back. */
  get kept(): { readonly events: number; readonly bytes: number } {
    return this.#log.size
  }
}

const sources = new WeakMap<Port, Uint8Array>()

function sourceEntry(port: Port): Uint8Array {
  let entry = sources.get(port)
  if (!entry) {
    entry = textEntry(TAG.SOURCE, port.info.id)
    sources.set(port, entry)
  }
  return entry
}
