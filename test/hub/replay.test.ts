/** Events that a hub keeps: what comes again, what is told as a gap, and what nobody can make a hub keep. */
import { describe, expect, it } from 'vitest'
import type { EventGap, Subscription, SubscriptionOptions } from '../../src/core/call.ts'
import { eventId, positionOf } from '../../src/core/eventId.ts'
import { untyped } from '../../src/core/method.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import { boundsOf, replayRules } from '../../src/hub/replayRules.ts'
import { HUB_REPLAY_BYTES, QUEUE_CAPACITY, UNTRUSTED_QUEUE_BYTES } from '../../src/wire/limits.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const RULES = {
  main: { publish: ['*'], subscribe: ['*'] },
  ui: { publish: ['*'], subscribe: ['news', 'pages.opened'] },
}
const topic = (name: string) => untyped(name, 'topic')
const news = topic('news')

interface Watch {
  readonly seen: unknown[]
  readonly gaps: EventGap[]
  readonly subscription: Subscription
}

function watch(
  subscribe: (options: SubscriptionOptions) => Subscription,
  options: SubscriptionOptions = {},
): Watch {
  const seen: unknown[] = []
  const gaps: EventGap[] = []
  const subscription = subscribe({ timeoutMs: 0, onGap: (gap) => gaps.push(gap), ...options })
  void (async () => {
    for await (const value of subscription) seen.push(value)
  })().catch(() => {})
  return { seen, gaps, subscription }
}

const follow = (peer: PeerCore, options?: SubscriptionOptions, method = news): Watch =>
  watch((given) => peer.subscribe(method, given), options)
const followAll = (peer: PeerCore, pattern: string, options?: SubscriptionOptions): Watch =>
  watch((given) => peer.subscribeAll(pattern, given), options)

async function publish(rig: HubRig, from: PeerCore, list: readonly unknown[], method = news): Promise<void> {
  for (const value of list) expect(from.publish(method, value)).toBe(true)
  await rig.settle()
}

/** Readers take an event with some promises of their own. */
async function until(rig: HubRig, list: readonly unknown[], count: number): Promise<void> {
  await rig.settle()
  for (let turn = 0; turn < 1000 && list.length < count; turn++) await rig.settle()
  expect(list.length).toBe(count)
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)

describe('event ids', () => {
  it('are read as they are written, and nothing else is one', () => {
    const session = '0123456789abcdef'.repeat(2)
    expect(positionOf(eventId(session, 12n, 3))).toEqual({ session, number: 12, sequence: 3 })
    const max = Number.MAX_SAFE_INTEGER
    expect(positionOf(`${session}.${max}.0`)).toEqual({ session, number: max, sequence: 0 })
    const bad = ['', session, `${session}.1`, `${session}.1.2.3`, `${session}.01.2`, `${session}.1.-2`]
    const more = [
      `${session}.1e3.2`,
      `${session}.9007199254740992.1`,
      `${session.toUpperCase()}.1.2`,
      7,
      null,
    ]
    for (const id of [...bad, ...more, `${session}x.1.2`, ` ${session}.1.2`, undefined])
      expect(positionOf(id), String(id)).toBeUndefined()
  })
})

describe('rules of replay', () => {
  it('of a topic are those of its name, else of the longest pattern', () => {
    const rules = replayRules({
      '*': { count: 1 },
      'pages.*': { count: 2, ageMs: 5 },
      'pages.deep.*': { count: 3 },
      'pages.one': { count: 4, bytes: 10 },
      'pages.deep.off': { count: 0 },
    })
    const counts = ['a', 'pages.a', 'pages.deep.a', 'pages.one', 'pages.deep.off'].map(
      (name) => boundsOf(rules, name).count,
    )
    expect(counts).toEqual([1, 2, 3, 4, 0])
    expect(boundsOf(rules, 'pages.one')).toMatchObject({ bytes: 10, ageMs: Number.POSITIVE_INFINITY })
    expect(boundsOf({}, 'a').count).toBe(0)
  })

  it('are checked, with the path of the fault', () => {
    const wrong: readonly [unknown, string][] = [
      [{ 'a*': { count: 1 } }, 'a*'],
      [{ a: { count: QUEUE_CAPACITY + 1 } }, 'a.count'],
      [{ a: { count: 1.5 } }, 'a.count'],
      [{ a: { count: 1, bytes: -1 } }, 'a.bytes'],
      [{ a: { count: 1, ageSeconds: 1 } }, 'a.ageSeconds'],
      [{ a: {} }, 'a'],
      [{ a: null }, 'a'],
    ]
    for (const [rules, path] of wrong) {
      let error: unknown
      try {
        Reflect.apply(replayRules, undefined, [rules])
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ reason: 'REPLAY_INVALID', path })
    }
  })
})

describe('a subscription that goes on', () => {
  it('gets what was published meanwhile, in order and once, and no gap', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const first = await rig.join('ui-1', 'ui')
    const before = follow(first)
    await rig.settle()
    await publish(rig, main, numbers(0, 5))
    expect(before.seen).toEqual(numbers(0, 5))
    const { lastEventId } = before.subscription
    expect(lastEventId).toBe(eventId(rig.hub.session, 5, 5))
    first.close()
    await rig.settle()
    await publish(rig, main, ['other'], topic('other'))
    await publish(rig, main, numbers(5, 40))
    const second = await rig.join('ui-1', 'ui')
    const after = follow(second, { lastEventId })
    await publish(rig, main, numbers(40, 50))
    await until(rig, after.seen, 45)
    expect(after.seen).toEqual(numbers(5, 50))
    expect(after.gaps).toEqual([])
    expect(after.subscription.last).toMatchObject({ sequence: 50n, dropped: 0n, source: 'main' })
  })

  it('begins where it was registered, before any event has come', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    await publish(rig, main, numbers(0, 3))
    const first = follow(main)
    await rig.settle()
    const { lastEventId = '' } = first.subscription
    expect(positionOf(lastEventId)).toMatchObject({ number: 3, sequence: 3 })
    first.subscription.cancel()
    await publish(rig, main, numbers(3, 6))
    const again = follow(main, { lastEventId })
    await until(rig, again.seen, 3)
    expect(again.seen).toEqual(numbers(3, 6))
  })

  it('is told exactly how many events were not kept, by count, bytes and age', async () => {
    for (const [replay, kept] of [
      [{ count: 10 }, 10],
      [{ count: 100, bytes: 3 * 300 }, 3],
      [{ count: 100, ageMs: 50 }, 5],
      [{ count: 0 }, 0],
    ] as const) {
      const rig = new HubRig({ rules: RULES, replay: { news: replay } })
      const main = await rig.join('main', 'main')
      const first = follow(main)
      await rig.settle()
      await publish(rig, main, [0, 1])
      expect(first.seen).toEqual([0, 1])
      const { lastEventId = '' } = first.subscription
      first.subscription.cancel()
      await publish(rig, main, ['x'], topic('between'))
      await publish(rig, main, numbers(2, 25))
      rig.clock.skip(51)
      await publish(rig, main, numbers(25, 30))
      const again = follow(main, { lastEventId })
      await until(rig, again.seen, kept)
      expect(again.seen).toEqual(numbers(30 - kept, 30))
      const to = eventId(rig.hub.session, 31 - kept, 30 - kept)
      expect(again.gaps).toEqual([{ missed: BigInt(28 - kept), from: lastEventId, to }])
      // The gap is behind it now.
      again.subscription.cancel()
      const third = follow(main, { lastEventId: to })
      await until(rig, third.seen, kept)
      expect(third.gaps).toEqual([])
    }
  })

  it('of another hub’s life gets all that is kept, behind a gap of unknown size', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    await publish(rig, main, numbers(0, 3))
    const lastEventId = `${'f'.repeat(32)}.1000000.7`
    const news = follow(main, { lastEventId })
    const all = followAll(main, '*', { lastEventId })
    await until(rig, news.seen, 3)
    expect(news.seen).toEqual([0, 1, 2])
    const start = eventId(rig.hub.session, 0, 0)
    expect(news.gaps).toEqual([{ missed: 'unknown', from: lastEventId, to: start }])
    expect(all.seen).toEqual(numbers(0, 3).map((data) => ({ topic: 'news', data })))
    expect(all.gaps).toEqual([{ missed: 'unknown', from: lastEventId, to: start }])
  })

  it('by a pattern gets the events of all its topics in their order, of those it may have', async () => {
    const rig = new HubRig({ rules: RULES, replay: { '*': { count: 5 } } })
    const main = await rig.join('main', 'main')
    const ui = await rig.join('ui-1', 'ui')
    const first = followAll(ui, '*')
    await rig.settle()
    const { lastEventId = '' } = first.subscription
    first.subscription.cancel()
    for (let count = 0; count < 4; count++) {
      for (const name of ['news', 'pages.opened', 'pages.secret'])
        await publish(rig, main, [count], topic(name))
    }
    const again = followAll(ui, '*', { lastEventId })
    await until(rig, again.seen, 8)
    expect(again.seen).toEqual(
      numbers(0, 4).flatMap((data) => ['news', 'pages.opened'].map((name) => ({ topic: name, data }))),
    )
    expect(again.gaps).toEqual([])
    expect(positionOf(again.subscription.lastEventId)).toMatchObject({ number: 11 })
    // Two more of one topic, and its first is not kept any more.
    await publish(rig, main, [4, 5])
    await until(rig, again.seen, 10)
    const late = followAll(ui, '*', { lastEventId })
    await until(rig, late.seen, 9)
    expect(late.gaps).toMatchObject([{ missed: 'unknown' }])
  })

  it('over a topic that the hub has forgotten is told a gap, of unknown size', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const first = follow(main)
    await rig.settle()
    await publish(rig, main, [1])
    const { lastEventId = '' } = first.subscription
    first.subscription.cancel()
    await publish(rig, main, [2])
    await publish(rig, main, [2], topic('old.one'))
    for (let count = 0; count < 1100; count++) {
      main.publish(topic(`t${count}`), count)
      if (count % 100 === 0) await rig.settle()
    }
    await rig.settle()
    const again = follow(main, { lastEventId })
    const old = followAll(main, 'old.*', { lastEventId })
    await rig.settle()
    expect([again.seen, old.seen]).toEqual([[], []])
    expect([again.gaps, old.gaps]).toMatchObject([[{ missed: 'unknown' }], [{ missed: 'unknown' }]])
    await publish(rig, main, [3])
    expect(again.seen).toEqual([3])
  })

  it('is refused with the path of what it asks in vain', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    await publish(rig, main, [1])
    const future = eventId(rig.hub.session, 2, 1)
    const cases: readonly [object, string][] = [
      [{ lastEventId: 'garbage' }, 'lastEventId'],
      [{ lastEventId: future }, 'lastEventId'],
      [{ lastEventId: eventId(rig.hub.session, 1, 1), group: 'g' }, 'lastEventId'],
      [{ maxAgeMs: 0 }, 'maxAgeMs'],
      [{ maxAgeMs: Number.NaN }, 'maxAgeMs'],
      [{ group: '' }, 'group'],
      [{ group: 'g'.repeat(65) }, 'group'],
      [{ overflow: 'drop' }, 'overflow'],
    ]
    for (const [options, path] of cases) {
      const refused = refusal(main.subscribe(news, { timeoutMs: 0, ...options }).ready)
      await rig.settle()
      expect(await refused).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD_SUBSCRIPTION', path })
    }
    expect(rig.hub.topics.stats()).toEqual([])
    expect(rig.leftovers()).toEqual([])
  })
})

describe('what a hub keeps', () => {
  it('of one untrusted publisher is a share of what it may hold for it, and pushes nobody else’s out', async () => {
    const rig = new HubRig({ rules: RULES, replay: { '*': { count: 1000 } } })
    const main = await rig.join('main', 'main')
    await publish(rig, main, ['precious'])
    for (let life = 0; life < 3; life++) {
      // Coming back under its id makes no more room.
      const flooder = await rig.join('ui-1', 'ui')
      for (let count = 0; count < 400; count++) {
        flooder.publish(topic(`flood.${life}.${count % 40}`), 'x'.repeat(20_000))
        if (count % 20 === 0) await rig.settle()
        const { bytes } = rig.hub.topics.kept
        expect(bytes).toBeLessThanOrEqual(UNTRUSTED_QUEUE_BYTES / 8 + 1000)
      }
      await rig.settle()
      expect(rig.hub.topics.kept.events).toBeGreaterThan(50)
    }
    const start = eventId(rig.hub.session, 0, 0)
    const kept = follow(main, { lastEventId: start })
    await rig.settle()
    expect([kept.seen, kept.gaps]).toEqual([['precious'], []])
  })

  it('of all together is HUB_REPLAY_BYTES at most; the oldest goes, and is told as a gap', async () => {
    const rig = new HubRig({ rules: RULES, replay: { '*': { count: 1000 } } })
    const main = await rig.join('main', 'main')
    await publish(rig, main, ['first'])
    for (let peer = 0; peer < 12; peer++) {
      const ui = await rig.join(`ui-${peer}`, 'ui')
      for (let count = 0; count < 80; count++) {
        ui.publish(topic(`t${peer}`), 'x'.repeat(30_000))
        if (count % 20 === 0) await rig.settle()
      }
      await rig.settle()
      expect(rig.hub.topics.kept.bytes).toBeLessThanOrEqual(HUB_REPLAY_BYTES)
    }
    // A megabyte of each topic.
    expect(rig.hub.topics.kept.bytes).toBeGreaterThan(11 * 2 ** 20)
    for (let peer = 12; peer < 20; peer++) {
      const ui = await rig.join(`ui-${peer}`, 'ui')
      for (let count = 0; count < 80; count++) {
        ui.publish(topic(`t${peer}`), 'x'.repeat(30_000))
        if (count % 20 === 0) await rig.settle()
      }
      await rig.settle()
    }
    const { bytes } = rig.hub.topics.kept
    expect(bytes).toBeLessThanOrEqual(HUB_REPLAY_BYTES)
    expect(bytes).toBeGreaterThan(HUB_REPLAY_BYTES - 40_000)
    const again = follow(main, { lastEventId: eventId(rig.hub.session, 0, 0) })
    await rig.settle()
    expect(again.gaps).toMatchObject([{ missed: 1n }])
    expect(again.seen).toEqual([])
  })

  it('waits for a stalled subscriber within its queue: what does not fit is dropped, and counted', async () => {
    const rig = new HubRig({
      rules: { ...RULES, ui: { subscribe: ['*'] } },
      replay: { '*': { count: 1000 } },
    })
    const main = await rig.join('main', 'main')
    const names = ['a', 'b', 'c']
    for (let count = 0; count < 900; count++) {
      for (const name of names) main.publish(topic(name), count)
      if (count % 50 === 0) await rig.settle()
    }
    await rig.settle()
    const ui = await rig.join('ui-1', 'ui')
    rig.port('ui-1').link.outbox.hold()
    const all = followAll(ui, '*', { lastEventId: eventId(rig.hub.session, 0, 0), windowBytes: 65_600 })
    await rig.settle()
    const [stats] = rig.hub.topics.stats()
    expect(stats).toMatchObject({ queued: QUEUE_CAPACITY })
    expect(stats?.dropped).toBeGreaterThan(500)
    rig.port('ui-1').link.outbox.drained()
    await until(rig, all.seen, 2700 - (stats?.dropped ?? 0))
    expect(all.subscription.dropped).toBe(BigInt(stats?.dropped ?? 0))
    expect(rig.port('ui-1').eventBytes).toBe(0)
  })
})

describe('events that have waited too long', () => {
  it('are dropped before newer ones, and counted', async () => {
    for (const overflow of ['drop-oldest', 'drop-newest', 'conflate', 'error'] as const) {
      const rig = new HubRig({ rules: RULES })
      const main = await rig.join('main', 'main')
      const ui = await rig.join('ui-1', 'ui')
      const young = follow(ui, { maxAgeMs: 100, overflow })
      const patient = follow(ui, { overflow })
      await rig.settle()
      // Nothing is written: the peer is said to have no room.
      const port = rig.port('ui-1')
      Object.defineProperty(port, 'full', { value: true, configurable: true })
      await publish(rig, main, numbers(0, 600))
      rig.clock.skip(60)
      await publish(rig, main, numbers(600, 700))
      rig.clock.skip(60)
      // The first 600 are over age now. They make room, also where newer ones would be dropped.
      await publish(rig, main, numbers(700, 1000))
      expect(rig.hub.topics.stats()).toMatchObject([
        { queued: 400, dropped: 600 },
        { queued: 1000, dropped: 0 },
      ])
      Reflect.deleteProperty(port, 'full')
      rig.hub.topics.drained(port)
      await until(rig, young.seen, 400)
      await until(rig, patient.seen, 1000)
      expect(young.seen, overflow).toEqual(numbers(600, 1000))
      expect([young.subscription.dropped, patient.subscription.dropped]).toEqual([600n, 0n])
      expect(port.eventBytes).toBe(0)
    }
  })
})
