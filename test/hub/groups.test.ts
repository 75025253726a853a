/** Groups: each event goes to one member, and to another when that one ends before it was sent. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { decodeBody } from '../../src/wire/body.ts'
import * as KIND from '../../src/wire/kind.ts'
import { QUEUE_CAPACITY } from '../../src/wire/limits.ts'
import { frameFrom } from '../support/frames.ts'
import { HubRig, type RawPeer } from '../support/hubRig.ts'

const RULES = {
  main: { publish: ['*'], subscribe: ['*'] },
  ai: { subscribe: ['*'] },
  ui: { subscribe: ['*'] },
}
const jobs = untyped('jobs', 'topic')
const MUCH = 100_000_000

async function member(
  rig: HubRig,
  id: string,
  window: number,
  more: { readonly name?: string; readonly overflow?: string } = {},
): Promise<RawPeer> {
  const { name = 'jobs', overflow = 'drop-oldest' } = more
  const raw = await rig.raw(id, id.replace(/-\d+$/, ''))
  raw.open(1, { topics: true }, name)
  const body = { overflow, group: 'workers' }
  raw.send(frameFrom({ kind: 'CALL', lane: 2, id: 1, route: 1, window, body }))
  await rig.settle()
  expect(raw.take().at(-1)).toMatchObject({ kind: KIND.PROGRESS, id: 1 })
  return raw
}

function values(raw: RawPeer): unknown[] {
  return raw
    .take()
    .filter(({ kind }) => kind === KIND.ITEM)
    .map(({ payload, headBytes }) =>
      decodeBody(payload, headBytes, payload.length, { maxDepth: 8, maxKeys: 100 }),
    )
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)
const sorted = (list: readonly unknown[]) => [...list].sort((one, other) => Number(one) - Number(other))

async function publish(
  rig: HubRig,
  from: { publish(topic: typeof jobs, data: unknown): boolean },
  list: number[],
) {
  for (const number of list) expect(from.publish(jobs, number)).toBe(true)
  await rig.settle()
}

describe('a group', () => {
  it('shares the events of a topic evenly, each to one member; others get all of them', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const members = [
      await member(rig, 'ai-1', MUCH),
      await member(rig, 'ai-2', MUCH),
      await member(rig, 'ai-3', MUCH),
    ]
    const whole = main.subscribe(jobs, { timeoutMs: 0 })[Symbol.asyncIterator]()
    await publish(rig, main, numbers(0, 300))
    const got = members.map(values)
    expect(got.map(({ length }) => length)).toEqual([100, 100, 100])
    expect(sorted(got.flat())).toEqual(numbers(0, 300))
    for (let at = 0; at < 300; at++) expect((await whole.next()).value).toBe(at)
  })

  it('is one of peers of one type: others with its name take nothing from it', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const ours = await member(rig, 'ai-1', MUCH)
    const theirs = await member(rig, 'ui-1', MUCH)
    await publish(rig, main, numbers(0, 10))
    expect([values(ours), values(theirs)]).toEqual([numbers(0, 10), numbers(0, 10)])
  })

  it('passes over members without credit, and prefers the one with the least under way', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const stalled = await member(rig, 'ai-1', 0)
    const slow = await member(rig, 'ai-2', MUCH)
    const quick = await member(rig, 'ai-3', MUCH)
    const taken = [0, 0]
    for (let count = 0; count < 100; count++) {
      await publish(rig, main, [count])
      const mine = values(quick).length
      taken[0] = (taken[0] ?? 0) + mine
      taken[1] = (taken[1] ?? 0) + values(slow).length
      // The quick one has taken what it got, and says so.
      if (mine > 0) quick.send({ kind: KIND.CREDIT, id: 1, window: 1000 })
    }
    expect(values(stalled)).toEqual([])
    expect(taken[0]).toBeGreaterThan(90)
    expect((taken[0] ?? 0) + (taken[1] ?? 0)).toBe(100)
    expect(rig.hub.topics.stats().every(({ dropped }) => dropped === 0)).toBe(true)
  })

  it('hands what was not sent to a member that ended over to another, and sends nothing twice', async () => {
    for (const how of ['cancel', 'lose', 'rig'] as const) {
      const rig = new HubRig({ rules: RULES })
      const main = await rig.join('main', 'main')
      // Credit for two of these events each.
      const size = 32 + 32 + 16 + 8
      const dying = await member(rig, 'ai-1', size * 2)
      const other = await member(rig, 'ai-2', size * 2)
      await publish(rig, main, numbers(0, 50))
      const had = values(dying)
      expect(had.length).toBe(2)
      if (how === 'cancel') dying.send({ kind: KIND.CANCEL, id: 1 })
      else if (how === 'lose') dying.transport.lose()
      else rig.port('ai-1').link.close('HEARTBEAT_LOST')
      await rig.settle()
      other.send({ kind: KIND.CREDIT, id: 1, window: MUCH })
      await rig.settle()
      expect(sorted([...had, ...values(other)]), how).toEqual(numbers(0, 50))
      expect(rig.hub.topics.stats()).toMatchObject([{ subscriber: 'ai-2', queued: 0, dropped: 0 }])
      expect(rig.port('ai-2').eventBytes).toBe(0)
    }
  })

  it('hands over what a whole peer leaves, not to subscriptions that go with it', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const both = await member(rig, 'ai-1', 0)
    both.send(frameFrom({ kind: 'CALL', lane: 2, id: 2, route: 1, window: 0, body: { group: 'workers' } }))
    await rig.settle()
    await publish(rig, main, numbers(0, 20))
    const other = await member(rig, 'ai-2', MUCH)
    both.transport.lose()
    await rig.settle()
    expect(sorted(values(other))).toEqual(numbers(0, 20))
    other.transport.lose()
    await rig.settle()
    expect(rig.hub.topics.stats()).toEqual([])
    await publish(rig, main, [1])
  })

  it('counts what is lost with its last member, and what is dropped when all are full', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const last = await member(rig, 'ai-1', 0)
    await publish(rig, main, numbers(0, QUEUE_CAPACITY + 5))
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: QUEUE_CAPACITY, dropped: 5 }])
    last.transport.lose()
    await rig.settle()
    const row = rig.hub.traffic.rows().find(({ from, to }) => from === 'topics' && to === 'ai-1')
    expect(row).toMatchObject({ items: 0, dropped: QUEUE_CAPACITY + 5 })
  })

  it('may have members by name and by patterns', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const members = [await member(rig, 'ai-1', MUCH), await member(rig, 'ai-2', MUCH, { name: '*' })]
    await publish(rig, main, numbers(0, 100))
    const got = members.map(values)
    expect(sorted(got.flat())).toEqual(numbers(0, 100))
    for (const list of got) expect(list.length).toBeGreaterThan(20)
  })

  it('of the class `error` loses the member that is full, and not the event', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const strict = await member(rig, 'ai-1', 0, { overflow: 'error' })
    const lax = await member(rig, 'ai-2', 0)
    await publish(rig, main, numbers(0, 2 * QUEUE_CAPACITY))
    expect(rig.hub.topics.stats()).toMatchObject([{ queued: QUEUE_CAPACITY }, { queued: QUEUE_CAPACITY }])
    // One of these is the strict one's turn.
    await publish(rig, main, [5001, 5002])
    expect(strict.take()).toMatchObject([{ kind: KIND.ERROR, id: 1 }])
    lax.send({ kind: KIND.CREDIT, id: 1, window: MUCH })
    await rig.settle()
    const got = values(lax)
    expect(got.length).toBe(QUEUE_CAPACITY)
    expect(got).toContain(5001)
    expect(got).toContain(5002)
    expect(rig.hub.topics.stats()).toMatchObject([{ subscriber: 'ai-2', dropped: QUEUE_CAPACITY + 2 }])
  })

  it('stands in the statistics under the name that its members gave it', async () => {
    const rig = new HubRig({ rules: RULES })
    await member(rig, 'ai-1', MUCH)
    const ui = await rig.join('ui', 'ui')
    void ui.subscribe(jobs).ready.catch(() => {})
    await rig.settle()
    expect(rig.hub.service.stats().subscriptions).toEqual([
      { topic: 'jobs', subscriber: 'ai-1', group: 'workers', queued: 0, queuedBytes: 0, dropped: 0 },
      { topic: 'jobs', subscriber: 'ui', queued: 0, queuedBytes: 0, dropped: 0 },
    ])
  })
})
