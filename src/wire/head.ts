/** Entries of a head (PROTOCOL.md, section 1): `u16 tag, u16 length, value`, each padded to 8. */

import { padded, readU16, readU32, writeU16, writeU32 } from './frame.ts'
import * as AT from './headerAt.ts'
import { HEADER_BYTES } from './limits.ts'

export const TAG = { EVENT: 1, SOURCE: 2, KEY: 3, TRACE: 4, IDEMPOTENCY: 5, REFERENCES: 6, TOPIC: 8 } as const

/** Bytes of an EVENT entry. */
export const EVENT_BYTES = 32
/** Longest conflation key, as UTF-8. */
export const MAX_KEY_BYTES = 4096

/** Longest idempotency key, as UTF-8. */
export const MAX_IDEMPOTENCY_BYTES = 64

/** What an EVENT says; see `EventInfo`. */
export interface EventNumbers {
  readonly id: bigint
  readonly sequence: bigint
  readonly dropped: bigint
}

/** An entry with a text, as bytes of its own. */
export function textEntry(tag: number, text: string): Uint8Array {
  const value = new TextEncoder().encode(text)
  const entry = new Uint8Array(padded(4 + value.length))
  writeU16(entry, 0, tag)
  writeU16(entry, 2, value.length)
  entry.set(value, 4)
  return entry
}

/** A head that says how many functions the body refers to. */
export function referencesHead(count: number): Uint8Array {
  const head = new Uint8Array(8)
  writeU16(head, 0, TAG.REFERENCES)
  writeU16(head, 2, 4)
  writeU32(head, 4, count)
  return head
}

/** Entries behind one another. */
export function joinHeads(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}

/** How many functions the CALL refers to whose first frame this is. */
export function referencesIn(bytes: Uint8Array, at: number, length: number): number {
  const headBytes = readU16(bytes, at + AT.headBytes)
  if (headBytes === 0) return 0
  const start = at + HEADER_BYTES
  return referencesOf(bytes.subarray(start, Math.min(start + headBytes, at + length)))
}

/**
 * How many functions the body refers to that has this head. The count is its first entry or none: so a hub that
 * sees the first fragment alone and a callee that sees all of it read the same.
 */
export function referencesOf(head: Uint8Array): number {
  const isFirst = head.length >= 8 && readU16(head, 0) === TAG.REFERENCES && readU16(head, 2) >= 4
  return isFirst ? readU32(head, 4) : 0
}

/** Writes an EVENT. The caller has room for {@link EVENT_BYTES} at `at`. */
export function writeEvent(
  bytes: Uint8Array,
  at: number,
  id: number,
  sequence: number,
  dropped: number,
): void {
  writeU16(bytes, at, TAG.EVENT)
  writeU16(bytes, at + 2, EVENT_BYTES - 4)
  writeU32(bytes, at + 4, 0)
  writeU64(bytes, at + 8, id)
  writeU64(bytes, at + 16, sequence)
  writeU64(bytes, at + 24, dropped)
}

/** The EVENT of a head; undefined when there is none or the head is malformed. */
export function eventOf(head: Uint8Array): EventNumbers | undefined {
  const value = entryOf(head, TAG.EVENT)
  if (!value || value.length < EVENT_BYTES - 4) return undefined
  return { id: readU64(value, 4), sequence: readU64(value, 12), dropped: readU64(value, 20) }
}

/** The text of the first entry with this tag; undefined when there is none. */
export function textOf(head: Uint8Array, tag: number): string | undefined {
  const value = entryOf(head, tag)
  return value && lenient.decode(value)
}

/** The text of an entry, if it has at most so many bytes and they are UTF-8. */
export function boundedTextOf(head: Uint8Array, tag: number, maxBytes: number): string | undefined {
  const value = entryOf(head, tag)
  if (!value || value.length > maxBytes) return undefined
  try {
    return strict.decode(value)
  } catch {
    return undefined
  }
}

// Marked, so that a bundle which needs neither has neither.
const lenient = /* @__PURE__ */ new TextDecoder()
const strict = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function entryOf(head: Uint8Array, tag: number): Uint8Array | undefined {
  for (let at = 0; at + 4 <= head.length; ) {
    const length = readU16(head, at + 2)
    const end = at + 4 + length
    if (end > head.length) return undefined
    if (readU16(head, at) === tag) return head.subarray(at + 4, end)
    at += padded(4 + length)
  }
  return undefined
}

function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 0x1_0000_0000)
  writeU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000))
}

function readU64(bytes: Uint8Array, at: number): bigint {
  return BigInt(readU32(bytes, at)) | (BigInt(readU32(bytes, at + 4)) << 32n)
}
