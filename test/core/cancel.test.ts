import { describe, expect, test } from 'vitest'
import * as KIND from '../../src/wire/kind.ts'
import { collect, echo, errorOf, list, outcome, peers, put, rigOf, slow, watched } from './rig.ts'

describe.each(peers)('cancel ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('a signal that has fired already: nothing is sent', async () => {
    const { near, far, clock, of } = rig()
    let ran = 0
    far.handle(echo, () => ran++)
    const call = errorOf(near.call(echo, 1, { signal: AbortSignal.abort('why') }))
    await clock.settle()
    expect(await call).toMatchObject({
      code: 'CANCELLED',
      reason: 'CANCELLED',
      fate: 'not-sent',
      cause: 'why',
    })
    expect(of(KIND.CALL)).toEqual([])
    expect(ran).toBe(0)
    expect(near.openCalls).toBe(0)
  })

  test('before it has arrived: the promise settles at once, the slot with the callee', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    far.handle(slow, (_input, call) => new Promise((_, no) => call.signal.addEventListener('abort', no)))
    await clock.advance(30)
    const controller = new AbortController()
    const call = watched(near.call(slow, 1, { signal: controller.signal }))
    controller.abort()
    await clock.settle()
    expect(call.settled).toBe(true)
    expect(await errorOf(call.promise)).toMatchObject({ reason: 'CANCELLED', fate: 'unknown' })
    expect(near.openCalls).toBe(1)
    await clock.advance(25)
    expect(near.openCalls).toBe(0)
    expect(far.openCalls).toBe(0)
  })

  test('in the outbox: it was not sent, and its slot is free', async () => {
    const { near, far, link, clock, of } = rig({ highWaterBytes: 1 })
    let ran = 0
    far.handle(echo, (input) => {
      ran++
      return input
    })
    await clock.settle()
    link.stall('left')
    const first = near.call(echo, 'first')
    await clock.settle()
    const controller = new AbortController()
    const waiting = errorOf(near.call(echo, 'waits', { signal: controller.signal }))
    const large = errorOf(near.call(echo, 'x'.repeat(200_000), { signal: controller.signal }))
    const last = near.call(echo, 'last')
    await clock.settle()
    controller.abort()
    expect(await waiting).toMatchObject({ reason: 'CANCELLED', fate: 'not-sent' })
    expect(await large).toMatchObject({ reason: 'CANCELLED', fate: 'not-sent' })
    expect(near.openCalls).toBe(2)
    link.resume()
    await clock.settle()
    expect(await Promise.all([first, last])).toEqual(['first', 'last'])
    expect(ran).toBe(2)
    expect(of(KIND.CALL)).toHaveLength(2)
    expect(of(KIND.CANCEL)).toHaveLength(0)
  })

  test('a large call of which a part has left: CANCEL follows, and the callee never runs it', async () => {
    const { near, far, link, clock } = rig({ highWaterBytes: 40_000 })
    let ran = 0
    far.handle(echo, () => ran++)
    await clock.settle()
    link.stall('left')
    const controller = new AbortController()
    const call = errorOf(near.call(echo, new Uint8Array(500_000), { signal: controller.signal }))
    await clock.settle()
    controller.abort()
    expect(await call).toMatchObject({ reason: 'CANCELLED', fate: 'unknown' })
    expect(near.openCalls).toBe(1)
    link.resume()
    await clock.settle()
    expect(ran).toBe(0)
    expect(near.openCalls).toBe(0)
    expect(far.openCalls).toBe(0)
    expect(await outcome(near.call(echo, 1))).toBe(0)
  })

  test('while an uploaded item waits for credit: the handler is told, and the slot waits for it', async () => {
    const { near, far, clock } = rig()
    const aborted: unknown[] = []
    far.handle(put, (_input, call) => {
      return new Promise((_, no) =>
        call.signal.addEventListener('abort', () => {
          aborted.push(call.signal.reason)
          no(call.signal.reason)
        }),
      )
    })
    const controller = new AbortController()
    async function* upload() {
      for (;;) yield 'x'.repeat(20_000)
    }
    const call = errorOf(near.call(put, 0, { signal: controller.signal, upload: upload() }))
    await clock.settle()
    expect(far.openCalls).toBe(1)
    controller.abort()
    expect(await call).toMatchObject({ reason: 'CANCELLED', fate: 'unknown' })
    await clock.settle()
    expect(aborted).toHaveLength(1)
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
    expect(near.isClosed).toBe(false)
  })

  test('an answer that crossed the cancel is late, and hits no other call', async () => {
    const { near, far, clock } = rig({ delayMs: 5 })
    let answer = (_: unknown): void => {}
    far.handle(slow, () => new Promise((resolve) => (answer = resolve)))
    far.handle(echo, (input) => input)
    await clock.advance(20)
    const controller = new AbortController()
    const call = outcome(near.call(slow, 1, { signal: controller.signal }))
    await clock.advance(6)
    answer('late')
    await clock.settle()
    controller.abort()
    const next = watched(near.call(echo, 'next'))
    expect(await call).toBe('!CANCELLED')
    await clock.advance(20)
    expect(await next.promise).toBe('next')
    expect(near.isClosed).toBe(false)
  })

  test('leaving a stream runs the finally of the far generator, and frees both ends', async () => {
    const { near, far, clock } = rig()
    let stopped = 0
    far.handle(list, async function* () {
      try {
        for (let number = 0; ; number++) yield number
      } finally {
        stopped++
      }
    })
    for await (const item of near.stream(list, 0)) if (item === 3) break
    await clock.settle()
    expect(stopped).toBe(1)
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('a stream cancelled by hand ends for its reader and for its output', async () => {
    const { near, far, clock } = rig()
    far.handle(list, async function* () {
      yield 1
      await new Promise(() => {})
    })
    const stream = near.stream(list, 0)
    const reader = stream[Symbol.asyncIterator]()
    expect(await reader.next()).toEqual({ value: 1, done: false })
    const next = outcome(reader.next())
    stream.cancel()
    expect(await next).toBe('!CANCELLED')
    expect(await outcome(stream.output)).toBe('!CANCELLED')
    expect(await reader.next()).toEqual({ value: undefined, done: true })
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('a cancelled call keeps its slot until its handler ends', async () => {
    const { near, far, clock } = rig()
    let finish = (_: unknown): void => {}
    far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    const controller = new AbortController()
    const call = outcome(near.call(slow, 1, { signal: controller.signal }))
    await clock.settle()
    controller.abort()
    expect(await call).toBe('!CANCELLED')
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([1, 1])
    finish(1)
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('a reader that left can be asked again', async () => {
    const { near, far } = rig()
    far.handle(list, () => [1, 2, 3])
    const stream = near.stream(list, 0)
    for await (const _ of stream) break
    expect(await collect(stream)).toEqual([])
  })
})
