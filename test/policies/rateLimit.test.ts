/** Rates: at a callee by its policy, at the hub by its manifest. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { Rates } from '../../src/core/rates.ts'
import { contract, Hub, manifest, topic, unchecked } from '../../src/index.ts'
import { rateLimit, retry, s1RateLimits } from '../../src/policies/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { refused, sides, statsOf } from './rig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-rate-'))
const child = fileURLToPath(new URL('fixtures/hop.mjs', import.meta.url))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const LIMITED = { code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' }

describe('token buckets', () => {
  it('hold a second, fill evenly, and say when the next call may pass', () => {
    const rates = new Rates({ 'ai.*': 4 })
    const take = (nowMs: number) => rates.take('a', 'ai.ask', nowMs)
    expect([0, 0, 0, 0, 0].map(take)).toEqual([0, 0, 0, 0, 250])
    expect(take(200)).toBe(50)
    expect([250, 250].map(take)).toEqual([0, 250])
    expect([60_000, 60_000, 60_000, 60_000, 60_000].map(take)).toEqual([0, 0, 0, 0, 250])
  })

  it('take less than one call a second: the first at once, then each after its time', () => {
    const rates = new Rates({ rare: 0.5 })
    expect([0, 0, 1_999, 2_000].map((now) => rates.take('a', 'rare', now))).toEqual([0, 2_000, 1, 0])
  })

  it('are one for each sender and method, by the first name that matches', () => {
    const rates = new Rates({ '*': 1, 'ai.ask': 2, 'ai.*': 3 })
    expect(['ai.ask', 'ai.other', 'x'].map((method) => rates.of(method))).toEqual([2, 3, 1])
    expect(new Rates({ 'ai.*': 3 }).of('x')).toBe(Number.POSITIVE_INFINITY)
    const senders = ['a', 'b', 'a', 'b'].map((sender) => rates.take(sender, 'x', 0))
    expect(senders).toEqual([0, 0, 1_000, 1_000])
    expect(rates.take('a', 'y', 0)).toBe(0)
  })

  it('count what nobody serves as one name, so that inventing names gains nothing', () => {
    const rates = new Rates(s1RateLimits)
    const invented = Array.from({ length: 150 }, (_, n) => rates.take('a', `name${n}`, 0, false))
    expect(invented.filter((wait) => wait === 0)).toHaveLength(100)
    expect(rates.take('a', 'served', 0)).toBe(0)
  })

  it('leave the hub to say what its own methods cost, but for rules that name them', () => {
    const rates = new Rates({ '*': 1, '$hub.who': 2 })
    expect(['$hub.serve', '$hub.who', 'x'].map((method) => rates.of(method))).toEqual([
      Number.POSITIVE_INFINITY,
      2,
      1,
    ])
  })

  it('are bounded in number', () => {
    const rates = new Rates({ '*': 1 })
    for (let n = 0; n <= 10_000; n++) rates.take('a', `m${n}`, 0)
    expect(rates.take('a', 'm1', 0)).toBe(1_000)
    expect(rates.take('a', 'm0', 0)).toBe(0)
  })

  it('have the limits of S1 as a preset', () => {
    const rates = new Rates(s1RateLimits)
    expect(['ai_analyze', 'navigation_request', 'sync_data', 'other'].map((name) => rates.of(name))).toEqual([
      10, 5, 20, 100,
    ])
  })
})

describe('rateLimit', () => {
  it('refuses at the callee what is over it, tells when to come again, and runs nothing', async () => {
    const clock = new VirtualClock()
    const policy = rateLimit({ limits: { 'work.read': 2 }, clock })
    let ran = 0
    const { api, here } = sides({ read: (n) => n + 0 * ran++, write: (n) => n }, { clock, callee: [policy] })
    const third = (await Promise.all([api.read(1), api.read(2), refused(api.read(3))]))[2]
    expect(third).toMatchObject({ ...LIMITED, retryAfterMs: 500 })
    expect([ran, statsOf(policy)]).toEqual([2, { refused: 1 }])
    expect(await api.write(4)).toBe(4)
    await clock.advance(500)
    expect(await api.read(5)).toBe(5)
    here.close()
  })

  it('with retry at the caller: what may run twice waits its time and passes', async () => {
    const clock = new VirtualClock()
    const { api, here } = sides(
      { read: (n) => n },
      {
        clock,
        caller: [retry({ clock, random: () => 0 })],
        callee: [rateLimit({ limits: { '*': 4 }, clock })],
      },
    )
    const six = Promise.all([1, 2, 3, 4, 5].map((n) => api.read(n)))
    await clock.advance(249)
    const early = await Promise.race([six, Promise.resolve('waits')])
    expect(early).toBe('waits')
    await clock.advance(1)
    expect(await six).toEqual([1, 2, 3, 4, 5])
    here.close()
  })
})

describe('rates of a hub', () => {
  const rules = manifest({
    main: { call: ['*'], publish: ['*'], rates: { 'work.*': 2, '*': 3 } },
    'main-2': { rates: { 'work.echo': 1 } },
    worker: { subscribe: ['*'] },
  })

  it('are of each sender by itself, not sent, with the time to wait; a rule of the id comes first', async () => {
    const clock = new VirtualClock()
    const hub = memoryHub({ manifest: rules, clock })
    const worker = hub.peer('worker-1')
    let ran = 0
    worker.handle('work.echo', (n) => {
      ran++
      return n
    })
    await clock.settle()
    const target = { target: { id: 'worker-1' } }
    const three = async (id: string) => {
      const peer = hub.peer(id, 'main')
      await clock.settle()
      return Promise.all([1, 2, 3].map((n) => refused(peer.call('work.echo', n, target))))
    }
    const one = await three('main-1')
    expect(one).toMatchObject(['gave 1', 'gave 2', { ...LIMITED, fate: 'not-sent', retryAfterMs: 500 }])
    const two = await three('main-2')
    expect(two).toMatchObject(['gave 1', { ...LIMITED, retryAfterMs: 1_000 }, LIMITED])
    expect(ran).toBe(3)
    // Whoever leaves and comes again goes on with what was left.
    expect(await three('main-1')).toMatchObject([LIMITED, LIMITED, LIMITED])
    await clock.advance(500)
    expect(await three('main-1')).toMatchObject(['gave 1', LIMITED, LIMITED])
    hub.close()
  })

  it('count names that nobody serves together, and let a peer say what it serves', async () => {
    const clock = new VirtualClock()
    const hub = memoryHub({ manifest: rules, clock })
    const main = hub.peer('main-1', 'main')
    const worker = hub.peer('worker-1')
    for (let n = 0; n < 20; n++) main.handle(`own.m${n}`, () => n)
    worker.handle('x.served', () => 'served')
    await clock.settle()
    const asked = await Promise.all(
      ['x.a', 'x.b', 'x.c', 'x.d'].map((name) => refused(main.call(name, 1, { target: { id: 'worker-1' } }))),
    )
    const none = { reason: 'METHOD_NOT_FOUND' }
    expect(asked).toMatchObject([none, none, none, LIMITED])
    expect(await main.call('x.served', 1, { target: { id: 'worker-1' } })).toBe('served')
    const row = hub.core.registry.get('main-1')
    expect(row?.refused).toBeGreaterThan(0)
    expect((await refused(main.call('$hub.describe', { id: 'main-1' }))) as string).toContain('gave')
    hub.close()
  })

  it('bound publications too: what is over the rate reaches nobody', async () => {
    const clock = new VirtualClock()
    const hub = memoryHub({ manifest: rules, clock })
    const main = hub.peer('main-1', 'main')
    const worker = hub.peer('worker-1')
    const news = contract('news', { item: topic({ data: unchecked<number>() }) })
    const events = worker.subscribe(news.item)
    await events.ready
    for (let n = 0; n < 9; n++) main.publish(news.item, n)
    await clock.settle()
    await clock.advance(1_000)
    main.publish(news.item, 100)
    const got: number[] = []
    for await (const event of events) {
      got.push(event)
      if (event === 100) break
    }
    expect(got).toEqual([0, 1, 2, 100])
    hub.close()
  })

  it.each([
    [{ main: { rates: { 'pages.*': 0 } } }, 'main.rates.pages.*'],
    [{ main: { rates: { 'pages.*': '5' } } }, 'main.rates.pages.*'],
    [{ main: { rates: { '*.pages': 5 } } }, 'main.rates.*.pages'],
    [{ main: { rates: 5 } }, 'main.rates'],
    [{ main: { rates: [5] } }, 'main.rates'],
  ])('are refused with their path: %j', (given, path) => {
    let fault: unknown
    try {
      Reflect.apply(manifest, undefined, [given])
    } catch (error) {
      fault = error
    }
    expect(fault).toMatchObject({ reason: 'MANIFEST_INVALID', path })
  })

  it('hold between processes: two senders, each its own share', async () => {
    const worker = { call: ['hop.*'], rates: { 'hop.echo': 0.1 } }
    const hub = await Hub.listen({
      app: 'rates',
      base,
      manifest: manifest({ main: { call: ['*'] }, worker }),
      log: () => {},
    })
    try {
      for (const id of ['worker-1', 'worker-2', 'worker-3'])
        await hub.supervise(id, { type: 'worker', run: [process.execPath, child] })
      const flood = { to: 'worker-3', method: 'hop.echo', times: 3 }
      const outcomes = await Promise.all(
        ['worker-1', 'worker-2'].map((id) =>
          hub.peer.call('hop.flood', flood, { target: { id }, timeoutMs: 20_000 }),
        ),
      )
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject([undefined, { reason: 'RATE_LIMITED' }, { reason: 'RATE_LIMITED' }])
        expect(Reflect.get(Object(Reflect.get(Object(outcome), 1)), 'retryAfterMs')).toBeGreaterThan(5_000)
      }
    } finally {
      await hub.close()
    }
  })
})
