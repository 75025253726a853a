// Wraps Gatherer: messages that wait for one another, ten of them or 16 ms.
import type { Clock } from '../../core/clock.ts'
import { GatherCounts, Gatherer } from '../../policies/gatherer.ts'
import { count, positive, readOptions, time } from '../../policies/options.ts'
import { UNTRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'
import { ProcessMessage } from './processMessage.ts'

export interface MessageBatcherOptions {
  /** Messages of one batch; default 10. */
  readonly batchSize?: number
  /** Longest that a message waits for others; default 16. */
  readonly flushMs?: number
  readonly clock?: Clock
}

const BATCH = 'message_batch'
/** So that a batch is no larger than what every peer may send. */
const BATCH_BYTES = 0.9 * UNTRUSTED_MESSAGE_BYTES

export class MessageBatcher {
  readonly #gatherer: Gatherer<ProcessMessage, void>

  /** @param send sends one message, `message_batch`, which holds the others: {@link MessageBatcher.messagesOf}. */
  constructor(send: (batch: ProcessMessage) => unknown, options?: MessageBatcherOptions) {
    const { batchSize, flushMs, clock } = readOptions('MessageBatcher', options, {
      batchSize: count(10),
      flushMs: positive(16),
      clock: time(),
    })
    const run = async (messages: readonly ProcessMessage[]) => {
      const lines = messages.map((message) => [message.getName(), message.getArgumentList().values])
      await send(ProcessMessage.from(BATCH, [lines]))
      return messages.map(() => ({ value: undefined }))
    }
    const gather = { maxSize: batchSize, maxDelayMs: flushMs, clock, patient: true }
    this.#gatherer = new Gatherer(run, gather, new GatherCounts(), BATCH_BYTES)
  }

  /** Settles when its batch was sent; rejects with what `send` threw. Who does not look at it misses nothing else. */
  queueMessage(message: ProcessMessage): Promise<void> {
    const sent = this.#gatherer.add(message, message.getSize())
    sent.catch(() => {})
    return sent
  }

  /** Sends what waits, now. */
  flush(): Promise<void> {
    return this.#gatherer.flush()
  }

  /**
   * The messages in a batch that came, in their order; of any other message, that one.
   * @throws ViaductError INVALID_ARGUMENT / BAD_METHOD, INVALID_INPUT: nothing of a batch counts unless all of it does.
   */
  static messagesOf(batch: ProcessMessage): ProcessMessage[] {
    if (batch.getName() !== BATCH) return [batch]
    return batch
      .getArgumentList()
      .getList(0)
      .map((line) => {
        const [name, args]: readonly unknown[] = Array.isArray(line) ? line : []
        // A batch in a batch is no message's name either.
        return ProcessMessage.from(typeof name === 'string' && name !== BATCH ? name : '', args)
      })
  }
}
