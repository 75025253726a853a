/** What the mailbox keeps. The fields of S2 stand under S2's names; the others may be absent from a file. */
import type { Priority } from './priority.ts'

/** An id. It may name a file, which none that begins with a dot does. */
export const MESSAGE_ID = /^(?!\.)[A-Za-z0-9._-]{1,128}$/

/** A message as a handler gets it and as a file of the folder store holds it. */
export interface MailMessage<Payload = unknown, Type extends string = string> {
  /** UUID v4; the same whenever the message is delivered. */
  readonly id: string
  readonly type: Type
  /** The mailbox: `^[a-z0-9_-]{1,64}$`. */
  readonly groupFolder: string
  readonly payload: Payload
  /** When it was sent, ISO 8601 in UTC with milliseconds. */
  readonly timestamp: string
  readonly requiresAck?: boolean
  readonly priority?: Priority
  /** ISO 8601: not delivered before. */
  readonly notBefore?: string
  /** ISO 8601: not delivered from then on; it goes to `errors/`. */
  readonly expiresAt?: string
  /** The sending instance. A name that it gave itself: shown, and used for order; never an authority. */
  readonly sender?: string
  /** 1, 2, 3 … of one sender to one mailbox. */
  readonly sequence?: number
  /** How often it was redriven from `errors/`. */
  readonly redriven?: number
}

/** How a body is written: `json` is UTF-8 JSON, `body` the body codec of PROTOCOL.md, packed with its segments. */
export type BodyFormat = 'json' | 'body'

/** Everything about a message but its payload. Times in milliseconds since 1970; 0 where there is none. */
export interface Envelope {
  readonly id: string
  readonly type: string
  readonly sentAtMs: number
  readonly requiresAck: boolean
  readonly priority: Priority
  readonly notBeforeMs: number
  readonly expiresAtMs: number
  readonly redriven: number
}

/** A message on its way into a store, which gives it its sender and sequence. */
export interface Outgoing extends Envelope {
  readonly format: BodyFormat
  /** The payload's bytes; the store's from here on. */
  readonly body: Uint8Array
}

/** A message that a store has found. */
export interface Arrival extends Envelope {
  /** '' and 0 for a file that another program wrote. */
  readonly sender: string
  readonly sequence: number
  /** Where it lies, for people: a file's name, or a log's name and offset. */
  readonly place: string
  /** What it holds in memory or will hold, about. */
  readonly bytes: number
  /** Why it cannot be delivered: it goes to `errors/` without a start. */
  readonly fault?: Fault
}

export interface Fault {
  /** `MALFORMED`, `NOT_A_FILE`, `TOO_LARGE` …: a reason of docs/reference/errors.md. */
  readonly reason: string
  readonly message: string
}
