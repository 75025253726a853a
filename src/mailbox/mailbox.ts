import { ViaductError } from '../wire/errors.ts'
import {
  type MailboxEvents,
  type MailboxOptions,
  type MailboxSettings,
  type MailHandler,
  type ReceiveOptions,
  readMailboxOptions,
  type SendOptions,
  type StoreKind,
  type WaitForAckOptions,
} from './options.ts'
import type { Receiver, ReceiverStats } from './receiver.ts'

export interface MailboxStats extends Partial<ReceiverStats> {
  /** Stored and not over, and their bytes; about. */
  readonly stored: { readonly messages: number; readonly bytes: number }
  /** Messages whose acknowledgement this instance waits for. */
  readonly pendingAcks: number
}

/** One mailbox: a folder that processes send messages to and that one of them at a time receives from. */
export class Mailbox {
  readonly #settings: MailboxSettings

  private constructor(settings: MailboxSettings) {
    this.#settings = settings
  }

  /**
   * Opens a mailbox, or makes it.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / STORE_MISMATCH, NETWORK_FILE_SYSTEM
   */
  static async open(options: MailboxOptions): Promise<Mailbox> {
    return new Mailbox(readMailboxOptions(options))
  }

  get group(): string {
    return this.#settings.group
  }

  get store(): StoreKind {
    return this.#settings.store
  }

  /**
   * Stores a message; resolves to its id when it is as durable as the mailbox was opened for.
   *
   * @param payload what JSON holds
   * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE, MESSAGE_TOO_LARGE · RESOURCE_EXHAUSTED / MAILBOX_FULL,
   * DISK_FULL, TOO_MANY_ACKS · UNAVAILABLE / DISK_FAILED, CLOSED
   */
  send(_type: string, _payload: unknown, _options?: SendOptions): Promise<string> {
    return Promise.reject(new ViaductError('UNIMPLEMENTED', 'not yet'))
  }

  /** As `send`, of bytes in the body codec of the wire, which are the mailbox's from here on. */
  sendBody(_type: string, _body: Uint8Array, _options?: SendOptions): Promise<string> {
    return Promise.reject(new ViaductError('UNIMPLEMENTED', 'not yet'))
  }

  /**
   * Resolves when the receiver has done a message that this instance sent with `requiresAck`.
   *
   * @throws ViaductError DEADLINE_EXCEEDED / ACK_TIMEOUT · CANCELLED · NOT_FOUND · UNAVAILABLE / CLOSED
   */
  waitForAck(_id: string, _options?: WaitForAckOptions): Promise<void> {
    return Promise.reject(new ViaductError('UNIMPLEMENTED', 'not yet'))
  }

  /** The returned function ends it. */
  on<E extends keyof MailboxEvents>(_event: E, _listener: MailboxEvents[E]): () => void {
    return () => {}
  }

  /**
   * Begins to receive. A mailbox has one active receiver; this one stands by while another process has it.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / RECEIVING when this instance does so
   */
  receive(_handler: MailHandler, _options?: ReceiveOptions): Promise<Receiver> {
    return Promise.reject(new ViaductError('UNIMPLEMENTED', 'not yet'))
  }

  stats(): Promise<MailboxStats> {
    return Promise.reject(new ViaductError('UNIMPLEMENTED', 'not yet'))
  }

  /** Stops receiving; settles when all that was sent is stored, or refused. Those who wait are told CLOSED. */
  async close(): Promise<void> {}
}
