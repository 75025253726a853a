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
  const length = wholeRecord(from, at, from.length, maxBytes)
  return length === 0 ? undefined : from.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length)
}

/** How long the payload of the record at an offset is; 0 when there is none that is whole before `end`. */
export function wholeRecord(from: Buffer, at: number, end: number, maxBytes: number): number {
  const length = claimedBytes(from, at, end)
  if (length === 0 || length > maxBytes || at + RECORD_HEAD + length > end) return 0
  return from.readUInt32LE(at + 4) === checksum(from, at, length) ? length : 0
}

/** How long the head at an offset says that its payload is, which may be wrong; 0 when no head is there. */
export function claimedBytes(from: Buffer, at: number, end: number): number {
  return at + RECORD_HEAD > end ? 0 : from.readUInt32LE(at)
}

function checksum(bytes: Buffer, at: number, length: number): number {
  const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + at + RECORD_HEAD, length)
  return crc32(payload, checksumOfHead(bytes, at))
}

// Four bytes are not worth a call into the system.
function checksumOfHead(bytes: Buffer, at: number): number {
  let sum = 0xffffffff
  for (let index = at; index < at + 4; index++) {
    sum = (TABLE[(sum ^ (bytes[index] ?? 0)) & 0xff] ?? 0) ^ (sum >>> 8)
  }
  return ~sum >>> 0
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0xedb88320
  return sum
})
