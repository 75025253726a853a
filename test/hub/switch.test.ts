/** Routing, refusals, quotas and what the hub does with the frames of one exchange. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { referencesHead } from '../../src/wire/head.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES } from '../../src/wire/limits.ts'
import { FATE, REASONS } from '../../src/wire/reasons.ts'
import { frameFrom, type ReadFrame } from '../support/frames.ts'
import { HubRig, type RawPeer, refusal, workPair } from '../support/hubRig.ts'

const FREE = {
  main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
  worker: { call: ['*'] },
  ui: { call: ['work'] },
}
const work = untyped('work')
const big = 'x'.repeat(100_000)

const pair = () => workPair(FREE)

function calls(peer: RawPeer): ReadFrame[] {
  return peer.take().filter(({ kind }) => kind === KIND.CALL)
}

describe('routing', () => {
  it('by id, to that peer alone', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const workers = await Promise.all(['w1', 'w2', 'w3'].map((id) => rig.join(id, 'worker')))
    for (const [index, worker] of workers.entries())
      worker.handle(work, (input) => `${index} ${String(input)}`)
    await rig.settle()
    const answer = main.to({ id: 'w2' }).call(work, 'a')
    await rig.settle()
    expect(await answer).toBe('1 a')
    expect(rig.leftovers()).toEqual([])
  })

  it('by type, to the one with the fewest open calls', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const counts = [0, 0, 0]
    const open: (() => void)[] = []
    for (const index of counts.keys()) {
      const worker = await rig.join(`w${index}`, 'worker')
      worker.handle(work, () => {
        counts[index] = (counts[index] ?? 0) + 1
        return new Promise<void>((resolve) => open.push(resolve))
      })
    }
    await rig.settle()
    const all = Array.from({ length: 30 }, () => main.to({ type: 'worker' }).call(work, 1, { timeoutMs: 0 }))
    await rig.settle()
    expect(counts).toEqual([10, 10, 10])
    for (const end of open) end()
    await rig.settle()
    await Promise.all(all)
    expect(rig.leftovers()).toEqual([])
  })

  it('by type, those of the caller’s version first, however busy', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const ours = { ...work, fingerprint: '00000000000000aa' }
    const theirs = { ...work, fingerprint: '00000000000000bb' }
    const seen: string[] = []
    const old = await rig.join('w-old', 'worker')
    const now = await rig.join('w-now', 'worker')
    old.handle(theirs, () => seen.push('old'))
    now.handle(ours, () => {
      seen.push('now')
      return new Promise(() => {})
    })
    await rig.settle()
    for (let call = 0; call < 10; call++)
      main
        .to({ type: 'worker' })
        .call(ours, 1, { timeoutMs: 0 })
        .catch(() => {})
    await rig.settle()
    expect(seen).toEqual(Array.from({ length: 10 }, () => 'now'))
    now.close()
    await rig.settle()
    const again = main.to({ type: 'worker' }).call(ours, 1)
    await rig.settle()
    await again
    expect(seen.at(-1)).toBe('old')
  })

  it('a server of another version: SKEW from the hub, and the call goes again describing itself', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const ours = { ...work, fingerprint: '00000000000000aa' }
    for (const fingerprint of ['00000000000000aa', '00000000000000bb']) {
      const server = await rig.join('w', 'worker')
      server.handle({ ...work, fingerprint }, (input) => `${fingerprint.at(-1)} ${String(input)}`)
      await rig.settle()
      const answer = main.to({ id: 'w' }).call(ours, 1)
      await rig.settle()
      expect(await answer).toBe(`${fingerprint.at(-1)} 1`)
    }
    // The same without the notice: a raw caller that insists on the dictionary.
    const raw = await rig.raw('worker-9', 'worker')
    raw.open(1, { id: 'w' }, ['work', '00000000000000aa'])
    raw.call(1, 1, { flags: FLAG.DICTIONARY })
    await rig.settle()
    expect(raw.take().at(-1)).toMatchObject({ kind: KIND.ERROR, route: REASONS.SKEW.number, window: 1 })
  })

  it('SKEW on a type route is told of its best peer', async () => {
    const rig = new HubRig({ rules: FREE })
    const raw = await rig.raw('worker-9', 'worker')
    raw.open(1, { type: 'ui' }, ['work', '00000000000000aa'])
    const one = await rig.raw('ui-1', 'ui')
    rig.hub.serve(rig.port('ui-1'), [['work', '00000000000000bb']])
    raw.call(1, 1, { flags: FLAG.DICTIONARY })
    await rig.settle()
    expect(raw.take().at(-1)).toMatchObject({ kind: KIND.ERROR, route: REASONS.SKEW.number })
    const two = await rig.raw('ui-2', 'ui')
    rig.hub.serve(rig.port('ui-2'), [['work', '00000000000000aa']])
    raw.call(2, 1, { flags: FLAG.DICTIONARY })
    await rig.settle()
    expect(calls(one)).toEqual([])
    expect(calls(two).length).toBe(1)
  })

  it('nobody, somebody who does not serve it, and somebody who goes away', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const to = main.to({ id: 'w' })
    const ask = async () => {
      const answer = refusal(to.call(work, 1))
      await rig.settle()
      return (await answer).reason
    }
    expect(await ask()).toBe('TARGET_UNAVAILABLE')
    const worker = await rig.join('w', 'worker')
    rig.hub.ready(rig.port('w'))
    expect(await ask()).toBe('METHOD_NOT_FOUND')
    const withdraw = worker.handle(work, () => new Promise(() => {}))
    await rig.settle()
    const during = refusal(to.call(work, 1))
    await rig.settle()
    withdraw()
    await rig.settle()
    expect(await ask()).toBe('METHOD_NOT_FOUND')
    worker.close()
    await rig.settle()
    expect(await during).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
    expect(await ask()).toBe('TARGET_UNAVAILABLE')
    expect(rig.leftovers()).toEqual([])
  })

  it('one or many that drain', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    for (const id of ['w1', 'w2']) {
      const worker = await rig.raw(id, 'worker')
      rig.hub.serve(rig.port(id), [['work', '']])
      worker.send({ kind: KIND.GOAWAY })
      await rig.settle()
      const answer = refusal(main.to({ type: 'worker' }).call(work, 1))
      await rig.settle()
      expect(await answer).toMatchObject({ reason: 'DRAINING', fate: 'not-sent' })
    }
  })

  it('waits a bounded time for a target that is starting', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.raw('main', 'main')
    rig.hub.expect('w', 'worker')
    main.open(1, { id: 'w' }, 'work')
    main.call(1, 1, { timeLeft: 1000 })
    main.call(2, 1, { timeLeft: 60_000 })
    main.call(3, 1, { timeLeft: 60_000 })
    await rig.clock.pass(1000)
    expect(main.take().filter(({ kind }) => kind === KIND.ERROR)).toMatchObject([
      { id: 1, route: REASONS.TARGET_UNAVAILABLE.number, window: 1 },
    ])
    main.send({ kind: KIND.CANCEL, id: 3 })
    await rig.settle()
    expect(main.take()).toMatchObject([
      { kind: KIND.ERROR, id: 3, route: REASONS.CANCELLED.number, window: 1 },
    ])
    const w = await rig.raw('w', 'worker')
    rig.hub.serve(rig.port('w'), [['work', '']])
    await rig.settle()
    const [call] = calls(w)
    expect(call?.timeLeft).toBe(59_000)
    expect(rig.port('main').link.accepted).toBe(3)
    w.answer(call?.id ?? 0)
    await rig.settle()
    expect(main.take().at(-1)).toMatchObject({ kind: KIND.END, id: 2 })
    main.call(4, 1, { timeLeft: 60_000 })
    w.transport.lose()
    await rig.settle()
    main.take()
    main.call(5, 1, { timeLeft: 60_000 })
    await rig.settle()
    expect(main.take()).toEqual([])
    rig.hub.unexpect('w')
    await rig.settle()
    expect(main.take()).toMatchObject([{ kind: KIND.ERROR, id: 5, route: REASONS.TARGET_UNAVAILABLE.number }])
    expect(rig.leftovers()).toEqual([])
  })
})

describe('one exchange', () => {
  it('time left is lowered by what a frame was held, and what has expired is dropped at dequeue', async () => {
    const { rig, caller, callee } = await pair()
    callee.transport.full = true
    caller.call(9, 1)
    await rig.settle()
    caller.call(1, 1, { timeLeft: 50 })
    await rig.clock.pass(40)
    caller.call(2, 1, { timeLeft: 60 })
    caller.call(3, 1, { timeLeft: 5000 })
    await rig.clock.pass(40)
    callee.transport.drain()
    await rig.settle()
    expect(calls(callee).map(({ timeLeft }) => timeLeft)).toEqual([0, 20, 4960])
    expect(caller.take()).toMatchObject([
      { kind: KIND.ERROR, id: 1, route: REASONS.DEADLINE_EXCEEDED.number, window: 1 },
    ])
  })

  it('is cancelled by the hub 100 ms after its time, and its slot stays until the callee ends', async () => {
    const { rig, caller, callee } = await pair()
    caller.call(1, 1, { timeLeft: 50 })
    await rig.clock.pass(149)
    const [call] = calls(callee)
    expect(callee.take()).toEqual([])
    await rig.clock.pass(10)
    expect(callee.take()).toMatchObject([{ kind: KIND.CANCEL, id: call?.id }])
    expect(rig.port('main').forwarded.slots.open).toBe(1)
    callee.answer(call?.id ?? 0)
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  // Its items are dropped from then on, and it may be that its caller looks at its own clock later than the hub does.
  it.each([
    { its: 'END', bytes: 8 },
    { its: 'END in fragments', bytes: FRAGMENT_BYTES + 8 },
  ])(
    'that the hub has cancelled ends with DEADLINE_EXCEEDED, though its callee says $its',
    async ({ bytes }) => {
      const { rig, caller, callee } = await pair()
      caller.call(1, 1, { timeLeft: 50, window: 65_536 })
      await rig.settle()
      const id = calls(callee)[0]?.id ?? 0
      await rig.clock.pass(200)
      const payload = new Uint8Array(bytes)
      const [first, rest] = [payload.subarray(0, FRAGMENT_BYTES), payload.subarray(FRAGMENT_BYTES)]
      const flags = FLAG.ANSWER
      callee.send({ kind: KIND.ITEM, flags, id, payload: first.subarray(0, 8) })
      if (rest.length === 0) callee.answer(id, { payload: first })
      else {
        callee.send({ kind: KIND.END, flags: flags | FLAG.MORE, id, payload: first, payloadBytes: bytes })
        await rig.settle()
        expect(caller.take()).toEqual([])
        callee.send({ kind: KIND.FRAGMENT, flags, id, payload: rest })
      }
      await rig.settle()
      expect(caller.take()).toMatchObject([
        { kind: KIND.ERROR, id: 1, route: REASONS.DEADLINE_EXCEEDED.number, window: FATE.unknown },
      ])
      expect(callee.closed).toBe(false)
      expect(rig.leftovers()).toEqual([])
      // The slot is free on both sides.
      caller.call(0x0010_0001, 1)
      await rig.settle()
      callee.answer(calls(callee)[0]?.id ?? 0)
      await rig.settle()
      expect(caller.take()).toMatchObject([{ kind: KIND.END, id: 0x0010_0001 }])
    },
  )

  it('that the hub has cancelled while its answer came in fragments is cut short', async () => {
    const { rig, caller, callee } = await pair()
    caller.call(1, 1, { timeLeft: 50 })
    await rig.settle()
    const id = calls(callee)[0]?.id ?? 0
    const payload = new Uint8Array(FRAGMENT_BYTES)
    const flags = FLAG.ANSWER
    callee.send({ kind: KIND.END, flags: flags | FLAG.MORE, id, payload, payloadBytes: FRAGMENT_BYTES + 8 })
    await rig.clock.pass(200)
    callee.send({ kind: KIND.FRAGMENT, flags, id, payload: payload.subarray(0, 8) })
    await rig.settle()
    expect(caller.take()).toMatchObject([
      { kind: KIND.END, id: 1 },
      { kind: KIND.ERROR, id: 1, route: REASONS.DEADLINE_EXCEEDED.number, window: FATE.unknown },
    ])
    expect(rig.leftovers()).toEqual([])
  })

  it('that the hub has cancelled ends once where functions were to be kept', async () => {
    const { rig, caller, callee } = await pair()
    caller.call(1, 1, {
      timeLeft: 50,
      headBytes: 8,
      payload: new Uint8Array([...referencesHead(1), 0xf9, 0]),
    })
    await rig.settle()
    const id = calls(callee)[0]?.id ?? 0
    await rig.clock.pass(200)
    const flags = FLAG.ANSWER
    callee.send({ kind: KIND.END, flags, id, window: 1000, payload: new Uint8Array(8) })
    await rig.settle()
    expect(caller.take()).toEqual([])
    callee.send({ kind: KIND.RELEASE, flags, id })
    await rig.settle()
    expect(caller.take()).toMatchObject([
      { kind: KIND.ERROR, id: 1, route: REASONS.DEADLINE_EXCEEDED.number, window: FATE.unknown },
    ])
    expect(rig.leftovers()).toEqual([])
  })

  it('a CANCEL does not overtake the CALL that waits in a lane', async () => {
    const { rig, caller, callee } = await pair()
    callee.transport.full = true
    caller.call(9, 1)
    await rig.settle()
    caller.call(1, 1, { window: 65536 })
    caller.send({ kind: KIND.CANCEL, id: 1 })
    callee.transport.drain()
    await rig.settle()
    const kinds = callee.take().slice(-2)
    expect(kinds.map(({ kind }) => kind)).toEqual([KIND.CALL, KIND.CANCEL])
    // The same when the caller's link ends.
    callee.transport.full = true
    caller.call(10, 1)
    await rig.settle()
    caller.call(2, 1, { window: 65536 })
    caller.transport.lose()
    await rig.settle()
    callee.transport.drain()
    await rig.settle()
    const after = callee
      .take()
      .filter(({ kind, id }) => id !== kinds[0]?.id && (kind === KIND.CALL || kind === KIND.CANCEL))
    for (const { id } of after.filter(({ kind }) => kind === KIND.CALL)) {
      const of = after.filter((frame) => frame.id === id).map(({ kind }) => kind)
      expect(of).toEqual([KIND.CALL, KIND.CANCEL])
    }
  })

  it('answers to callers that have gone cost the callee nothing', async () => {
    const rig = new HubRig({ rules: FREE })
    const callee = await rig.raw('ai-1', 'worker')
    rig.hub.serve(rig.port('ai-1'), [['work', '']])
    for (let round = 0; round < 60; round++) {
      const caller = await rig.raw('ui-1', 'ui')
      caller.open(1, { id: 'ai-1' }, 'work')
      for (let id = 1; id < 40; id++) caller.call(id, 1)
      await rig.settle()
      caller.transport.lose()
      await rig.settle()
      for (const { id } of calls(callee)) callee.answer(id, { payload: new Uint8Array(8) })
      await rig.settle()
    }
    expect(rig.port('ai-1').paused).toBe(false)
    expect(rig.leftovers()).toEqual([])
  })

  it('a bare error of the callee keeps its reason, code and fate', async () => {
    const { rig, caller, callee } = await pair()
    caller.call(1, 1)
    await rig.settle()
    const id = calls(callee)[0]?.id ?? 0
    callee.send({ kind: KIND.ERROR, flags: FLAG.ANSWER, method: 12, id, route: 3, window: 1, timeLeft: 250 })
    await rig.settle()
    expect(caller.take()).toMatchObject([
      {
        kind: KIND.ERROR,
        id: 1,
        method: 12,
        route: REASONS.METHOD_NOT_FOUND.number,
        window: 1,
        timeLeft: 250,
      },
    ])
  })

  it('credit is checked in both directions', async () => {
    const { rig, caller, callee } = await pair()
    caller.call(1, 1, { flags: FLAG.UPLOAD, window: 65_600 })
    await rig.settle()
    const item = { kind: KIND.ITEM, lane: 2, payload: new Uint8Array(32_768) }
    caller.send({ ...item, id: 1 }, { ...item, id: 1 })
    await rig.settle()
    expect(caller.closed).toBe(false)
    caller.send({ ...item, id: 1, payload: new Uint8Array(1) })
    await rig.settle()
    expect(caller.closed).toBe(true)
    const other = await rig.raw('worker-2', 'worker')
    other.open(1, { id: 'main' }, 'work')
    other.call(1, 1, { window: 65_600 })
    await rig.settle()
    const id = calls(callee).at(-1)?.id ?? 0
    callee.send({ ...item, id, flags: FLAG.ANSWER }, { ...item, id, flags: FLAG.ANSWER })
    other.send({ kind: KIND.CREDIT, id: 1, window: 40 })
    callee.send({ ...item, id, flags: FLAG.ANSWER, payload: new Uint8Array(8) })
    await rig.settle()
    expect(callee.closed).toBe(false)
    callee.send({ ...item, id, flags: FLAG.ANSWER, payload: new Uint8Array(1) })
    await rig.settle()
    expect(callee.closed).toBe(true)
    expect(other.closed).toBe(false)
    expect(other.take().find(({ kind }) => kind === KIND.ERROR)).toMatchObject({
      id: 1,
      route: REASONS.TARGET_UNAVAILABLE.number,
    })
  })

  it('an uploader is not closed for what crosses the hub’s own cancel', async () => {
    const { rig, caller } = await pair()
    caller.call(1, 1, { flags: FLAG.UPLOAD, timeLeft: 10 })
    await rig.clock.pass(200)
    caller.send({
      kind: KIND.ITEM,
      flags: FLAG.MORE,
      lane: 2,
      id: 1,
      payload: new Uint8Array(8),
      payloadBytes: 16,
    })
    caller.send({ kind: KIND.FRAGMENT, lane: 2, id: 1, payload: new Uint8Array(8) })
    await rig.settle()
    expect(caller.closed).toBe(false)
  })

  it('a cancelled stream of cut items ends with an error, and its callee stays', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const method = untyped('items', 'stream')
    worker.handle(method, async function* () {
      for (;;) yield 'y'.repeat(500_000)
    })
    await rig.settle()
    for (let round = 0; round < 5; round++) {
      const stream = main.to({ id: 'w' }).stream(method, 1, { timeoutMs: 0, windowBytes: 65_536 })
      await rig.settle()
      stream.cancel()
      await rig.settle()
      expect(await refusal(stream.output)).toMatchObject({ reason: 'CANCELLED' })
    }
    expect(worker.isClosed).toBe(false)
    expect(main.openCalls).toBe(0)
    expect(rig.leftovers()).toEqual([])
  })

  it('an upload that the callee answers early leaves nothing behind', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    const method = untyped('up', 'call', true)
    worker.handle(method, () => 'enough')
    const echo = untyped('echo')
    worker.handle(echo, (input) => String(input).length)
    await rig.settle()
    const upload = async function* () {
      yield 'z'.repeat(2_000_000)
    }
    for (let round = 0; round < 40; round++) {
      const answer = main.to({ id: 'w' }).call(method, 1, { upload: upload() })
      await rig.settle()
      expect(await answer).toBe('enough')
    }
    const large = main.to({ id: 'w' }).call(echo, 'e'.repeat(1_000_000))
    await rig.settle()
    expect(await large).toBe(1_000_000)
    expect(rig.leftovers()).toEqual([])
  })

  it('large messages go among small ones and are cut short by a death on either side', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('w', 'worker')
    worker.handle(work, (input) => input)
    await rig.settle()
    const order: number[] = []
    const all = [big, 1, 2, big, 3].map((input, index) =>
      main
        .to({ id: 'w' })
        .call(work, input)
        .then((value) => {
          expect(value).toBe(input)
          order.push(index)
        }),
    )
    await rig.settle()
    await Promise.all(all)
    expect(order.length).toBe(5)
    const first = { flags: FLAG.MORE, payload: new Uint8Array(32_768), payloadBytes: 100_000 }
    const raw = await rig.raw('worker-2', 'worker')
    raw.open(1, { id: 'w' }, 'work')
    raw.call(1, 1, first)
    raw.call(2, 1, { ...first, flags: FLAG.MORE | FLAG.ONE_WAY })
    raw.call(3, 1, { payload: new Uint8Array([1]) })
    await rig.settle()
    expect(rig.port('w').forwarded.slots.open).toBe(2)
    raw.transport.lose()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
    const callee = await rig.raw('worker-3', 'worker')
    rig.hub.serve(rig.port('worker-3'), [['work', '']])
    const answer = refusal(main.to({ id: 'worker-3' }).call(work, big))
    await rig.settle()
    callee.send({
      kind: KIND.END,
      lane: 2,
      id: calls(callee)[0]?.id ?? 0,
      ...first,
      flags: FLAG.MORE | FLAG.ANSWER,
    })
    await rig.settle()
    callee.transport.lose()
    await rig.settle()
    expect(await answer).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
    expect(main.openCalls).toBe(0)
    expect(rig.leftovers()).toEqual([])
  })

  it('a one-way message in fragments frees its slot however it ends', async () => {
    const { rig, caller, callee } = await pair()
    const first = { flags: FLAG.MORE | FLAG.ONE_WAY, payload: new Uint8Array(8), payloadBytes: 16 }
    caller.call(1, 1, first)
    caller.send({ kind: KIND.FRAGMENT, lane: 2, id: 1, payload: new Uint8Array(8) })
    caller.call(2, 1, first)
    caller.send({ kind: KIND.CANCEL, id: 2 })
    caller.call(3, 1, { ...first, timeLeft: 10 })
    caller.call(4, 1, { ...first, flags: first.flags | FLAG.UPLOAD })
    await rig.clock.pass(500)
    expect(rig.port('main').forwarded.slots.open).toBe(1)
    caller.send({ kind: KIND.ITEM, lane: 2, id: 4, payload: new Uint8Array(8) })
    await rig.settle()
    expect(caller.closed).toBe(true)
    expect(callee.closed).toBe(false)
    expect(rig.leftovers()).toEqual([])
  })

  it('frames of one exchange keep their order though they name other lanes', async () => {
    const { rig, caller, callee } = await pair()
    callee.transport.full = true
    caller.call(9, 1)
    await rig.settle()
    caller.call(1, 1, {
      lane: 3,
      flags: FLAG.MORE | FLAG.ONE_WAY,
      payload: new Uint8Array(8),
      payloadBytes: 16,
    })
    caller.send({ kind: KIND.FRAGMENT, lane: 1, id: 1, payload: new Uint8Array(8) })
    callee.transport.drain()
    await rig.settle()
    expect(
      callee
        .take()
        .slice(-2)
        .map(({ kind }) => kind),
    ).toEqual([KIND.CALL, KIND.FRAGMENT])
  })
})

describe('bounds', () => {
  it('a target that does not read: QUEUE_FULL, its sources are paused and go on after', async () => {
    const rig = new HubRig({ rules: { ...FREE, worker: { call: ['*'], limits: { queueBytes: 200_000 } } } })
    const callee = await rig.raw('main', 'worker')
    rig.hub.serve(rig.port('main'), [['work', '']])
    const flood = await rig.raw('worker-1', 'worker')
    const honest = await rig.raw('ui-1', 'ui')
    flood.open(1, { id: 'main' }, 'work')
    honest.open(1, { id: 'main' }, 'work')
    await rig.settle()
    flood.take()
    callee.transport.full = true
    for (let id = 1; id < 40 && !flood.transport.paused; id++)
      flood.call(id, 1, { payload: new Uint8Array(8_192) })
    await rig.settle()
    expect(flood.transport.paused).toBe(true)
    expect(honest.transport.paused).toBe(false)
    expect(rig.port('main').link.outbox.queuedBytes).toBeLessThan(120_000)
    for (let id = 1; id < 10; id++) honest.call(id, 1, { payload: new Uint8Array(8_192) })
    await rig.settle()
    expect(honest.take().at(-1)).toMatchObject({
      kind: KIND.ERROR,
      route: REASONS.QUEUE_FULL.number,
      window: 1,
    })
    callee.transport.drain()
    await rig.settle()
    expect(flood.transport.paused).toBe(false)
    for (const { id } of calls(callee)) callee.answer(id)
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  it('a peer that asks and never reads is not read itself, and the hub holds little for it', async () => {
    const { rig, callee } = await pair()
    const hostile = await rig.raw('ui-1', 'ui')
    hostile.transport.full = true
    const ping = { kind: KIND.PING, id: 1 }
    const many = Array.from({ length: 1000 }, () => ping)
    let sent = 0
    for (; sent < 200_000 && !hostile.transport.paused; sent += many.length) {
      hostile.send(...many)
      rig.clock.turns()
    }
    expect(hostile.transport.paused).toBe(true)
    expect(rig.port('ui-1').link.outbox.queuedBytes).toBeLessThan(2 * 1024 * 1024)
    hostile.transport.drain()
    await rig.settle()
    expect(hostile.transport.paused).toBe(false)
    // The same by calls that are refused, and by routes that are opened.
    for (const frame of [
      { kind: KIND.CALL, lane: 2, id: 1, route: 77 },
      frameFrom({ kind: 'OPEN', route: 1, body: { target: { id: 'main' }, methods: [[0, 'work', '']] } }),
    ]) {
      hostile.transport.full = true
      hostile.send(ping)
      const run = Array.from({ length: 1000 }, () => frame)
      for (let round = 0; round < 200 && !hostile.transport.paused; round++) {
        hostile.send(...run)
        rig.clock.turns()
      }
      expect(hostile.transport.paused).toBe(true)
      expect(rig.port('ui-1').link.outbox.queuedBytes).toBeLessThan(2 * 1024 * 1024)
      hostile.transport.drain()
      await rig.settle()
    }
    expect(callee.closed).toBe(false)
  })

  it('too large, too many, and out of range', async () => {
    const rig = new HubRig({ rules: { ...FREE, ui: { call: ['*'], limits: { exchanges: 4 } } } })
    const callee = await rig.raw('ui-9', 'ui')
    rig.hub.serve(rig.port('ui-9'), [['work', '']])
    const caller = await rig.raw('worker-1', 'worker')
    caller.open(1, { id: 'ui-9' }, 'work')
    caller.call(1, 1, { flags: FLAG.MORE, payload: new Uint8Array(8), payloadBytes: 1024 * 1024 + 1 })
    caller.send({ kind: KIND.FRAGMENT, lane: 2, id: 1, flags: FLAG.MORE, payload: new Uint8Array(8) })
    for (let id = 2; id < 7; id++) caller.call(id, 1)
    await rig.settle()
    expect(caller.take().filter(({ kind }) => kind === KIND.ERROR)).toMatchObject([
      { id: 1, route: REASONS.MESSAGE_TOO_LARGE.number, window: 1 },
      { id: 6, route: REASONS.TOO_MANY_CALLS.number, window: 1 },
    ])
    expect(calls(callee).length).toBe(4)
    const wild = await rig.raw('ui-1', 'ui')
    wild.open(1, { id: 'main' }, 'work')
    wild.call(4, 1)
    await rig.settle()
    expect(wild.closed).toBe(true)
    expect(caller.closed).toBe(false)
    // An end of a caller may be cut too, and is bounded like all messages.
    caller.send({ kind: KIND.CANCEL, id: 2 })
    const up = await rig.raw('worker-2', 'worker')
    up.open(1, { type: 'main' }, 'work')
    const target = await rig.raw('m', 'main')
    rig.hub.serve(rig.port('m'), [['work', '']])
    up.call(1, 1, { flags: FLAG.UPLOAD })
    up.send({
      kind: KIND.END,
      lane: 2,
      flags: FLAG.MORE,
      id: 1,
      payload: new Uint8Array(8),
      payloadBytes: 9_000_000,
    })
    await rig.settle()
    expect(up.closed).toBe(true)
    expect(target.closed).toBe(false)
  })

  it('a peer that breaks the protocol is closed, and nobody else', async () => {
    const { rig, caller, callee } = await pair()
    const bystander = await rig.join('ui-1', 'ui')
    caller.call(1, 1)
    await rig.settle()
    caller.call(1, 1)
    await rig.settle()
    expect(caller.closed).toBe(true)
    expect(callee.closed).toBe(false)
    expect(bystander.isClosed).toBe(false)
    const seen = callee.take()
    expect(seen.map(({ kind }) => kind)).toEqual([KIND.OPEN, KIND.CALL, KIND.CANCEL, KIND.DROP])
    callee.answer(seen[1]?.id ?? 0)
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  it('routes and methods have bounds', async () => {
    const { rig } = await pair()
    const wild = await rig.raw('ui-1', 'ui')
    wild.open(1024, { id: 'main' }, 'work')
    await rig.settle()
    expect(wild.closed).toBe(true)
    const greedy = await rig.raw('ui-2', 'ui')
    const lines = Array.from({ length: 500 }, (_, index) => [index, `m${index}`, ''])
    for (let route = 1; route < 1024 && !greedy.closed; route++) {
      greedy.send(frameFrom({ kind: 'OPEN', route, body: { target: { id: 'main' }, methods: lines } }))
      greedy.take()
    }
    await rig.settle()
    expect(greedy.closed).toBe(true)
  })

  it('a caller’s windows never add up to more than its own share of the hub', async () => {
    const rig = new HubRig({ rules: FREE })
    const callee = await rig.raw('main', 'main')
    rig.hub.serve(rig.port('main'), [['work', '']])
    const hostile = await rig.raw('ui-1', 'ui')
    hostile.open(1, { id: 'main' }, 'work')
    for (let id = 1; id < 1000; id++) {
      hostile.call(id, 1, { window: 0xffffffff })
      hostile.send({ kind: KIND.CREDIT, id, window: 0xffffffff })
    }
    await rig.settle()
    const granted = callee.take().reduce((sum, { window }) => sum + window, 0)
    expect(granted).toBeLessThanOrEqual(rig.port('ui-1').limits.queueBytes / 2)
  })
})
