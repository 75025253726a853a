import * as FLAG from '../wire/flag.ts'
import { creditOf, padded, writeHeader } from '../wire/frame.ts'
import { EVENT_BYTES, writeEvent } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import {
  FRAGMENT_BYTES,
  HEADER_BYTES,
  HUB_QUEUE_BYTES,
  QUEUE_CAPACITY,
  SUBSCRIPTION_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { Budget, Port } from './port.ts'
import type { Publication } from './publication.ts'
import { isHigh, isLow, loadOf, type Subscriber } from './subscriber.ts'
import type { Taps } from './tap.ts'
import { type Group, topicEntry } from './topicIndex.ts'

export interface DeliveryHost {
  readonly budget: Budget
  now(): number
  /** A subscription fell behind that would rather end than lose an event. */
  overflow(subscriber: Subscriber): void
}

/**
 * Brings events to subscriptions: at once while credit lasts, else through a queue with the overflow that the
 * subscription asked for. Every event that is not sent is counted.
 */
export class Delivery {
  readonly #host: DeliveryHost
  tap: Taps | undefined
  /** Publishers that are read again when the event that is being delivered has come to all. */
  readonly #released: Port[] = []
  #delivering = false

  constructor(host: DeliveryHost) {
    this.#host = host
  }

  /** Delivers in one piece: no other event is published meanwhile, so every subscriber sees the same order. */
  all(event: Publication, each: readonly Subscriber[], groups: readonly Group[], from: Port): void {
    this.#delivering = true
    for (const subscriber of each) if (!subscriber.ended) this.one(subscriber, event, from)
    for (const group of groups) this.#toGroup(group, event, from)
    this.#delivering = false
    for (const port of this.#released.splice(0)) port.unhold()
  }

  /** @returns whether there was a member to have it. */
  #toGroup(group: Group, event: Publication, from: Port | undefined): boolean {
    for (let member = this.#pick(group, event); member; member = this.#pick(group, event)) {
      this.one(member, event, from)
      // One that would rather end than lose an event has ended, and not had it.
      if (!member.ended) return true
    }
    return false
  }

  /** The member with the least to do that can take an event at once; if none can, the one with least waiting. */
  #pick(group: Group, event: Publication): Subscriber | undefined {
    const { members } = group
    const turn = group.turn++
    let free: Subscriber | undefined
    let shortest: Subscriber | undefined
    for (let at = 0; at < members.length; at++) {
      const member = members[(at + turn) % members.length]
      if (!member || member.ended) continue
      if (!shortest || member.queue.length < shortest.queue.length) shortest = member
      if (member.queue.length > 0) this.pump(member)
      if (member.queue.length > 0 || !canTake(member, event)) continue
      if (!free || loadOf(member) < loadOf(free)) free = member
    }
    return free ?? shortest
  }

  /** What waited for a member that has ended goes to another; without one it is lost, and counted. */
  handOver(
    gone: Subscriber,
    events: readonly Publication[],
    groupOf: (event: Publication) => Group | undefined,
  ): void {
    for (const event of events) {
      const group = groupOf(event)
      if (!group || !this.#toGroup(group, event, undefined)) gone.traffic.dropped++
    }
  }

  /** @param from who may be held up; undefined for events of the past. */
  one(subscriber: Subscriber, event: Publication, from: Port | undefined): void {
    const { queue, overflow } = subscriber
    if (queue.length > 0) this.pump(subscriber)
    if (queue.length === 0 && this.#send(subscriber, event)) return
    const size = event.bytes
    if (overflow === 'conflate' && event.key !== undefined) {
      const old = queue.takeKey(event.key)
      if (old) {
        this.#charge(subscriber, -old.bytes)
        this.#drop(subscriber)
      }
    }
    const full = this.#isFull(subscriber, size)
    if (full && overflow === 'error') {
      this.#host.overflow(subscriber)
      return
    }
    if (full && (overflow === 'drop-newest' || overflow === 'block')) {
      this.#drop(subscriber)
      return
    }
    while (queue.length > 0 && this.#isFull(subscriber, size)) {
      this.#shift(subscriber)
      this.#drop(subscriber)
    }
    if (this.#isOverBudget(subscriber, size)) {
      this.#drop(subscriber)
      return
    }
    queue.push(event, overflow === 'conflate')
    this.#charge(subscriber, size)
    if (from && from !== subscriber.port && overflow === 'block' && isHigh(subscriber)) {
      if (subscriber.held.has(from)) return
      subscriber.held.add(from)
      from.hold()
    }
  }

  #isFull(subscriber: Subscriber, size: number): boolean {
    const { queue } = subscriber
    return (
      queue.length >= QUEUE_CAPACITY ||
      queue.bytes + size > SUBSCRIPTION_QUEUE_BYTES ||
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
    const event = subscriber.queue.shift()
    if (event) this.#charge(subscriber, -event.bytes)
  }

  #charge({ port }: Subscriber, bytes: number): void {
    port.eventBytes += bytes
    this.#host.budget.queuedBytes += bytes
  }

  #drop(subscriber: Subscriber): void {
    subscriber.dropped++
    subscriber.traffic.dropped++
  }

  /** Sends what waits, as far as credit goes; what has waited too long is dropped first. */
  pump(subscriber: Subscriber): void {
    // Writing an event may empty the outbox, which asks for the next.
    if (subscriber.pumping) return
    subscriber.pumping = true
    const { queue, maxAgeMs } = subscriber
    const oldest = maxAgeMs === Number.POSITIVE_INFINITY ? maxAgeMs : this.#host.now() - maxAgeMs
    for (let event = queue.first; event !== undefined; event = queue.first) {
      if (maxAgeMs !== Number.POSITIVE_INFINITY && event.at < oldest) this.#drop(subscriber)
      else if (!this.#send(subscriber, event)) break
      this.#shift(subscriber)
    }
    subscriber.pumping = false
    if (subscriber.held.size > 0 && isLow(subscriber)) this.#unhold(subscriber)
  }

  /** Reads the publishers again; what they send at once may hold them once more. */
  #unhold(subscriber: Subscriber): void {
    const held = [...subscriber.held]
    subscriber.held.clear()
    if (this.#delivering) this.#released.push(...held)
    else for (const port of held) port.unhold()
  }

  /** A subscription has ended. @returns what waited for it and was not sent. */
  end(subscriber: Subscriber): Publication[] {
    subscriber.ended = true
    subscriber.sender.clear()
    this.#charge(subscriber, -subscriber.queue.bytes)
    const waiting = subscriber.queue.clear()
    this.#unhold(subscriber)
    return waiting
  }

  /** Writes an event to a subscriber, or says that it has to wait. */
  #send(subscriber: Subscriber, event: Publication): boolean {
    if (!canTake(subscriber, event)) return false
    const { port, sender } = subscriber
    const { outbox } = port.link
    const headBytes = headBytesOf(subscriber, event)
    const payloadBytes = headBytes + event.payload.length
    const flags = FLAG.ANSWER | subscriber.lane
    if (payloadBytes > FRAGMENT_BYTES) {
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
      this.tap.emit('event', 'topics', port.info.id, event.topic.name, subscriber.lane, payloadBytes)
    }
    return true
  }
}

/** Whether credit and room are there for an event; a large one goes as credit comes. */
function canTake(subscriber: Subscriber, event: Publication): boolean {
  const { port, sender } = subscriber
  if (sender.busy || port.full) return false
  const payloadBytes = headBytesOf(subscriber, event) + event.payload.length
  return payloadBytes > FRAGMENT_BYTES ? sender.credit > 0 : sender.credit >= creditOf(payloadBytes)
}

function headBytesOf(subscriber: Subscriber, event: Publication): number {
  const named = subscriber.topic ? 0 : topicEntry(event.topic).length
  return EVENT_BYTES + event.source.length + named
}

function writeHead(bytes: Uint8Array, at: number, subscriber: Subscriber, event: Publication): void {
  writeEvent(bytes, at, event.number, event.sequence, subscriber.dropped)
  bytes.set(event.source, at + EVENT_BYTES)
  if (!subscriber.topic) bytes.set(topicEntry(event.topic), at + EVENT_BYTES + event.source.length)
}
