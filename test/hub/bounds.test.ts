/** What one peer cannot do to the hub, or through it to another. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import { manifest } from '../../src/hub/manifest.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { writeU32 } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HUB_BODY_BYTES, MAX_ROUTES, UNTRUSTED_QUEUE_BYTES } from '../../src/wire/limits.ts'
import { frameFrom } from '../support/frames.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const RULES = {
  main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
  ui: { call: ['a.one'], publish: ['news'], subscribe: ['news'] },
}
const news = untyped('news', 'topic')

describe('link frames of the hub', () => {
  it('are within what their readers take, however long the names and many the lines', async () => {
    const rig = new HubRig({ rules: RULES })
    const callee = await rig.join('ai-1', 'ai')
    callee.handle(untyped('a.one'), () => 'answered')
    await rig.settle()
    const raw = await rig.raw('ui-1', 'ui')
    raw.open(1, { id: 'ai-1' }, 'a.one')
    for (let from = 1; from < 1800; from += 20) {
      const methods = Array.from({ length: 20 }, (_, at) => [from + at, `${from + at}`.padEnd(256, 'ж'), ''])
      raw.send(frameFrom({ kind: 'OPEN', route: 1, body: { target: { id: 'ai-1' }, methods } }))
    }
    await rig.settle()
    raw.take()
    raw.call(1, 1)
    await rig.settle()
    expect(raw.take()).toMatchObject([{ kind: KIND.END, id: 1 }])
    callee.close()
    await rig.settle()
    const told = raw.take()
    expect(told.length).toBeGreaterThan(1)
    for (const { kind, payload } of told) {
      expect(kind).toBe(KIND.ROUTE)
      expect(payload.length).toBeLessThanOrEqual(HUB_BODY_BYTES)
    }
    expect(raw.closed).toBe(false)
  })
})

describe('events', () => {
  it('that waited for room in the outbox, and not for credit, go on when there is some', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const sub = await rig.raw('ui-1', 'ui')
    sub.open(1, { topics: true }, 'news')
    sub.send(frameFrom({ kind: 'CALL', lane: 2, id: 1, route: 1, window: 1_000_000, body: {} }))
    await rig.settle()
    sub.take()
    const { outbox } = rig.port('ui-1').link
    outbox.hold()
    const frame = new Uint8Array(32 * 1024)
    writeU32(frame, AT.bytes, frame.length)
    frame[AT.kind] = KIND.NOOP
    for (let bytes = 0; bytes <= UNTRUSTED_QUEUE_BYTES / 2; bytes += frame.length) outbox.lend(frame, 3)
    expect(rig.port('ui-1').full).toBe(true)
    main.publish(news, 1)
    main.publish(news, 2)
    await rig.settle()
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: 2 }])
    outbox.drained()
    await rig.settle()
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: 0, dropped: 0 }])
  })

  it('of all subscriptions of one peer wait within its own share', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const sub = await rig.raw('ui-1', 'ui')
    sub.open(1, { topics: true }, 'news')
    for (let id = 1; id <= 40; id++) {
      sub.send(frameFrom({ kind: 'CALL', lane: 2, id, route: 1, window: 0, body: {} }))
    }
    await rig.settle()
    for (let count = 0; count < 20; count++) {
      main.publish(news, new Uint8Array(100_000))
      await rig.settle()
    }
    const stats = rig.hub.topics.stats()
    expect(stats).toHaveLength(40)
    const queued = stats.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0)
    expect(queued).toBeLessThanOrEqual(UNTRUSTED_QUEUE_BYTES / 2)
    expect(rig.port('ui-1').eventBytes).toBe(queued)
    sub.transport.close('TRANSPORT_CLOSED')
    rig.port('ui-1').link.close()
    await rig.settle()
    expect(rig.hub.topics.stats()).toEqual([])
  })

  it('keep a sequence that never goes back, over more topics than the hub remembers', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const first = untyped('first', 'topic')
    for (let count = 0; count < 5; count++) main.publish(first, count)
    for (let name = 0; name < 1500; name++) {
      main.publish(untyped(`t${name}`, 'topic'), name)
      if (name % 100 === 0) await rig.settle()
    }
    const subscription = main.subscribe(first)
    await rig.settle()
    main.publish(first, 'again')
    const events = subscription[Symbol.asyncIterator]()
    const next = events.next()
    await rig.settle()
    expect(await next).toMatchObject({ value: 'again' })
    expect(subscription.last?.sequence).toBeGreaterThan(5n)
    subscription.cancel()
  })
})

describe('calls that wait for a target to start', () => {
  it('are at most 64 of one caller, and leave room for others', async () => {
    const rig = new HubRig({ rules: RULES })
    const [greedy, other] = [await rig.join('ui-1', 'ui'), await rig.join('ui-2', 'ui')]
    rig.hub.expect('ai-1', 'ai')
    const one = untyped('a.one')
    const calls = Array.from({ length: 70 }, () => greedy.to({ id: 'ai-1' }).call(one, 0))
    const refused = Promise.all(calls.slice(64).map((call) => refusal(call)))
    const patient = other.to({ id: 'ai-1' }).call(one, 0)
    await rig.settle()
    for (const error of await refused) expect(error).toMatchObject({ reason: 'TARGET_UNAVAILABLE' })
    const callee = await rig.join('ai-1', 'ai')
    callee.handle(one, () => 'answered')
    await rig.settle()
    expect(await Promise.all([...calls.slice(0, 64), patient])).toEqual(Array(65).fill('answered'))
    expect(rig.port('ui-1').waiting).toBe(0)
    expect(rig.leftovers()).toEqual([])
  })
})

describe('$hub.route', () => {
  it('names only peers that the caller may call, and all to those who may ask who is there', async () => {
    const rig = new HubRig({
      rules: { main: { call: ['*'] }, ui: { call: [{ method: 'a.one', to: 'ai-1' }] } },
    })
    const main = await rig.join('main', 'main')
    const ui = await rig.join('ui-1', 'ui')
    for (const id of ['ai-1', 'ai-2']) {
      const callee = await rig.join(id, 'ai')
      callee.handle(untyped('a.one'), () => id)
    }
    await rig.settle()
    const idsFor = async (peer: PeerCore, methods: string[]): Promise<unknown> => {
      const asked = peer.call(untyped('$hub.route'), { target: { type: 'ai' }, methods })
      await rig.settle()
      return Reflect.get(Object(await asked), 'peers').map((row: object) => Reflect.get(row, 'id'))
    }
    expect(await idsFor(main, ['a.one'])).toEqual(['ai-1', 'ai-2'])
    expect(await idsFor(main, [])).toEqual(['ai-1', 'ai-2'])
    expect(await idsFor(ui, ['a.one'])).toEqual(['ai-1'])
    expect(await idsFor(ui, ['a.two'])).toEqual([])
    expect(await idsFor(ui, [])).toEqual([])
  })
})

describe('the length of a payload', () => {
  it('is none that wraps when it is padded: its sender is closed, and nobody gets the frame', async () => {
    const rig = new HubRig({ rules: RULES })
    const worker = await rig.raw('w', 'worker')
    rig.hub.serve(rig.port('w'), [['work', '']])
    const main = await rig.raw('main', 'main')
    main.open(1, { id: 'w' }, 'work')
    main.call(1, 1)
    await rig.settle()
    expect(worker.take().map(({ kind }) => kind)).toContain(KIND.CALL)
    main.call(2, 1, { payloadBytes: 0xffffffff })
    await rig.settle()
    expect(main.closed).toBe(true)
    expect(worker.closed).toBe(false)
    expect(worker.take().filter(({ kind }) => kind === KIND.CALL)).toEqual([])
  })
})

describe('routes of a direct link', () => {
  it('take further methods when all of them are open', async () => {
    const rig = new HubRig()
    const [ours, theirs] = memoryTransports(rig.clock)
    const caller = new PeerCore(ours, { clock: rig.clock })
    const callee = new PeerCore(theirs, { clock: rig.clock })
    callee.handle(untyped('one'), () => 1)
    callee.handle(untyped('two'), () => 2)
    const calls: Promise<unknown>[] = []
    for (let number = 1; number < MAX_ROUTES; number++) {
      calls.push(caller.to({ id: `p${number}` }).call(untyped('one'), 0))
    }
    await rig.settle()
    await Promise.all(calls)
    const again = caller.to({ id: 'p1' }).call(untyped('two'), 0)
    await rig.settle()
    expect(await again).toBe(2)
  })
})

describe('limits of a manifest', () => {
  it('are whole numbers that an id can hold, under names that are known', () => {
    const wrong = [{ exchanges: 2 ** 20 + 1 }, { queueBytes: Number.NaN }, { messageBytes: 0 }, { bytes: 1 }]
    for (const limits of wrong) {
      expect(() => manifest({ ui: { limits } })).toThrow(/manifest: ui\.limits\./)
    }
    expect(() => manifest({ ui: { limits: { exchanges: 2 ** 20 } } })).not.toThrow()
  })
})
