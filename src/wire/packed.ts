import { BodyEncoder, type BodyLimits, decodeBody } from './body.ts'
import { ViaductError } from './errors.ts'
import { padded, readU32, writeU32 } from './frame.ts'

/** Keeps nothing from one value to the next but its scratch. */
const encoder = new BodyEncoder()

/**
 * A value as bytes of its own, self-describing: `u32 segments, u32 length of each`, padded to 8, the segments, each
 * padded to 8, the body (PROTOCOL.md, section 6). What is kept or wrapped by somebody who is not a link.
 *
 * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path of what cannot be sent.
 */
export function pack(value: unknown): Uint8Array {
  const body = encoder.encode(value)
  const { segments } = encoder
  const table = padded(4 + 4 * segments.length)
  const segmentBytes = segments.reduce((sum, segment) => sum + padded(segment.length), 0)
  const packed = new Uint8Array(table + segmentBytes + body.length)
  writeU32(packed, 0, segments.length)
  let at = table
  segments.forEach((segment, index) => {
    writeU32(packed, 4 + 4 * index, segment.length)
    packed.set(segment, at)
    at += padded(segment.length)
  })
  packed.set(body, at)
  return packed
}

/**
 * The value again. Large binaries in it are views of `packed`, which is the value's from now on.
 * @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY
 */
export function unpack(packed: Uint8Array, limits: BodyLimits): unknown {
  if (packed.length < 8) throw malformed()
  const count = readU32(packed, 0)
  if (count > packed.length / 4) throw malformed()
  let at = padded(4 + 4 * count)
  if (at > packed.length) throw malformed()
  const segments: Uint8Array[] = []
  for (let index = 0; index < count; index++) {
    const length = readU32(packed, 4 + 4 * index)
    if (length > packed.length - at) throw malformed()
    segments.push(packed.subarray(at, at + length))
    at += padded(length)
  }
  if (at > packed.length) throw malformed()
  return decodeBody(packed, at, packed.length, limits, undefined, segments)
}

function malformed(): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', 'these bytes hold no packed value', {
    reason: 'MALFORMED_BODY',
  })
}
