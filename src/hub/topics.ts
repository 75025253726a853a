import { Assembly } from '../core/assembly.ts'
import { slotOf } from '../core/exchange.ts'
import type { Overflow } from '../core/method.ts'
import { Sender } from '../core/sender.ts'
import { AT, FLAG, KIND, padded, readU16, readU32, writeHeader, writeU16, writeU32 } from '../wire/frame.ts'
import {
  FRAGMENT_BYTES,
  HEADER_BYTES,
  HIGH_WATER_SHARE,
  HUB_QUEUE_BYTES,
  LOW_WATER_SHARE,
  QUEUE_CAPACITY,
  SUBSCRIPTION_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import { readBody } from './linkBody.ts'
import type { Manifest, Subject } from './manifest.ts'
import type { Budget, Gathering, HubRoute, Port } from './port.ts'
import type { Taps } from './tap.ts'
import type { Traffic, TrafficLog } from './traffic.ts'

/** EVENT: tag, length and 28 bytes of value. */
const EVENT_BYTES = 32
const EVENT_TAG = 1
const SOURCE_TAG = 2
const KEY_TAG = 3

/** A publication as it is shared by all its subscribers: everything behind the head. */
interface Publication {
  readonly payload: Uint8Array
  readonly segments: number
  readonly source: Uint8Array
  readonly id: number
  readonly sequence: number
  readonly key: string | undefined
}

interface Topic {
  readonly name: string
  sequence: number
  readonly subscriptions: Set<Subscriber>
}

interface Subscriber {
  readonly port: Port
  readonly id: number
  readonly topic: Topic
  readonly lane: number
  readonly overflow: Overflow
  readonly sender: Sender
  readonly traffic: Traffic
  queue: Publication[]
  queuedBytes: number
  dropped: number
  /** Publishers that are not read because of this subscriber. */
  readonly held: Set<Port>
}

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
    if (!subscriber) return
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

  /** A port has gone; holds on its reading mean nothing any more. */
  remove(port: Port): void {
    for (const subscriber of [...(this.#subscribers.get(port)?.values() ?? [])]) this.#forget(subscriber)
    this.#assemblies.delete(port)
    this.#unfinished.delete(port)
    for (const topic of this.#topics.values()) {
      for (const subscriber of topic.subscriptions) subscriber.held.delete(port)
    }
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
      topic = { name, sequence: 0, subscriptions: new Set() }
      this.#topics.set(name, topic)
    }
    return topic
  }

  #subscribe(from: Port, id: number, name: string, lane: number, bytes: Uint8Array, at: number): void {
    const slot = slotOf(id)
    from.madeIds[slot] = id
    from.madeTo[slot] = this
    const body = readBody(bytes, at)
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
      overflow: overflowFor(from, body.overflow),
      sender,
      traffic: this.#host.traffic.row('topics', from.info.id, name),
      queue: [],
      queuedBytes: 0,
      dropped: 0,
      held: new Set(),
    }
    sender.onidle = () => this.#pump(subscriber)
    topic.subscriptions.add(subscriber)
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
    }
    for (const subscriber of topic.subscriptions) this.#deliver(subscriber, publication, from)
  }

  #deliver(subscriber: Subscriber, event: Publication, from: Port): void {
    if (subscriber.queue.length === 0 && this.#send(subscriber, event)) return
    const size = event.payload.length
    const { overflow } = subscriber
    if (overflow === 'conflate' && event.key !== undefined) {
      const at = subscriber.queue.findIndex((waiting) => waiting.key === event.key)
      if (at >= 0) {
        const old = subscriber.queue.splice(at, 1)[0]
        this.#queued(subscriber, -(old?.payload.length ?? 0))
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

  #isFull({ queue, queuedBytes }: Subscriber, size: number): boolean {
    return (
      queue.length >= QUEUE_CAPACITY ||
      queuedBytes + size > SUBSCRIPTION_QUEUE_BYTES ||
      this.#host.budget.queuedBytes + size > HUB_QUEUE_BYTES
    )
  }

  #shift(subscriber: Subscriber): void {
    this.#queued(subscriber, -(subscriber.queue.shift()?.payload.length ?? 0))
  }

  #queued(subscriber: Subscriber, bytes: number): void {
    subscriber.queuedBytes += bytes
    this.#host.budget.queuedBytes += bytes
  }

  #drop(subscriber: Subscriber): void {
    subscriber.dropped++
    subscriber.traffic.dropped++
  }

  /** Sends what waits, as far as credit goes. */
  #pump(subscriber: Subscriber): void {
    while (subscriber.queue.length > 0) {
      const event = subscriber.queue[0]
      if (!event || !this.#send(subscriber, event)) break
      this.#shift(subscriber)
    }
    if (subscriber.held.size > 0 && isLow(subscriber)) {
      for (const port of subscriber.held) port.unhold()
      subscriber.held.clear()
    }
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
      if (sender.credit < payloadBytes) return false
      sender.credit -= payloadBytes
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
    subscriber.topic.subscriptions.delete(subscriber)
    this.#subscribers.get(subscriber.port)?.delete(subscriber.id)
    subscriber.sender.clear()
    this.#queued(subscriber, -subscriber.queuedBytes)
    subscriber.queue = []
    for (const port of subscriber.held) port.unhold()
    subscriber.held.clear()
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

function isHigh({ queue, queuedBytes }: Subscriber): boolean {
  return (
    queue.length >= QUEUE_CAPACITY * HIGH_WATER_SHARE ||
    queuedBytes >= SUBSCRIPTION_QUEUE_BYTES * HIGH_WATER_SHARE
  )
}

function isLow({ queue, queuedBytes }: Subscriber): boolean {
  return (
    queue.length <= QUEUE_CAPACITY * LOW_WATER_SHARE &&
    queuedBytes <= SUBSCRIPTION_QUEUE_BYTES * LOW_WATER_SHARE
  )
}

/** Only a peer that is trusted to keep up may slow others down. */
const MAY_BLOCK: ReadonlySet<string> = new Set(['hub', 'trusted', 'semi'])

function overflowFor(subscriber: Port, wish: unknown): Overflow {
  const overflow = overflowOf(wish)
  return overflow === 'block' && !MAY_BLOCK.has(subscriber.info.zone) ? 'drop-newest' : overflow
}

function overflowOf(value: unknown): Overflow {
  switch (value) {
    case 'block':
    case 'drop-newest':
    case 'error':
    case 'conflate':
      return value
    default:
      return 'drop-oldest'
  }
}

const sources = new WeakMap<Port, Uint8Array>()

function sourceEntry(port: Port): Uint8Array {
  let entry = sources.get(port)
  if (!entry) {
    const text = new TextEncoder().encode(port.info.id)
    entry = new Uint8Array(padded(4 + text.length))
    writeU16(entry, 0, SOURCE_TAG)
    writeU16(entry, 2, text.length)
    entry.set(text, 4)
    sources.set(port, entry)
  }
  return entry
}

function writeHead(bytes: Uint8Array, at: number, subscriber: Subscriber, event: Publication): void {
  writeU16(bytes, at, EVENT_TAG)
  writeU16(bytes, at + 2, EVENT_BYTES - 4)
  writeU32(bytes, at + 4, 0)
  writeU64(bytes, at + 8, event.id)
  writeU64(bytes, at + 16, event.sequence)
  writeU64(bytes, at + 24, subscriber.dropped)
  bytes.set(event.source, at + EVENT_BYTES)
}

function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 0x1_0000_0000)
  writeU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000))
}

function keyOf(head: Uint8Array): string | undefined {
  for (let at = 0; at + 4 <= head.length; ) {
    const length = readU16(head, at + 2)
    if (readU16(head, at) === KEY_TAG && length <= 64)
      return new TextDecoder().decode(head.subarray(at + 4, at + 4 + length))
    at += padded(4 + length)
  }
  return undefined
}
