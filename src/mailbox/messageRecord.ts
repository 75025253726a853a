/**
 * A message as the payload of a log's record, little-endian: `u8 version 1, u8 flags, u8 bytes of id, u8 bytes of
 * sender, u16 bytes of type, u16 0, f64 sequence, f64 sent at, f64 not before, f64 expires at, u32 redriven`, then id,
 * sender, type and body. Flags: 1 asks for an acknowledgement, 2 and 4 the priority's index, 8 a body of the codec.
 * The sender is '' in a log of its own.
 */
import { Buffer } from 'node:buffer'
import type { BodyFormat, Envelope, Outgoing } from './message.ts'
import { PRIORITIES, type Priority } from './priority.ts'

/** What a log of messages must take: the longest body of 10 MiB, and all that stands before it. */
export const MAX_MESSAGE_RECORD_BYTES = 10 * 1024 * 1024 + 1024

const VERSION = 1
const HEAD = 44
const ACK = 1
const PRIORITY_SHIFT = 1
const PRIORITY_MASK = 3
const BODY_FORMAT = 8
const MAX_ID_BYTES = 128
const MAX_SENDER_BYTES = 128
const MAX_TYPE_CHARS = 128
const MAX_TYPE_BYTES = MAX_TYPE_CHARS * 3
/** The last millisecond that a Date can tell. */
const MAX_TIME_MS = 8_640_000_000_000_000
const NO_BYTES = Buffer.alloc(0)
const NAME = /^[A-Za-z0-9._-]+$/

/** What `readMessage` fills; a class of the caller's, so that nothing is copied twice. */
export class MessageFields implements Envelope {
  id = ''
  type = ''
  sentAtMs = 0
  requiresAck = false
  priority: Priority = 'normal'
  notBeforeMs = 0
  expiresAtMs = 0
  redriven = 0
  sender = ''
  sequence = 0
  format: BodyFormat = 'json'
  /** Where the body begins in what was read. */
  bodyStart = 0
}

/** A message, and who sent it as which. */
export interface StoredMessage extends Outgoing {
  readonly sender: string
  readonly sequence: number
}

/** @param sender '' where the log is its own */
export function encodeMessage(message: Outgoing, sequence: number, sender = ''): Buffer {
  const { id, type, body } = message
  const typeBytes = Buffer.byteLength(type)
  const bodyStart = HEAD + id.length + sender.length + typeBytes
  const into = Buffer.allocUnsafe(bodyStart + body.length)
  const view = new DataView(into.buffer, into.byteOffset, HEAD)
  const flags =
    (message.requiresAck ? ACK : 0) |
    (PRIORITIES.indexOf(message.priority) << PRIORITY_SHIFT) |
    (message.format === 'body' ? BODY_FORMAT : 0)
  view.setUint8(0, VERSION)
  view.setUint8(1, flags)
  view.setUint8(2, id.length)
  view.setUint8(3, sender.length)
  view.setUint16(4, typeBytes, true)
  view.setUint16(6, 0)
  view.setFloat64(8, sequence, true)
  view.setFloat64(16, message.sentAtMs, true)
  view.setFloat64(24, message.notBeforeMs, true)
  view.setFloat64(32, message.expiresAtMs, true)
  view.setUint32(40, message.redriven, true)
  // Names are ASCII, and too short for a call into the system to be worth it.
  writeAscii(into, id, HEAD)
  writeAscii(into, sender, HEAD + id.length)
  if (typeBytes === type.length) writeAscii(into, type, bodyStart - typeBytes)
  else into.write(type, bodyStart - typeBytes)
  into.set(body, bodyStart)
  return into
}

function writeAscii(into: Buffer, text: string, at: number): void {
  for (let index = 0; index < text.length; index++) into[at + index] = text.charCodeAt(index)
}

/**
 * Reads everything but the body. Throws nothing, whatever the bytes are.
 *
 * @returns what is wrong, for people; `fields` then hold nothing of worth
 */
export function readMessage(
  from: Buffer,
  start: number,
  end: number,
  fields: MessageFields,
): string | undefined {
  if (end - start < HEAD) return `${end - start} bytes, where a message has ${HEAD} and more`
  const view = new DataView(from.buffer, from.byteOffset + start, HEAD)
  const version = view.getUint8(0)
  if (version !== VERSION) return `version ${version} of the record, which this program does not know`
  const flags = view.getUint8(1)
  const idStart = start + HEAD
  const senderStart = idStart + view.getUint8(2)
  const typeStart = senderStart + view.getUint8(3)
  const bodyStart = typeStart + view.getUint16(4, true)
  const priority = PRIORITIES[(flags >> PRIORITY_SHIFT) & PRIORITY_MASK]
  if (bodyStart > end) return 'it ends before its body'
  if (priority === undefined || flags >= BODY_FORMAT << 1) return `unknown flags ${flags}`
  if (senderStart - idStart > MAX_ID_BYTES) return 'its id is too long'
  if (typeStart - senderStart > MAX_SENDER_BYTES) return "its sender's name is too long"
  if (bodyStart - typeStart > MAX_TYPE_BYTES) return 'its type is too long'
  const id = from.toString('latin1', idStart, senderStart)
  if (!NAME.test(id)) return 'its id is no id'
  const sender = typeStart === senderStart ? '' : from.toString('latin1', senderStart, typeStart)
  if (sender !== '' && !NAME.test(sender)) return "its sender's name is no name"
  const type = from.toString('utf8', typeStart, bodyStart)
  if (type.length > MAX_TYPE_CHARS) return 'its type is too long'
  const sequence = view.getFloat64(8, true)
  if (!Number.isSafeInteger(sequence) || sequence < 1) return 'its sequence is none'
  const sentAtMs = view.getFloat64(16, true)
  const notBeforeMs = view.getFloat64(24, true)
  const expiresAtMs = view.getFloat64(32, true)
  if (!isTime(sentAtMs) || !isTime(notBeforeMs) || !isTime(expiresAtMs)) return 'a time of it is none'
  fields.id = id
  fields.type = type
  fields.sentAtMs = sentAtMs
  fields.requiresAck = (flags & ACK) !== 0
  fields.priority = priority
  fields.notBeforeMs = notBeforeMs
  fields.expiresAtMs = expiresAtMs
  fields.redriven = view.getUint32(40, true)
  fields.sender = sender
  fields.sequence = sequence
  fields.format = (flags & BODY_FORMAT) !== 0 ? 'body' : 'json'
  fields.bodyStart = bodyStart
  return undefined
}

function isTime(ms: number): boolean {
  return Number.isInteger(ms) && ms >= 0 && ms <= MAX_TIME_MS
}

/** The message of a payload, its body a view of it; a text that says what is wrong where it is none. */
export function decodeMessage(payload: Buffer): StoredMessage | string {
  const message = new Decoded()
  const fault = readMessage(payload, 0, payload.length, message)
  if (fault !== undefined) return fault
  message.body = payload.subarray(message.bodyStart)
  return message
}

class Decoded extends MessageFields implements StoredMessage {
  body: Uint8Array = NO_BYTES
}
