import type { ItemFlow } from '../core/pump.ts'
import { ViaductError } from '../wire/errors.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES } from '../wire/limits.ts'
import { payloadOf } from './body.ts'
import type { Link } from './link.ts'
import type { Flow, Message } from './outbox.ts'

/** Puts values into messages. */
export interface Speaker {
  /** Whether so much waits that nothing new may be begun. */
  full(): boolean
  /**
   * The message with a value as its payload.
   *
   * @throws ViaductError of what cannot be sent, or RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
   */
  made(message: Message, value: unknown, head?: Uint8Array): Message & { readonly payload: Uint8Array }
  /** Writes such a message behind what its flow has to say. */
  say(flow: Flow, message: Message, value: unknown, head?: Uint8Array): void
  /**
   * The way of an exchange's items, for a pump.
   *
   * @param message each item's, without its payload.
   * @param refused the error of one that cannot be sent.
   */
  itemFlow(flow: Flow, message: Message, refused: (error: unknown) => unknown): ItemFlow
}

/** @param messageBytes the longest message that may be sent, before the far end has said what it takes. */
export function speakerOver(link: Link, messageBytes: number, queueBytes: number): Speaker {
  const { outbox } = link

  const made: Speaker['made'] = (message, value, head) => {
    const parts = payloadOf(value, head)
    const isProgress = message.kind === KIND.PROGRESS
    const most = isProgress ? FRAGMENT_BYTES : Math.min(messageBytes, link.farMessageBytes() || messageBytes)
    if (parts.payload.length > most) {
      throw new ViaductError(
        'RESOURCE_EXHAUSTED',
        `${isProgress ? 'progress' : 'value'}: over the receiver’s limit of ${most} bytes; send it as a stream`,
        { reason: 'MESSAGE_TOO_LARGE', fate: message.kind === KIND.CALL ? 'not-sent' : 'unknown' },
      )
    }
    return { ...message, ...parts }
  }
  const say: Speaker['say'] = (flow, ...spoken) => outbox.write(flow, made(...spoken))

  return {
    full: () => outbox.held() > queueBytes / 2,
    made,
    say,
    itemFlow: (flow, message, refused) => ({
      send(item) {
        try {
          say(flow, message, item)
        } catch (error) {
          throw refused(error)
        }
      },
      isHeld: () => flow.waiting.length > 0 || flow.credit <= 0 || outbox.congested(),
      whenFree(resume) {
        flow.onidle = resume
        if (flow.waiting.length === 0 && flow.credit > 0) outbox.whenRoom(resume)
      },
    }),
  }
}
