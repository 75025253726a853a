import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { peers, rigOf } from './rig.ts'

const eat = untyped('eat')
const take = untyped('take')
const PIECE = 'x'.repeat(10_000)

describe.each(peers)('while frames wait ($name)', (pairing) => {
  const rig = rigOf(pairing)

  it('a large item does not overtake the small CALL that it belongs to', async () => {
    const { clock, link, near, far, of } = rig({ highWaterBytes: 1 })
    const got: number[] = []
    far.handle(eat, () => 0)
    far.handle(take, async (_, call) => {
      for await (const item of call.upload) got.push(String(item).length)
      return got.length
    })
    await clock.settle()
    link.stall('left')
    const calls = Array.from({ length: 9 }, () => near.call(eat, PIECE))
    async function* upload() {
      yield 'y'.repeat(50_000)
      yield 'z'
    }
    const taken = near.call(take, undefined, { upload: upload() })
    await clock.settle()
    link.resume()
    await clock.settle()
    expect(await taken).toBe(2)
    expect(got).toEqual([50_000, 1])
    expect(await Promise.all(calls)).toEqual(Array.from(calls, () => 0))
    const sent = of(KIND.CALL)
    expect(sent).toHaveLength(10)
    expect((sent.at(-1)?.flags ?? 0) & FLAG.UPLOAD).toBe(FLAG.UPLOAD)
  })
})
