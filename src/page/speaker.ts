import { ViaductError } from '../wire/errors.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES } from '../wire/limits.ts'
import { payloadOf } from './body.ts'
import type { Link } from './link.ts'
import type { Flow, Message } from './outbox.ts'

/** Where the items of one direction of an exchange go. */
export interface Pumping {
  readonly flow: Flow
  /** Each item's message, without its payload. */
  readonly message: Message
  /** What an item that cannot be sent is called in its error. */
  refused(error: unknown): unknown
  /** The generator has returned. */
  done(output: unknown): void
  /** It threw, or gave what cannot be sent. */
  failed(error: unknown): void
}

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
   * Sends what an iterable yields as items, as fast as credit and transport allow. The iterable is the pump's until
   * it has ended or was stopped.
   *
   * @returns a function that stops it and lets the generator clean up.
   */
  pump(items: AsyncIterable<unknown> | Iterable<unknown>, pumping: Pumping): () => void
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
    pump(items, { flow, message, refused, done, failed }) {
      let stopped = false
      let wake = (): void => {}
      const iterator =
        Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
      const stop = (): void => {
        if (stopped) return
        stopped = true
        wake()
        // However it takes it: nobody waits for it.
        void (async () => iterator.return?.())().catch(() => {})
      }
      const isHeld = (): boolean => flow.waiting.length > 0 || flow.credit <= 0 || outbox.congested()
      const run = async (): Promise<void> => {
        // Whoever asked for this can stop it before anything of it has run.
        await undefined
        while (!stopped) {
          const result = await iterator.next()
          if (stopped) return
          if (result.done) return done(result.value)
          try {
            say(flow, message, result.value)
          } catch (error) {
            failed(refused(error))
            return stop()
          }
          while (!stopped && isHeld()) {
            await new Promise<void>((resolve) => {
              wake = flow.onidle = resolve
              if (flow.waiting.length === 0 && flow.credit > 0) outbox.whenRoom(resolve)
            })
          }
        }
      }
      void run().catch((error) => {
        if (!stopped) failed(error)
      })
      return stop
    },
  }
}
