/** Subscriptions of patterns, and what a publisher is told that may not publish. */
import { describe, expect, it } from 'vitest'
import type { Subscription } from '../../src/core/call.ts'
import { untyped } from '../../src/core/method.ts'
import { isNameOrPattern, matches, overlap, prefixesOf } from '../../src/core/pattern.ts'
import * as KIND from '../../src/wire/kind.ts'
import { frameFrom } from '../support/frames.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const topic = (name: string) => untyped(name, 'topic')

/** What a subscription has given, as it comes. */
function collected<Event>(subscription: Subscription<Event>): Event[] {
  const seen: Event[] = []
  void (async () => {
    for await (const event of subscription) seen.push(event)
  })().catch(() => {})
  return seen
}

describe('the language of patterns', () => {
  it('has a star at the end, alone or behind a dot', () => {
    const good = ['a', 'a.b', 'a.*', '*', '$hub.*', 'a.b.*']
    const bad = ['', 'a*', '*.a', 'a.*.b', '**', 'a.**', '.*.']
    expect(good.filter((name) => !isNameOrPattern(name))).toEqual([])
    expect(bad.filter(isNameOrPattern)).toEqual([])
  })

  it('knows whether a rule and a pattern have a name in common', () => {
    const names = ['a', 'a.b', 'a.b.c', 'ab.c', 'b.a', 'a.x', 'a.b.x', 'ab', 'c.d']
    const all = [...names, '*', 'a.*', 'a.b.*', 'ab.*', 'b.*', 'c.*']
    for (const rule of all) {
      for (const pattern of ['*', 'a.*', 'a.b.*', 'ab.*', 'c.*']) {
        const common = names.some((name) => matches(rule, name) && matches(pattern, name))
        expect(overlap(rule, pattern), `${rule} and ${pattern}`).toBe(common)
      }
    }
  })

  it('finds all patterns of a name by what it begins with', () => {
    expect([...prefixesOf('a.b.c')]).toEqual(['a.b.', 'a.', ''])
    expect([...prefixesOf('abc')]).toEqual([''])
    expect([...prefixesOf('.a')]).toEqual(['.', ''])
  })
})

describe('a subscription of a pattern', () => {
  it('gets the events of topics that were there and that come later, each with its topic, until it ends', async () => {
    const rig = new HubRig({ rules: { main: { publish: ['*'], subscribe: ['*'] } } })
    const main = await rig.join('main', 'main')
    main.publish(topic('pages.old'), 'before')
    await rig.settle()
    const pages = main.subscribeAll('pages.*', { timeoutMs: 0 })
    const deep = main.subscribeAll('pages.deep.*', { timeoutMs: 0 })
    const all = main.subscribeAll('*', { timeoutMs: 0 })
    const one = main.subscribe(topic('pages.old'), { timeoutMs: 0 })
    const seen = [pages, deep, all].map(collected)
    const direct = collected(one)
    await rig.settle()
    for (const name of ['pages.old', 'pages.new', 'pages.deep.er', 'pagesx', 'other'])
      main.publish(topic(name), name)
    await rig.settle()
    const events = (...names: string[]) => names.map((name) => ({ topic: name, data: name }))
    expect(seen).toEqual([
      events('pages.old', 'pages.new', 'pages.deep.er'),
      events('pages.deep.er'),
      events('pages.old', 'pages.new', 'pages.deep.er', 'pagesx', 'other'),
    ])
    expect(direct).toEqual(['pages.old'])
    expect(pages.last).toMatchObject({ topic: 'pages.deep.er', sequence: 1n, source: 'main' })
    expect(one.last).toMatchObject({ topic: 'pages.old', sequence: 2n })
    pages.cancel()
    await rig.settle()
    main.publish(topic('pages.new'), 'after')
    await rig.settle()
    expect(seen.map(({ length }) => length)).toEqual([3, 1, 6])
    for (const subscription of [deep, all, one]) subscription.cancel()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
    expect(rig.hub.topics.stats()).toEqual([])
  })

  it('gets no topic that its subscriber could not subscribe to by name', async () => {
    const rig = new HubRig({
      rules: {
        main: { publish: ['*'] },
        ui: { subscribe: ['pages.opened', 'tabs.*'] },
        none: { call: ['*'] },
      },
    })
    const main = await rig.join('main', 'main')
    const ui = await rig.join('ui-1', 'ui')
    const pages = ui.subscribeAll('pages.*', { timeoutMs: 0 })
    const all = ui.subscribeAll('*', { timeoutMs: 0 })
    const seen = [pages, all].map(collected)
    const refused = refusal(ui.subscribeAll('keys.*', { timeoutMs: 0 }).ready)
    const none = await rig.join('none-1', 'none')
    const nothing = refusal(none.subscribeAll('*', { timeoutMs: 0 }).ready)
    await rig.settle()
    expect(await refused).toMatchObject({ reason: 'PERMISSION_DENIED', fate: 'not-sent' })
    expect(await nothing).toMatchObject({ reason: 'PERMISSION_DENIED' })
    for (const name of ['pages.opened', 'pages.secret', 'keys.made', 'tabs.a', 'tabs.b.c'])
      main.publish(topic(name), 1)
    await rig.settle()
    expect(seen.map((events) => events.map((event) => event.topic))).toEqual([
      ['pages.opened'],
      ['pages.opened', 'tabs.a', 'tabs.b.c'],
    ])
  })

  it('does not see the hub’s own topics unless it names them', async () => {
    const rig = new HubRig({ rules: { main: { publish: ['*'], subscribe: ['*'] } } })
    const main = await rig.join('main', 'main')
    const [all, own] = ['*', '$hub.*'].map((pattern) =>
      collected(main.subscribeAll(pattern, { timeoutMs: 0 })),
    )
    await rig.settle()
    rig.hub.service.publish('$hub.child', 'real')
    main.publish(topic('$hub.child'), 'forged')
    await rig.settle()
    expect(all).toEqual([])
    expect(own).toEqual([{ topic: '$hub.child', data: 'real' }])
  })

  it('is never published to, nor is a name with a star elsewhere subscribed', async () => {
    const rig = new HubRig({ rules: { ui: { publish: ['*'], subscribe: ['*'] } } })
    const raw = await rig.raw('ui-1', 'ui')
    raw.open(1, { topics: true }, 'a.*', 'a*b')
    await rig.settle()
    expect(raw.take()).toMatchObject([{ kind: KIND.ROUTE }])
    raw.send(frameFrom({ kind: 'CALL', lane: 2, flags: ['ONE_WAY'], route: 1, body: 1 }))
    raw.send(frameFrom({ kind: 'CALL', lane: 2, method: 1, id: 1, route: 1, window: 0, body: {} }))
    await rig.settle()
    expect(rig.hub.topics.published).toBe(0)
    expect(rig.port('ui-1').refused).toBe(2)
    expect(raw.take()).toMatchObject([{ kind: KIND.ERROR, id: 1 }])
    expect(rig.leftovers()).toEqual([])
  })

  it('costs a publication nothing when it does not match: 4,000 others, and topics without end', async () => {
    const rig = new HubRig({ rules: { main: { publish: ['*'], subscribe: ['*'] } } })
    const main = await rig.join('main', 'main')
    let asked = 0
    const { manifest } = rig.hub
    const may = manifest.maySubscribe.bind(manifest)
    manifest.maySubscribe = (subject, name) => {
      asked++
      return may(subject, name)
    }
    for (let count = 0; count < 4000; count++) main.subscribeAll(`n${count}.*`, { timeoutMs: 0 })
    const matching = collected(main.subscribeAll('x.*', { timeoutMs: 0 }))
    await rig.settle()
    asked = 0
    for (let count = 0; count < 3000; count++) {
      main.publish(topic(`x.t${count % 1500}`), count)
      if (count % 100 === 0) await rig.settle()
    }
    await rig.settle()
    // A reader takes an event with some promises of its own.
    for (let turn = 0; turn < 1000 && matching.length < 3000; turn++) await rig.settle()
    expect(matching.map(({ data }) => data)).toEqual(Array.from({ length: 3000 }, (_, at) => at))
    // Once for each name that is new to the hub: of 1,500 in turn it has forgotten each that comes again.
    expect(asked).toBeLessThanOrEqual(3000)
    asked = 0
    for (let count = 0; count < 1000; count++) main.publish(topic('x.same'), count)
    await rig.settle()
    expect(asked).toBe(1)
  })
})

describe('a publisher that no rule allows', () => {
  it('is told once for each topic, also of what it had sent before the hub could say so', async () => {
    const rig = new HubRig({ rules: { ui: { subscribe: ['news'], publish: ['good'] } } })
    const ui = await rig.join('ui-1', 'ui')
    const told: string[] = []
    ui.onRefused = (name) => told.push(name)
    for (let count = 0; count < 3; count++) {
      for (const name of ['news', 'other', 'good']) ui.publish(topic(name), count)
      await rig.settle()
    }
    expect(told.sort()).toEqual(['news', 'other'])
    expect(rig.port('ui-1').refused).toBe(6)
    expect(rig.hub.topics.published).toBe(3)
    // One that was subscribed first is known to be refused before it is published.
    const again = await rig.join('ui-2', 'ui')
    const later: string[] = []
    again.onRefused = (name) => later.push(name)
    const subscription = again.subscribe(topic('news'), { timeoutMs: 0 })
    await rig.settle()
    await subscription.ready
    expect(later).toEqual([])
    again.publish(topic('news'), 1)
    again.publish(topic('news'), 2)
    expect(later).toEqual(['news'])
  })
})
