import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { HEADER_BYTES, MIN_WINDOW_BYTES } from '../../src/wire/limits.ts'
import { connects } from '../support/connects.ts'

const nothing = untyped('nothing', 'stream')
const MOST = MIN_WINDOW_BYTES / HEADER_BYTES

describe.each(connects)('a stream of nothing ($name)', ({ connect }) => {
  it('is bounded by credit as any other: an item costs its header', async () => {
    const [caller, callee] = connect()
    let yielded = 0
    let resting: () => void = () => {}
    const rested = new Promise<void>((resolve) => {
      resting = resolve
    })
    callee.handle(nothing, async function* () {
      for (;;) {
        yielded++
        if (yielded === MOST) setImmediate(resting)
        yield undefined
      }
    })
    const stream = caller.stream(nothing, undefined, { windowBytes: MIN_WINDOW_BYTES })
    await rested
    expect(yielded).toBe(MOST)
    stream.cancel()
    caller.close()
  })
})
