/** The JSON of a dead letter: the message as S2 writes it, and `error` beside it; read as if anybody had written it. */
import { fieldOf } from '../wire/fieldOf.ts'
import { isObject } from '../wire/guards.ts'
import type { DeathCause } from './deathCause.ts'
import { MAILBOX_MESSAGE_BYTES } from './limits.ts'
import type { Arrival, Envelope, Fault } from './message.ts'
import { PRIORITIES } from './priority.ts'
import type { Body } from './store.ts'

/** Longest file that is read: 10 MiB of body as base64, and what stands around it. */
export const MAX_LETTER_BYTES = 16 * 1024 * 1024
const MAX_RAW_BYTES = 64 * 1024
const MAX_TEXT_CHARACTERS = 8 * 1024
const MAX_STACK_CHARACTERS = 32 * 1024
const MAX_REASON_CHARACTERS = 128
/** Of the whole file: one level more than a payload has. */
const MAX_DEPTH = 65
const ID = /^[A-Za-z0-9._-]{1,128}$/
const NAME = /^(\d{1,15})-([A-Za-z0-9._-]{1,128})\.json$/

/** A message that is given up. */
export interface Death {
  readonly arrival: Arrival
  /** Its payload, or its bytes as they are when it has a fault; absent when they cannot be read. */
  readonly content: Body | Uint8Array | undefined
  readonly cause: DeathCause
  /** Starts that it had. */
  readonly attempts: number
}

/** What the name of a file in `errors/` tells. */
export interface LetterName {
  readonly file: string
  readonly id: string
  readonly failedAtMs: number
}

/** A message that can be stored again. */
export interface LetterMessage extends Envelope {
  readonly sender: string
  readonly sequence: number
  readonly body: Body
}

/** A file of `errors/`, read. */
export interface Letter extends LetterName {
  /** Of the file. */
  readonly bytes: number
  readonly error: DeathCause
  readonly attempts: number
  /** Absent where the message could never be read: such a letter can be shown and purged, not redriven. */
  readonly message?: LetterMessage
  /** Such a message's bytes as text, cut and lossy. */
  readonly raw?: string
  /** Where such a message lay. */
  readonly place?: string
}

/** An id as it may stand in a name. */
export function safeId(id: string): string {
  return ID.test(id) ? id : id.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 128) || '_'
}

/** @param id a safe one */
export function letterName(id: string, failedAtMs: number): string {
  return `${failedAtMs}-${id}.json`
}

/** Whether this letter is that death's. */
export function isOf({ message, raw, place }: Letter, { arrival, content }: Death): boolean {
  if (message) return message.id === arrival.id && message.redriven === arrival.redriven
  return raw !== undefined && raw === rawOf(content) && place === arrival.place
}

/** Undefined for a file that is no letter. */
export function readLetterName(file: string): LetterName | undefined {
  const [, time, id] = NAME.exec(file) ?? []
  return time === undefined || id === undefined ? undefined : { file, id, failedAtMs: Number(time) }
}

export function writeLetter(death: Death, group: string, failedAtMs: number): Buffer {
  const { arrival, content, cause, attempts } = death
  const json = {
    id: arrival.id,
    type: arrival.type,
    groupFolder: group,
    ...contentJson(content),
    timestamp: isoOf(arrival.sentAtMs) ?? isoOf(failedAtMs),
    ...(arrival.requiresAck ? { requiresAck: true } : {}),
    ...(arrival.priority === 'normal' ? {} : { priority: arrival.priority }),
    ...(arrival.notBeforeMs > 0 ? { notBefore: isoOf(arrival.notBeforeMs) } : {}),
    ...(arrival.expiresAtMs > 0 ? { expiresAt: isoOf(arrival.expiresAtMs) } : {}),
    ...(arrival.sender === '' ? {} : { sender: arrival.sender, sequence: arrival.sequence }),
    ...(arrival.redriven > 0 ? { redriven: arrival.redriven } : {}),
    ...(rawOf(content) === undefined ? {} : { place: arrival.place }),
    error: {
      reason: cause.reason.slice(0, MAX_REASON_CHARACTERS),
      message: cause.message.slice(0, MAX_TEXT_CHARACTERS),
      ...(cause.stack === undefined ? {} : { stack: cause.stack.slice(0, MAX_STACK_CHARACTERS) }),
      attempts,
      failedAt: isoOf(failedAtMs),
    },
  }
  return Buffer.from(JSON.stringify(json))
}

function contentJson(content: Death['content']): object {
  if (content === undefined || isBytes(content)) return { raw: rawOf(content) }
  const { format, bytes } = content
  if (format === 'json') {
    const payload = parsed(bytes)
    // Numbers may be longer when they are written again; such a payload is kept as its bytes.
    if (payload && isShallow(payload.value, MAX_DEPTH - 1)) {
      if (Buffer.byteLength(JSON.stringify(payload.value)) <= MAILBOX_MESSAGE_BYTES)
        return { payload: payload.value }
    }
  }
  return { body: Buffer.from(bytes).toString('base64'), format }
}

/** What a file holds. Whatever is in it, this throws nothing: a letter that cannot be read says why. */
export function readLetter(name: LetterName, bytes: Uint8Array): Letter {
  const read = parsed(bytes)
  if (!read || !isObject(read.value) || Array.isArray(read.value)) {
    return faulty(name, bytes.length, {
      reason: 'MALFORMED',
      message: 'the dead letter itself is no JSON object',
    })
  }
  const letter = read.value
  if (!isShallow(letter, MAX_DEPTH)) {
    return faulty(name, bytes.length, {
      reason: 'MALFORMED',
      message: `the dead letter itself is nested deeper than ${MAX_DEPTH}`,
    })
  }
  const message = messageIn(letter)
  const error = fieldOf(letter, 'error')
  const stack = text(fieldOf(error, 'stack'), MAX_STACK_CHARACTERS)
  const raw = text(fieldOf(letter, 'raw'), MAX_RAW_BYTES)
  const place = text(fieldOf(letter, 'place'), MAX_TEXT_CHARACTERS)
  return {
    ...name,
    bytes: bytes.length,
    error: {
      reason: text(fieldOf(error, 'reason'), MAX_REASON_CHARACTERS) ?? 'UNKNOWN',
      message: text(fieldOf(error, 'message'), MAX_TEXT_CHARACTERS) ?? 'no reason was kept with it',
      ...(stack === undefined ? {} : { stack }),
    },
    attempts: count(fieldOf(error, 'attempts')) ?? (message ? 1 : 0),
    ...(message ? { message } : {}),
    ...(raw === undefined ? {} : { raw }),
    ...(place === undefined ? {} : { place }),
  }
}

/** A letter of which no more is known than why it cannot be read. */
export function faulty(name: LetterName, bytes: number, error: Fault): Letter {
  return { ...name, bytes, error, attempts: 0 }
}

function messageIn(letter: object): LetterMessage | undefined {
  const id = text(fieldOf(letter, 'id'), 128)
  const type = text(fieldOf(letter, 'type'), 128)
  const body = bodyIn(letter)
  if (id === undefined || !ID.test(id) || type === undefined || type === '' || !body) return undefined
  if (body.bytes.length > MAILBOX_MESSAGE_BYTES) return undefined
  const priority = PRIORITIES.find((one) => one === fieldOf(letter, 'priority'))
  return {
    id,
    type,
    sentAtMs: timeIn(letter, 'timestamp'),
    requiresAck: fieldOf(letter, 'requiresAck') === true,
    priority: priority ?? 'normal',
    notBeforeMs: timeIn(letter, 'notBefore'),
    expiresAtMs: timeIn(letter, 'expiresAt'),
    redriven: count(fieldOf(letter, 'redriven')) ?? 0,
    sender: text(fieldOf(letter, 'sender'), 128) ?? '',
    sequence: count(fieldOf(letter, 'sequence')) ?? 0,
    body,
  }
}

function bodyIn(letter: object): Body | undefined {
  const body = fieldOf(letter, 'body')
  const format = fieldOf(letter, 'format')
  if (typeof body === 'string' && (format === 'json' || format === 'body')) {
    return { format, bytes: Buffer.from(body, 'base64') }
  }
  if (Object.hasOwn(letter, 'raw')) return undefined
  // S2 leaves a payload out that is undefined.
  return { format: 'json', bytes: Buffer.from(JSON.stringify(fieldOf(letter, 'payload') ?? null)) }
}

function parsed(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch {
    return undefined
  }
}

function isShallow(value: unknown, depth: number): boolean {
  if (!isObject(value)) return true
  return depth > 0 && Object.values(value).every((entry: unknown) => isShallow(entry, depth - 1))
}

function text(value: unknown, most: number): string | undefined {
  return typeof value === 'string' ? value.slice(0, most) : undefined
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function timeIn(letter: object, key: string): number {
  const value = fieldOf(letter, key)
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isFinite(time) && time > 0 ? time : 0
}

function isoOf(ms: number): string | undefined {
  return ms > 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : undefined
}

function rawOf(content: Death['content']): string | undefined {
  if (content === undefined) return ''
  return isBytes(content) ? new TextDecoder().decode(content.subarray(0, MAX_RAW_BYTES)) : undefined
}

function isBytes(content: Death['content']): content is Uint8Array {
  return content instanceof Uint8Array
}
