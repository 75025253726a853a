import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Turnover } from '../../src/mailbox/turnover.ts'
import { inSmallHeap } from '../support/smallHeap.ts'

describe('Turnover', () => {
  it('holds what a map holds, in its order, whatever came and went', () => {
    const step = fc.record({
      key: fc.nat(3_000),
      isDeleted: fc.boolean(),
      times: fc.integer({ min: 1, max: 700 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const turnover = new Turnover<number, number>()
        const map = new Map<number, number>()
        for (const { key: first, isDeleted, times } of steps) {
          for (let key = first; key < first + times; key++) {
            if (isDeleted) expect(turnover.delete(key)).toBe(map.delete(key))
            else {
              turnover.set(key, times)
              map.set(key, times)
            }
          }
          expect([turnover.size, turnover.has(first), turnover.get(first)]).toEqual([
            map.size,
            map.has(first),
            map.get(first),
          ])
        }
        expect(turnover.entries()).toEqual([...map])
        expect(turnover.keys()).toEqual([...map.keys()])
      }),
      { numRuns: 300 },
    )
  })

  it('gives its keys as they were when they were asked for', () => {
    const turnover = new Turnover<number, true>()
    for (let key = 0; key < 3; key++) turnover.set(key, true)
    const keys = turnover.keys()
    for (const key of keys) {
      turnover.delete(key)
      for (let more = 0; more < 2_000; more++) turnover.set(1_000 * (key + 1) + more, true)
    }
    expect(keys).toEqual([0, 1, 2])
  })
})

describe('memory', () => {
  it('has nothing left of 200,000 that came and went, of which 100 were there at a time', () => {
    const { left, grownBytes } = inSmallHeap(`
      import v8 from 'node:v8'
      import { Turnover } from '../../src/mailbox/turnover.ts'
      const used = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size
      const map = new Turnover()
      const turn = (n) => map.set(n, new Array(100).fill(n)) ?? map.delete(n - 100)
      for (let n = 0; n < 100; n++) turn(n)
      // Its table becomes old before anything goes.
      let others = 0
      for (let n = 0; n < 50_000; n++) others += new Array(100).fill(n).length
      const before = used()
      for (let n = 100; n < 200_100; n++) turn(n)
      console.log(JSON.stringify({ left: map.size, grownBytes: used() - before }))`)
    expect(left).toBe(100)
    // 200,000 of 0.9 KB would be 180 MB.
    expect(grownBytes).toBeLessThan(5_000_000)
  })
})
