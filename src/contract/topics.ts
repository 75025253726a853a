import type { EventInfo, Publisher, Subscription, SubscriptionOptions, TopicEvent } from '../core/call.ts'
import type { Method } from '../core/method.ts'
import { isNameOrPattern } from '../core/pattern.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import type { Definition } from './definition.ts'
import type { ContractOf, TopicEntry } from './entries.ts'
import { checked, type Place } from './schema.ts'

/** A topic of a contract, as `pages.opened`. */
export type Topic<Sent = unknown, Received = Sent> = TopicEntry<Sent, Received> & Method

export interface SubscribeOptions extends SubscriptionOptions {
  /** Check each event's data. Default true: who may publish is not always trusted. */
  readonly validate?: boolean
  /** Told of each event that did not pass; it is left out, so that one publisher cannot end the loop. */
  readonly onInvalid?: (error: ViaductError) => void
}

/** An event of one of a contract's topics: `key` tells which, and with it the type of its data. */
export type ContractEvent<E> = {
  [K in keyof E]: E[K] extends TopicEntry<infer _Sent, infer Received>
    ? { readonly key: K; readonly topic: string; readonly data: Received }
    : never
}[keyof E]

export interface ContractSubscription<Data> extends Subscription<Data> {
  /** Events left out because their data did not fit the schema. */
  readonly invalid: number
}

/**
 * Publishes an event. What is sent is what the schema accepts; each subscriber checks it.
 * @returns false when the outbox is full and the event was not taken.
 */
export function publish<Sent>(
  publisher: Publisher,
  topic: Topic<Sent, unknown>,
  data: NoInfer<Sent>,
  options?: { readonly key?: string },
): boolean {
  return options === undefined ? publisher.publish(topic, data) : publisher.publish(topic, data, options)
}

/** Subscribes: the events in their order, each checked as it is taken. Leaving the loop ends it. */
export function subscribe<Received>(
  publisher: Publisher,
  topic: Topic<unknown, Received>,
  options?: SubscribeOptions,
): ContractSubscription<Received>
export function subscribe(
  publisher: Publisher,
  topic: Method & { readonly '~definition': Definition },
  { validate = true, onInvalid, ...options }: SubscribeOptions = {},
): ContractSubscription<unknown> {
  const source = publisher.subscribe(topic, options)
  if (!validate) return new CheckedSubscription(source, onInvalid, (event) => event)
  const place = placeOf(topic.name)
  const { data } = topic['~definition']
  return new CheckedSubscription(source, onInvalid, (event) => checked(data, event, place, (good) => good))
}

/**
 * Subscribes to all topics of a contract, or to all whose names match a pattern, `pages.*` or `*`, as far as this
 * peer may. Events of a pattern are not checked: nothing says what their data should be.
 */
export function subscribeAll<E>(
  publisher: Publisher,
  topics: ContractOf<E>,
  options?: SubscribeOptions,
): ContractSubscription<ContractEvent<E>>
export function subscribeAll(
  publisher: Publisher,
  pattern: string,
  options?: SubscribeOptions,
): ContractSubscription<TopicEvent>
export function subscribeAll(
  publisher: Publisher,
  topics: ContractOf | string,
  { validate = true, onInvalid, ...options }: SubscribeOptions = {},
): ContractSubscription<TopicEvent> {
  if (typeof topics === 'string') {
    if (!isNameOrPattern(topics)) {
      throw new ViaductError(
        'INVALID_ARGUMENT',
        `subscribeAll(${JSON.stringify(topics)}): "pages.*" or "*"`,
        {
          reason: 'BAD_SUBSCRIPTION',
        },
      )
    }
    return new CheckedSubscription(publisher.subscribeAll(topics, options), onInvalid, (event) => event)
  }
  const { name, methods } = topics['~contract']
  const source = publisher.subscribeAll(`${name}.*`, options)
  return new CheckedSubscription(source, onInvalid, ({ topic, data }) => {
    const key = topic.slice(name.length + 1)
    const known = methods.get(key)
    if (known?.kind !== 'topic') {
      throw new ViaductError('FAILED_PRECONDITION', `${topic}: this contract has no such topic`, {
        reason: 'SKEW',
      })
    }
    if (!validate) return { key, topic, data }
    return checked(known['~definition'].data, data, placeOf(topic), (good) => ({ key, topic, data: good }))
  })
}

function placeOf(method: string): Place {
  return { method, part: 'data', code: 'INVALID_ARGUMENT', reason: 'INVALID_DATA' }
}

/** A subscription whose events are checked as they are taken; those that do not pass are left out. */
class CheckedSubscription<Event, Passed> implements ContractSubscription<Passed> {
  readonly #source: Subscription<Event>
  readonly #check: (event: Event) => Passed | PromiseLike<Passed>
  readonly #onInvalid: ((error: ViaductError) => void) | undefined
  invalid = 0

  constructor(
    source: Subscription<Event>,
    onInvalid: ((error: ViaductError) => void) | undefined,
    check: (event: Event) => Passed | PromiseLike<Passed>,
  ) {
    this.#source = source
    this.#onInvalid = onInvalid
    this.#check = check
  }
  get ready(): Promise<void> {
    return this.#source.ready
  }
  get lastEventId(): string | undefined {
    return this.#source.lastEventId
  }
  get last(): EventInfo | undefined {
    return this.#source.last
  }
  get dropped(): bigint {
    return this.#source.dropped
  }
  cancel(reason?: unknown): void {
    this.#source.cancel(reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Passed> {
    const events = this.#source[Symbol.asyncIterator]()
    return {
      next: async () => {
        for (;;) {
          const event = await events.next()
          if (event.done) return { done: true, value: undefined }
          try {
            return { done: false, value: await this.#check(event.value) }
          } catch (error) {
            if (!isViaductError(error)) throw error
            this.invalid += 1
            this.#onInvalid?.(error)
          }
        }
      },
      return: async (value?: unknown) => {
        await events.return?.(value)
        return { done: true, value: undefined }
      },
    }
  }
}
