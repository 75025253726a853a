import { isPattern, matches, prefixesOf, prefixOf } from '../core/pattern.ts'
import { TAG, textEntry } from '../wire/head.ts'
import { KeptEvents, type ReplayLog } from './replayLog.ts'
import type { Subscriber } from './subscriber.ts'

/** Topics that nobody subscribes to by name whose sequences are kept. */
const MAX_IDLE_TOPICS = 1024

/** Subscriptions that share the events of a topic. */
export interface Group {
  readonly name: string
  readonly members: Subscriber[]
  /** Who comes first among equals. */
  turn: number
}

/** Who gets the events of a topic. */
interface Audience {
  readonly each: readonly Subscriber[]
  readonly groups: readonly Group[]
  /** The patterns that it was made of. */
  readonly version: number
}

/** A name that events are published under. */
export interface Topic {
  readonly name: string
  sequence: number
  /** Subscriptions by this name. */
  readonly direct: Set<Subscriber>
  readonly kept: KeptEvents
  /** Events before this number are not counted in its sequence alone: the topic had been forgotten. */
  readonly since: number
  audience: Audience | undefined
  entry: Uint8Array | undefined
}

/** The TOPIC entry of heads. */
export function topicEntry(topic: Topic): Uint8Array {
  topic.entry ??= textEntry(TAG.TOPIC, topic.name)
  return topic.entry
}

/**
 * Topics by name, and who gets their events. A topic remembers its audience until a subscription of it, or of any
 * pattern, begins or ends; patterns are found by what a name begins with, so none is looked at in vain.
 */
export class TopicIndex {
  readonly #topics = new Map<string, Topic>()
  /** Topics that nobody subscribes to by name, the one used longest ago first. */
  readonly #idle = new Set<Topic>()
  /** Subscriptions of patterns, by what the names begin with. */
  readonly #patterns = new Map<string, Set<Subscriber>>()
  readonly #log: ReplayLog
  /** Whether a pattern's subscriber may have the events of a topic. */
  readonly #may: (subscriber: Subscriber, topic: string) => boolean
  #version = 0
  /** Over all topics that were forgotten: no sequence goes back, and no event before this number is kept. */
  #forgotten = { sequence: 0, number: 0 }

  constructor(log: ReplayLog, may: (subscriber: Subscriber, topic: string) => boolean) {
    this.#log = log
    this.#may = may
  }

  /** The number up to which events may have been of topics that are forgotten by now. */
  get forgottenNumber(): number {
    return this.#forgotten.number
  }

  /** The topic of a name. @param number of the newest event of the hub. */
  get(name: string, number: number): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      const { sequence, number: since } = this.#forgotten
      const kept = new KeptEvents(this.#log.boundsFor(name), since)
      topic = { name, sequence, direct: new Set(), kept, since, audience: undefined, entry: undefined }
      this.#topics.set(name, topic)
    }
    if (topic.direct.size === 0) this.#idleNow(topic, number)
    return topic
  }

  /** Nobody subscribes to it by name now; of such topics only those are kept that were used last. */
  #idleNow(topic: Topic, number: number): void {
    this.#idle.delete(topic)
    this.#idle.add(topic)
    if (this.#idle.size <= MAX_IDLE_TOPICS) return
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest)
      this.#topics.delete(oldest.name)
      this.#log.forget(oldest.kept)
      this.#forgotten = { sequence: Math.max(this.#forgotten.sequence, oldest.sequence), number }
      return
    }
  }

  /** Topics that a pattern matches; those that begin with `$` only if it does. */
  *matching(pattern: string): Generator<Topic> {
    for (const topic of this.#topics.values()) if (isMatch(pattern, topic.name)) yield topic
  }

  add(subscriber: Subscriber): void {
    const { topic, name } = subscriber
    if (topic) {
      topic.direct.add(subscriber)
      topic.audience = undefined
      this.#idle.delete(topic)
      return
    }
    const prefix = prefixOf(name)
    const known = this.#patterns.get(prefix)
    if (known) known.add(subscriber)
    else this.#patterns.set(prefix, new Set([subscriber]))
    this.#version++
  }

  delete(subscriber: Subscriber, number: number): void {
    const { topic, name } = subscriber
    if (topic) {
      topic.direct.delete(subscriber)
      topic.audience = undefined
      if (topic.direct.size === 0) this.#idleNow(topic, number)
      return
    }
    const prefix = prefixOf(name)
    const known = this.#patterns.get(prefix)
    known?.delete(subscriber)
    if (known?.size === 0) this.#patterns.delete(prefix)
    this.#version++
  }

  audience(topic: Topic): Audience {
    if (topic.audience?.version !== this.#version) topic.audience = this.#audience(topic)
    return topic.audience
  }

  #audience(topic: Topic): Audience {
    const each: Subscriber[] = []
    const groups = new Map<string, Group>()
    const add = (subscriber: Subscriber): void => {
      const { group } = subscriber
      const known = group === undefined ? undefined : groups.get(group)
      if (group === undefined) each.push(subscriber)
      else if (known) known.members.push(subscriber)
      else groups.set(group, { name: group, members: [subscriber], turn: 0 })
    }
    topic.direct.forEach(add)
    if (this.#patterns.size > 0) {
      for (const prefix of prefixesOf(topic.name)) {
        if (prefix === '' && topic.name.startsWith('$')) continue
        for (const subscriber of this.#patterns.get(prefix) ?? []) {
          if (this.#may(subscriber, topic.name)) add(subscriber)
        }
      }
    }
    return { each, groups: [...groups.values()], version: this.#version }
  }
}

function isMatch(pattern: string, name: string): boolean {
  return isPattern(pattern) && matches(pattern, name) && (pattern.startsWith('$') || !name.startsWith('$'))
}
