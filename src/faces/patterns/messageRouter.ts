// Wraps Dispatcher: handlers of messages by name.
import { Dispatcher } from '../../contract/dispatcher.ts'
import type { PeerInfo, Server, Serving } from '../../core/call.ts'
import { untyped } from '../../core/method.ts'
import { handleAll } from '../../core/serving.ts'
import { linkError } from '../../wire/linkError.ts'
import { MessageBatcher } from './messageBatcher.ts'
import type { MessageCompressor } from './messageCompressor.ts'
import type { MessageValidator } from './messageValidator.ts'
import { ProcessMessage } from './processMessage.ts'
import { spellingsOf } from './spellings.ts'

/** @param source who sent it, as the hub says. */
export type MessageHandler = (source: PeerInfo, message: ProcessMessage) => unknown

export interface AttachOptions {
  /** Asked of each message; what it refuses fails at its sender with PERMISSION_DENIED, and reaches no handler. */
  readonly validator?: MessageValidator
  /** Opens compressed messages, which are taken with it and a validator alone: it is asked of what is in them too. */
  readonly compressor?: MessageCompressor
}

export class MessageRouter {
  readonly #dispatcher = new Dispatcher<[source: PeerInfo, message: ProcessMessage]>()

  /**
   * Handles the messages of a name, under either of its spellings, until the returned function is called.
   * @throws ViaductError ALREADY_EXISTS when the name has a handler.
   */
  registerHandler(messageType: string, handler: MessageHandler): () => void {
    return this.#dispatcher.handle(spellingsOf(messageType)[0] ?? messageType, handler)
  }

  /**
   * @returns whether there is a handler; a promise of it when the handler takes time, which rejects with what it
   * throws. The messages of a batch go to their handlers one by one, whatever becomes of the others: true when each
   * has one; the first error when one threw.
   */
  routeMessage(source: PeerInfo, message: ProcessMessage): boolean | Promise<boolean> {
    const messages = MessageBatcher.messagesOf(message)
    if (messages[0] === message) return this.#route(source, message)
    const routed = messages.map(async (one) => this.#route(source, one))
    return Promise.allSettled(routed).then(() => Promise.all(routed).then((each) => each.every(Boolean)))
  }

  #route(source: PeerInfo, message: ProcessMessage): boolean | Promise<boolean> {
    const name = message.getName()
    return this.#dispatcher.dispatch(spellingsOf(name)[0] ?? name, source, message)
  }

  /**
   * Takes from a peer the messages that have a handler now. Batches are taken with a validator alone: the hub's rules
   * see the name of a batch, and not the names in it.
   */
  attach(peer: Server, { validator, compressor }: AttachOptions = {}): Serving {
    const names = this.#dispatcher.names.flatMap(spellingsOf)
    if (validator) names.push('message_batch')
    if (validator && compressor) names.push('compressed_message')
    const take = (message: ProcessMessage, source: PeerInfo): boolean | Promise<boolean> => {
      if (validator && !validator.validateMessage(message, source)) {
        throw linkError('PERMISSION_DENIED', `${message.getName()} of ${source.id}`, 'not-sent')
      }
      if (message.getName() !== 'compressed_message' || !compressor) return this.routeMessage(source, message)
      return compressor.decompress(message).then((opened) => take(opened, source))
    }
    return handleAll(
      peer,
      names.map((name) => [
        untyped(name),
        (input, { peer: source }) => take(ProcessMessage.from(name, input), source),
      ]),
    )
  }
}
