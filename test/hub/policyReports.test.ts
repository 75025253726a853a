/** What peers tell a hub of their policies. */
import { describe, expect, it } from 'vitest'
import { reportOf } from '../../src/hub/metrics.ts'
import {
  connectPeers,
  contract,
  type Interceptor,
  method,
  Peer,
  type PolicyStats,
  unchecked,
} from '../../src/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { refusal } from '../support/hubRig.ts'

const RULES = {
  main: { call: ['*'] },
  worker: { call: ['*'] },
  page: { zone: 'untrusted' as const, call: ['work.do'] },
}
const work = contract('work', { do: method({ input: unchecked<number>(), output: unchecked<number>() }) })

function counting(policy: string, stats: () => PolicyStats): Interceptor {
  return Object.assign(((next) => next) as Interceptor, { policy, stats })
}

function rig() {
  const clock = new VirtualClock()
  const hub = memoryHub({ clock, manifest: RULES })
  let reports = 0
  const take = hub.core.reports.take.bind(hub.core.reports)
  hub.core.reports.take = (port, input) => {
    reports++
    take(port, input)
  }
  const rows = () => hub.core.service.stats().policies
  return { clock, hub, main: hub.peer('main'), worker: hub.peer('worker'), rows, reports: () => reports }
}

describe('a peer with policies', () => {
  it('reports what they count when it has changed, at most once a second, each once', async () => {
    const { clock, hub, main, worker, rows, reports } = rig()
    const stats = { retries: 0, state: 'closed' }
    const retry = counting('retry', () => stats)
    const cache = counting('cache', () => ({ hits: 3 }))
    const silent: Interceptor = (next) => next
    worker.serve(work, { do: (n) => n }, { policies: [cache, silent] })
    main.client(work, { type: 'worker' }, { policies: [retry, silent] })
    main.client(work, { id: 'worker' }, { policies: [retry] })
    await clock.advance(999)
    expect(rows()).toEqual([])
    await clock.advance(1)
    expect(rows()).toEqual(
      expect.arrayContaining([
        { peer: 'main', policy: 'retry', name: 'work', stats: { retries: 0, state: 'closed' } },
        { peer: 'worker', policy: 'cache', name: 'work', stats: { hits: 3 } },
      ]),
    )
    expect(rows()).toHaveLength(2)
    expect(reports()).toBe(2)
    await clock.advance(10_000)
    expect(reports()).toBe(2)
    for (let n = 0; n < 20; n++) {
      stats.retries++
      await clock.advance(100)
    }
    expect(reports()).toBe(4)
    expect(rows()).toContainEqual(expect.objectContaining({ stats: { retries: 20, state: 'closed' } }))
    main.close()
    await clock.settle()
    expect(rows()).toMatchObject([{ peer: 'worker' }])
    hub.close()
    await clock.advance(5000)
    expect(clock.pending).toBe(0)
  })

  it('reports anew over a further link, because the hub has forgotten it', async () => {
    const { clock, hub, rows } = rig()
    const info = { id: 'late', type: 'worker', zone: 'semi', session: '' }
    const late = new Peer(hub.core.local('late', 'worker'), info, true)
    late.client(work, undefined, { policies: [counting('cache', () => ({ hits: 1 }))] })
    await clock.advance(1000)
    expect(rows()).toMatchObject([{ peer: 'late' }])
    hub.core.registry.get('late')?.link.close('GOING_AWAY')
    await clock.advance(5000)
    expect(rows()).toEqual([])
    late.resume(hub.core.local('late', 'worker'), info)
    await clock.advance(1000)
    expect(rows()).toMatchObject([{ peer: 'late', policy: 'cache', stats: { hits: 1 } }])
    hub.close()
  })

  it('may count what it likes: nothing of it ends the program, and the hub gets numbers and texts', async () => {
    const { clock, hub, main, rows } = rig()
    const stats = { big: 5n, nothing: undefined, inner: {}, text: 'fine', n: Number.NaN }
    main.client(work, undefined, {
      policies: [counting('odd', () => JSON.parse('{}')), counting('', () => stats as never)],
    })
    await clock.advance(1000)
    expect(rows()).toMatchObject([
      { policy: 'odd', stats: {} },
      { policy: 'policy', stats: { text: 'fine', n: Number.NaN } },
    ])
    expect(Object.keys(rows()[1]?.stats ?? {})).toEqual(['text', 'n'])
    hub.close()
  })

  it('sets no timer when nothing counts, or there is no hub', async () => {
    const { clock, hub, main } = rig()
    await clock.advance(20_000)
    const before = clock.pending
    main.client(work, undefined, { policies: [(next) => next] })
    expect(clock.pending).toBe(before)
    const [near] = connectPeers({ clock })
    near.client(work, undefined, { policies: [counting('cache', () => ({}))] })
    await clock.advance(20_000)
    expect(clock.pending).toBe(before)
    main.client(work, undefined, { policies: [counting('cache', () => ({}))] })
    expect(clock.pending).toBe(before + 1)
    hub.close()
  })

  it('reports what the hub takes, however much there is and whatever it is called', async () => {
    const { clock, hub, main, rows } = rig()
    const long = 'ж'.repeat(1000)
    const stats = Object.fromEntries(
      Array.from({ length: 100 }, (_, n) => [`${n}${long}`, n % 2 ? n / 7 : long]),
    )
    const policies = [
      counting('broken', () => {
        throw new Error('no')
      }),
      ...Array.from({ length: 400 }, (_, n) => counting(`p${n}`, () => ({ n, text: `t${n}` }))),
      counting(long, () => stats),
    ]
    main.client(work, undefined, { policies })
    await clock.advance(1000)
    const told = rows()
    expect(told[0]).toEqual({ peer: 'main', policy: 'broken', name: 'work', stats: {} })
    expect(told.length).toBeGreaterThan(80)
    expect(told[80]).toMatchObject({ policy: 'p79', stats: { n: 79, text: 't79' } })
    const alone = hub.peer('worker-2', 'worker')
    alone.client(work, undefined, { policies: [counting(long, () => stats)] })
    alone.client(work, undefined, { policies: [counting('last', () => ({ ok: 1 }))] })
    await clock.advance(1000)
    expect(rows().filter(({ peer }) => peer === 'worker-2')).toMatchObject([
      { policy: 'last', stats: { ok: 1 } },
    ])
    hub.close()
  })
})

describe('$hub.report', () => {
  it('is for every peer; a bad one is refused by its path, and the last one stands', async () => {
    const { clock, hub, rows } = rig()
    const page = hub.peer('page')
    await clock.settle()
    const good = { policies: [{ policy: 'cache', method: 'work.do', stats: { hits: 1, state: 'warm' } }] }
    await page.call('$hub.report', good)
    const [line] = good.policies
    for (const [input, path] of [
      [undefined, 'input.policies'],
      [{ policies: Array(257).fill(line) }, 'input.policies'],
      [{ policies: [line, { ...line, policy: '' }] }, 'input.policies[1].policy'],
      [{ policies: [{ ...line, method: 'x'.repeat(257) }] }, 'input.policies[0].method'],
      [{ policies: [{ ...line, name: 5 }] }, 'input.policies[0].name'],
      [{ policies: [{ ...line, stats: [1] }] }, 'input.policies[0].stats'],
      [{ policies: [{ ...line, stats: { nested: {} } }] }, 'input.policies[0].stats'],
      [{ policies: [{ ...line, stats: { long: 'x'.repeat(129) } }] }, 'input.policies[0].stats'],
    ] as const) {
      expect(await refusal(page.call('$hub.report', input))).toMatchObject({
        ...{ code: 'INVALID_ARGUMENT', reason: 'BAD_REPORT', path },
      })
    }
    expect(await refusal(page.call('$hub.report', { policies: [], more: 'x'.repeat(40_000) }))).toMatchObject(
      {
        reason: 'MESSAGE_TOO_LARGE',
      },
    )
    expect(rows()).toEqual([{ peer: 'page', ...line }])
    await page.call('$hub.report', { policies: [] })
    expect(rows()).toEqual([])
    hub.close()
  })

  it('of retries makes the retry rate: in all, of a method, and of its caller’s pairs', async () => {
    const { clock, hub, main, worker } = rig()
    worker.serve(work, { do: (n) => n })
    await clock.settle()
    const windows: ReturnType<typeof reportOf>[] = []
    const unlisten = hub.core.metrics.listen((window) => windows.push(reportOf(window)))
    const report = (retries: number) =>
      main.call('$hub.report', { policies: [{ policy: 'retry', method: 'work.do', stats: { retries } }] })
    const calls = async (count: number) => {
      for (let n = 0; n < count; n++) await main.client(work, { id: 'worker' }).do(n)
    }
    await calls(20)
    const second = hub.peer('worker-2', 'worker')
    second.serve(work, { do: (n) => n })
    await clock.settle()
    for (let n = 0; n < 5; n++) await main.client(work, { id: 'worker-2' }).do(n)
    await report(5)
    await clock.advance(60_000)
    expect(windows[0]).toMatchObject({
      total: { retryRate: 20 },
      methods: [{ method: 'work.do', retryRate: 20 }],
      pairs: [
        { from: 'main', to: 'worker', retryRate: 20 },
        { from: 'main', to: 'worker-2', retryRate: 20 },
      ],
    })
    await calls(10)
    await report(6)
    // Begun anew: what it counts now is more.
    await report(0)
    await report(1)
    await clock.advance(60_000)
    expect(windows[1]?.total.retryRate).toBe(20)
    await calls(10)
    await clock.advance(60_000)
    expect(windows[2]?.total.retryRate).toBe(0)
    unlisten()
    hub.close()
  })
})
