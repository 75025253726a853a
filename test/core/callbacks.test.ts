import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, vi } from 'vitest'
import type { CallContext } from '../../src/core/call.ts'
import { untyped } from '../../src/core/method.ts'
import type { Callback } from '../../src/core/references.ts'
import * as KIND from '../../src/wire/kind.ts'
import { LEASE_GRACE_MS, LEASE_MS, MAX_BACKS, MAX_REFERENCES } from '../../src/wire/limits.ts'
import { only } from '../support/callback.ts'
import { echo, errorOf, list, outcome, put, type Rig, rig } from './rig.ts'

/** A call whose handler gives the function away, and answers when it is told to. */
function held(made: Rig, answer?: (input: Callback, call: CallContext) => unknown) {
  let got: (callback: Callback) => void = () => {}
  const callback = new Promise<Callback>((resolve) => {
    got = resolve
  })
  let finish: (value: unknown) => void = () => {}
  made.far.handle(echo, (input, call) => {
    got(only(input))
    return answer ? answer(only(input), call) : new Promise((resolve) => (finish = resolve))
  })
  return { callback, finish: (value: unknown) => finish(value) }
}

setFlagsFromString('--expose-gc')
const gc: unknown = runInNewContext('gc')

function collect(): void {
  if (typeof gc === 'function') gc()
}

describe('a function in the input of a call', () => {
  it('is called with values, in order, and its answers and errors come back', async () => {
    const { near, far, of } = rig()
    far.handle(echo, async (input) => {
      const callback = only(input)
      const first = await Promise.all([1, 2, 3].map((n) => callback(n, { at: new Date(n) })))
      const thrown = await errorOf(callback('throw'))
      const rejected = await errorOf(callback('reject'))
      return [first, thrown.code, thrown.message, rejected.reason, await callback('nothing')]
    })
    const seen: unknown[] = []
    const step = (what: unknown, more?: unknown): unknown => {
      seen.push([what, more])
      if (what === 'throw') throw new TypeError('no such step')
      if (what === 'reject') return Promise.reject(new Error('nor this'))
      return typeof what === 'number' ? Promise.resolve(what * 2) : undefined
    }
    expect(await near.call(echo, step)).toEqual([
      [2, 4, 6],
      'UNKNOWN',
      'no such step',
      'HANDLER_ERROR',
      undefined,
    ])
    expect(seen.slice(0, 3)).toEqual([1, 2, 3].map((n) => [n, { at: new Date(n) }]))
    expect(near.openCalls + far.openCalls).toBe(0)
    expect(of(KIND.BACK).length).toBe(12)
  })

  it('stands anywhere in it, and is one where it is the same', async () => {
    const { near, far } = rig()
    far.handle(echo, (input) => {
      const { a, b, map, same } = Object(input)
      return Promise.all([a(), b.c[0](), map.get('f')(), a === same])
    })
    const a = () => 'a'
    const input = { a, b: { c: [() => 'c'] }, map: new Map([['f', () => 'f']]), same: a }
    expect(await near.call(echo, input)).toEqual(['a', 'c', 'f', true])
  })

  it('travels with inputs over one frame, and with segments', async () => {
    const { near, far } = rig()
    far.handle(echo, async (input) => {
      const { text, bytes, done } = Object(input)
      return done(text.length, bytes)
    })
    const input = {
      text: 'x'.repeat(100_000),
      bytes: new Uint8Array(50_000).fill(7),
      done: (units: number, bytes: Uint8Array) => [units, bytes.length],
    }
    const refused = await errorOf(near.call(echo, input))
    // What is called back takes one frame.
    expect(refused).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    far.handle(put, async (given) => {
      const { text, bytes, done } = Object(given)
      return done(text.length, bytes.subarray(0, 10))
    })
    async function* nothing(): AsyncGenerator<unknown> {}
    expect(await near.call(put, input, { upload: nothing() })).toEqual([100_000, 10])
  })

  it('is refused with its path where nobody can call it back', async () => {
    const { near, far } = rig()
    const refused = { code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE' }
    const topic = untyped('t.topic', 'topic')
    const input = { a: [() => {}] }
    expect(() => near.notify(echo, input)).toThrow(
      expect.objectContaining({ ...refused, path: expect.stringMatching(/\.a\[0\]$/) }),
    )
    expect(() => near.publish(topic, input)).toThrow(expect.objectContaining(refused))
    far.handle(echo, () => ({ out: () => {} }))
    expect(await errorOf(near.call(echo, 1))).toMatchObject({ code: 'INTERNAL', path: 'output.out' })
    far.handle(list, async function* () {
      yield () => {}
    })
    const items = near.stream(list, 1)
    await expect(items[Symbol.asyncIterator]().next()).rejects.toMatchObject({ path: 'item' })
    const { near: one, far: other } = rig()
    other.handle(echo, (input) => only(input)({ deep: () => {} }))
    expect(await errorOf(one.call(echo, () => {}))).toMatchObject({
      ...refused,
      path: 'callbacks[0].arguments[0].deep',
    })
    const many = Array.from({ length: MAX_REFERENCES + 1 }, () => () => {})
    expect(await errorOf(near.call(echo, many))).toMatchObject({
      ...refused,
      path: `input[${MAX_REFERENCES}]`,
    })
    expect(near.openCalls).toBe(0)
  })

  it('takes so many calls at a time, and more when they are answered', async () => {
    const made = rig()
    const { near, clock } = made
    const { callback, finish } = held(made)
    const waiting: (() => void)[] = []
    const call = near.call(echo, () => new Promise<void>((resolve) => waiting.push(resolve)))
    const back = await callback
    const first = Array.from({ length: MAX_BACKS }, () => back())
    expect(await errorOf(back())).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' })
    await clock.advance(1)
    expect(waiting.length).toBe(MAX_BACKS)
    for (const settle of waiting.splice(0)) settle()
    await Promise.all(first)
    const again = back()
    await clock.advance(1)
    waiting[0]?.()
    await again
    finish(1)
    expect(await call).toBe(1)
  })
})

describe('what a function gives', () => {
  it('counts once, though its thenable settles twice', async () => {
    const { near, far, of } = rig()
    far.handle(echo, async (input) => {
      const callback = only(input)
      const given = []
      for (let n = 0; n < 3; n++) given.push(await callback('twice'))
      const thrown = await errorOf(callback('throws'))
      return [...given, thrown.message]
    })
    const twice = {
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then(done: (value: unknown) => void, failed: (error: unknown) => void): void {
        done(1)
        done(2)
        failed(new Error('and this'))
      },
    }
    const throws = {
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      get then(): never {
        throw new Error('no then')
      },
    }
    const back = (what: unknown): unknown => (what === 'twice' ? twice : throws)
    expect(await near.call(echo, back)).toEqual([1, 1, 1, 'no then'])
    expect(of(KIND.BACK).length).toBe(8)
  })
})

describe('how it ends', () => {
  it('with the call: what is under way and what comes after is LEASE_ENDED', async () => {
    const made = rig()
    const { callback, finish } = held(made)
    const call = made.near.call(echo, () => new Promise(() => {}))
    const back = await callback
    const under = errorOf(back())
    finish(1)
    expect(await call).toBe(1)
    expect(await under).toMatchObject({ reason: 'LEASE_ENDED', fate: 'unknown' })
    expect(await errorOf(back())).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'LEASE_ENDED' })
    expect(() => back.keep()).toThrow(expect.objectContaining({ reason: 'LEASE_ENDED' }))
    expect(made.of(KIND.BACK).length).toBe(1)
  })

  it.each([
    ['a cancel', 'CANCELLED', (_: Rig, abort: AbortController) => abort.abort()],
    ['the deadline', 'DEADLINE_EXCEEDED', (made: Rig) => made.clock.advance(101)],
    ['the link', 'LINK_LOST', (made: Rig) => made.near.close()],
  ] as const)('with %s', async (_, reason, end) => {
    const made = rig()
    const { callback } = held(made)
    const abort = new AbortController()
    const options = { signal: abort.signal, timeoutMs: 100 }
    const call = outcome(made.near.call(echo, () => new Promise(() => {}), options))
    const back = await callback
    const under = errorOf(back())
    await end(made, abort)
    await made.clock.advance(1)
    expect(await call).toBe(`!${reason}`)
    expect(['CANCELLED', reason]).toContain((await under).reason)
    expect(['CANCELLED', reason]).toContain((await errorOf(back())).reason)
  })

  it('kept: outlives its answer until it is released, and both sides have their slot back', async () => {
    const made = rig()
    const { near, far, of, clock } = made
    const { callback } = held(made, (input) => {
      input.keep()
      return 'answered'
    })
    let runs = 0
    expect(await near.call(echo, () => ++runs)).toBe('answered')
    const back = await callback
    // It is no open call, so nothing waits for it.
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
    expect([await back(), await back()]).toEqual([1, 2])
    back.release()
    back.release()
    await clock.advance(1)
    expect(of(KIND.RELEASE).length).toBe(1)
    expect(await errorOf(back())).toMatchObject({ reason: 'LEASE_ENDED' })
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
    // The same slot, in its next generation.
    const [first] = of(KIND.CALL)
    await near.call(echo, () => 1)
    const second = of(KIND.CALL)[1]
    expect([(first?.id ?? 0) & 0xfffff, (first?.id ?? 0) >>> 20]).toEqual([
      (second?.id ?? 0) & 0xfffff,
      ((second?.id ?? 0) >>> 20) - 1,
    ])
  })

  it('kept: by `using`, and of two the last one ends it', async () => {
    const { near, far, of, clock } = rig()
    const kept: Callback[] = []
    far.handle(echo, (input) => {
      for (const one of Array.isArray(input) ? input : []) kept.push(only(one))
      for (const one of kept.slice(0, 2)) one.keep({ leaseMs: 10 })
    })
    await near.call(echo, [() => 'a', () => 'b', () => 'c'])
    const [a, b, c] = kept
    if (!a || !b || !c) throw new Error('they are not there')
    expect(await outcome(c())).toBe('!LEASE_ENDED')
    a[Symbol.dispose]()
    expect(await outcome(a())).toBe('!LEASE_ENDED')
    expect(await b()).toBe('b')
    await clock.advance(1)
    expect(of(KIND.RELEASE).length).toBe(0)
    b.release()
    await clock.advance(1)
    expect(of(KIND.RELEASE).length).toBe(1)
  })

  it('kept: a host that has no `using` finds no other name for its end', async () => {
    const { near, far } = rig()
    far.handle(echo, (input) => Reflect.ownKeys(only(input)).filter((key) => typeof key === 'string'))
    const without: unknown = Object.create(Symbol, { dispose: { value: undefined } })
    vi.stubGlobal('Symbol', without)
    try {
      const names = await near.call(echo, () => 1)
      expect(names).toContain('release')
      expect(names).not.toContain('undefined')
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('kept: until the lease is over, which begins anew with each use', async () => {
    const made = rig()
    const { near, of, clock } = made
    const { callback } = held(made, (input) => input.keep())
    let answer: (value: unknown) => void = () => {}
    let calls = 0
    await near.call(echo, () => (++calls === 4 ? new Promise((resolve) => (answer = resolve)) : 'here'))
    const back = await callback
    for (let round = 0; round < 3; round++) {
      await clock.advance(LEASE_MS - 10)
      expect(await back()).toBe('here')
    }
    // An answer is a use as well.
    const slow = back()
    await clock.advance(LEASE_MS - 10)
    answer('there')
    expect(await slow).toBe('there')
    await clock.advance(LEASE_MS - 10)
    expect(await outcome(back())).not.toBe('!LEASE_ENDED')
    await clock.advance(LEASE_MS + 10)
    expect(of(KIND.RELEASE).length).toBe(1)
    expect(of(KIND.CANCEL).length).toBe(0)
    expect(await errorOf(back())).toMatchObject({ reason: 'LEASE_ENDED', fate: 'not-sent' })
  })

  it('kept: the caller ends a lease that the callee does not', async () => {
    const made = rig()
    const { near, far, of, clock } = made
    const { callback } = held(made, (input) => input.keep({ leaseMs: 100 }))
    await near.call(echo, () => 'here')
    const back = await callback
    // What it says does not get through any more.
    const pending = outcome(back())
    await clock.advance(1)
    expect(await pending).toBe('here')
    const stopped = clock.now()
    far.link.outbox.hold()
    await clock.advance(100 + LEASE_GRACE_MS + 10)
    expect(clock.now() - stopped).toBeLessThan(100 + LEASE_GRACE_MS + 20)
    expect(of(KIND.CANCEL).length).toBe(1)
    far.link.outbox.drained()
    await clock.advance(1)
    expect(await outcome(near.call(echo, () => 1))).toBe(undefined)
  })

  it('kept: not after a cancel, nor with an error', async () => {
    const made = rig()
    const { near, far, of, clock } = made
    const abort = new AbortController()
    const { callback, finish } = held(made)
    const call = outcome(near.call(echo, () => 1, { signal: abort.signal }))
    const back = await callback
    back.keep()
    abort.abort()
    await clock.advance(1)
    finish(1)
    expect(await call).toBe('!CANCELLED')
    await clock.advance(1)
    expect(of(KIND.END).map(({ window }) => window)).toEqual([0])
    far.handle(list, (input) => {
      only(input).keep()
      throw new Error('no')
    })
    expect(await outcome(near.stream(list, () => 1).output)).toBe('!HANDLER_ERROR')
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  it('kept: with an answer in many frames, and released before they have left', async () => {
    const made = rig({ highWaterBytes: 64 * 1024 })
    const { near, of, clock } = made
    const { callback } = held(made, (input) => {
      input.keep()
      return 'x'.repeat(500_000)
    })
    await clock.advance(1)
    made.link.stall('right')
    const call = near.call(echo, () => 1)
    const back = await callback
    while (of(KIND.END).length === 0) await clock.advance(1)
    expect(of(KIND.FRAGMENT).length).toBeLessThan(15)
    back.release()
    made.link.resume('right')
    await clock.advance(1)
    expect(await call).toHaveLength(500_000)
    expect(of(KIND.RELEASE).length).toBe(1)
    // Behind the last fragment of the answer: before it, it would be late.
    const kinds = made.sent.map(({ kind }) => kind)
    expect(kinds.indexOf(KIND.RELEASE)).toBeGreaterThan(kinds.lastIndexOf(KIND.FRAGMENT))
    expect(kinds.lastIndexOf(KIND.FRAGMENT)).toBeGreaterThan(0)
  })

  it('kept: forgotten, it is released when the host collects it', async () => {
    const { near, far, of, clock } = rig()
    far.handle(echo, (input) => only(input).keep())
    await near.call(echo, () => 1)
    for (let round = 0; round < 100 && of(KIND.RELEASE).length === 0; round++) {
      collect()
      await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(1)
    }
    expect(of(KIND.RELEASE).length).toBe(1)
  })

  it('kept: though the reader of its stream leaves before the last item', async () => {
    const { near, far, of, clock } = rig()
    const kept: Callback[] = []
    far.handle(list, async function* (input) {
      only(input).keep()
      kept.push(only(input))
      yield 1
      yield 2
    })
    const stream = near.stream(list, () => 'here')
    await stream.output
    for await (const item of stream) if (item === 1) break
    stream.cancel()
    await clock.advance(1)
    expect(of(KIND.CANCEL).length).toBe(0)
    expect(await kept[0]?.()).toBe('here')
  })

  it('no drain waits for what is kept, and the end of the link ends it', async () => {
    const made = rig()
    const { callback } = held(made, (input) => input.keep())
    await made.near.call(echo, () => 1)
    const back = await callback
    const drained = made.far.drain(1_000_000)
    await made.clock.advance(10)
    await drained
    expect(await errorOf(back())).toMatchObject({ reason: 'LINK_LOST' })
  })

  it('10,000 calls with functions leave nothing', async () => {
    const { near, far, of, clock } = rig()
    const kept: Callback[] = []
    far.handle(echo, async (input) => {
      const callback = only(input)
      const value = await callback()
      if (Number(value) % 2 === 0) {
        callback.keep()
        kept.push(callback)
      }
      return value
    })
    for (let batch = 0; batch < 100; batch++) {
      const calls = Array.from({ length: 100 }, (_, n) => near.call(echo, () => n))
      expect(await Promise.all(calls)).toEqual(calls.map((_, n) => n))
      expect(kept.length).toBe(50)
      const given = await Promise.all(kept.map((callback) => callback()))
      expect(given).toEqual(kept.map((_, n) => 2 * n))
      for (const callback of kept.splice(0)) callback.release()
      await clock.advance(1)
    }
    // No slot past those of one batch was ever used.
    expect(Math.max(...of(KIND.CALL).map(({ id }) => id & 0xfffff))).toBe(99)
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })
})
