// Wraps Peer.publish and Peer.subscribe: events by name, to functions.
import { type Listening, listen } from '../../contract/listen.ts'
import type { Peer } from '../../contract/peer.ts'
import { topicNamed } from '../../contract/topicNamed.ts'
import { given, readOptions } from '../../policies/options.ts'

export interface IPCEventBusOptions {
  /** Told what a handler threw, or what ended a subscription. Default: a line on stderr. */
  readonly onError?: (error: unknown, eventType: string) => void
}

export class IPCEventBus {
  readonly #peer: Pick<Peer, 'publish' | 'subscribe'>
  readonly #onError: (error: unknown, eventType: string) => void

  constructor(peer: Pick<Peer, 'publish' | 'subscribe'>, options?: IPCEventBusOptions) {
    const { onError } = readOptions('IPCEventBus', options, {
      onError: given(
        (error: unknown, type: string) => console.error(`IPCEventBus: ${type}:`, error),
        'a function',
      ),
    })
    this.#peer = peer
    this.#onError = onError
  }

  /** Calls the handler with each event, of this process too, until the returned function is called. */
  subscribe(eventType: string, handler: (data: unknown) => unknown): Listening {
    return listen(this.#peer.subscribe(topicNamed(eventType)), handler, (error) =>
      this.#onError(error, eventType),
    )
  }

  /** To all processes that subscribe. False when the outbox is full and the event was not taken. */
  publish(eventType: string, data: unknown): boolean {
    return this.#peer.publish(topicNamed(eventType), data)
  }
}
