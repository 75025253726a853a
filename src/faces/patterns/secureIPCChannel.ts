// Wraps codecs: messages that only the other end can read, and that prove who said them.
import { codecs } from '../../codecs/codecs.ts'
import type { Keyring } from '../../codecs/keyring.ts'
import type { Client } from '../../contract/client.ts'
import { contract, method } from '../../contract/contract.ts'
import type { ContractOf } from '../../contract/entries.ts'
import type { Peer } from '../../contract/peer.ts'
import type { OutputOf } from '../../contract/schema.ts'
import { anything, record, text } from '../../contract/shape.ts'
import type { CallContext, PeerInfo, Serving } from '../../core/call.ts'
import type { Interceptor } from '../../core/interceptor.ts'
import { nodePrimitives } from '../../host/crypto.ts'

const secureMessage = record({ type: text(200), data: anything() })

/** What rules name: `secure.message`. The type of a message is sealed as its data is. */
const secure = contract('secure', {
  message: method({
    input: secureMessage,
    output: anything(),
    sealed: true,
    signed: true,
  }),
})
type Secure = typeof secure extends ContractOf<infer E> ? E : never

export interface SecureIPCChannelOptions {
  /** The one process that can read what is sent. Default: the far end of the link. */
  readonly target?: { readonly id: string }
}

export class SecureIPCChannel {
  readonly #peer: Peer
  readonly #policies: readonly Interceptor[]
  readonly #api: Client<Secure>

  /** @param keys of this process, as `keyring()` of `viaduct/codecs` makes them. */
  constructor(peer: Peer, keys: Keyring, { target }: SecureIPCChannelOptions = {}) {
    this.#peer = peer
    this.#policies = [codecs({ primitives: nodePrimitives, keys })]
    this.#api = peer.client(secure, target, { policies: this.#policies })
  }

  /**
   * Sends to the target; the promise is of what its handler returns.
   *
   * It rejects as calls of sealed methods do: UNAUTHENTICATED / KEY_UNKNOWN, TAMPERED · ABORTED / REPLAYED · …
   */
  sendSecureMessage(messageType: string, data: unknown): Promise<unknown> {
    return this.#api.message({ type: messageType, data })
  }

  /**
   * Takes what others send, opened; who sent it is proved by its signature. What came in the open, was changed or came
   * before reaches no handler.
   *
   * @throws ViaductError ALREADY_EXISTS when this process takes secure messages already.
   */
  receiveSecureMessage(handler: (messageType: string, data: unknown, source: PeerInfo) => unknown): Serving {
    const message = (
      { type, data }: OutputOf<typeof secureMessage>,
      { peer }: Pick<CallContext, 'peer'>,
    ): unknown => {
      return handler(type, data, peer)
    }
    return this.#peer.serve(secure, { message }, { policies: this.#policies })
  }
}
