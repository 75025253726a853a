/** Idle bounds, hard bounds, and what of them PROGRESS and items extend: PROTOCOL.md, section 4. */
import { describe, expect, test } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import type { CallContext } from '../../src/core/call.ts'
import { untyped } from '../../src/core/method.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HubRig } from '../support/hubRig.ts'
import { errorOf, list, outcome, peers, rigOf, slow, watched } from './rig.ts'

/** What the transport takes before it says that it is full. */
const TAKEN_BYTES = 100_000

describe.each(peers)('an idle bound ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('of a call is extended by PROGRESS, to the millisecond, and needs no listener', async () => {
    const { near, far, clock } = rig()
    let call: CallContext | undefined
    far.handle(slow, (_, context) => {
      call = context
      return new Promise(() => {})
    })
    const answer = watched(errorOf(near.call(slow, 0, { timeoutMs: 0, idleTimeoutMs: 100 })))
    await clock.settle()
    await clock.advance(99)
    call?.progress(1)
    await clock.settle()
    await clock.advance(99)
    expect(answer.settled).toBe(false)
    await clock.advance(1)
    expect(await answer.promise).toMatchObject({ reason: 'DEADLINE_EXCEEDED', fate: 'unknown' })
    expect(call?.signal.aborted).toBe(true)
  })

  test('never extends the hard bound', async () => {
    const { near, far, clock } = rig()
    let call: CallContext | undefined
    far.handle(slow, (_, context) => {
      call = context
      return new Promise(() => {})
    })
    const answer = watched(outcome(near.call(slow, 0, { timeoutMs: 250, idleTimeoutMs: 100 })))
    await clock.settle()
    for (let ms = 0; ms < 249; ms += 83) {
      await clock.advance(83)
      call?.progress(ms)
      await clock.settle()
    }
    expect(answer.settled).toBe(false)
    await clock.advance(1)
    expect(await answer.promise).toBe('!DEADLINE_EXCEEDED')
  })

  test('of a stream is extended by items and by PROGRESS; its total bound by nothing', async () => {
    const { near, far, clock } = rig()
    let give = (_: unknown): void => {}
    let call: CallContext | undefined
    far.handle(list, async function* (_, context) {
      call = context
      for (;;) yield await new Promise((resolve) => (give = resolve))
    })
    const stream = near.stream(list, 0, { timeoutMs: 0, idleTimeoutMs: 100, totalTimeoutMs: 350 })
    const reader = stream[Symbol.asyncIterator]()
    let next = watched(outcome(reader.next()))
    await clock.settle()
    await clock.advance(99)
    give('a')
    expect(await next.promise).toEqual({ value: 'a', done: false })
    next = watched(outcome(reader.next()))
    await clock.advance(99)
    call?.progress('still there')
    await clock.settle()
    await clock.advance(99)
    expect(next.settled).toBe(false)
    call?.progress('still there')
    await clock.settle()
    // 297 ms have gone: the total bound comes before the idle one.
    await clock.advance(52)
    expect(next.settled).toBe(false)
    await clock.advance(1)
    expect(await next.promise).toBe('!DEADLINE_EXCEEDED')
  })

  test('begins anew when the reader has taken what waited, not when it was looked at', async () => {
    const { near, far, clock } = rig()
    let give = (_: unknown): void => {}
    far.handle(list, async function* () {
      for (;;) yield await new Promise((resolve) => (give = resolve))
    })
    const reader = near.stream(list, 0, { idleTimeoutMs: 100 })[Symbol.asyncIterator]()
    await clock.settle()
    give('a')
    await clock.settle()
    await clock.advance(199)
    expect(await reader.next()).toEqual({ value: 'a', done: false })
    const next = watched(outcome(reader.next()))
    await clock.advance(99)
    expect(next.settled).toBe(false)
    await clock.advance(1)
    expect(await next.promise).toBe('!DEADLINE_EXCEEDED')
  })

  test('rests while credit is exhausted, because items wait then, and runs on after', async () => {
    const { near, far, clock } = rig()
    let stopped = false
    far.handle(list, async function* () {
      for (let number = 0; number < 20; number++) yield 'x'.repeat(10_000)
      await new Promise(() => {})
    })
    const reader = near.stream(list, 0, { idleTimeoutMs: 100, windowBytes: 1 })[Symbol.asyncIterator]()
    await clock.settle()
    await clock.advance(60_000)
    for (let number = 0; number < 20; number++) {
      expect((await reader.next()).done).toBe(false)
      await clock.settle()
    }
    const next = watched(outcome(reader.next()).finally(() => (stopped = true)))
    await clock.advance(99)
    expect(stopped).toBe(false)
    await clock.advance(1)
    expect(await next.promise).toBe('!DEADLINE_EXCEEDED')
  })

  test('parts of a large item extend it', async () => {
    // Each round of credit takes 80 ms, and the item four of them: longer than the bound, but never silent.
    const { near, far, clock } = rig({ delayMs: 40 })
    far.handle(list, async function* () {
      yield 'x'.repeat(200_000)
      await new Promise(() => {})
    })
    const options = { timeoutMs: 0, idleTimeoutMs: 100, windowBytes: 1 }
    const reader = near.stream(list, 0, options)[Symbol.asyncIterator]()
    const first = watched(outcome(reader.next()))
    await clock.advance(200)
    expect(first.settled).toBe(false)
    await clock.advance(300)
    expect(await first.promise).toMatchObject({ done: false })
    expect(await outcome(reader.next())).toBe('!DEADLINE_EXCEEDED')
  })

  test('is no bound of those who set none: no timer but the hard one', async () => {
    const { near, far, clock } = rig()
    far.handle(slow, () => new Promise(() => {}))
    const answer = watched(outcome(near.call(slow, 0, { timeoutMs: 0 })))
    await clock.advance(3_600_000)
    expect([answer.settled, clock.pending]).toEqual([false, 0])
    near.close()
    expect(await answer.promise).toBe('!LINK_LOST')
  })
})

describe.each(peers)('progress ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('is left out while the outbox is full, so that a handler cannot fill it', async () => {
    const { near, far, clock, of } = rig({ highWaterBytes: TAKEN_BYTES })
    let finish = (): void => {}
    far.handle(slow, (_, call) => {
      for (let number = 0; number < 20_000; number++) call.progress('x'.repeat(30_000))
      return new Promise<void>((resolve) => (finish = resolve))
    })
    let told = 0
    const answer = near.call(slow, 0, { timeoutMs: 0, onProgress: () => told++ })
    await clock.settle()
    finish()
    await answer
    // The handler says it all in one turn, in which nothing arrives: the transport took some, the rest has waited.
    const bytes = of(KIND.PROGRESS, 'right').reduce((sum, { payloadBytes }) => sum + payloadBytes, 0)
    expect(bytes).toBeLessThanOrEqual(TRUSTED_LIMITS.queueBytes + TAKEN_BYTES + 30_100)
    expect(told).toBe(of(KIND.PROGRESS, 'right').length)
    expect(told).toBeGreaterThan(0)
    expect(told).toBeLessThan(20_000)
  })
})

/** Of the whole peer: who joins a hub is admitted. */
describe('through a hub', () => {
  const RULES = { main: { call: ['*'], subscribe: ['*'] }, worker: { publish: ['*'] } }
  const events = untyped('t.events', 'topic')

  test('PROGRESS extends the idle bound and no deadline: neither the caller’s nor the hub’s', async () => {
    const rig = new HubRig({ rules: RULES })
    const worker = await rig.join('w', 'worker')
    let call: CallContext | undefined
    worker.handle(slow, (_, context) => {
      call = context
      return new Promise(() => {})
    })
    const main = await rig.join('main', 'main')
    await rig.settle()
    const seen: unknown[] = []
    const answer = watched(
      outcome(
        main.to({ id: 'w' }).call(slow, 0, {
          timeoutMs: 250,
          idleTimeoutMs: 100,
          onProgress: (value) => seen.push(value),
        }),
      ),
    )
    await rig.settle()
    for (const ms of [90, 180, 240]) {
      await rig.clock.pass(ms === 240 ? 60 : 90)
      call?.progress(ms)
      await rig.settle()
      expect(answer.settled).toBe(false)
    }
    await rig.clock.pass(9)
    expect(answer.settled).toBe(false)
    await rig.clock.pass(1)
    expect(await answer.promise).toBe('!DEADLINE_EXCEEDED')
    expect(seen).toEqual([90, 180, 240])
    expect(call?.signal.aborted).toBe(true)
    await rig.clock.pass(200)
    // The handler has not ended: the slot stays taken at both links, and is free when it does.
    expect(rig.port('w').load).toBe(1)
    main.close()
    worker.close()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  test('an idle bound without a deadline leaves none at the hub: it holds for as long as progress comes', async () => {
    const rig = new HubRig({ rules: RULES })
    const worker = await rig.join('w', 'worker')
    let call: CallContext | undefined
    let finish = (_: string): void => {}
    worker.handle(slow, (_, context) => {
      call = context
      return new Promise((resolve) => (finish = resolve))
    })
    const main = await rig.join('main', 'main')
    await rig.settle()
    const answer = main.to({ id: 'w' }).call(slow, 0, { timeoutMs: 0, idleTimeoutMs: 100 })
    await rig.settle()
    for (let round = 0; round < 100; round++) {
      await rig.clock.pass(99)
      call?.progress(round)
      await rig.settle()
    }
    expect(call?.signal.aborted).toBe(false)
    finish('done')
    await rig.settle()
    expect(await answer).toBe('done')
    expect(rig.leftovers()).toEqual([])
  })

  test('a quiet subscription is open when the hub has it: its first event may come an hour later', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const subscription = main.subscribe(events)
    const first = watched(outcome(subscription[Symbol.asyncIterator]().next()))
    await rig.settle()
    await subscription.ready
    await rig.clock.pass(3_600_000)
    expect(first.settled).toBe(false)
    worker.publish(events, 'late')
    await rig.settle()
    expect(await first.promise).toEqual({ value: 'late', done: false })
    subscription.cancel()
    await rig.settle()
  })
})
