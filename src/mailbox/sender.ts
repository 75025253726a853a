import { messageOf } from '../host/errno.ts'
import { ViaductError } from '../wire/errors.ts'
import { Acknowledgements, closed } from './acknowledgements.ts'
import { groupLog } from './groupLog.ts'
import { jsonBytes } from './json.ts'
import { MAILBOX_MESSAGE_BYTES } from './limits.ts'
import type { BodyFormat } from './message.ts'
import {
  type MailboxEvents,
  type MailboxLog,
  type MailboxSettings,
  readSendOptions,
  readWaitOptions,
  type SendOptions,
  type WaitForAckOptions,
} from './options.ts'
import type { Outbox, Usage } from './store.ts'

const MAX_TYPE_CHARACTERS = 128
/** What is known of the mailbox's size may be so old. */
const USAGE_MS = 1_000
/** The end of the year 9999, beyond which ISO 8601 has no dates. */
const MAX_TIME_MS = 253_402_300_799_999
/** Of a message beside its body, about. */
const ENVELOPE_BYTES = 256

/** Makes messages, has them stored, and waits for their acknowledgements. */
export class Sender {
  readonly #outbox: Outbox
  readonly #settings: MailboxSettings
  readonly #tell: MailboxLog
  readonly #receiverPid: (() => number | undefined) | undefined
  readonly #acknowledgements: Acknowledgements
  #stopTelling: (() => void) | undefined
  readonly #listeners: { readonly [E in keyof MailboxEvents]: Set<MailboxEvents[E]> } = {
    ack: new Set(),
    error: new Set(),
  }
  #usage: Usage = { messages: 0, bytes: 0 }
  #usageAtMs = Number.NEGATIVE_INFINITY
  /** While the size is looked up, whoever sends waits, so that the order holds. */
  #gate: Promise<void> | undefined
  #isClosed = false

  constructor(outbox: Outbox, settings: MailboxSettings, receiverPid?: () => number | undefined) {
    this.#receiverPid = receiverPid
    this.#outbox = outbox
    this.#settings = settings
    this.#tell = groupLog(settings.log, settings.group)
    this.#acknowledgements = new Acknowledgements({
      ...settings,
      announce: (id, retry) => this.#announce(id, retry),
      onAck: (id) => {
        this.#tell('debug', 'ACK received', { id })
        for (const listener of this.#listeners.ack) this.#call(() => listener(id))
      },
      onTimeout: (error, id) => {
        this.#tell('error', 'ACK timeout', { id, receiver: this.#receiver, reason: error.reason })
        for (const listener of this.#listeners.error) this.#call(() => listener(error, id))
      },
    })
  }

  get pendingAcks(): number {
    return this.#acknowledgements.pending
  }

  usage(): Promise<Usage> {
    return this.#outbox.usage()
  }

  async send(
    type: string,
    payload: unknown,
    format: BodyFormat,
    options: SendOptions | undefined,
  ): Promise<string> {
    const read = readSendOptions(options)
    if (typeof type !== 'string' || type === '' || type.length > MAX_TYPE_CHARACTERS) {
      const text = `type: ${JSON.stringify(type)?.slice(0, 40)} will not do: give 1 to ${MAX_TYPE_CHARACTERS} characters`
      throw new ViaductError('INVALID_ARGUMENT', text, {
        reason: 'BAD_OPTION',
        path: 'type',
        fate: 'not-sent',
      })
    }
    const body = format === 'body' && payload instanceof Uint8Array ? payload : jsonBytes(payload)
    if (body.length > MAILBOX_MESSAGE_BYTES) {
      const text = `the payload has ${body.length} bytes, and ${MAILBOX_MESSAGE_BYTES} is the most: send where it lies instead`
      throw new ViaductError('INVALID_ARGUMENT', text, {
        reason: 'MESSAGE_TOO_LARGE',
        path: 'payload',
        fate: 'not-sent',
      })
    }
    if (this.#isClosed) throw closed()
    const bytes = body.length + ENVELOPE_BYTES
    if (this.#gate || !this.#fits(bytes)) await this.#waitForRoom(bytes)
    this.#usage = { messages: this.#usage.messages + 1, bytes: this.#usage.bytes + bytes }
    if (this.#settings.clock.now() - this.#usageAtMs >= USAGE_MS) void this.lookUp().catch(() => {})
    const { newId, nowMs, maxPendingAcks } = this.#settings
    const { id = newId(), requiresAck, delayMs, expiresInMs, priority } = read
    if (requiresAck) {
      if (this.#acknowledgements.pending >= maxPendingAcks) {
        const text = `${maxPendingAcks} messages wait for their acknowledgement: the receiver does not keep up, or nobody receives`
        throw new ViaductError('RESOURCE_EXHAUSTED', text, { reason: 'TOO_MANY_ACKS', fate: 'not-sent' })
      }
      this.#stopTelling ??= this.#outbox.onAcknowledged((done) => this.#acknowledgements.acknowledged(done))
    }
    // One of the same id that is stored already keeps waiting when this one is not.
    const isNew = requiresAck && this.#acknowledgements.expect(id)
    const sentAtMs = Math.trunc(nowMs())
    try {
      await this.#outbox.store({
        id,
        type,
        sentAtMs,
        requiresAck,
        priority,
        notBeforeMs: delayMs ? timeAfter(sentAtMs, delayMs) : 0,
        expiresAtMs: expiresInMs ? timeAfter(sentAtMs, expiresInMs) : 0,
        redriven: 0,
        format,
        body,
      })
    } catch (error) {
      if (isNew) this.#acknowledgements.forget(id)
      throw error
    }
    this.#tell('debug', 'IPC message sent', { id, type })
    return id
  }

  waitForAck(id: string, options: WaitForAckOptions | undefined): Promise<void> {
    const { signal, timeoutMs } = readWaitOptions(options)
    return this.#acknowledgements.wait(id, signal, timeoutMs)
  }

  on<E extends keyof MailboxEvents>(event: E, listener: MailboxEvents[E]): () => void {
    const listeners: Set<MailboxEvents[E]> | undefined = this.#listeners[event]
    if (!listeners) {
      const text = `on: there is no event ${JSON.stringify(event)}; there are ${Object.keys(this.#listeners).join(', ')}`
      throw new ViaductError('INVALID_ARGUMENT', text, { reason: 'BAD_OPTION', path: 'event' })
    }
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#outbox.close()
    this.#stopTelling?.()
    this.#acknowledgements.close()
  }

  /** Learns anew how much the mailbox holds. */
  async lookUp(): Promise<void> {
    this.#usageAtMs = this.#settings.clock.now()
    this.#usage = await this.#outbox.usage()
  }

  #fits(bytes: number): boolean {
    const { quota } = this.#settings
    return this.#usage.messages < quota.messages && this.#usage.bytes + bytes <= quota.bytes
  }

  /** What was full a moment ago may not be. */
  async #waitForRoom(bytes: number): Promise<void> {
    this.#gate ??= this.lookUp().finally(() => {
      this.#gate = undefined
    })
    await this.#gate
    if (this.#isClosed) throw closed()
    if (this.#fits(bytes)) return
    const { group, quota } = this.#settings
    const text = `mailbox ${group} holds ${this.#usage.messages} messages and ${this.#usage.bytes} bytes of ${quota.messages} and ${quota.bytes}: receive some, or give it a larger quota`
    throw new ViaductError('RESOURCE_EXHAUSTED', text, { reason: 'MAILBOX_FULL', fate: 'not-sent' })
  }

  /** Whether anybody is there who could acknowledge. */
  get #receiver(): number | 'none' {
    return this.#receiverPid?.() ?? 'none'
  }

  #announce(id: string, retry: number): void {
    this.#tell('warn', 'ACK timeout', { id, receiver: this.#receiver })
    this.#tell('info', 'Retrying IPC message', { id, retry })
    this.#outbox.announce(id).catch((error: unknown) => {
      this.#tell('error', 'IPC message cannot be announced', { id, error: messageOf(error) })
    })
  }

  /** What a listener throws ends nothing. */
  #call(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#tell('error', 'IPC listener failed', { error: messageOf(error) })
    }
  }
}

/** Whole milliseconds that a date can be of: stores hold no others. */
function timeAfter(fromMs: number, ms: number): number {
  return Math.min(Math.ceil(fromMs + ms), MAX_TIME_MS)
}
