// Wraps the pattern language of rules and the families' schemas: which message may come from whom, of what form and size.
import type { PeerInfo } from '../../core/call.ts'
import { matches } from '../../core/pattern.ts'
import { count, given, readOptions } from '../../policies/options.ts'
import { TRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'
import { fitsFamily } from './familyMessages.ts'
import { MessageBatcher } from './messageBatcher.ts'
import type { ProcessMessage } from './processMessage.ts'
import { spellingsOf } from './spellings.ts'

/** Names of messages, or patterns as `ai.*`, by the type or id of who may send them. */
export interface AllowedMessages {
  readonly [source: string]: readonly string[]
}

export interface MessageValidatorOptions {
  /** Default 10 MiB, S1's. */
  readonly maxBytes?: number
  /** Told why a message was refused, in S1's words. */
  readonly log?: (text: string) => void
}

export class MessageValidator {
  readonly #allowed: AllowedMessages
  readonly #maxBytes: number
  readonly #log: ((text: string) => void) | undefined

  constructor(allowed: AllowedMessages, options?: MessageValidatorOptions) {
    const { maxBytes, log } = readOptions('MessageValidator', options, {
      maxBytes: count(TRUSTED_MESSAGE_BYTES),
      log: given<MessageValidatorOptions['log']>(undefined, 'a function'),
    })
    this.#allowed = allowed
    this.#maxBytes = maxBytes
    this.#log = log
  }

  /**
   * Whether the message, and each message of a batch, may come from there, is of its form and not too large.
   *
   * @param source who sent it: the `peer` of a handler's call, which the hub vouches for, or a type of process.
   */
  validateMessage(message: ProcessMessage, source: PeerInfo | string): boolean {
    if (!this.#mayCome(message, source)) return false
    if (message.getSize() > this.#maxBytes) return this.#refused('Message too large', message)
    try {
      return MessageBatcher.messagesOf(message).every(
        (one) =>
          (one === message || this.#mayCome(one, source)) &&
          (fitsFamily(one) || this.#refused('Invalid message structure', one)),
      )
    } catch {
      return this.#refused('Invalid message structure', message)
    }
  }

  #mayCome(message: ProcessMessage, source: PeerInfo | string): boolean {
    const names = spellingsOf(message.getName())
    const sources = typeof source === 'string' ? [source] : [source.type, source.id]
    const rules = sources.flatMap((one) =>
      Object.hasOwn(this.#allowed, one) ? (this.#allowed[one] ?? []) : [],
    )
    const may = rules.some((rule) => names.some((name) => matches(rule, name)))
    return may || this.#refused('Unauthorized message', message)
  }

  #refused(why: string, message: ProcessMessage): false {
    this.#log?.(`${why}: ${message.getName()}`)
    return false
  }
}
