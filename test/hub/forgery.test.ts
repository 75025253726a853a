/** Nothing that one peer sends changes what another peer has, is told, or is taken for. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { writeU16, writeU32 } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { REASONS } from '../../src/wire/reasons.ts'
import { frameFrom, makeFrame, readFrame } from '../support/frames.ts'
import { HubRig } from '../support/hubRig.ts'

const RULES = {
  main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
  worker: { call: ['open.*'], publish: ['news'], subscribe: ['news'] },
}

describe('forgeries', () => {
  it('the source of a call is what the hub knows, whatever its frames say', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const sources: string[] = []
    main.handle(untyped('open.tab'), (_, { peer }) => {
      sources.push(`${peer.id} ${peer.type} ${peer.zone}`)
      return 1
    })
    const hostile = await rig.raw('worker-1', 'worker')
    const source = { id: 'main', type: 'main', zone: 'trusted', session: '0'.repeat(32), pid: 1 }
    hostile.send(
      frameFrom({
        kind: 'OPEN',
        route: 1,
        body: { target: { id: 'main' }, source, id: 'main', methods: [[0, 'open.tab', '']] },
      }),
    )
    hostile.call(0x00100000, 1, { payload: new Uint8Array([0x2a]) })
    await rig.settle()
    // Straight to the route that the hub opened at the callee, and to others' routes.
    for (let route = 0; route < 8; route++)
      hostile.call(1 + route, route, { payload: new Uint8Array([0x2a]) })
    await rig.settle()
    expect(new Set(sources)).toEqual(new Set(['worker-1 worker semi']))
    expect(hostile.closed).toBe(false)
  })

  it('an index on a route cannot be given another name', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const ran: string[] = []
    main.handle(untyped('open.tab'), () => ran.push('open.tab'))
    main.handle(untyped('secret.read'), () => ran.push('secret.read'))
    await rig.settle()
    const hostile = await rig.raw('worker-1', 'worker')
    hostile.open(1, { id: 'main' }, 'secret.read', 'open.tab')
    hostile.call(1, 1, { method: 1 })
    await rig.settle()
    expect(ran).toEqual(['open.tab'])
    // Index 0 was told to main as secret.read; now it is to be allowed under another name.
    hostile.open(1, { id: 'main' }, 'open.tab')
    hostile.call(2, 1, { method: 0 })
    await rig.settle()
    expect(ran).toEqual(['open.tab'])
    expect(hostile.closed).toBe(true)
  })

  it('an index defined late, below others, is told to the callee', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const ran: string[] = []
    main.handle(untyped('open.a'), () => ran.push('a'))
    main.handle(untyped('open.b'), () => ran.push('b'))
    await rig.settle()
    const peer = await rig.raw('worker-1', 'worker')
    const at = (index: number, name: string) =>
      frameFrom({ kind: 'OPEN', route: 1, body: { target: { id: 'main' }, methods: [[index, name, '']] } })
    peer.send(at(5, 'open.b'))
    peer.call(1, 1, { method: 5 })
    await rig.settle()
    peer.send(at(2, 'open.a'))
    peer.call(2, 1, { method: 2 })
    await rig.settle()
    expect(ran).toEqual(['b', 'a'])
  })

  it('10,000 forged answers over every field settle nothing', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const callee = await rig.raw('worker-1', 'worker')
    const hostile = await rig.raw('worker-2', 'worker')
    rig.hub.serve(rig.port('worker-1'), [['work', '']])
    const settled: unknown[] = []
    const calls = 64
    for (let call = 0; call < calls; call++) {
      main
        .to({ id: 'worker-1' })
        .call(untyped('work'), call, { timeoutMs: 0 })
        .then(
          (value) => settled.push(value),
          (error: unknown) => settled.push(error),
        )
    }
    await rig.settle()
    const asked = callee.take().filter(({ kind }) => kind === KIND.CALL)
    expect(asked.length).toBe(calls)
    let seed = 12345
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    const kinds = [
      KIND.END,
      KIND.ERROR,
      KIND.ITEM,
      KIND.PROGRESS,
      KIND.CREDIT,
      KIND.CANCEL,
      KIND.FRAGMENT,
      0x40,
    ]
    for (let forgery = 0; forgery < 10_000; forgery++) {
      const kind = kinds[random(kinds.length)] ?? KIND.END
      const like = asked[random(asked.length)]
      hostile.send({
        kind,
        flags: random(8) === 0 ? 0 : FLAG.ANSWER,
        lane: random(4),
        method: random(0x10000),
        id: random(3) === 0 ? random(2 ** 32) : (like?.id ?? 0),
        route: random(2) === 0 ? random(16) : random(2 ** 32),
        timeLeft: random(2 ** 32),
        window: random(2 ** 32),
        payload: new Uint8Array(random(3) * 8).fill(0x2a),
      })
    }
    await rig.settle()
    expect(hostile.closed).toBe(false)
    expect(settled).toEqual([])
    expect(rig.port('worker-2').late).toBe(10_000)
    for (const { id } of asked) callee.answer(id, { payload: new Uint8Array([7]) })
    await rig.settle()
    expect(settled).toEqual(Array.from({ length: calls }, () => 7))
    // And nothing is answered twice: replays of what was true once.
    for (const { id } of asked) callee.answer(id, { payload: new Uint8Array([8]) })
    await rig.settle()
    expect(settled.length).toBe(calls)
    expect(rig.port('worker-1').late).toBe(calls)
    expect(rig.leftovers()).toEqual([])
  })

  it('a hostile header with an honest body passes as what the hub makes of it', async () => {
    const rig = new HubRig({ rules: RULES })
    const callee = await rig.raw('main', 'main')
    rig.hub.serve(rig.port('main'), [['open.x', '']])
    const hostile = await rig.raw('worker-1', 'worker')
    hostile.open(1, { id: 'main' }, 'open.x')
    const frame = makeFrame({ kind: KIND.CALL, lane: 2, id: 9, route: 1, payload: new Uint8Array([1]) })
    hostile.send(frame)
    await rig.settle()
    const [open, call] = callee.take()
    expect(open?.kind).toBe(KIND.OPEN)
    expect(call?.id).toBe(0x00100000)
    expect(call?.route).toBe(open?.route)
  })

  it('a borrowed id may not be one that is taken, and leaks nothing', async () => {
    const rig = new HubRig({ rules: RULES })
    const one = await rig.raw('main', 'main')
    const two = await rig.raw('worker-2', 'worker')
    rig.hub.serve(rig.port('main'), [['open.x', '']])
    rig.hub.serve(rig.port('worker-2'), [['open.x', '']])
    const hostile = await rig.raw('worker-1', 'worker')
    hostile.open(1, { id: 'main' }, 'open.x')
    hostile.open(2, { id: 'worker-2' }, 'open.x')
    hostile.call(5, 1)
    const first = { flags: FLAG.ONE_WAY | FLAG.MORE, payload: new Uint8Array(8), payloadBytes: 1000 }
    hostile.call(5, 2, first)
    await rig.settle()
    one.answer(one.take().find(({ kind }) => kind === KIND.CALL)?.id ?? 0)
    hostile.transport.lose()
    await rig.settle()
    expect(two.closed).toBe(false)
    expect(rig.leftovers()).toEqual([])
  })

  it('fields of queued frames cannot be changed by those that come after', async () => {
    const rig = new HubRig({ rules: RULES })
    const callee = await rig.raw('main', 'main')
    rig.hub.serve(rig.port('main'), [['open.x', '']])
    const peer = await rig.raw('worker-1', 'worker')
    peer.open(1, { id: 'main' }, 'open.x')
    await rig.settle()
    callee.transport.full = true
    const run = makeFrame({
      kind: KIND.CALL,
      lane: 2,
      id: 1,
      route: 1,
      payload: new Uint8Array(4000).fill(5),
    })
    peer.send(run)
    for (let id = 2; id < 40; id++) peer.call(id, 1, { payload: new Uint8Array([id]) })
    await rig.settle()
    writeU32(run, AT.id, 77)
    writeU16(run, AT.method, 3)
    callee.transport.drain()
    await rig.settle()
    const calls = callee.take().filter(({ kind }) => kind === KIND.CALL)
    expect(calls.length).toBe(39)
    expect(calls.map(({ method }) => method)).toEqual(calls.map(() => 0))
    expect(new Set(calls.map(({ id }) => id)).size).toBe(39)
    expect(readFrame(run).id).toBe(77)
  })

  it('a callee cannot answer before it was asked, nor for another route', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const callee = await rig.raw('worker-1', 'worker')
    rig.hub.serve(rig.port('worker-1'), [['work', '']])
    for (let slot = 0; slot < 100; slot++) callee.answer(0x00100000 + slot)
    const answer = main.to({ id: 'worker-1' }).call(untyped('work'), 1)
    await rig.settle()
    callee.answer(0x00200000, { payload: new Uint8Array([1]) })
    callee.answer(0x00100000, { payload: new Uint8Array([2]) })
    await rig.settle()
    expect(await answer).toBe(2)
    expect(REASONS.TARGET_UNAVAILABLE.number).toBe(1)
  })
})
