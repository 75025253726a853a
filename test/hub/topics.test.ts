/** Publish and subscribe: order, exact counts, five ways of being full, and memory within bounds. */
import { describe, expect, it } from 'vitest'
import type { EventInfo } from '../../src/core/call.ts'
import type { Overflow } from '../../src/core/method.ts'
import { untyped } from '../../src/core/method.ts'
import { readEvent } from '../../src/core/subscription.ts'
import { BodyEncoder, decodeBody } from '../../src/wire/body.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { MAX_KEY_BYTES } from '../../src/wire/head.ts'
import * as KIND from '../../src/wire/kind.ts'
import { QUEUE_CAPACITY, SUBSCRIPTION_QUEUE_BYTES } from '../../src/wire/limits.ts'
import { REASONS } from '../../src/wire/reasons.ts'
import { frameFrom, type ReadFrame } from '../support/frames.ts'
import { collectGarbage } from '../support/garbage.ts'
import { HubRig, type RawPeer, refusal } from '../support/hubRig.ts'

const RULES = {
  main: { publish: ['*'], subscribe: ['*'], call: ['*'] },
  ui: { publish: ['news'], subscribe: ['news'] },
}
const news = untyped('news', 'topic')

function events(frames: readonly ReadFrame[]): (EventInfo & { value: unknown })[] {
  return frames
    .filter(({ kind }) => kind === KIND.ITEM)
    .flatMap(({ payload, headBytes }) => {
      const event = readEvent(payload.subarray(0, headBytes))
      const value = decodeBody(payload, headBytes, payload.length, { maxDepth: 8, maxKeys: 100 })
      return event ? [{ ...event, value }] : []
    })
}

/** A subscriber with so much credit, which then takes nothing more until it grants. */
async function subscriber(rig: HubRig, overflow: Overflow, window: number): Promise<RawPeer> {
  const raw = await rig.raw('sub-1', 'ui')
  raw.open(1, { topics: true }, 'news')
  raw.send(frameFrom({ kind: 'CALL', lane: 2, id: 1, route: 1, window, body: { overflow } }))
  await rig.settle()
  expect(raw.take().at(-1)).toMatchObject({ kind: KIND.PROGRESS, id: 1 })
  return raw
}

async function publish(
  rig: HubRig,
  from: RawPeer,
  count: number,
  keyOf?: (index: number) => string,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const head = keyOf ? { head: [{ tag: 3, text: keyOf(index) }] } : {}
    from.send(frameFrom({ kind: 'CALL', lane: 2, flags: ['ONE_WAY'], route: 1, ...head, body: index }))
  }
  await rig.settle()
}

async function publisher(rig: HubRig): Promise<RawPeer> {
  const raw = await rig.raw('pub-1', 'ui')
  raw.open(1, { topics: true }, 'news')
  await rig.settle()
  return raw
}

const GRANT = { kind: KIND.CREDIT, id: 1, window: 100_000_000 }

describe('topics', () => {
  it('arrive in order, once each, with their source', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const one = await rig.join('ui-1', 'ui')
    const two = await rig.join('ui-2', 'ui')
    const subscriptions = [main, two].map((peer) => peer.subscribe(news, { timeoutMs: 0 }))
    await rig.settle()
    await Promise.all(subscriptions.map(({ ready }) => ready))
    const seen: string[][] = subscriptions.map(() => [])
    subscriptions.forEach((subscription, index) => {
      void (async () => {
        for await (const value of subscription)
          seen[index]?.push(`${subscription.last?.source} ${String(value)}`)
      })().catch(() => {})
    })
    const expected: string[] = []
    for (let index = 0; index < 200; index++) {
      const from = index % 3 === 0 ? 'ui-1' : 'main'
      expect((from === 'main' ? main : one).publish(news, index)).toBe(true)
      expected.push(`${from} ${index}`)
      await rig.settle()
    }
    expect(seen).toEqual([expected, expected])
    for (const subscription of subscriptions) subscription.cancel()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })

  for (const [overflow, kept] of [
    ['drop-oldest', 'last'],
    ['drop-newest', 'first'],
  ] as const) {
    it(`${overflow}: a full queue keeps the ${kept}, and every drop is counted`, async () => {
      const rig = new HubRig({ rules: RULES })
      const sub = await subscriber(rig, overflow, 0)
      const pub = await publisher(rig)
      await publish(rig, pub, QUEUE_CAPACITY + 234)
      expect(sub.take()).toEqual([])
      expect(rig.hub.topics.stats()).toMatchObject([{ queued: QUEUE_CAPACITY, dropped: 234 }])
      sub.send(GRANT)
      await rig.settle()
      const got = events(sub.take())
      const first = overflow === 'drop-oldest' ? 234 : 0
      expect(got.map(({ value }) => value)).toEqual(
        Array.from({ length: QUEUE_CAPACITY }, (_, index) => first + index),
      )
      expect(got.every(({ dropped, source }) => dropped === 234n && source === 'pub-1')).toBe(true)
      expect(got.at(-1)?.sequence).toBe(BigInt(first + QUEUE_CAPACITY))
      await publish(rig, pub, 1)
      expect(events(sub.take())).toMatchObject([{ dropped: 234n, sequence: BigInt(QUEUE_CAPACITY + 235) }])
    })
  }

  it('error: a full queue ends the subscription with OVERFLOW', async () => {
    const rig = new HubRig({ rules: RULES })
    const sub = await subscriber(rig, 'error', 0)
    const pub = await publisher(rig)
    await publish(rig, pub, QUEUE_CAPACITY)
    expect(sub.take()).toEqual([])
    await publish(rig, pub, 1)
    expect(sub.take()).toMatchObject([{ kind: KIND.ERROR, id: 1, route: REASONS.OVERFLOW.number, window: 2 }])
    expect(rig.hub.topics.stats()).toEqual([])
    expect(rig.leftovers()).toEqual([])
  })

  it('conflate: of one key the newest is kept, and what it took the place of is counted', async () => {
    const rig = new HubRig({ rules: RULES })
    const sub = await subscriber(rig, 'conflate', 0)
    const pub = await publisher(rig)
    await publish(rig, pub, 3000, (index) => `k${index % 5}`)
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: 5, dropped: 2995 }])
    sub.send(GRANT)
    await rig.settle()
    const got = events(sub.take())
    expect(got.map(({ value }) => value)).toEqual([2995, 2996, 2997, 2998, 2999])
    expect(got.at(-1)?.dropped).toBe(2995n)
  })

  it('conflate: a key is as long as a path may be, counts as bytes held, and is refused beyond', async () => {
    const rig = new HubRig({ rules: RULES })
    const sub = await subscriber(rig, 'conflate', 0)
    const pub = await publisher(rig)
    const key = 'k'.repeat(MAX_KEY_BYTES - 3)
    await publish(rig, pub, 300, (index) => `${key}${100 + (index % 100)}`)
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: 100, dropped: 200 }])
    await publish(rig, pub, 300, (index) => `${key}${400 + index}`)
    const [held] = rig.hub.topics.stats()
    expect(held?.queued).toBeLessThanOrEqual(SUBSCRIPTION_QUEUE_BYTES / MAX_KEY_BYTES)
    expect((held?.queued ?? 0) + (held?.dropped ?? 0)).toBe(600)
    const peer = await rig.join('main', 'main')
    expect(() => peer.publish(news, 1, { key: `${key}1234` })).toThrow(/at most 4096 bytes/)
    peer.publish(news, 'last', { key: `${key}123` })
    sub.send(GRANT)
    await rig.settle()
    expect(events(sub.take()).at(-1)?.value).toBe('last')
    expect(rig.port('sub-1').eventBytes).toBe(0)
  })

  it('block: an untrusted subscriber holds nobody up; what it does not take is dropped and counted', async () => {
    const rig = new HubRig({ rules: RULES })
    const sub = await subscriber(rig, 'block', 0)
    const pub = await publisher(rig)
    await publish(rig, pub, QUEUE_CAPACITY + 7)
    expect(pub.transport.paused).toBe(false)
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: QUEUE_CAPACITY, dropped: 7 }])
    sub.send(GRANT)
    await rig.settle()
    expect(events(sub.take()).map(({ value }) => value)).toEqual(
      Array.from({ length: QUEUE_CAPACITY }, (_, at) => at),
    )
  })

  it('block: the publisher is paused and nothing is lost; it goes on when the queue has run down', async () => {
    const rig = new HubRig({ rules: { ...RULES, 'sub-1': { zone: 'semi' }, 'sub-2': { zone: 'semi' } } })
    const sub = await subscriber(rig, 'block', 0)
    const pub = await publisher(rig)
    const bystander = await rig.raw('pub-2', 'ui')
    let sent = 0
    for (; sent < 5000 && !pub.transport.paused; sent++)
      pub.send(frameFrom({ kind: 'CALL', lane: 2, flags: ['ONE_WAY'], route: 1, body: sent }))
    expect(sent).toBe(QUEUE_CAPACITY * 0.8)
    expect(bystander.transport.paused).toBe(false)
    sub.send({ ...GRANT, window: 40 * 10 })
    await rig.settle()
    expect(pub.transport.paused).toBe(true)
    sub.send(GRANT)
    await rig.settle()
    expect(pub.transport.paused).toBe(false)
    const got = events(sub.take())
    expect(got.map(({ value }) => value)).toEqual(Array.from({ length: sent }, (_, index) => index))
    expect(got.at(-1)?.dropped).toBe(0n)
    // And when the subscriber goes away instead.
    sub.send({ kind: KIND.CANCEL, id: 1 })
    const other = await rig.raw('sub-2', 'ui')
    other.open(1, { topics: true }, 'news')
    other.send(frameFrom({ kind: 'CALL', lane: 2, id: 1, route: 1, window: 0, body: { overflow: 'block' } }))
    for (let more = 0; more < 1000; more++)
      pub.send(frameFrom({ kind: 'CALL', lane: 2, flags: ['ONE_WAY'], route: 1, body: more }))
    expect(pub.transport.paused).toBe(true)
    other.transport.lose()
    await rig.settle()
    expect(pub.transport.paused).toBe(false)
  })

  it('a stalled subscriber and a flooding publisher: memory within the quota, drops exact', async () => {
    const rig = new HubRig({ rules: RULES })
    const sub = await rig.raw('sub-1', 'ui')
    sub.open(1, { topics: true }, 'news')
    sub.send(
      frameFrom({
        kind: 'CALL',
        lane: 2,
        id: 1,
        route: 1,
        window: 0xffffffff,
        body: { overflow: 'drop-oldest' },
      }),
    )
    await rig.settle()
    sub.take()
    const pub = await publisher(rig)
    sub.transport.full = true
    const encoder = new BodyEncoder()
    const payload = encoder.encode('x'.repeat(20_000)).slice()
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    let published = 0
    for (; published < 5000; published++) {
      pub.send({ kind: KIND.CALL, lane: 2, flags: FLAG.ONE_WAY, route: 1, payload })
      if (published % 50 === 0) rig.clock.turns()
    }
    await rig.settle()
    const port = rig.port('sub-1')
    const [stats] = rig.hub.topics.stats()
    expect(port.link.outbox.queuedBytes).toBeLessThanOrEqual(port.limits.queueBytes / 2 + 40_000)
    expect(stats?.queuedBytes).toBeLessThanOrEqual(SUBSCRIPTION_QUEUE_BYTES)
    collectGarbage()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60 * 2 ** 20)
    sub.transport.drain()
    await rig.settle()
    sub.send(GRANT)
    await rig.settle()
    pub.send({ kind: KIND.CALL, lane: 2, flags: FLAG.ONE_WAY, route: 1, payload: new Uint8Array([1]) })
    await rig.settle()
    const got = sub.take().filter(({ kind }) => kind === KIND.ITEM)
    const last = events(got.slice(-1))[0]
    expect(got.length + Number(last?.dropped)).toBe(published + 1)
    expect(last?.dropped).toBeGreaterThan(1000n)
    expect(last?.sequence).toBe(BigInt(published + 1))
  })

  it('a large publication comes in fragments, and one cut short reaches nobody', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const pub = await rig.join('ui-1', 'ui')
    const subscription = main.subscribe(news, { timeoutMs: 0 })
    await rig.settle()
    const got: unknown[] = []
    void (async () => {
      for await (const value of subscription) got.push(value)
    })()
    const large = 'y'.repeat(300_000)
    expect(pub.publish(news, large)).toBe(true)
    expect(pub.publish(news, 'small')).toBe(true)
    await rig.settle()
    expect([...got].sort()).toEqual(['small', large])
    const raw = await publisher(rig)
    const first = {
      kind: KIND.CALL,
      lane: 2,
      flags: FLAG.ONE_WAY | FLAG.MORE,
      route: 1,
      payload: new Uint8Array(8),
    }
    // More at once than a peer may have unfinished: dropped, and the link lives.
    for (let id = 1; id < 20; id++) raw.send({ ...first, id, payloadBytes: 1024 * 1024 })
    await rig.settle()
    expect(raw.closed).toBe(false)
    raw.transport.lose()
    await rig.settle()
    expect(got.length).toBe(2)
    expect(rig.leftovers().filter((line) => !line.includes('made') && !line.includes('granted'))).toEqual([])
  })

  it('a malformed event is passed over; the subscription goes on', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const subscription = main.subscribe(news, { timeoutMs: 0 })
    await rig.settle()
    const got: unknown[] = []
    void (async () => {
      for await (const value of subscription) got.push(value)
    })()
    const pub = await publisher(rig)
    const event = { kind: KIND.CALL, lane: 2, flags: FLAG.ONE_WAY, route: 1 }
    pub.send({ ...event, payload: new Uint8Array([0xff]) })
    pub.send({ ...event, payload: new Uint8Array([1]), segments: 9 })
    pub.send({ ...event, payload: new Uint8Array([1]), headBytes: 60_000 })
    pub.send({ ...event, payload: new Uint8Array([7]) })
    await rig.settle()
    expect(got).toEqual([7])
    expect(pub.closed).toBe(false)
  })

  it('needs a rule to publish, and another to subscribe', async () => {
    const rig = new HubRig({ rules: { main: { publish: ['news'] }, ui: { subscribe: ['news'] } } })
    const main = await rig.join('main', 'main')
    const ui = await rig.join('ui-1', 'ui')
    const may = ui.subscribe(news, { timeoutMs: 0 })
    const mayNot = refusal(main.subscribe(news, { timeoutMs: 0 }).ready)
    await rig.settle()
    await may.ready
    expect(await mayNot).toMatchObject({ reason: 'PERMISSION_DENIED', fate: 'not-sent' })
    ui.publish(news, 'forged')
    main.publish(news, 'true')
    await rig.settle()
    const iterator = may[Symbol.asyncIterator]()
    const first = iterator.next()
    await rig.settle()
    expect(await first).toEqual({ done: false, value: 'true' })
    expect(rig.hub.topics.published).toBe(1)
    const secret = refusal(ui.subscribe(untyped('$hub.child', 'topic')).ready)
    await rig.settle()
    expect(await secret).toMatchObject({ reason: 'PERMISSION_DENIED' })
  })
})
