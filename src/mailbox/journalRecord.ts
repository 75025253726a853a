/**
 * Records of the receiver's journal, little-endian. Each can be read by itself.
 *
 * - events: `u8 1, u8 0, u16 senders, u32 events`, each sender `u8 bytes, name`, each event `u8 what, u8 bytes of id,
 *   u16 sender (from 1; 0: none), u32 count, f64 sequence, id`
 * - sequences: `u8 2, u8 which, u16 bytes of name, u32 ranges, name`, each range `f64 first, f64 last`
 */
import { Buffer } from 'node:buffer'

/** A message's end, the end of one of its starts, or of a sender that the store has nothing of any more. */
export interface JournalEvent {
  readonly what: 'done' | 'failed' | 'dead' | 'forgotten'
  /** '' for a sender. */
  readonly id: string
  /** '' and 0 where there is none. */
  readonly sender: string
  readonly sequence: number
  /** `failed`: starts so far; `dead`: how often it had been redriven; else 0. */
  readonly count: number
}

/** What a new segment begins with: sequences of one sender that are over, or those of them that are dead. */
export interface JournalSequences {
  readonly sender: string
  readonly which: 'over' | 'dead'
  /** First, last, first, last …, ascending. */
  readonly ranges: readonly number[]
}

/** Longest id, and longest name of a sender, in bytes. */
export const MAX_NAME_BYTES = 240
/** Events or ranges of one record at most, so that it is shorter than what a log takes. */
export const MAX_RECORD_ITEMS = 8_192

const EVENTS = 1
const SEQUENCES = 2
const HEAD = 8
const EVENT_HEAD = 16
const RANGE = 16
const WHAT = ['done', 'failed', 'dead', 'forgotten'] as const
const WHICH = ['over', 'dead'] as const
const DONE = WHAT.indexOf('done')

/** At most {@link MAX_RECORD_ITEMS} events. */
export function writeEvents(events: readonly JournalEvent[]): Uint8Array {
  const senders = new Map<string, number>()
  let bytes = HEAD
  for (const { id, sender } of events) {
    bytes += EVENT_HEAD + Buffer.byteLength(id)
    if (sender === '' || senders.has(sender)) continue
    senders.set(sender, senders.size + 1)
    bytes += 1 + Buffer.byteLength(sender)
  }
  const into = Buffer.allocUnsafe(bytes)
  into.writeUInt8(EVENTS, 0)
  into.writeUInt8(0, 1)
  into.writeUInt16LE(senders.size, 2)
  into.writeUInt32LE(events.length, 4)
  let at = HEAD
  for (const sender of senders.keys()) {
    const length = into.write(sender, at + 1)
    at = into.writeUInt8(length, at) + length
  }
  for (const { what, id, sender, sequence, count } of events) {
    const length = into.write(id, at + EVENT_HEAD)
    into.writeUInt8(WHAT.indexOf(what), at)
    into.writeUInt8(length, at + 1)
    into.writeUInt16LE(senders.get(sender) ?? 0, at + 2)
    into.writeUInt32LE(count, at + 4)
    at = into.writeDoubleLE(sequence, at + 8) + length
  }
  return into
}

/** The events of a record; none where it is of another kind. */
export function* readEvents(payload: Uint8Array): Generator<JournalEvent> {
  const { from, senders, events, start } = eventsOf(payload)
  let at = start
  for (let index = 0; index < events && at + EVENT_HEAD <= from.length; index++) {
    const id = at + EVENT_HEAD
    const end = id + from.readUInt8(at + 1)
    const what = WHAT[from.readUInt8(at)]
    if (!what || end > from.length) return
    yield {
      what,
      id: from.toString('utf8', id, end),
      sender: senders[from.readUInt16LE(at + 2) - 1] ?? '',
      sequence: from.readDoubleLE(at + 8),
      count: from.readUInt32LE(at + 4),
    }
    at = end
  }
}

/** Ids of the messages that a record says are done: what acknowledges them. An id may come more than once. */
export function* doneIds(payload: Uint8Array): Generator<string> {
  const { from, events, start } = eventsOf(payload)
  let at = start
  for (let index = 0; index < events && at + EVENT_HEAD <= from.length; index++) {
    const id = at + EVENT_HEAD
    const end = id + from.readUInt8(at + 1)
    if (end > from.length) return
    if (from.readUInt8(at) === DONE) yield from.toString('utf8', id, end)
    at = end
  }
}

/** What stands before the first event; no events where the record is of another kind. */
function eventsOf(payload: Uint8Array): {
  readonly from: Buffer
  readonly senders: readonly string[]
  readonly events: number
  readonly start: number
} {
  const from = bufferOf(payload)
  const senders: string[] = []
  if (from.length < HEAD || from.readUInt8(0) !== EVENTS) return { from, senders, events: 0, start: HEAD }
  let start = HEAD
  for (let index = from.readUInt16LE(2); index > 0 && start < from.length; index--) {
    const end = start + 1 + from.readUInt8(start)
    senders.push(from.toString('utf8', start + 1, end))
    start = end
  }
  return { from, senders, events: from.readUInt32LE(4), start }
}

/** At most {@link MAX_RECORD_ITEMS} ranges. */
export function writeSequences({ sender, which, ranges }: JournalSequences): Uint8Array {
  const name = Buffer.byteLength(sender)
  const into = Buffer.alloc(HEAD + name + ranges.length * (RANGE / 2))
  into.writeUInt8(SEQUENCES, 0)
  into.writeUInt8(WHICH.indexOf(which), 1)
  into.writeUInt16LE(name, 2)
  into.writeUInt32LE(ranges.length / 2, 4)
  into.write(sender, HEAD)
  let at = HEAD + name
  for (const bound of ranges) at = into.writeDoubleLE(bound, at)
  return into
}

/** The sequences of a record; undefined where it is of another kind. */
export function readSequences(payload: Uint8Array): JournalSequences | undefined {
  const from = bufferOf(payload)
  if (from.length < HEAD || from.readUInt8(0) !== SEQUENCES) return undefined
  const which = WHICH[from.readUInt8(1)]
  const start = HEAD + from.readUInt16LE(2)
  const end = start + from.readUInt32LE(4) * RANGE
  if (!which || end > from.length) return undefined
  const ranges: number[] = []
  for (let at = start; at < end; at += RANGE / 2) ranges.push(from.readDoubleLE(at))
  return { sender: from.toString('utf8', HEAD, start), which, ranges }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
