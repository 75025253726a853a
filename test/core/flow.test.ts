import { describe, expect, test } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { padded } from '../../src/wire/frame.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../../src/wire/limits.ts'
import { connects } from '../support/connects.ts'
import { both, collect, echo, list, peers, put, rigOf, type Sent, slow } from './rig.ts'

/** The most item bytes that one side ever had under way on an exchange beyond what it was granted. */
function overrun(sent: readonly Sent[], from: Sent['from'], granted: number): number {
  let credit = granted
  let item = false
  let worst = Number.NEGATIVE_INFINITY
  for (const frame of sent) {
    if (frame.kind === KIND.CREDIT && frame.from !== from) credit += frame.window
    if (frame.from !== from) continue
    if (frame.kind === KIND.ITEM) item = true
    else if (frame.kind !== KIND.FRAGMENT) continue
    if (!item) continue
    credit -= frame.cost
    worst = Math.max(worst, -credit)
  }
  return worst
}

function isFilled(item: unknown, size: number, byte: number): boolean {
  return item instanceof Uint8Array && item.length === size && item.every((one) => one === byte)
}

describe.each(peers)('credit ($name)', (pairing) => {
  const rig = rigOf(pairing)

  for (const windowBytes of [MIN_WINDOW_BYTES, 100_000, WINDOW_BYTES]) {
    for (const size of [1, 700, 20_000, FRAGMENT_BYTES - 6, FRAGMENT_BYTES, 70_000, 400_000]) {
      test(`items of ${size} bytes, window ${windowBytes}: never more than granted, all arrive`, async () => {
        const { near, far, sent, clock } = rig()
        const count = Math.ceil(1_000_000 / (size + 300))
        let made = 0
        far.handle(list, async function* () {
          for (; made < count; made++) yield new Uint8Array(size).fill(made)
        })
        const stream = near.stream(list, 0, { windowBytes })
        await clock.settle()
        // One item over the window, one that waits for credit, one in the generator.
        expect(made * size).toBeLessThanOrEqual(windowBytes + 3 * size)
        let read = 0
        for await (const item of stream) expect(isFilled(item, size, read++ & 0xff)).toBe(true)
        expect(read).toBe(count)
        expect(overrun(sent, 'right', windowBytes)).toBeLessThanOrEqual(0)
      })
    }
  }

  test('uploads begin with the least window and never exceed what is granted', async () => {
    const { near, far, sent, clock } = rig()
    let take = (): void => {}
    const go = new Promise<void>((resolve) => {
      take = resolve
    })
    far.handle(put, async (_input, call) => {
      await go
      let bytes = 0
      for await (const item of call.upload) if (item instanceof Uint8Array) bytes += item.length
      return bytes
    })
    async function* upload() {
      for (let number = 0; number < 40; number++) yield new Uint8Array(30_000 * (1 + (number % 3)))
    }
    const call = near.call(put, 0, { upload: upload() })
    await clock.settle()
    take()
    expect(await call).toBe(2_370_000)
    expect(overrun(sent, 'left', MIN_WINDOW_BYTES)).toBeLessThanOrEqual(0)
  })

  test('a reader that rests for ever holds up no other stream and no call', async () => {
    const { near, far, clock } = rig()
    far.handle(list, async function* (input) {
      for (let number = 0; number < 2000; number++) yield [input, 'x'.repeat(500)]
    })
    far.handle(echo, (input) => input)
    const rests = near.stream(list, 'rests')
    await clock.settle()
    expect(await collect(near.stream(list, 'reads'))).toHaveLength(2000)
    expect(await near.call(echo, 1)).toBe(1)
    rests.cancel()
    await clock.settle()
    expect(far.openCalls).toBe(0)
  })

  test('both directions of one exchange flow at once, with large items', async () => {
    const { near, far } = rig()
    far.handle(both, async function* (_input, call) {
      for await (const item of call.upload) yield item
    })
    async function* upload() {
      for (let number = 0; number < 30; number++) yield new Uint8Array(50_000).fill(number)
    }
    const items = await collect(near.stream(both, 0, { upload: upload(), windowBytes: MIN_WINDOW_BYTES }))
    expect(items.map((item) => item instanceof Uint8Array && item[0])).toEqual([...Array(30).keys()])
  })

  test('an upload that throws cancels the call with its own error', async () => {
    const { near, far, clock } = rig()
    const heard: unknown[] = []
    far.handle(put, async (_input, call) => {
      try {
        for await (const item of call.upload) heard.push(item)
      } catch (error) {
        heard.push('failed')
        throw error
      }
    })
    const fault = new Error('disk')
    async function* upload() {
      yield 1
      throw fault
    }
    await expect(near.call(put, 0, { upload: upload() })).rejects.toBe(fault)
    await clock.settle()
    expect(heard.at(-1)).toBe('failed')
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('an upload that is none, or whose iterator breaks', async () => {
    const { near, far, clock } = rig()
    far.handle(put, async (_input, call) => collect(call.upload))
    const fault = (): never => {
      throw new Error('broken')
    }
    const broken: AsyncIterable<unknown>[] = [
      { [Symbol.asyncIterator]: fault },
      { [Symbol.asyncIterator]: () => ({ next: fault, return: fault }) },
    ]
    for (const upload of broken) {
      await expect(near.call(put, 0, { upload, timeoutMs: 0 })).rejects.toThrow('broken')
    }
    const controller = new AbortController()
    const stuck = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}), return: fault }),
    }
    const call = near.call(put, 0, { upload: stuck, timeoutMs: 0, signal: controller.signal })
    await clock.settle()
    controller.abort()
    await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' })
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('an upload item that cannot be sent: the path to it', async () => {
    const { near, far, clock } = rig()
    far.handle(put, async (_input, call) => collect(call.upload))
    async function* upload() {
      yield { a: () => {} }
    }
    await expect(near.call(put, 0, { upload: upload() })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      path: 'upload.a',
    })
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })
})

describe.each(peers)('writing ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('a lone call is written at once, in the same turn', async () => {
    const { near, far, clock, writes } = rig()
    far.handle(echo, (input) => input)
    await near.call(echo, 1)
    await clock.settle()
    writes.length = 0
    void near.call(echo, 2)
    expect(writes).toHaveLength(1)
    await clock.settle()
  })

  test('a batch is one write', async () => {
    const { near, far, clock, writes } = rig()
    far.handle(echo, (input) => {
      if (input === 3) throw new Error('three')
      return input
    })
    await near.call(echo, 0)
    await clock.settle()
    writes.length = 0
    const results = near.batch(() => Array.from({ length: 200 }, (_, number) => near.call(echo, number)))
    expect(writes.filter(({ from }) => from === 'left')).toHaveLength(1)
    const settled = await results
    expect(settled.map(({ status }) => status).filter((status) => status === 'rejected')).toHaveLength(1)
    expect(settled[199]).toEqual({ status: 'fulfilled', value: 199 })
  })

  test('many calls of a turn gather into few writes', async () => {
    const { near, far, clock, writes } = rig()
    far.handle(echo, (input) => input)
    await near.call(echo, 0)
    await clock.settle()
    writes.length = 0
    await Promise.all(Array.from({ length: 1000 }, (_, number) => near.call(echo, number)))
    expect(writes.filter(({ from }) => from === 'left').length).toBeLessThan(40)
  })
})

describe.each(peers)('lanes ($name)', (pairing) => {
  const rig = rigOf(pairing)

  /** A link whose left side is stalled and full, so that all that follows waits in lanes. */
  async function congested() {
    const it = rig({ highWaterBytes: 1 })
    const { far, near, link, clock } = it
    far.handle(echo, (input) => input)
    far.handle(slow, () => new Promise(() => {}))
    await near.call(echo, 0)
    await clock.settle()
    link.stall('left')
    void near.call(echo, 'fills').catch(() => {})
    await clock.settle()
    it.sent.length = 0
    return it
  }
  const done = (promise: Promise<unknown>): void => void promise.catch(() => {})

  test('control before high before normal before low', async () => {
    const { near, link, clock, sent } = await congested()
    done(near.call(echo, 'l', { lane: 'low' }))
    done(near.call(echo, 'n'))
    done(near.call(echo, 'h', { lane: 'high' }))
    done(near.ping())
    link.resume()
    await clock.settle()
    const order = sent
      .filter(({ from }) => from === 'left')
      .map(({ kind, flags }) => [kind, flags & FLAG.LANE])
    expect(order).toEqual([
      [KIND.PING, 0],
      [KIND.CALL, 1],
      [KIND.CALL, 2],
      [KIND.CALL, 3],
    ])
  })

  test('low gets at least a sixteenth, be its frames small and those above it endless', async () => {
    for (const lowBytes of [0, 3000, 200_000]) {
      const { near, link, clock, sent } = await congested()
      const text = 'x'.repeat(3000)
      for (let number = 0; number < 2000; number++) {
        done(near.call(echo, text))
        if (lowBytes < 100_000 || number < 10)
          done(near.call(echo, new Uint8Array(lowBytes), { lane: 'low' }))
      }
      link.resume('left')
      await clock.settle()
      const share = [0, 0, 0, 0]
      const lowTotal = (lowBytes < 100_000 ? 2000 : 10) * (32 + lowBytes)
      for (const { from, kind, flags, payloadBytes } of sent) {
        if (from !== 'left' || (kind !== KIND.CALL && kind !== KIND.FRAGMENT)) continue
        const lane = flags & FLAG.LANE
        share[lane] =
          (share[lane] ?? 0) +
          32 +
          (kind === KIND.CALL && flags & FLAG.MORE ? FRAGMENT_BYTES : padded(payloadBytes))
        const [, , normal = 0, low = 0] = share
        // From here on one of the two had nothing left to say.
        if (normal > 5_500_000 || low >= lowTotal) break
        // A share of slack, and what one gathered entry is longer than a quantum.
        expect(low * 15 + 18 * (FRAGMENT_BYTES + 64)).toBeGreaterThanOrEqual(normal)
      }
      near.close()
      await clock.settle()
    }
  })

  test('a large message blocks no small one, in another lane nor in its own', async () => {
    const { near, link, clock, sent } = await congested()
    done(near.call(echo, new Uint8Array(5_000_000), { timeoutMs: 0 }))
    done(near.call(echo, new Uint8Array(5_000_000), { timeoutMs: 0 }))
    done(near.call(echo, 'same lane'))
    done(near.call(echo, 'higher', { lane: 'high' }))
    done(near.call(echo, 'lower', { lane: 'low' }))
    link.resume()
    await clock.settle()
    const frames = sent.filter(({ from }) => from === 'left')
    const at = (lane: number) =>
      frames.findIndex(({ kind, flags }) => kind === KIND.CALL && (flags & (FLAG.LANE | FLAG.MORE)) === lane)
    expect(at(1)).toBe(0)
    expect(at(2)).toBeLessThan(5)
    expect(at(3)).toBeLessThan(20)
    // The two large ones take turns.
    const ids = frames
      .slice(10, 30)
      .filter(({ kind }) => kind === KIND.FRAGMENT)
      .map(({ id }) => id)
    expect(new Set(ids.slice(0, 2)).size).toBe(2)
  })

  test('order holds within an exchange: progress, then a large answer, then nothing', async () => {
    const { near, far, link, clock } = await congested()
    const order: unknown[] = []
    const method = untyped('t.order')
    near.handle(method, (_input, call) => {
      for (let number = 0; number < 50; number++) call.progress(number)
      return new Uint8Array(300_000)
    })
    const call = far
      .call(method, 0, { onProgress: (value) => order.push(value) })
      .then(() => order.push('end'))
    await clock.settle()
    link.resume()
    await call
    expect(order).toEqual([...Array(50).keys(), 'end'])
  })
})

describe.each(connects)('nothing per call that can be shared ($name)', ({ connect }) => {
  test('1,000 calls make no AbortController, no timer and no UUID', async () => {
    const made = { controllers: 0, timers: 0, uuids: 0 }
    const { AbortController: Controller, setTimeout: timeout, crypto } = globalThis
    const randomUUID = crypto.randomUUID.bind(crypto)
    class Counted extends Controller {
      constructor() {
        super()
        made.controllers++
      }
    }
    const count = <T extends (...given: never[]) => unknown>(run: T): T =>
      new Proxy(run, {
        apply: (target, self, given) => {
          made.timers++
          return Reflect.apply(target, self, given)
        },
      })
    globalThis.AbortController = Counted
    globalThis.setTimeout = count(timeout)
    crypto.randomUUID = () => {
      made.uuids++
      return randomUUID()
    }
    try {
      // Time stands still: however long the calls take, the one timer of all deadlines does not fire and is not set again.
      const clock = new VirtualClock()
      const after = clock.after.bind(clock)
      clock.after = count(after)
      const [left, right] = connect({ clock })
      right.handle(echo, (input) => input)
      await left.call(echo, 0)
      made.timers = 0
      for (let number = 0; number < 500; number++) await left.call(echo, number)
      await Promise.all(Array.from({ length: 500 }, (_, number) => left.call(echo, number)))
      left.close()
    } finally {
      globalThis.AbortController = Controller
      globalThis.setTimeout = timeout
      crypto.randomUUID = randomUUID
    }
    expect(made).toEqual({ controllers: 0, timers: 0, uuids: 0 })
  })
})
