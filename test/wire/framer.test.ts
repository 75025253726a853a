import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Framer } from '../../src/wire/framer.ts'
import { MAX_FRAME_BYTES } from '../../src/wire/limits.ts'
import { joinBytes, makeFrame, splitFrames } from '../support/frames.ts'
import { toHex } from './notation.ts'

const frame = fc
  .record({
    kind: fc.integer({ min: 0, max: 255 }),
    id: fc.nat(),
    payload: fc.uint8Array({ maxLength: 200 }),
  })
  .map(makeFrame)

describe('framer', () => {
  it('gives back the frames that went in, cut at any byte', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 300 })),
        (frames, cuts) => {
          const all = joinBytes(...frames)
          const got: string[] = []
          const framer = new Framer((run) => got.push(...splitFrames(run).map(toHex)))
          let at = 0
          for (const size of [...cuts, all.length]) {
            if (!framer.push(all.subarray(at, at + size))) return false
            at += size
            if (at >= all.length) break
          }
          return got.join() === frames.map(toHex).join()
        },
      ),
      { numRuns: 10_000 },
    )
  })

  it('takes the longest frame and holds no more than one', () => {
    const longest = makeFrame({ kind: 0x10, payload: new Uint8Array(MAX_FRAME_BYTES - 32).fill(1) })
    const got: Uint8Array[] = []
    const framer = new Framer((run) => got.push(run))
    for (let at = 0; at < longest.length; at += 1000) framer.push(longest.subarray(at, at + 1000))
    expect(got.length).toBe(1)
    expect(toHex(got[0] ?? new Uint8Array(0))).toBe(toHex(longest))
  })

  it('delivers what came whole before a fault', () => {
    const whole = makeFrame({ kind: 0x10, payload: new Uint8Array(8) })
    const got: Uint8Array[] = []
    const framer = new Framer((run) => got.push(run))
    expect(framer.push(joinBytes(whole, whole, new Uint8Array([1, 0, 0, 0])))).toBe(false)
    expect(got.map((run) => run.length)).toEqual([2 * whole.length])
  })
})
