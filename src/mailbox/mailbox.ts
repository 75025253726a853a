import { ViaductError } from '../wire/errors.ts'
import { closed } from './acknowledgements.ts'
import { DeadLetters } from './deadLetters.ts'
import {
  type MailboxEvents,
  type MailboxOptions,
  type MailboxSettings,
  type MailHandler,
  type ReceiveOptions,
  readMailboxOptions,
  readReceiveOptions,
  type SendOptions,
  type StoreKind,
  type WaitForAckOptions,
} from './options.ts'
import { Receiver } from './receiver.ts'
import { Sender } from './sender.ts'
import { openSite, type Site } from './site.ts'
import type { ReceiverStats } from './station.ts'
import type { Outbox } from './store.ts'

export interface MailboxStats extends Partial<ReceiverStats> {
  /** Stored and not over, and their bytes; about. */
  readonly stored: { readonly messages: number; readonly bytes: number }
  /** Messages whose acknowledgement this instance waits for. */
  readonly pendingAcks: number
}

/** One mailbox: a folder that processes send messages to and that one of them at a time receives from. */
export class Mailbox {
  readonly #settings: MailboxSettings
  readonly #site: Site
  readonly #sender: Sender
  readonly #deadLetters: DeadLetters
  #receiver: Receiver | undefined
  #closing: Promise<void> | undefined

  private constructor(settings: MailboxSettings, site: Site, outbox: Outbox, sender: Sender) {
    this.#settings = settings
    this.#site = site
    this.#sender = sender
    this.#deadLetters = new DeadLetters({ ...settings, folder: site.folder, to: outbox })
  }

  /**
   * Opens a mailbox, or makes it.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / STORE_MISMATCH, NETWORK_FILE_SYSTEM
   */
  static async open(options: MailboxOptions): Promise<Mailbox> {
    const settings = readMailboxOptions(options)
    const site = await openSite(settings)
    const outbox = await site.outbox()
    const sender = new Sender(outbox, settings, () => site.receiverPid())
    await sender.lookUp()
    return new Mailbox(settings, site, outbox, sender)
  }

  get group(): string {
    return this.#settings.group
  }

  get store(): StoreKind {
    return this.#settings.store
  }

  /** The process that receives, to be shown: it may be another one by then. Undefined: none is known to. */
  get receiverPid(): number | undefined {
    return this.#site.receiverPid()
  }

  /** What was given up. */
  get deadLetters(): DeadLetters {
    return this.#deadLetters
  }

  /**
   * Stores a message; resolves to its id when it is as durable as the mailbox was opened for.
   *
   * @param payload what JSON holds
   * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE, MESSAGE_TOO_LARGE · RESOURCE_EXHAUSTED / MAILBOX_FULL,
   * DISK_FULL, TOO_MANY_ACKS · UNAVAILABLE / DISK_FAILED, CLOSED
   */
  send(type: string, payload: unknown, options?: SendOptions): Promise<string> {
    return this.#sender.send(type, payload, 'json', options)
  }

  /** As `send`, of bytes in the body codec of the wire, which are the mailbox's from here on. */
  sendBody(type: string, body: Uint8Array, options?: SendOptions): Promise<string> {
    return this.#sender.send(type, body, 'body', options)
  }

  /**
   * Resolves when the receiver has done a message that this instance sent with `requiresAck`.
   *
   * @throws ViaductError DEADLINE_EXCEEDED / ACK_TIMEOUT · CANCELLED · NOT_FOUND · UNAVAILABLE / CLOSED
   */
  async waitForAck(id: string, options?: WaitForAckOptions): Promise<void> {
    await this.#sender.waitForAck(id, options)
  }

  /** The returned function ends it. */
  on<E extends keyof MailboxEvents>(event: E, listener: MailboxEvents[E]): () => void {
    return this.#sender.on(event, listener)
  }

  /**
   * Begins to receive. A mailbox has one active receiver; this one stands by while another one has it, here or in
   * another process: see `ready`.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / RECEIVING while this instance does so
   */
  async receive(handler: MailHandler, options?: ReceiveOptions): Promise<Receiver> {
    if (this.#closing) throw closed()
    if (typeof handler !== 'function') {
      throw new ViaductError('INVALID_ARGUMENT', 'receive: give a function that handles a message', {
        reason: 'BAD_OPTION',
        path: 'handler',
      })
    }
    const settings = readReceiveOptions(options)
    if (this.#receiver && !this.#receiver.isStopped) {
      const text = `this instance of mailbox ${this.group} receives already: stop that receiver, or open another instance`
      throw new ViaductError('FAILED_PRECONDITION', text, { reason: 'RECEIVING' })
    }
    const { clock, nowMs, log, group } = this.#settings
    const takeOver = (signal: AbortSignal) => {
      this.#deadLetters.forget()
      return this.#site.takeOver(settings, this.#deadLetters, signal)
    }
    const receiver = new Receiver(handler, settings, { clock, nowMs, log, group, takeOver })
    this.#receiver = receiver
    receiver.begin()
    return receiver
  }

  async stats(): Promise<MailboxStats> {
    const stored = await this.#sender.usage()
    return { ...this.#receiver?.stats(), stored, pendingAcks: this.#sender.pendingAcks }
  }

  /** Stops receiving; settles when all that was sent is stored, or refused. Those who wait are told CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.#receiver?.stop()
    } finally {
      await this.#sender.close()
    }
  }
}
