/** Functions that are called back through a hub: what it forwards, counts and frees, and what it lets nobody do. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { Callback } from '../../src/core/references.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { referencesHead } from '../../src/wire/head.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES, LEASE_GRACE_MS, LEASE_MS, MAX_BACKS, MAX_REFERENCES } from '../../src/wire/limits.ts'
import { isCallback, only } from '../support/callback.ts'
import type { FrameFields } from '../support/frames.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const FREE = { main: { call: ['*'] }, worker: { call: [] } }
const work = untyped('work')

/** BACK as the callee sends it: no arguments. */
function back(id: number, more: Partial<FrameFields> = {}): FrameFields {
  const payload = new Uint8Array([0xc0])
  return { kind: KIND.BACK, lane: 2, flags: FLAG.ANSWER, id, window: 1, payload, ...more }
}

/** A callee that the test plays, with one call of main's; with a function or without. */
async function played(input: unknown) {
  const rig = new HubRig({ rules: FREE })
  const main = await rig.join('main', 'main')
  const callee = await rig.raw('w', 'worker')
  rig.hub.serve(rig.port('w'), [['work', '']])
  await rig.settle()
  const call = main.to({ id: 'w' }).call(work, input, { timeoutMs: 0 })
  call.catch(() => {})
  await rig.settle()
  const id = callee.take().find(({ kind }) => kind === KIND.CALL)?.id ?? 0
  expect(id).not.toBe(0)
  return { rig, main, callee, call, id }
}

describe('callbacks through a hub', () => {
  it('go to and fro on the exchange of their call, with no rule of their own', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    worker.handle(work, async (input) => {
      const callback = only(input)
      let sum = 0
      for (let n = 0; n < 50; n++) sum += Number(await callback(n))
      return sum
    })
    const seen: unknown[] = []
    const step = (n: unknown): number => seen.push(n)
    await rig.settle()
    const call = main.to({ id: 'w' }).call(work, step)
    await rig.settle()
    expect(await call).toBe((50 * 51) / 2)
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => n))
    expect(rig.leftovers()).toEqual([])
  })

  it('what is kept is no open call, lives until it is released, and its slots are free then', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const kept: Callback[] = []
    worker.handle(work, (input) => {
      only(input).keep()
      kept.push(only(input))
      return 'kept'
    })
    await rig.settle()
    const calls = Array.from({ length: 20 }, (_, n) => main.to({ id: 'w' }).call(work, () => n))
    await rig.settle()
    expect(await Promise.all(calls)).toEqual(Array(20).fill('kept'))
    expect(rig.port('w').load).toBe(0)
    expect(rig.port('w').forwarded.slots.open).toBe(20)
    const given = Promise.all(kept.map((callback) => callback()))
    await rig.settle()
    expect(await given).toEqual(calls.map((_, n) => n))
    for (const callback of kept.slice(0, 10)) callback.release()
    await rig.settle()
    expect(rig.port('w').forwarded.slots.open).toBe(10)
    await rig.clock.pass(LEASE_MS + 10)
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
    expect(rig.port('w').forwarded.kept).toBe(0)
    const rows = rig.hub.traffic.rows().find(({ method }) => method === 'work')
    expect(rows).toMatchObject({ calls: 20, errors: 0 })
  })

  it('the caller goes: what is under way and kept rejects, and nothing is left', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const got: Callback[] = []
    worker.handle(work, (input) => {
      only(input).keep()
      got.push(only(input))
      return got.length === 1 ? 'kept' : new Promise(() => {})
    })
    await rig.settle()
    for (let n = 0; n < 2; n++) {
      main
        .to({ id: 'w' })
        .call(work, () => new Promise(() => {}))
        .catch(() => {})
    }
    await rig.settle()
    const under = got.map((callback) => refusal(callback()))
    await rig.settle()
    main.close()
    await rig.settle()
    expect(await Promise.all(under)).toMatchObject([{ code: 'CANCELLED' }, { code: 'CANCELLED' }])
    expect(rig.port('w').forwarded.slots.open).toBe(1)
    expect(rig.port('w').forwarded.kept).toBe(0)
  })

  it('the callee goes: its calls fail, what it kept is forgotten, and the slots are free', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    worker.handle(work, (input) => {
      only(input).keep()
      return 1
    })
    await rig.settle()
    const call = main.to({ id: 'w' }).call(work, () => {})
    await rig.settle()
    expect(await call).toBe(1)
    expect(rig.port('main').madeTo.filter((to) => to !== undefined).length).toBe(1)
    worker.close()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
    const again = await rig.join('w', 'worker')
    again.handle(work, () => 2)
    await rig.settle()
    const next = main.to({ id: 'w' }).call(work, 1)
    await rig.settle()
    expect(await next).toBe(2)
  })

  it('a callee that ends no lease: the caller cancels it, and its slot waits for the release', async () => {
    const { rig, callee, call, id } = await played(() => 1)
    callee.answer(id, { window: 1000 })
    await rig.settle()
    expect(await call).toBe(undefined)
    await rig.clock.pass(1000 + LEASE_GRACE_MS + 10)
    await rig.settle()
    expect(callee.take().map(({ kind }) => kind)).toEqual([KIND.CANCEL])
    callee.send(back(id))
    await rig.settle()
    expect(callee.take()).toEqual([])
    expect(rig.port('w').forwarded.slots.open).toBe(1)
    callee.send({ kind: KIND.RELEASE, lane: 2, flags: FLAG.ANSWER, id })
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  it('several answers with a lease are one, and an end frees what is kept', async () => {
    const { rig, callee, call, id } = await played(() => 1)
    callee.answer(id, { window: 1000 })
    callee.answer(id, { window: 1000 })
    await rig.settle()
    await call
    expect(rig.port('w').forwarded.kept).toBe(1)
    callee.answer(id)
    await rig.settle()
    expect(rig.port('w').forwarded.kept).toBe(0)
    expect(rig.leftovers()).toEqual([])
    expect([callee.closed, rig.port('main').closed]).toEqual([false, undefined])
  })
})

it('a caller that does not read: the hub answers for it once its queue is full, and later it is called again', async () => {
  const rules = { main: { zone: 'untrusted', call: ['*'] }, worker: { zone: 'trusted' } } as const
  const rig = new HubRig({ rules })
  const main = await rig.raw('main', 'main')
  const flood = await rig.raw('flood', 'worker')
  const worker = await rig.join('w', 'worker')
  const callbacks: Callback[] = []
  worker.handle(work, (input) => {
    callbacks.push(only(input))
    return new Promise(() => {})
  })
  rig.hub.serve(rig.port('flood'), [['work', '']])
  await rig.settle()
  const payload = new Uint8Array([...referencesHead(1), 0xf9, 0])
  main.open(1, { id: 'flood' }, 'work')
  main.open(2, { id: 'w' }, 'work')
  for (let slot = 0; slot < 4; slot++) main.call(0x00100000 + slot, 1, { headBytes: 8, payload })
  main.call(0x00100004, 2, { headBytes: 8, payload })
  await rig.settle()
  main.take()
  const calls = flood.take().filter(({ kind }) => kind === KIND.CALL)
  const [callback] = callbacks
  if (!callback || calls.length !== 4) throw new Error('they were not called')
  main.transport.full = true
  // What is handed to a transport before it says that it is full, and then what the hub may hold.
  const large = new Uint8Array(FRAGMENT_BYTES).fill(0xe0)
  for (const { id } of calls) {
    for (let n = 1; n <= MAX_BACKS && !rig.port('main').full; n++)
      flood.send(back(id, { window: n, payload: large }))
  }
  expect(rig.port('main').full).toBe(true)
  const refused = refusal(callback())
  const last = calls[3]?.id ?? 0
  flood.send(back(last, { window: 7777 }))
  await rig.settle()
  expect(await refused).toMatchObject({ reason: 'QUEUE_FULL', fate: 'not-sent' })
  expect(flood.take()).toMatchObject([{ kind: KIND.BACK, id: last, method: 8, route: 7, window: 7777 }])
  // Nothing of it counts as under way.
  main.transport.drain()
  await rig.settle()
  main.take()
  flood.send(...Array.from({ length: MAX_BACKS }, (_, n) => back(last, { window: n + 1 })))
  const again = callback()
  await rig.settle()
  expect(main.take().filter(({ kind }) => kind === KIND.BACK).length).toBe(MAX_BACKS + 1)
  main.send({ kind: KIND.BACK, lane: 2, id: 0x00100004, window: 2, payload: new Uint8Array([7]) })
  await rig.settle()
  expect(await again).toBe(7)
  expect([main.closed, flood.closed]).toEqual([false, false])
})

it('a caller that refuses to run its function says why, through the hub too', async () => {
  const rig = new HubRig({ rules: FREE })
  const main = await rig.raw('main', 'main')
  const worker = await rig.join('w', 'worker')
  let refused: Promise<unknown> | undefined
  worker.handle(work, (input) => {
    refused = refusal(only(input)())
    return refused.then(() => 1)
  })
  await rig.settle()
  main.open(1, { id: 'w' }, 'work')
  const payload = new Uint8Array([...referencesHead(1), 0xf9, 0])
  main.call(0x00100000, 1, { headBytes: 8, payload })
  await rig.settle()
  main.send({ kind: KIND.BACK, id: 0x00100000, window: 1, method: 8, route: 7 })
  await rig.settle()
  expect(await refused).toMatchObject({ reason: 'QUEUE_FULL', fate: 'not-sent' })
  expect(rig.leftovers()).toEqual([])
})

describe('what a hub closes the link of a callee for, and not that of its caller', () => {
  const LIE = [
    ['a number that there is not', () => {}, (id: number) => [back(id, { method: 1 })]],
    ['BACK where there are no functions', 1, (id: number) => [back(id)]],
    [
      'a lease where there are no functions',
      1,
      (id: number) => [{ kind: KIND.END, lane: 2, flags: FLAG.ANSWER, id, window: 1 }],
    ],
    [
      'more than may be under way',
      () => new Promise(() => {}),
      (id: number) => Array.from({ length: MAX_BACKS + 1 }, (_, n) => back(id, { window: n + 1 })),
    ],
  ] as const
  it.each(LIE)('%s', async (_, input, lie) => {
    const { rig, main, callee, call, id } = await played(input)
    callee.send(...lie(id))
    await rig.settle()
    expect(callee.closed).toBe(true)
    expect(await refusal(call)).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
    expect(main.isClosed).toBe(false)
    expect(rig.leftovers()).toEqual([])
  })

  it('as many as may be under way are none of them', async () => {
    let runs = 0
    const { rig, callee, id } = await played(() => ++runs)
    for (let round = 0; round < 3; round++) {
      callee.send(...Array.from({ length: MAX_BACKS }, (_, n) => back(id, { window: n + 1 })))
      await rig.settle()
    }
    expect(runs).toBe(3 * MAX_BACKS)
    expect(callee.closed).toBe(false)
    expect(callee.take().filter(({ kind }) => kind === KIND.BACK).length).toBe(3 * MAX_BACKS)
  })

  it('a caller closes its own link with answers when none is under way, and forges nobody’s', async () => {
    const rig = new HubRig({ rules: { ...FREE, ui: { call: ['*'] } } })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const got: Callback[] = []
    worker.handle(work, (input) => {
      if (isCallback(input)) got.push(input)
      return new Promise(() => {})
    })
    await rig.settle()
    main
      .to({ id: 'w' })
      .call(work, () => new Promise(() => {}))
      .catch(() => {})
    const hostile = await rig.raw('ui', 'ui')
    hostile.open(1, { id: 'w' }, 'work')
    const payload = new Uint8Array([...referencesHead(MAX_REFERENCES), 0xf9, 0])
    hostile.call(0x00100000, 1, { headBytes: 8, payload })
    await rig.settle()
    const [ours] = got
    if (!ours) throw new Error('it was not called')
    let settled = false
    ours()
      .finally(() => (settled = true))
      .catch(() => {})
    await rig.settle()
    // Ids of others, and numbers of others.
    for (let slot = 1; slot < 64; slot++)
      hostile.send({ kind: KIND.BACK, lane: 2, id: 0x00100000 + slot, window: 1 })
    await rig.settle()
    expect([settled, hostile.closed]).toEqual([false, false])
    hostile.send({ kind: KIND.BACK, lane: 2, id: 0x00100000, window: 1 })
    await rig.settle()
    expect([settled, hostile.closed, worker.isClosed]).toEqual([false, true, false])
  })
})
