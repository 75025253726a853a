import { describe, expect, it } from 'vitest'
import {
  connectPeers,
  contract,
  method,
  type Next,
  stream,
  unchecked,
  ViaductError,
} from '../../src/index.ts'
import { calleePolicies, callerPolicies, metrics } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { refusal } from '../support/hubRig.ts'

const work = contract('work', {
  wait: method({ input: unchecked<number>(), output: unchecked<number>() }),
  fail: method({ input: unchecked<string>() }),
  lines: stream({ input: unchecked<number>(), item: unchecked<number>() }),
})

function rig(options = {}) {
  const clock = new VirtualClock()
  const [near, far] = connectPeers({ clock })
  const later = (ms: number) => new Promise<number>((resolve) => clock.after(ms, () => resolve(ms)))
  const callee = metrics({ clock, ...options })
  const caller = metrics({ clock, ...options })
  far.serve(
    work,
    {
      wait: later,
      fail(reason) {
        if (reason === 'late') throw new ViaductError('DEADLINE_EXCEEDED', 'late')
        throw reason === 'full'
          ? new ViaductError('RESOURCE_EXHAUSTED', '', { reason: 'QUEUE_FULL' })
          : new Error()
      },
      async *lines(count) {
        for (let n = 0; n < count; n++) yield await later(10)
      },
    },
    { policies: [callee] },
  )
  const api = near.client(work, undefined, { policies: [caller] })
  return { clock, api, near, caller, callee }
}

describe('the policy metrics', () => {
  it('measures calls of each method, the same at both sides', async () => {
    const { clock, api, caller, callee } = rig()
    const calls = [...Array(18).fill(20), 200, 400].map((ms: number) => api.wait(ms))
    const fails = ['late', 'full', 'x'].map((reason) => refusal(api.fail(reason)))
    await clock.advance(10_000)
    await Promise.all([...calls, ...fails])
    for (const policy of [caller, callee]) {
      const { windowMs, methods, total } = policy.snapshot()
      expect(windowMs).toBe(10_000)
      const wait = methods['work.wait']
      expect(wait).toMatchObject({ maxLatency: 400, messagesPerSecond: 2, errorRate: 0, maxQueueSize: 20 })
      expect(Math.abs((wait?.p50Latency ?? 0) - 20)).toBeLessThan(20 / 32)
      expect(Math.abs((wait?.p95Latency ?? 0) - 200)).toBeLessThan(200 / 32)
      expect(wait?.avgQueueSize).toBeCloseTo(10.5)
      expect(methods['work.fail']).toMatchObject({ errorRate: 100, dropCount: 1 })
      expect(methods['work.fail']?.timeoutRate).toBeCloseTo(100 / 3)
      expect(total.errorRate).toBeCloseTo(300 / 23)
      expect(policy.stats?.()).toMatchObject({ calls: 23, failed: 3 })
    }
    expect(clock.pending).toBeLessThanOrEqual(2)
  })

  it('forgets what is older than two windows, without a timer', async () => {
    const { clock, api, caller } = rig({ windowMs: 1000 })
    const at = async (ms: number) => {
      const call = api.wait(ms)
      await clock.advance(ms)
      await call
    }
    await at(100)
    expect(caller.snapshot().total.maxLatency).toBe(100)
    await clock.advance(1000)
    await at(50)
    expect(caller.snapshot()).toMatchObject({ windowMs: 1150, total: { maxLatency: 100 } })
    await clock.advance(1000)
    expect(caller.snapshot()).toMatchObject({ windowMs: 1150, total: { maxLatency: 50 } })
    await clock.advance(5000)
    expect(caller.snapshot().methods).toEqual({})
    expect(caller.snapshot().total).toMatchObject({ maxLatency: 0, messagesPerSecond: 0 })
    await at(70)
    await clock.advance(5000)
    expect(caller.snapshot().methods).toEqual({})
  })

  it('of streams counts items and times the first; who leaves early has not failed', async () => {
    const { clock, api, caller, callee } = rig()
    const read = (async () => {
      let count = 0
      for await (const _ of api.lines(5)) count++
      return count
    })()
    await clock.advance(1000)
    expect(await read).toBe(5)
    const left = (async () => {
      for await (const _ of api.lines(5)) break
    })()
    await clock.advance(1000)
    await left
    expect(caller.snapshot().methods['work.lines']).toMatchObject({
      ...{ maxLatency: 10, errorRate: 0, messagesPerSecond: 8 / 2 },
    })
    expect(callee.snapshot().methods['work.lines']).toMatchObject({ maxLatency: 10, errorRate: 0 })
  })

  it('counts one-way messages, and those that were not taken as dropped', () => {
    const policy = metrics()
    let taken = true
    const next: Next = policy(() => ({ value: taken }))
    const call = {
      side: 'caller',
      method: work.fail,
      input: 1,
      oneWay: true,
      options: {},
      target: undefined,
    } as const
    next(call)
    taken = false
    next(call)
    next(call)
    const { total } = policy.snapshot()
    expect(total).toMatchObject({ dropCount: 2, errorRate: 0, maxQueueSize: 0 })
    expect(total.messagesPerSecond).toBeGreaterThan(0)
  })

  it('has its place in the order of both sides, by its options or as it was made', () => {
    const own = metrics()
    expect(callerPolicies({ metrics: true, retry: true }).map(({ policy }) => policy)).toEqual([
      'metrics',
      'retry',
    ])
    expect(callerPolicies({ metrics: own })).toEqual([own])
    expect(calleePolicies({ metrics: { windowMs: 1000 } })[0]?.policy).toBe('metrics')
  })

  it('counts methods past its bound together', () => {
    const policy = metrics({ maxMethods: 3 })
    const next = policy(() => ({ value: 1 }))
    for (let n = 0; n < 10_000; n++) {
      const method = { ...work.wait, name: `m${n}` }
      next({ side: 'caller', method, input: 1, oneWay: false, options: {}, target: undefined })
    }
    expect(Object.keys(policy.snapshot().methods)).toEqual(['m0', 'm1', 'm2', '*'])
    expect(policy.stats?.()).toMatchObject({ calls: 10_000 })
  })

  it.each([
    [{ windowMs: 0 }, 'metrics.windowMs'],
    [{ maxMethods: 0.5 }, 'metrics.maxMethods'],
    [{ windowMS: 5 }, 'metrics.windowMS'],
  ])('%o is refused with its name', (options: object, path) => {
    expect(() => metrics(options)).toThrow(expect.objectContaining({ reason: 'BAD_OPTION', path }))
  })
})
