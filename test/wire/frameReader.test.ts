import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { writeU32 } from '../../src/wire/frame.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES } from '../../src/wire/limits.ts'

function frame(bytes: number, mark: number): Uint8Array {
  const made = new Uint8Array(bytes).fill(mark)
  writeU32(made, 0, bytes)
  return made
}

/** Reads `stream` in pieces of at most the given sizes, and gives back what was delivered. */
function read(stream: Uint8Array, sizes: readonly number[], keeps: boolean, early = 0) {
  const reader = new FrameReader((bytes) => new Uint8Array(bytes))
  const delivered: Uint8Array[] = []
  let turn = 0
  let at = 0
  const begin = () =>
    reader.start(
      (frames) => delivered.push(keeps ? frames : frames.slice()),
      () => keeps,
    )
  let legal = early > 0 || begin()
  while (legal && at < stream.length) {
    const room = reader.room()
    const size = Math.min(sizes[turn % sizes.length] ?? 1, room.length, stream.length - at)
    expect(room.length).toBeGreaterThan(0)
    room.set(stream.subarray(at, at + size))
    at += size
    legal = reader.took(size)
    if (++turn === early) legal = begin()
  }
  if (turn < early) legal = begin()
  return { delivered, legal }
}

const lengths = fc.oneof(
  fc.integer({ min: HEADER_BYTES / 8, max: 40 }),
  fc.integer({ min: HEADER_BYTES / 8, max: MAX_FRAME_BYTES / 8 }),
)
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 300_000 })), {
  minLength: 1,
  maxLength: 8,
})

describe('frame reader', () => {
  it('delivers whole frames however they are cut, kept or not, from the start or later', () => {
    fc.assert(
      fc.property(
        fc.array(lengths, { minLength: 1, maxLength: 40 }),
        sizes,
        fc.boolean(),
        fc.integer({ min: 0, max: 3 }),
        (eights, cuts, keeps, early) => {
          const frames = eights.map((eight, index) => frame(eight * 8, index + 1))
          const stream = Buffer.concat(frames)
          // Tiny pieces of a long stream say nothing that tiny pieces of a short one do not.
          const pieces = stream.length > 100_000 ? cuts.map((cut) => Math.max(cut, 500)) : cuts
          const { delivered, legal } = read(stream, pieces, keeps, early)
          expect(legal).toBe(true)
          // Kept frames are compared after all was read: nothing was read over them.
          expect(Buffer.concat(delivered).equals(stream)).toBe(true)
        },
      ),
      { numRuns: 200 },
    )
  })

  it.each([0, 8, 24, HEADER_BYTES + 4, MAX_FRAME_BYTES + 8, 0xffffffff])(
    'delivers what came before the illegal length %i, then says so',
    (length) => {
      const bad = new Uint8Array(HEADER_BYTES)
      writeU32(bad, 0, length)
      const good = frame(64, 1)
      for (const size of [1, 50, 1000]) {
        const { delivered, legal } = read(Buffer.concat([good, bad]), [size], false)
        expect(legal).toBe(false)
        expect(Buffer.concat(delivered).equals(good)).toBe(true)
      }
    },
  )

  it('reads into the same memory again unless frames are kept', () => {
    const reader = new FrameReader((bytes) => new Uint8Array(bytes))
    const buffers = new Set<unknown>()
    reader.start(
      (frames) => buffers.add(frames.buffer),
      () => false,
    )
    const one = frame(1024, 1)
    for (let turn = 0; turn < 100; turn++) {
      reader.room().set(one)
      reader.took(one.length)
    }
    expect(buffers.size).toBe(1)
  })

  it('reads over nothing while it is kept', () => {
    fc.assert(
      fc.property(
        fc.array(lengths, { minLength: 1, maxLength: 40 }),
        sizes.filter((cuts) => cuts.some((cut) => cut > 500)),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
        (eights, cuts, releases) => {
          const stream = Buffer.concat(eights.map((eight, index) => frame(eight * 8, index + 1)))
          const reader = new FrameReader((bytes) => new Uint8Array(bytes))
          let held: Uint8Array[] = []
          let told = 0
          const release = () => {
            for (const frames of held) {
              expect(Buffer.from(frames).equals(stream.subarray(told, told + frames.length))).toBe(true)
              told += frames.length
            }
            held = []
          }
          reader.start(
            (frames) => held.push(frames),
            () => held.length > 0,
          )
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            if (releases[turn % releases.length]) release()
            const room = reader.room()
            const size = Math.min(cuts[turn % cuts.length] ?? 1, room.length, stream.length - at)
            room.set(stream.subarray(at, at + size))
            at += size
            expect(reader.took(size)).toBe(true)
          }
          release()
          expect(told).toBe(stream.length)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('goes to and fro between two pieces of memory when what came last is kept for a while', () => {
    let allocated = 0
    const reader = new FrameReader((bytes) => {
      allocated++
      return new Uint8Array(bytes)
    })
    let turn = 0
    // Kept at every other look, so long as nothing has come since.
    reader.start(
      () => {},
      () => turn % 2 === 1,
    )
    const one = frame(4096, 1)
    let before = 0
    for (; turn < 1000; turn++) {
      if (turn === 50) before = allocated
      const room = reader.room()
      for (let at = 0; at < room.length; at += one.length) room.set(one, at)
      reader.took(room.length)
    }
    expect(allocated).toBe(before)
  })
})
