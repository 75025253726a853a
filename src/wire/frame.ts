/**
 * The 32-byte header, read and written in place (PROTOCOL.md, section 1). Functions over (bytes, offset),
 * not objects: a hub reads a million of them a second.
 */

import { HEADER_BYTES } from './limits.ts'

/** Kinds from here on may be skipped; unknown ones below it close the link. */
export const FIRST_OPTIONAL_KIND = 0x40

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** The next multiple of 8, of any u32. */
export function padded(bytes: number): number {
  return bytes + (-bytes & 7)
}

/** Writes a whole header. The caller has room for {@link HEADER_BYTES} at `at`. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  frameBytes: number,
  kind: number,
  flags: number,
  method: number,
  id: number,
  route: number,
  timeLeft: number,
  window: number,
  payloadBytes: number,
  headBytes: number,
  segments: number,
): void {
  writeU32(bytes, at, frameBytes)
  bytes[at + 4] = kind
  bytes[at + 5] = flags
  writeU16(bytes, at + 6, method)
  writeU32(bytes, at + 8, id)
  writeU32(bytes, at + 12, route)
  writeU32(bytes, at + 16, timeLeft)
  writeU32(bytes, at + 20, window)
  writeU32(bytes, at + 24, payloadBytes)
  writeU16(bytes, at + 28, headBytes)
  writeU16(bytes, at + 30, segments)
}

/** What a frame of an item costs in credit: all of it but its padding, so that small items are bounded too. */
export function creditOf(payloadBytes: number): number {
  return HEADER_BYTES + payloadBytes
}
