import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { connectPeers } from '../../src/transports/direct.ts'
import { MIN_WINDOW_BYTES } from '../../src/wire/limits.ts'

describe('a stream of nothing', () => {
  it('is bounded by credit as any other: an item of no bytes costs one', async () => {
    const [caller, callee] = connectPeers()
    let yielded = 0
    let resting: () => void = () => {}
    const rested = new Promise<void>((resolve) => {
      resting = resolve
    })
    callee.handle(untyped('nothing', 'stream'), async function* () {
      for (;;) {
        yielded++
        if (yielded === MIN_WINDOW_BYTES) setImmediate(resting)
        yield undefined
      }
    })
    const stream = caller.stream('nothing', undefined, { windowBytes: MIN_WINDOW_BYTES })
    await rested
    expect(yielded).toBe(MIN_WINDOW_BYTES)
    stream.cancel()
    caller.close()
  })
})
