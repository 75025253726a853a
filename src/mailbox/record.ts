/**
 * Records of an append-only file: `u32 length, u32 crc32 of length and payload, payload`, padded to 8, little-endian.
 * A length of 0 ends the file, as do bytes that a file has ahead of its last write.
 */
import { crc32 } from 'node:zlib'

export const RECORD_HEAD = 8

/** The bytes that a payload takes in a file. */
export function recordBytes(payloadBytes: number): number {
  return (RECORD_HEAD + payloadBytes + 7) & ~7
}

/** Writes a record at an offset; the padding there is 0 already. */
export function writeRecord(into: Buffer, at: number, payload: Uint8Array): void {
  into.writeUInt32LE(payload.length, at)
  into.set(payload, at + RECORD_HEAD)
  into.writeUInt32LE(checksum(into, at, payload.length), at + 4)
}

/**
 * The payload of the record at an offset, a view; undefined when there is none that is whole.
 * @param maxBytes what no payload is longer than: a length that was torn is not believed.
 */
export function readRecord(from: Buffer, at: number, maxBytes: number): Buffer | undefined {
  if (at + RECORD_HEAD > from.length) return undefined
  const length = from.readUInt32LE(at)
  if (length === 0 || length > maxBytes || at + RECORD_HEAD + length > from.length) return undefined
  if (from.readUInt32LE(at + 4) !== checksum(from, at, length)) return undefined
  return from.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length)
}

function checksum(bytes: Buffer, at: number, length: number): number {
  const ofLength = crc32(bytes.subarray(at, at + 4))
  return crc32(bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length), ofLength)
}
