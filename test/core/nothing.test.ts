import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { connectPeers } from '../../src/transports/direct.ts'
import { HEADER_BYTES, MIN_WINDOW_BYTES } from '../../src/wire/limits.ts'

const MOST = MIN_WINDOW_BYTES / HEADER_BYTES

describe('a stream of nothing', () => {
  it('is bounded by credit as any other: an item costs its header', async () => {
    const [caller, callee] = connectPeers()
    let yielded = 0
    let resting: () => void = () => {}
    const rested = new Promise<void>((resolve) => {
      resting = resolve
    })
    callee.handle(untyped('nothing', 'stream'), async function* () {
      for (;;) {
        yielded++
        if (yielded === MOST) setImmediate(resting)
        yield undefined
      }
    })
    const stream = caller.stream('nothing', undefined, { windowBytes: MIN_WINDOW_BYTES })
    await rested
    expect(yielded).toBe(MOST)
    stream.cancel()
    caller.close()
  })
})
