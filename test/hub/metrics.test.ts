/** What a hub tells of its traffic, window by window. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { AlertNews } from '../../src/hub/alerts.ts'
import { Metrics, type MetricsReport, reportOf } from '../../src/hub/metrics.ts'
import { TrafficLog } from '../../src/hub/traffic.ts'
import { type MemoryHubOptions, memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import { refusal } from '../support/hubRig.ts'

const RULES = {
  main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
  worker: { call: ['*'], publish: ['*'], subscribe: ['*'] },
  page: { call: ['work'] },
}

function rig(options: MemoryHubOptions = {}) {
  const clock = new VirtualClock()
  const log: string[] = []
  const hub = memoryHub({ clock, manifest: RULES, log: (text) => log.push(text), ...options })
  return { clock, hub, log, main: hub.peer('main'), worker: hub.peer('worker') }
}

type Rig = ReturnType<typeof rig>

/** Answers after so many milliseconds. */
function later({ clock }: Rig, ms: number): Promise<number> {
  return new Promise((resolve) => clock.after(ms, () => resolve(ms)))
}

/** Reads items of a stream as they come. */
function reader<Item>(items: AsyncIterable<unknown>) {
  const iterator = items[Symbol.asyncIterator]()
  return {
    next: async (): Promise<Item> => (await iterator.next()).value as Item,
    leave: () => void iterator.return?.(),
  }
}

function methodOf(report: MetricsReport, method: string) {
  const row = report.methods.find((one) => one.method === method)
  if (!row) throw new Error(`no row of ${method}: ${report.methods.map((one) => one.method)}`)
  return row
}

describe('$hub.metrics', () => {
  it('has the metrics of each method and pair in the window, and only of that', async () => {
    const here = rig()
    const { clock, hub, main, worker } = here
    worker.handle('work', (ms, { signal }) => {
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
      return Promise.race([later(here, Number(ms)), aborted])
    })
    worker.handle('fail', () => {
      throw new ViaductError('NOT_FOUND', 'no')
    })
    await clock.settle()
    const call = (method: string, input?: unknown, options = {}) =>
      main.call(method, input, { target: { id: 'worker' }, timeoutMs: 1000, ...options })
    // Before the first window.
    const early = call('work', 700)
    await clock.advance(1000)
    await early
    const reports = reader<MetricsReport>(main.stream('$hub.metrics', undefined, { timeoutMs: 0 }))
    const first = await reports.next()
    expect(first).toMatchObject({ kind: 'snapshot', windowMs: 1000, missed: 0 })
    expect(first.total.maxLatency).toBe(700)
    expect(first.total.messagesPerSecond).toBe(1)

    const calls = Array.from({ length: 50 }, (_, n) => call('work', n < 40 ? 10 : 80).catch(() => {}))
    for (let n = 0; n < 5; n++) calls.push(call('fail').catch(() => {}))
    const controller = new AbortController()
    const given = refusal(call('work', 900, { signal: controller.signal }))
    const late = refusal(call('work', 900, { timeoutMs: 300 }))
    await clock.settle()
    controller.abort()
    await clock.advance(60_000)
    await Promise.all([...calls, given])
    expect(await late).toMatchObject({ reason: 'DEADLINE_EXCEEDED' })
    const window = await reports.next()
    expect(window).toMatchObject({ kind: 'window', windowMs: 60_000, more: { methods: 0, pairs: 0 } })
    expect(window.methods.map(({ method }) => method)).toEqual(['work', 'fail'])
    const work = methodOf(window, 'work')
    expect(work.messagesPerSecond).toBeCloseTo(52 / 60)
    expect(work.bytesPerSecond).toBeGreaterThan(52 / 60)
    expect(Math.abs(work.p50Latency - 10)).toBeLessThan(10 / 32)
    expect(Math.abs(work.p95Latency - 80)).toBeLessThan(80 / 32)
    // The one that was cancelled has not failed, the one whose time was over has.
    expect(work.errorRate).toBeCloseTo(100 / 52)
    expect(work.timeoutRate).toBeCloseTo(100 / 52)
    expect(methodOf(window, 'fail')).toMatchObject({ errorRate: 100, timeoutRate: 0, retryRate: 0 })
    expect(window.pairs).toMatchObject([{ from: 'main', to: 'worker' }])
    expect(window.pairs[0]?.messagesPerSecond).toBeCloseTo(57 / 60)
    expect(window.total.errorRate).toBeCloseTo(600 / 57)

    await clock.advance(60_000)
    expect(await reports.next()).toMatchObject({ kind: 'window', methods: [], pairs: [] })
    reports.leave()
    hub.close()
  })

  it('of a stream counts the time to its first item', async () => {
    const here = rig()
    const { clock, hub, main, worker } = here
    worker.handle(untyped('lines', 'stream'), async function* () {
      yield await later(here, 40)
      yield await later(here, 5000)
    })
    await clock.settle()
    const lines = main.stream('lines', undefined, { target: { id: 'worker' } })
    const read = (async () => {
      let count = 0
      for await (const _ of lines) count++
      return count
    })()
    await clock.advance(6000)
    expect(await read).toBe(2)
    const { methods } = reportOf(hub.core.metrics.now())
    expect(methods).toMatchObject([{ method: 'lines', maxLatency: 40, errorRate: 0 }])
    expect(methods[0]?.messagesPerSecond).toBeCloseTo(3 / 6)
    hub.close()
  })

  it('sets no timer while nobody listens', async () => {
    const { clock, hub, main } = rig({ metrics: { windowMs: 60_000, alerts: false } })
    // Until what peers began with is over.
    await clock.advance(20_000)
    const before = clock.pending
    expect(before).toBe(0)
    const reports = reader<MetricsReport>(main.stream('$hub.metrics', undefined, { timeoutMs: 0 }))
    await reports.next()
    const alerts = reader<AlertNews>(main.stream('$hub.alerts', undefined, { timeoutMs: 0 }))
    expect(await alerts.next()).toMatchObject({ kind: 'snapshot', alerts: [], missed: 0 })
    await clock.advance(1000)
    expect(clock.pending).toBeGreaterThan(before)
    reports.leave()
    await clock.settle()
    expect(clock.pending).toBeGreaterThan(before)
    alerts.leave()
    await clock.advance(10_000)
    expect(clock.pending).toBe(before)
    hub.close()
  })

  it('leaves no timer behind when the hub is closed', async () => {
    const { clock, hub } = rig({ metrics: {} })
    await clock.advance(20_000)
    expect(clock.pending).toBeGreaterThan(0)
    hub.close()
    await clock.advance(20_000)
    expect(clock.pending).toBe(0)
  })

  it('gives a slow reader the running window for those it missed', async () => {
    const { clock, hub, main } = rig({ metrics: { windowMs: 1000, alerts: false } })
    await clock.settle()
    const watch = hub.core.service.metrics('main')
    await watch.next()
    await clock.advance(7000)
    const { value } = await watch.next()
    expect(value).toMatchObject({ kind: 'snapshot', missed: 7 })
    await watch.return()
    expect(main.isClosed).toBe(false)
    hub.close()
  })

  it('is for peers that may ask who is there, and for a bounded number of them', async () => {
    const { clock, hub, main } = rig()
    const page = hub.peer('page')
    await clock.settle()
    for (const name of ['$hub.metrics', '$hub.alerts']) {
      const items = page.stream(name)[Symbol.asyncIterator]()
      expect(await refusal(items.next())).toMatchObject({ reason: 'PERMISSION_DENIED' })
    }
    const open = Array.from({ length: 8 }, () => reader(main.stream('$hub.metrics')))
    for (const one of open) await one.next()
    const ninth = main.stream('$hub.alerts')[Symbol.asyncIterator]()
    expect(await refusal(ninth.next())).toMatchObject({ reason: 'TOO_MANY_WATCHES' })
    for (const one of open) one.leave()
    await clock.settle()
    await reader(main.stream('$hub.alerts')).next()
    hub.close()
  })

  it('sends a report of as many rows as there may be', async () => {
    const { clock, hub, worker } = rig()
    await clock.settle()
    for (let n = 0; n < 4000; n++) {
      hub.core.traffic.row(`from-${n % 1000}`, `to-${n % 1000}`, `a.method.of.some.length-${n}`).calls++
    }
    const [report, stats] = await Promise.all([
      reader<MetricsReport>(worker.stream('$hub.metrics')).next(),
      worker.call('$hub.stats'),
    ])
    expect(report.methods).toHaveLength(500)
    expect(report.pairs).toHaveLength(500)
    expect(report.more).toEqual({ methods: 3500, pairs: 500 })
    expect(stats).toMatchObject({ policies: [] })
    hub.close()
  })
})

describe('queues', () => {
  it('are sampled, and raise an alert that is logged, told and cleared', async () => {
    const here = rig({ metrics: { windowMs: 10_000, alerts: { thresholds: { dropRate: false } } } })
    const { clock, hub, log, main, worker } = here
    await clock.settle()
    const alerts = reader<AlertNews>(main.stream('$hub.alerts', undefined, { timeoutMs: 0 }))
    await alerts.next()
    const topic = untyped('noise', 'topic')
    // It reads nothing: what its window does not take waits at the hub.
    const subscription = worker.core.subscribe(topic)
    await subscription.ready
    for (let n = 0; n < 5; n++) {
      for (let event = 0; event < 600; event++) main.core.publish(topic, new Uint8Array(200))
      await clock.settle()
    }
    await clock.advance(10_000)
    const raised = await alerts.next()
    expect(raised).toMatchObject({
      kind: 'raised',
      alert: { name: 'queueSize', level: 'WARNING', peer: 'worker', threshold: 500 },
    })
    const report = reportOf(hub.core.metrics.now())
    expect(report.kind).toBe('snapshot')
    let read = 0
    const reading = (async () => {
      for await (const _ of subscription) read++
    })()
    await clock.advance(30_000)
    expect(await alerts.next()).toMatchObject({ kind: 'cleared', alert: { name: 'queueSize', value: 0 } })
    expect(read).toBeGreaterThan(1000)
    expect(log).toEqual([
      expect.stringMatching(
        /^alert raised level=WARNING name=queueSize peer=worker value=\d+ threshold=500$/,
      ),
      'alert cleared level=WARNING name=queueSize peer=worker value=0 threshold=500',
    ])
    hub.close()
    await reading.catch(() => {})
  })

  it('stand at the topic, at the pair and in the total, average and maximum; what was dropped is counted', async () => {
    const here = rig({ metrics: { windowMs: 10_000, sampleMs: 1000, alerts: false } })
    const { clock, hub, main, worker } = here
    await clock.settle()
    const reports = reader<MetricsReport>(main.stream('$hub.metrics', undefined, { timeoutMs: 0 }))
    await reports.next()
    const topic = untyped('noise', 'topic')
    const subscription = worker.core.subscribe(topic)
    await subscription.ready
    await clock.advance(4999)
    for (let n = 0; n < 5; n++) {
      for (let event = 0; event < 600; event++) main.core.publish(topic, new Uint8Array(200))
      await clock.settle()
    }
    const [waiting] = hub.core.topics.stats()
    expect(waiting?.queued).toBe(1000)
    await clock.advance(5001)
    const report = await reports.next()
    // Six of ten samples saw it.
    const seen = { maxQueueSize: 1000, avgQueueSize: 600 }
    expect(methodOf(report, 'noise')).toMatchObject({ ...seen, dropCount: waiting?.dropped })
    expect(waiting?.dropped).toBeGreaterThan(100)
    expect(report.total).toMatchObject({ ...seen, dropCount: waiting?.dropped })
    expect(report.pairs).toContainEqual(
      expect.objectContaining({ from: 'topics', to: 'worker', ...seen, dropCount: waiting?.dropped }),
    )
    subscription.cancel()
    hub.close()
  })
})

describe('rows of traffic', () => {
  it('are bounded, and what they measure is too, with 100,000 pairs of peers', async () => {
    const clock = new VirtualClock()
    const traffic = new TrafficLog()
    const host = {
      clock,
      startedAt: 0,
      traffic: () => traffic.rows(),
      queues: () => ({ peers: new Map(), topics: new Map() }),
      retries: () => ({ peers: new Map(), methods: new Map() }),
    }
    const metrics = new Metrics(host, { windowMs: 60_000, sampleMs: 1000 })
    const reports: MetricsReport[] = []
    const unlisten = metrics.listen((window) => reports.push(reportOf(window)))
    const round = (): void => {
      for (let pair = 0; pair < 100_000; pair++) {
        const row = traffic.row(`from-${pair}`, `to-${pair}`, 'work')
        row.calls++
        row.ended++
        row.latency.record(pair / 100)
      }
    }
    for (let window = 0; window < 3; window++) {
      round()
      await clock.advance(60_000)
    }
    const rows = traffic.rows()
    expect(rows).toHaveLength(4097)
    const bytes = rows.reduce((sum, { latency }) => sum + latency.memoryBytes, 0)
    expect(bytes).toBeLessThan(4097 * 2048)
    expect(reports).toHaveLength(3)
    for (const { methods, pairs, total, more } of reports) {
      expect(methods.length + pairs.length).toBeLessThanOrEqual(1000)
      expect(more.pairs).toBe(4097 - 500)
      // No call is lost of it: what has no row of its own is counted together.
      expect(total.messagesPerSecond).toBeCloseTo(100_000 / 60)
      expect(Math.abs(total.p99Latency - 990)).toBeLessThan(990 / 32)
    }
    unlisten()
  })
})

describe('options', () => {
  it.each([
    [{ windowMs: 0 }, 'metrics.windowMs'],
    [{ sampleMs: -1 }, 'metrics.sampleMs'],
    [{ alerts: { clearShare: 2 } }, 'metrics.alerts.clearShare'],
    [{ alerts: { thresholds: { p95Latency: -1 } } }, 'metrics.alerts.thresholds.p95Latency'],
    [{ alerts: { thresholds: { p90Latency: 1 } } }, 'metrics.alerts.thresholds.p90Latency'],
    [{ window: 1 }, 'metrics.window'],
  ])('%o is refused with its name', (metrics: object, path) => {
    expect(() => memoryHub({ metrics })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'BAD_OPTION', path }),
    )
  })
})
