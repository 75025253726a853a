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
  const flags =
    (message.requiresAck ? ACK : 0) |
    (PRIORITIES.indexOf(message.priority) << PRIORITY_SHIFT) |
    (message.format === 'body' ? BODY_FORMAT : 0)
  into.writeUInt8(VERSION, 0)
  into.writeUInt8(flags, 1)
  into.writeUInt8(id.length, 2)
  into.writeUInt8(sender.length, 3)
  into.writeUInt16LE(typeBytes, 4)
  into.writeUInt16LE(0, 6)
  into.writeDoubleLE(sequence, 8)
  into.writeDoubleLE(message.sentAtMs, 16)
  into.writeDoubleLE(message.notBeforeMs, 24)
  into.writeDoubleLE(message.expiresAtMs, 32)
  into.writeUInt32LE(message.redriven, 40)
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
  const version = from.readUInt8(start)
  if (version !== VERSION) return `version ${version} of the record, which this program does not know`
  const flags = from.readUInt8(start + 1)
  const idStart = start + HEAD
  const senderStart = idStart + from.readUInt8(start + 2)
  const typeStart = senderStart + from.readUInt8(start + 3)
  const bodyStart = typeStart + from.readUInt16LE(start + 4)
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
  const sequence = from.readDoubleLE(start + 8)
  if (!Number.isSafeInteger(sequence) || sequence < 1) return 'its sequence is none'
  const sentAtMs = from.readDoubleLE(start + 16)
  const notBeforeMs = from.readDoubleLE(start + 24)
  const expiresAtMs = from.readDoubleLE(start + 32)
  if (!isTime(sentAtMs) || !isTime(notBeforeMs) || !isTime(expiresAtMs)) return 'a time of it is none'
  fields.id = id
  fields.type = type
  fields.sentAtMs = sentAtMs
  fields.requiresAck = (flags & ACK) !== 0
  fields.priority = priority
  fields.notBeforeMs = notBeforeMs
  fields.expiresAtMs = expiresAtMs
  fields.redriven = from.readUInt32LE(start + 40)
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
