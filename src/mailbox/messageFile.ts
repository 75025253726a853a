/**
 * A message as a file of the folder store: one JSON object with the fields of S2, and some more (`MailMessage`). What
 * JSON cannot hold stands in `body`, base64, with its `format`, as in dead letters. Other programs write these files,
 * so they may lack `id` (the name tells it), `timestamp` (the file's time) and `groupFolder`.
 */
import { fieldOf } from '../wire/fieldOf.ts'
import { isObject } from '../wire/guards.ts'
import { MAX_DEPTH, MAX_KEYS } from '../wire/limits.ts'
import { scanJson } from './jsonScan.ts'
import { type Envelope, type Fault, MESSAGE_ID, type Outgoing } from './message.ts'
import { PRIORITIES, type Priority } from './priority.ts'
import type { Body } from './store.ts'

/** Longest file: a payload of 10 MiB and what stands around it. */
export const MAX_FILE_BYTES = 10 * 1024 * 1024 + 64 * 1024
const MAX_TYPE_CHARS = 128
const SENDER = /^[A-Za-z0-9._-]{1,128}$/
/** What Date.parse reads differently from place to place is not taken. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/
/** Keys of the message itself; those of the payload have their own limit. */
const HEAD_KEYS = 64
const NO_JSON = 'it is no JSON object, or not all of it is there'

/** A message's head as a file tells it. Sender '' and sequence 0 where it names none. */
export interface MessageHead extends Envelope {
  readonly sender: string
  readonly sequence: number
}

export interface ReadFile {
  readonly head: MessageHead
  readonly body: Body
}

/** Why a file is no message. */
export interface FileFault extends Fault {
  /** The field that is wrong; '' for the whole. */
  readonly path: string
  /** It may be that only a part of it was written yet. */
  readonly torn: boolean
}

/** What else is known of a file. */
export interface FileFacts {
  /** Its name without `.json`. */
  readonly stem: string
  readonly modifiedMs: number
}

export function isMessageId(id: string): boolean {
  return MESSAGE_ID.test(id)
}

/** @returns the file's text; undefined when the payload is nested too deep or has too many keys to be read again */
export function writeMessageFile(
  message: Outgoing,
  group: string,
  sender: string,
  sequence: number,
): Buffer | undefined {
  const { body, format } = message
  const id = `{"id":${JSON.stringify(message.id)},"type":${JSON.stringify(message.type)}`
  const before = `${id},"groupFolder":${JSON.stringify(group)},${format === 'json' ? '"payload":' : '"body":"'}`
  const after = `${format === 'json' ? '' : '","format":"body"'}${rest(message, sender, sequence)}}`
  if (format === 'body') return Buffer.from(`${before}${Buffer.from(body).toString('base64')}${after}`)
  if (scanJson(body, MAX_DEPTH, MAX_KEYS, '').fault !== undefined) return undefined
  return Buffer.concat([Buffer.from(before), body, Buffer.from(after)])
}

function rest(message: Outgoing, sender: string, sequence: number): string {
  let text = `,"timestamp":"${iso(message.sentAtMs)}"`
  if (message.requiresAck) text += ',"requiresAck":true'
  if (message.priority !== 'normal') text += `,"priority":"${message.priority}"`
  if (message.notBeforeMs > 0) text += `,"notBefore":"${iso(message.notBeforeMs)}"`
  if (message.expiresAtMs > 0) text += `,"expiresAt":"${iso(message.expiresAtMs)}"`
  if (message.redriven > 0) text += `,"redriven":${message.redriven}`
  return `${text},"sender":"${sender}","sequence":${sequence}`
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** What a file holds, whoever wrote it. */
export function readMessageFile(bytes: Uint8Array, facts: FileFacts): ReadFile | FileFault {
  const scan = scanJson(bytes, MAX_DEPTH + 1, MAX_KEYS + HEAD_KEYS, 'payload')
  if (scan.fault !== undefined) return malformed('', scan.fault)
  const object = parsed(bytes)
  if (!isObject(object) || Array.isArray(object)) return { ...malformed('', NO_JSON), torn: true }
  return new Reader(object, facts).read(scan.field)
}

export function isFault(read: ReadFile | FileFault): read is FileFault {
  return 'reason' in read
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function malformed(path: string, what: string): FileFault {
  return { reason: 'MALFORMED', message: path === '' ? what : `${path}: ${what}`, path, torn: false }
}

/** Reads fields of a parsed object, own ones only; remembers the first that is wrong. */
class Reader {
  readonly #object: object
  readonly #facts: FileFacts
  #fault: FileFault | undefined

  constructor(object: object, facts: FileFacts) {
    this.#object = object
    this.#facts = facts
  }

  read(payload: Uint8Array | undefined): ReadFile | FileFault {
    const isName = (text: string) => MESSAGE_ID.test(text)
    const sender =
      this.#text('sender', (text) => SENDER.test(text), 'a name of 1 to 128 of A-Z a-z 0-9 . _ -') ?? ''
    // A dead letter that somebody moved back by hand is redriven by that: the death that it tells of is over.
    const isLetter = fieldOf(fieldOf(this.#object, 'error'), 'attempts') !== undefined
    const sequence = isLetter ? 0 : (this.#count('sequence') ?? 0)
    this.#text('groupFolder', () => true, 'a text')
    const head: MessageHead = {
      id: this.#text('id', isName, '1 to 128 of A-Z a-z 0-9 . _ - and no dot first') ?? this.#facts.stem,
      type: this.#text('type', isType, `a text of 1 to ${MAX_TYPE_CHARS} characters`) ?? '',
      sentAtMs: this.#time('timestamp') ?? Math.trunc(this.#facts.modifiedMs),
      requiresAck: this.#flag('requiresAck'),
      priority: this.#priority(),
      notBeforeMs: this.#time('notBefore') ?? 0,
      expiresAtMs: this.#time('expiresAt') ?? 0,
      redriven: (this.#count('redriven') ?? 0) + (isLetter ? 1 : 0),
      // One without the other says nothing of order.
      sender: sequence > 0 ? sender : '',
      sequence: sender === '' ? 0 : sequence,
    }
    if (head.type === '') this.#wrong('type', `a text of 1 to ${MAX_TYPE_CHARS} characters`)
    const body = this.#body(payload)
    if (this.#fault) return this.#fault
    return body ? { head, body } : malformed('payload', 'it is missing')
  }

  #body(payload: Uint8Array | undefined): Body | undefined {
    if (payload) return { format: 'json', bytes: payload }
    if (fieldOf(this.#object, 'format') === undefined) return undefined
    const base64 = this.#text('body', (text) => BASE64.test(text), 'base64')
    if (fieldOf(this.#object, 'format') !== 'body') this.#wrong('format', '`body`, or no such field')
    return base64 === undefined ? undefined : { format: 'body', bytes: Buffer.from(base64, 'base64') }
  }

  #wrong(key: string, expected: string): undefined {
    const found = fieldOf(this.#object, key)
    const kind = found === null ? 'null' : Array.isArray(found) ? 'an array' : typeof found
    const said = found === undefined ? 'nothing' : typeof found === 'string' ? 'another text' : kind
    this.#fault ??= malformed(key, `expected ${expected}, found ${said}`)
  }

  #text(key: string, admits: (text: string) => boolean, expected: string): string | undefined {
    const value = fieldOf(this.#object, key)
    if (value === undefined) return undefined
    return typeof value === 'string' && admits(value) ? value : this.#wrong(key, expected)
  }

  #flag(key: string): boolean {
    const value = fieldOf(this.#object, key)
    if (value !== undefined && typeof value !== 'boolean') this.#wrong(key, 'true or false')
    return value === true
  }

  #count(key: string): number | undefined {
    const value = fieldOf(this.#object, key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    return this.#wrong(key, 'a whole number from 0 on')
  }

  #time(key: string): number | undefined {
    const value = fieldOf(this.#object, key)
    if (value === undefined) return undefined
    const ms = typeof value === 'string' && TIME.test(value) ? Date.parse(value) : Number.NaN
    return Number.isNaN(ms) ? this.#wrong(key, 'a time as 2024-01-01T00:00:00.000Z') : ms
  }

  #priority(): Priority {
    const value = fieldOf(this.#object, 'priority')
    const known = PRIORITIES.find((one) => one === value)
    if (value !== undefined && known === undefined) this.#wrong('priority', `one of ${PRIORITIES.join(', ')}`)
    return known ?? 'normal'
  }
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

function isType(text: string): boolean {
  return text.length > 0 && text.length <= MAX_TYPE_CHARS
}
