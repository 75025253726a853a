import type { Clock } from '../core/clock.ts'
import {
  badOption,
  callback,
  count,
  flag,
  given,
  positive,
  type Rule,
  readOptions,
  time,
} from '../policies/options.ts'
import type { ViaductError } from '../wire/errors.ts'
import type { Durability } from './appendLog.ts'
import { type Files, nodeFiles } from './files.ts'
import {
  ACK_TIMEOUT_MS,
  ANNOUNCEMENTS,
  DEDUPE_IDS,
  HANDLER_LEASE_MS,
  HANDLERS,
  PENDING_ACKS,
  QUOTA_BYTES,
  QUOTA_MESSAGES,
  RETRY_DELAY_MS,
  START_RETRIES,
} from './limits.ts'
import { type BodyFormat, type MailMessage, MESSAGE_ID } from './message.ts'
import { PRIORITIES, type Priority } from './priority.ts'

export type StoreKind = 'log' | 'folder'
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Told of what happens, in the words of the documents, with fields beside them. What it throws ends nothing. */
export type MailboxLog = (level: LogLevel, text: string, fields: { readonly [name: string]: unknown }) => void

export interface MailboxOptions {
  /** The folder of all mailboxes; made where it is not there. Of a local disk. */
  readonly root: string
  /** The name of this one: `^[a-z0-9_-]{1,64}$`. */
  readonly group: string
  /** `log`, the faster, by default; `folder`: one JSON file a message, open to other programs. Once chosen it stays. */
  readonly store?: StoreKind
  /** What a message survives once `send` has resolved; default `power-loss`. */
  readonly durability?: Durability
  /** Beyond this a message is refused: default 1,000,000 messages and 1 GiB. */
  readonly quota?: { readonly messages?: number; readonly bytes?: number }
  /** How long an acknowledgement may take until the message is announced again; default 30,000. */
  readonly ackTimeoutMs?: number
  /** How often it is announced again; default 3. */
  readonly maxRetries?: number
  /** The time between two announcements, and from the last one to the `error` event; default 5,000. */
  readonly retryDelayMs?: number
  /** Messages whose acknowledgement is waited for at once; beyond it `send` refuses. Default 10,000. */
  readonly maxPendingAcks?: number
  /** Take a network file system, on which nothing of the promises holds. Default false. */
  readonly allowNetworkFileSystem?: boolean
  readonly log?: MailboxLog
  readonly clock?: Clock
  /** Milliseconds since 1970; default Date.now. */
  readonly nowMs?: () => number
  /** Default crypto.randomUUID. */
  readonly newId?: () => string
  readonly files?: Files
}

export interface SendOptions {
  /** Whether the receiver acknowledges; then `waitForAck` can wait, and the `error` event tells when none comes. */
  readonly requiresAck?: boolean
  /** Delivered no sooner than after this. */
  readonly delayMs?: number
  /** Default `normal`. */
  readonly priority?: Priority
  /** When it was not started by then, it becomes a dead letter. */
  readonly expiresInMs?: number
  /** `^[A-Za-z0-9._-]{1,128}$`, and a new UUID by default. A receiver runs one id once, within its window. */
  readonly id?: string
}

export interface WaitForAckOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export interface ReceiveOptions {
  /** Handlers that run at once; default 16. With 1, messages are handled strictly one after another. */
  readonly concurrency?: number
  /** Starts after the first, over restarts; default 3. Then the message is a dead letter. */
  readonly maxRetries?: number
  /** From a failure to the next start; default 5,000. */
  readonly retryDelayMs?: number
  /** Default 30,000; see `heartbeat`. */
  readonly leaseMs?: number
  /**
   * By default a handler may take as long as its process lives. When false, one that neither settles nor calls
   * `extend` within `leaseMs` has failed: its signal is aborted, and another start may come while it still runs.
   */
  readonly heartbeat?: boolean
  /** Ids that are remembered after they are over; default 100,000. */
  readonly dedupe?: number
  /** Messages that are held in memory; default 1,000. */
  readonly windowMessages?: number
  /** Their bytes; default 16 MiB. One message may be longer. */
  readonly windowBytes?: number
  /** How long `stop` waits for handlers that run; default 5,000. */
  readonly graceMs?: number
  /** Stops it, as `stop` does. */
  readonly signal?: AbortSignal
}

/** One start of one message. */
export interface Delivery {
  /** 1, 2, 3 …: counted over restarts. */
  readonly attempt: number
  /** `json`: the payload is the value. `body`: it is a Uint8Array of the body codec. */
  readonly format: BodyFormat
  /** Aborted when the lease is over, and when the receiver has stopped without waiting any longer. */
  readonly signal: AbortSignal
  /** The lease ends so much later than now. @throws ViaductError FAILED_PRECONDITION / LEASE_EXPIRED when it is over. */
  readonly extend: (ms: number) => void
}

/**
 * Handles a message; it is done when this returns, or when the promise it returned resolves. What it throws makes
 * another attempt, unless it has `recoverable: false`.
 */
export type MailHandler = (message: MailMessage, delivery: Delivery) => unknown

/** Listeners of a mailbox. */
export interface MailboxEvents {
  /** The receiver has done the message. */
  readonly ack: (id: string) => void
  /** No acknowledgement came, DEADLINE_EXCEEDED / ACK_TIMEOUT. The message stays stored. */
  readonly error: (error: ViaductError, id: string) => void
}

const GROUP = /^[a-z0-9_-]{1,64}$/

function word<T extends string>(words: readonly T[], fallback: T): Rule<T> {
  const accepts = (value: unknown): value is T => words.some((one) => one === value)
  return { fallback, expects: `one of ${words.join(', ')}`, accepts }
}

function text<T extends string | undefined>(pattern: RegExp, fallback: T): Rule<T | string> {
  const accepts = (value: unknown): value is string => typeof value === 'string' && pattern.test(value)
  return { fallback, expects: `a text as ${pattern.source}`, accepts }
}

function optional<T>(rule: Rule<T>): Rule<T | undefined> {
  return { ...rule, fallback: undefined }
}

const signal: Rule<AbortSignal | undefined> = {
  fallback: undefined,
  expects: 'an AbortSignal',
  accepts: (value) => value instanceof AbortSignal,
}

/** @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path, as `mailbox.quota.bytes` */
export function readMailboxOptions(options: MailboxOptions) {
  const read = readOptions('mailbox', options, {
    root: text(/^[^\0]+$/, ''),
    group: text(GROUP, ''),
    store: word<StoreKind>(['log', 'folder'], 'log'),
    durability: word<Durability>(['power-loss', 'process-crash'], 'power-loss'),
    quota: given<object | undefined>(undefined, 'an object of messages and bytes'),
    ackTimeoutMs: positive(ACK_TIMEOUT_MS),
    maxRetries: count(ANNOUNCEMENTS, 0),
    retryDelayMs: positive(RETRY_DELAY_MS),
    maxPendingAcks: count(PENDING_ACKS),
    allowNetworkFileSystem: flag(false),
    log: callback<MailboxLog | undefined>(undefined),
    clock: time(),
    nowMs: callback<() => number>(Date.now),
    newId: callback<() => string>(() => crypto.randomUUID()),
    files: given<Files>(nodeFiles, 'file operations'),
  })
  if (read.root === '') throw badOption('mailbox', 'root', 'give the folder of the mailboxes')
  if (read.group === '') throw badOption('mailbox', 'group', 'give the name of the mailbox')
  const quota = readOptions('mailbox.quota', read.quota, {
    messages: count(QUOTA_MESSAGES),
    bytes: count(QUOTA_BYTES),
  })
  return { ...read, quota }
}

export type MailboxSettings = ReturnType<typeof readMailboxOptions>

const SEND_RULES = {
  requiresAck: flag(false),
  delayMs: optional(positive(0, 0)),
  priority: word<Priority>(PRIORITIES, 'normal'),
  expiresInMs: optional(positive(0)),
  id: text(MESSAGE_ID, undefined),
}
const SEND_DEFAULTS = readOptions('send', undefined, SEND_RULES)

export function readSendOptions(options: SendOptions | undefined): typeof SEND_DEFAULTS {
  return options === undefined ? SEND_DEFAULTS : readOptions('send', options, SEND_RULES)
}

export function readWaitOptions(options: WaitForAckOptions | undefined) {
  return readOptions('waitForAck', options, { signal, timeoutMs: optional(positive(0)) })
}

export function readReceiveOptions(options: ReceiveOptions | undefined) {
  return readOptions('receive', options, {
    concurrency: count(HANDLERS),
    maxRetries: count(START_RETRIES, 0),
    retryDelayMs: positive(RETRY_DELAY_MS, 0),
    leaseMs: positive(HANDLER_LEASE_MS),
    heartbeat: flag(true),
    dedupe: count(DEDUPE_IDS, 0),
    windowMessages: count(1_000),
    windowBytes: count(16 * 1024 * 1024),
    graceMs: positive(5_000, 0),
    signal,
  })
}

export type ReceiveSettings = ReturnType<typeof readReceiveOptions>
