import { Assembly } from '../core/assembly.ts'
import { slotOf } from '../core/exchange.ts'
import { Sender } from '../core/sender.ts'
import { AT, creditOf, FLAG, KIND, padded, readU16, readU32, writeHeader } from '../wire/frame.ts'
import { EVENT_BYTES, MAX_KEY_BYTES, TAG, textEntry, textOf, writeEvent } from '../wire/head.ts'
import {
  FRAGMENT_BYTES,
  HEADER_BYTES,
  HUB_QUEUE_BYTES,
  QUEUE_CAPACITY,
  SUBSCRIPTION_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import { readBody } from './linkBody.ts'
import type { Manifest, Subject } from './manifest.ts'
import type { Budget, Gathering, HubRoute, Port } from './port.ts'
import { isHigh, isLow, overflowFor, type Publication, type Subscriber, type Topic } from './subscriber.ts'
import type { Taps } from './tap.ts'
import type { TrafficLog } from './traffic.ts'

/** Topics without subscribers whose sequences are kept. */
const MAX_IDLE_TOPICS = 1024

const NOBODY: readonly Subscriber[] = []

export interface TopicsHost {
  readonly budget: Budget
  readonly manifest: Manifest
  readonly traffic: TrafficLog
  subjectOf(port: Port): Subject
  bare(port: Port, id: number, reason: ReasonName, fate: 'not-sent' | 'unknown', method?: string): void
}

/**
 * Publish and subscribe. A publication is a one-way call of the topic's name, a subscription a call that is
 * answered with items. Bodies are shared by all subscribers and read by none of this code; heads are
 * written for each. A subscriber that falls behind costs what its queue is allowed, and then its own events.
 */
export class Topics implements Gathering {
  readonly #host: TopicsHost
  readonly #topics = new Map<string, Topic>()
  /** Topics without subscribers, the one used longest ago first. */
  readonly #idle = new Set<Topic>()
  /** The highest sequence of a topic that was forgotten: new ones go on from it, so that none ever goes back. */
  #forgotten = 0
  readonly #subscribers = new Map<Port, Map<number, Subscriber>>()
  readonly #assemblies = new Map<Port, Assembly>()
  readonly #unfinished = new Map<Port, Map<number, HubRoute>>()
  /** Events published since the hub began. */
  published = 0
  /** Who watches the traffic; nobody, as a rule. */
  tap: Taps | undefined

  constructor(host: TopicsHost) {
    this.#host = host
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
      this.tap?.emit('refused', from.info.id, 'topics', name, flags, 0, 'PERMISSION_DENIED')
      return
    }
    if ((flags & FLAG.MORE) === 0) {
      const end = at + HEADER_BYTES + readU32(bytes, at + AT.payloadBytes)
      // A copy, so that a waiting event does not pin the chunk that it came in.
      this.#publish(from, name, bytes, at, bytes.slice(at + HEADER_BYTES, end))
      return
    }
    let assembly = this.#assemblies.get(from)
    if (!assembly) {
      assembly = new Assembly()
      this.#assemblies.set(from, assembly)
    }
    const total = readU32(bytes, at + AT.payloadBytes)
    if (assembly.bytes + total > from.limits.queueBytes / 2) {
      // Too many large ones at once: this one is dropped, and the rest of it is late.
      from.refused++
      return
    }
    if (!assembly.begin(bytes, at, length)) {
      from.link.violation()
      return
    }
    const slot = slotOf(id)
    from.madeIds[slot] = id
    from.madeTo[slot] = this
    let unfinished = this.#unfinished.get(from)
    if (!unfinished) {
      unfinished = new Map()
      this.#unfinished.set(from, unfinished)
    }
    unfinished.set(id, route)
  }

  frame(from: Port, kind: number, id: number, bytes: Uint8Array, at: number): void {
    if (kind === KIND.FRAGMENT) {
      this.#fragment(from, id, bytes, at)
      return
    }
    const subscriber = this.#subscribers.get(from)?.get(id)
    if (!subscriber) {
      if (kind === KIND.CANCEL) this.#cutShort(from, id)
      return
    }
    if (kind === KIND.CREDIT) {
      subscriber.sender.grant(readU32(bytes, at + AT.window))
      this.#pump(subscriber)
    } else if (kind === KIND.CANCEL) {
      this.#end(subscriber, 'CANCELLED')
    }
  }

  lost(from: Port, id: number): void {
    const subscriber = this.#subscribers.get(from)?.get(id)
    if (subscriber) this.#forget(subscriber)
    this.#assemblies.delete(from)
    this.#unfinished.delete(from)
  }

  /** The peer's outbox takes more: what waited for that, and not for credit, goes on. */
  drained(port: Port): void {
    for (const subscriber of this.#subscribers.get(port)?.values() ?? NOBODY) {
      if (subscriber.queue.length > 0) this.#pump(subscriber)
    }
  }

  /** A port has gone; holds on its reading mean nothing any more. */
  remove(port: Port): void {
    for (const subscriber of [...(this.#subscribers.get(port)?.values() ?? [])]) this.#forget(subscriber)
    this.#assemblies.delete(port)
    this.#unfinished.delete(port)
    for (const topic of this.#topics.values()) {
      for (const subscriber of topic.subscriptions) subscriber.held.delete(port)
    }
  }

  /** A publication in fragments is called off by its publisher. */
  #cutShort(from: Port, id: number): void {
    if (!this.#assemblies.get(from)?.drop(id, false)) return
    this.#unfinished.get(from)?.delete(id)
    from.madeTo[slotOf(id)] = undefined
  }

  #fragment(from: Port, id: number, bytes: Uint8Array, at: number): void {
    const assembled = this.#assemblies.get(from)?.add(bytes, at, readU32(bytes, at + AT.bytes))
    if (assembled === 'bad') from.link.violation()
    if (!assembled || typeof assembled === 'string') return
    const route = this.#unfinished.get(from)?.get(id)
    this.#unfinished.get(from)?.delete(id)
    from.madeTo[slotOf(id)] = undefined
    const name = route?.methods[readU16(assembled.header, AT.method)]?.name
    if (name !== undefined) this.#publish(from, name, assembled.header, 0, assembled.payload)
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      topic = { name, sequence: this.#forgotten, subscriptions: new Set() }
      this.#topics.set(name, topic)
    }
    if (topic.subscriptions.size === 0) this.#idleNow(topic)
    return topic
  }

  /** Nobody subscribes to a topic now; of such only those are kept that were used last. */
  #idleNow(topic: Topic): void {
    this.#idle.delete(topic)
    this.#idle.add(topic)
    if (this.#idle.size <= MAX_IDLE_TOPICS) return
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest)
      this.#topics.delete(oldest.name)
      this.#forgotten = Math.max(this.#forgotten, oldest.sequence)
      return
    }
  }

  #subscribe(from: Port, id: number, name: string, lane: number, bytes: Uint8Array, at: number): void {
    const slot = slotOf(id)
    from.madeIds[slot] = id
    from.madeTo[slot] = this
    const isEmpty = readU32(bytes, at + AT.payloadBytes) === 0
    const body = isEmpty ? {} : readBody(bytes, at)
    if (!body || !this.#host.manifest.maySubscribe(this.#host.subjectOf(from), name)) {
      from.refused++
      from.madeTo[slot] = undefined
      this.#host.bare(from, id, 'PERMISSION_DENIED', 'not-sent', name)
      return
    }
    const topic = this.#topic(name)
    const sender = new Sender(from.link.outbox, lane, id, readU32(bytes, at + AT.window))
    const subscriber: Subscriber = {
      port: from,
      id,
      topic,
      lane,
      overflow: overflowFor(from, 'overflow' in body ? body.overflow : undefined),
      sender,
      traffic: this.#host.traffic.row('topics', from.info.id, name),
      queue: [],
      queuedBytes: 0,
      dropped: 0,
      held: new Set(),
      pumping: false,
    }
    sender.onidle = () => this.#pump(subscriber)
    topic.subscriptions.add(subscriber)
    this.#idle.delete(topic)
    let own = this.#subscribers.get(from)
    if (!own) {
      own = new Map()
      this.#subscribers.set(from, own)
    }
    own.set(id, subscriber)
    from.link.control(KIND.PROGRESS, 0, id, 0, 0, FLAG.ANSWER)
    this.tap?.emit('subscribe', from.info.id, 'topics', name, lane, 0)
  }

  #publish(from: Port, name: string, header: Uint8Array, at: number, payload: Uint8Array): void {
    const headBytes = padded(readU16(header, at + AT.headBytes))
    if (headBytes > payload.length) return
    const topic = this.#topic(name)
    const row = this.#host.traffic.row(from.info.id, 'topics', name)
    row.oneWay++
    row.bytes += payload.length
    if (this.tap !== undefined) {
      const flags = header[at + AT.flags] as number
      this.tap.emit('publish', from.info.id, 'topics', name, flags, payload.length)
    }
    const publication: Publication = {
      payload: headBytes === 0 ? payload : payload.subarray(headBytes),
      segments: readU16(header, at + AT.segments),
      source: sourceEntry(from),
      id: ++this.published,
      sequence: ++topic.sequence,
      key: headBytes === 0 ? undefined : keyOf(payload.subarray(0, headBytes)),
      bytes: payload.length,
    }
    for (const subscriber of topic.subscriptions) this.#deliver(subscriber, publication, from)
  }

  #deliver(subscriber: Subscriber, event: Publication, from: Port): void {
    if (subscriber.queue.length > 0) this.#pump(subscriber)
    if (subscriber.queue.length === 0 && this.#send(subscriber, event)) return
    const size = event.bytes
    const { overflow } = subscriber
    if (overflow === 'conflate' && event.key !== undefined) {
      const at = subscriber.queue.findIndex((waiting) => waiting.key === event.key)
      if (at >= 0) {
        const old = subscriber.queue.splice(at, 1)[0]
        this.#queued(subscriber, -(old?.bytes ?? 0))
        this.#drop(subscriber)
      }
    }
    const full = this.#isFull(subscriber, size)
    if (full && overflow === 'error') {
      this.#end(subscriber, 'OVERFLOW')
      return
    }
    if (full && (overflow === 'drop-newest' || overflow === 'block')) {
      this.#drop(subscriber)
      return
    }
    while (subscriber.queue.length > 0 && this.#isFull(subscriber, size)) {
      this.#shift(subscriber)
      this.#drop(subscriber)
    }
    if (this.#isOverBudget(subscriber, size)) {
      this.#drop(subscriber)
      return
    }
    subscriber.queue.push(event)
    this.#queued(subscriber, size)
    if (
      overflow === 'block' &&
      isHigh(subscriber) &&
      !subscriber.held.has(from) &&
      from !== subscriber.port
    ) {
      subscriber.held.add(from)
      from.hold()
    }
  }

  #isFull(subscriber: Subscriber, size: number): boolean {
    const { queue, queuedBytes } = subscriber
    return (
      queue.length >= QUEUE_CAPACITY ||
      queuedBytes + size > SUBSCRIPTION_QUEUE_BYTES ||
      this.#isOverBudget(subscriber, size)
    )
  }

  /** Whether all subscriptions of the peer together, or all that waits in the hub, would be too much. */
  #isOverBudget({ port }: Subscriber, size: number): boolean {
    return (
      port.eventBytes + size > port.limits.queueBytes / 2 ||
      this.#host.budget.queuedBytes + size > HUB_QUEUE_BYTES
    )
  }

  #shift(subscriber: Subscriber): void {
    this.#queued(subscriber, -(subscriber.queue.shift()?.payload.length ?? 0))
  }

  #queued(subscriber: Subscriber, bytes: number): void {
    subscriber.queuedBytes += bytes
    subscriber.port.eventBytes += bytes
    this.#host.budget.queuedBytes += bytes
  }

  #drop(subscriber: Subscriber): void {
    subscriber.dropped++
    subscriber.traffic.dropped++
  }

  /** Sends what waits, as far as credit goes. */
  #pump(subscriber: Subscriber): void {
    // Writing an event may empty the outbox, which asks for the next.
    if (subscriber.pumping) return
    subscriber.pumping = true
    while (subscriber.queue.length > 0) {
      const event = subscriber.queue[0]
      if (!event || !this.#send(subscriber, event)) break
      this.#shift(subscriber)
    }
    subscriber.pumping = false
    if (subscriber.held.size > 0 && isLow(subscriber)) this.#unhold(subscriber)
  }

  /** Reads the publishers again; what they send at once may hold them once more. */
  #unhold(subscriber: Subscriber): void {
    const held = [...subscriber.held]
    subscriber.held.clear()
    for (const port of held) port.unhold()
  }

  /** Writes an event to a subscriber, or says that it has to wait. */
  #send(subscriber: Subscriber, event: Publication): boolean {
    const { port, sender } = subscriber
    const { outbox } = port.link
    const headBytes = EVENT_BYTES + event.source.length
    const payloadBytes = headBytes + event.payload.length
    if (sender.busy || port.full) return false
    const flags = FLAG.ANSWER | subscriber.lane
    if (payloadBytes > FRAGMENT_BYTES) {
      if (sender.credit <= 0) return false
      const head = new Uint8Array(headBytes)
      writeHead(head, 0, subscriber, event)
      const parts = [head, event.payload]
      sender.add({
        kind: KIND.ITEM,
        flags,
        method: 0,
        route: 0,
        timeLeft: 0,
        window: 0,
        headBytes,
        segments: event.segments,
        parts,
        payloadBytes,
      })
    } else {
      if (sender.credit < creditOf(payloadBytes)) return false
      sender.credit -= creditOf(payloadBytes)
      const frameBytes = HEADER_BYTES + padded(payloadBytes)
      const at = outbox.room(frameBytes)
      const { slab } = outbox
      writeHeader(
        slab,
        at,
        frameBytes,
        KIND.ITEM,
        flags,
        0,
        subscriber.id,
        0,
        0,
        0,
        payloadBytes,
        headBytes,
        event.segments,
      )
      writeHead(slab, at + HEADER_BYTES, subscriber, event)
      slab.set(event.payload, at + HEADER_BYTES + headBytes)
      slab.fill(0, at + HEADER_BYTES + payloadBytes, at + frameBytes)
      outbox.commit(at, at + frameBytes, subscriber.lane, false)
    }
    subscriber.traffic.items++
    subscriber.traffic.bytes += payloadBytes
    if (this.tap !== undefined) {
      this.tap.emit('event', 'topics', port.info.id, subscriber.topic.name, subscriber.lane, payloadBytes)
    }
    return true
  }

  #end(subscriber: Subscriber, reason: ReasonName): void {
    this.#forget(subscriber)
    subscriber.port.madeTo[slotOf(subscriber.id)] = undefined
    this.#host.bare(subscriber.port, subscriber.id, reason, 'unknown', subscriber.topic.name)
  }

  #forget(subscriber: Subscriber): void {
    const { topic } = subscriber
    topic.subscriptions.delete(subscriber)
    if (topic.subscriptions.size === 0) this.#idleNow(topic)
    const own = this.#subscribers.get(subscriber.port)
    own?.delete(subscriber.id)
    if (own?.size === 0) this.#subscribers.delete(subscriber.port)
    subscriber.sender.clear()
    this.#queued(subscriber, -subscriber.queuedBytes)
    subscriber.queue = []
    this.#unhold(subscriber)
  }

  /** What each subscription has waiting and has lost. */
  stats(): { topic: string; subscriber: string; queued: number; queuedBytes: number; dropped: number }[] {
    return [...this.#topics.values()].flatMap((topic) =>
      [...topic.subscriptions].map(({ port, queue, queuedBytes, dropped }) => ({
        topic: topic.name,
        subscriber: port.info.id,
        queued: queue.length,
        queuedBytes,
        dropped,
      })),
    )
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

function writeHead(bytes: Uint8Array, at: number, subscriber: Subscriber, event: Publication): void {
  writeEvent(bytes, at, event.id, event.sequence, subscriber.dropped)
  bytes.set(event.source, at + EVENT_BYTES)
}

/** The conflation key of a publication; one that is too long conflates nothing. */
function keyOf(head: Uint8Array): string | undefined {
  const key = textOf(head, TAG.KEY)
  return key !== undefined && key.length <= MAX_KEY_BYTES ? key : undefined
}
