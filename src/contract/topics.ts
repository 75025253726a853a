import type { CallOptions, EventInfo, Publisher, Subscription } from '../core/call.ts'
import type { Method } from '../core/method.ts'
import { isViaductError, type ViaductError } from '../wire/errors.ts'
import type { TopicEntry } from './contract.ts'
import type { Definition } from './definition.ts'
import { checked, type Place } from './schema.ts'

/** A topic of a contract, as `pages.opened`. */
export type Topic<Sent = unknown, Received = Sent> = TopicEntry<Sent, Received> & Method

export interface SubscribeOptions extends Omit<CallOptions, 'upload'> {
  /** Check each event's data. Default true: who may publish is not always trusted. */
  readonly validate?: boolean
  /** Told of each event that did not pass; it is left out, so that one publisher cannot end the loop. */
  readonly onInvalid?: (error: ViaductError) => void
}

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
  return new CheckedSubscription(source, topic, validate, onInvalid ?? (() => undefined))
}

class CheckedSubscription implements ContractSubscription<unknown> {
  readonly #source: Subscription
  readonly #schema: Definition['data']
  readonly #validate: boolean
  readonly #onInvalid: (error: ViaductError) => void
  readonly #place: Place
  invalid = 0

  constructor(
    source: Subscription,
    topic: Method & { readonly '~definition': Definition },
    validate: boolean,
    onInvalid: (error: ViaductError) => void,
  ) {
    this.#source = source
    this.#schema = topic['~definition'].data
    this.#validate = validate
    this.#onInvalid = onInvalid
    this.#place = { method: topic.name, part: 'data', code: 'INVALID_ARGUMENT', reason: 'INVALID_DATA' }
  }
  get ready(): Promise<void> {
    return this.#source.ready
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

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    const events = this.#source[Symbol.asyncIterator]()
    return this.#validate ? this.#checkedEvents(events) : events
  }

  #checkedEvents(events: AsyncIterator<unknown>): AsyncIterator<unknown> {
    return {
      next: async () => {
        for (;;) {
          const event = await events.next()
          if (event.done) return event
          try {
            return {
              done: false,
              value: await checked(this.#schema, event.value, this.#place, (good) => good),
            }
          } catch (error) {
            if (!isViaductError(error)) throw error
            this.invalid += 1
            this.#onInvalid(error)
          }
        }
      },
      return: async (value?: unknown) => (await events.return?.(value)) ?? { done: true, value },
    }
  }
}
