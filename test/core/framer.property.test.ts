import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeHeader } from '../../src/wire/frame.ts'
import { Framer } from '../../src/wire/framer.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../../src/wire/limits.ts'

const RUNS = 10_000

function frame(number: number, payloadBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes)
  writeHeader(bytes, 0, bytes.length, KIND.PING, 0, 0, number, 0, 0, 0, payloadBytes, 0, 0)
  for (let at = HEADER_BYTES; at < bytes.length; at++) bytes[at] = (number * 31 + at) & 0xff
  return bytes
}

/** What arrives of bytes that are cut at these places; every delivery ends with a frame. */
function arrived(bytes: Uint8Array, cuts: readonly number[], keeps: boolean): Uint8Array | string {
  const pieces: Uint8Array[] = []
  const framer = new Framer((frames) => pieces.push(frames.slice()), keeps)
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort((a, b) => a - b)
  let from = 0
  for (const place of places) {
    if (place === from) continue
    // Memory of the reader that is used again, as sockets do.
    const chunk = bytes.slice(from, place)
    if (!framer.push(chunk)) return 'refused'
    if (!keeps) chunk.fill(0xee)
    from = place
  }
  return new Uint8Array(Buffer.concat(pieces))
}

const sizes = fc.array(
  fc.oneof(fc.constant(0), fc.nat(12), fc.nat(200)).map((words) => words * 8),
  {
    minLength: 1,
    maxLength: 12,
  },
)

test('cut anywhere, the same frames arrive as uncut', () => {
  fc.assert(
    fc.property(sizes, fc.array(fc.nat(20_000), { maxLength: 30 }), fc.boolean(), (lengths, cuts, keeps) => {
      const bytes = new Uint8Array(Buffer.concat(lengths.map((length, number) => frame(number, length))))
      const got = arrived(bytes, cuts, keeps)
      return typeof got !== 'string' && Buffer.compare(got, bytes) === 0
    }),
    { numRuns: RUNS },
  )
})

test('cut at every byte, up to the longest frame', () => {
  const bytes = new Uint8Array(
    Buffer.concat([frame(0, 0), frame(1, MAX_FRAME_BYTES - HEADER_BYTES), frame(2, 8)]),
  )
  const got = arrived(bytes, [...bytes.keys()], true)
  expect(typeof got !== 'string' && Buffer.compare(got, bytes)).toBe(0)
})

test('an illegal length is refused wherever it is cut, and what came before it is delivered', () => {
  const illegal = fc.oneof(
    fc.nat(HEADER_BYTES - 1),
    fc.integer({ min: MAX_FRAME_BYTES + 1, max: 0xffffffff }),
    fc.nat(MAX_FRAME_BYTES).filter((length) => (length & 7) !== 0),
  )
  fc.assert(
    fc.property(sizes, illegal, fc.array(fc.nat(20_000), { maxLength: 10 }), (lengths, length, cuts) => {
      const good = Buffer.concat(lengths.map((bytes, number) => frame(number, bytes)))
      const bad = Buffer.alloc(64, 0xff)
      bad.writeUInt32LE(length)
      const bytes = new Uint8Array(Buffer.concat([good, bad]))
      const pieces: Uint8Array[] = []
      const framer = new Framer((frames) => pieces.push(frames.slice()))
      let from = 0
      let refused = false
      for (const place of [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)) {
        if (place > from && !refused) refused = !framer.push(bytes.subarray(from, place))
        from = Math.max(from, place)
      }
      return refused && Buffer.compare(Buffer.concat(pieces), good) === 0
    }),
    { numRuns: RUNS },
  )
})
