import { beforeEach, describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES } from '../../src/wire/limits.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const size = untyped('size')
const put = untyped('put', 'call', true)

describe('a call to a child that is starting', () => {
  let rig: HubRig
  let main: PeerCore

  beforeEach(async () => {
    rig = new HubRig({ rules: { main: { call: ['*'] } } })
    rig.hub.expect('ai-1', 'ai')
    main = await rig.join('main', 'main')
  })

  async function start(): Promise<PeerCore> {
    const ai = await rig.join('ai-1', 'ai')
    ai.handle(size, (input) => (input instanceof Uint8Array ? input.length : -1))
    ai.handle(put, async (_input, call) => {
      let bytes = 0
      for await (const item of call.upload) bytes += String(item).length
      return bytes
    })
    await rig.settle()
    rig.hub.ready(rig.port('ai-1'))
    await rig.settle()
    return ai
  }

  it('waits with an input of many fragments, by id and by type', async () => {
    const targets = [{ id: 'ai-1' }, { type: 'ai' }]
    const calls = targets.map((target) => main.to(target).call(size, new Uint8Array(1_000_000)))
    const small = main.to({ type: 'ai' }).call(size, new Uint8Array(10))
    await rig.settle()
    expect(rig.port('main').waiting).toBe(3)
    expect(rig.port('main').waitingBytes).toBeGreaterThan(2_000_000)
    await start()
    expect(await Promise.all(calls)).toEqual([1_000_000, 1_000_000])
    expect(await small).toBe(10)
    expect([rig.port('main').waiting, rig.port('main').waitingBytes]).toEqual([0, 0])
    expect(rig.leftovers()).toEqual([])
  })

  it('waits while its input is still coming, and while it uploads', async () => {
    async function* upload() {
      for (let item = 0; item < 100; item++) yield 'x'.repeat(5000)
    }
    const call = main.to({ type: 'ai' }).call(put, undefined, { upload: upload() })
    const raw = await rig.raw('raw', 'main')
    raw.open(1, { type: 'ai' }, 'size')
    raw.send({
      kind: KIND.CALL,
      flags: 4,
      lane: 2,
      id: 1,
      route: 1,
      payload: new Uint8Array(FRAGMENT_BYTES),
      payloadBytes: FRAGMENT_BYTES + 8,
    })
    await rig.settle()
    expect([rig.port('main').waiting, rig.port('raw').waiting]).toEqual([1, 1])
    await start()
    expect(await call).toBe(500_000)
    raw.take()
    raw.send({ kind: KIND.FRAGMENT, lane: 2, id: 1, payload: new Uint8Array(8) })
    await rig.settle()
    // Zeros are no body: the handler's end has read it whole, and says so.
    expect(raw.take().map(({ kind, payloadBytes }) => [kind, payloadBytes > 0])).toEqual([[KIND.ERROR, true]])
    expect(rig.leftovers()).toEqual([])
  })

  it('is refused when its time or its room is over, and leaves nothing', async () => {
    const { queueBytes } = rig.port('main').limits
    const each = 8_000_000
    const calls = Array.from({ length: Math.ceil(queueBytes / 2 / each) }, () =>
      refusal(main.to({ id: 'ai-1' }).call(size, new Uint8Array(each), { timeoutMs: 3000 })),
    )
    await rig.settle()
    expect(rig.port('main').waitingBytes).toBeLessThanOrEqual(queueBytes / 2)
    await rig.clock.pass(2999)
    expect(rig.port('main').waiting).toBe(calls.length - 1)
    await rig.clock.pass(1)
    const ends = (await Promise.all(calls)).map(({ reason, fate }) => `${reason} ${fate}`).sort()
    expect(ends.at(-1)).toBe('QUEUE_FULL not-sent')
    expect(new Set(ends.slice(0, -1))).toEqual(new Set(['DEADLINE_EXCEEDED unknown']))
    expect([rig.port('main').waiting, rig.port('main').waitingBytes]).toEqual([0, 0])
    expect(rig.leftovers()).toEqual([])
  })

  it('is called off by its caller, with what follows of it', async () => {
    const controller = new AbortController()
    const call = refusal(
      main.to({ id: 'ai-1' }).call(size, new Uint8Array(1_000_000), { signal: controller.signal }),
    )
    await rig.settle()
    expect(rig.port('main').waiting).toBe(1)
    controller.abort()
    await rig.settle()
    expect(await call).toMatchObject({ reason: 'CANCELLED' })
    expect([rig.port('main').waiting, rig.port('main').waitingBytes, main.openCalls]).toEqual([0, 0, 0])
    await start()
    expect(main.isClosed).toBe(false)
    expect(rig.leftovers()).toEqual([])
  })
})

describe('a call to a peer that has joined and is not ready', () => {
  async function asked() {
    const rig = new HubRig({ rules: { main: { call: ['*'] } } })
    const main = await rig.join('main', 'main')
    const ai = await rig.join('ai-1', 'ai', false)
    const calls = [{ id: 'ai-1' }, { type: 'ai' }].map((target) => main.to(target).call(size, 1))
    await rig.settle()
    expect(rig.port('main').waiting).toBe(2)
    return { rig, ai, calls }
  }

  it('waits until the method is served', async () => {
    const { rig, ai, calls } = await asked()
    ai.handle(put, () => 'other')
    await rig.settle()
    expect(rig.port('main').waiting).toBe(2)
    ai.handle(size, () => 'served')
    await rig.settle()
    expect(await Promise.all(calls)).toEqual(['served', 'served'])
  })

  it('is told when it is ready and does not serve it, or has gone', async () => {
    const ready = await asked()
    ready.rig.hub.ready(ready.rig.port('ai-1'))
    await ready.rig.settle()
    for (const call of ready.calls) expect(await refusal(call)).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    const gone = await asked()
    gone.ai.close()
    await gone.rig.settle()
    for (const call of gone.calls) {
      expect(await refusal(call)).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'not-sent' })
    }
  })

  it('waits no longer than calls do', async () => {
    const { rig, calls } = await asked()
    const ends = Promise.all(calls.map(refusal))
    await rig.clock.pass(5000)
    for (const end of await ends) expect(end.reason).toMatch(/DEADLINE_EXCEEDED|TARGET_UNAVAILABLE/)
    expect(rig.leftovers()).toEqual([])
  })
})
