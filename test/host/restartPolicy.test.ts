import { describe, expect, it } from 'vitest'
import { RESTART_DEFAULTS, type RestartLimits, RestartPolicy } from '../../src/host/restartPolicy.ts'
import { VirtualTime } from './virtualTime.ts'

function policy(
  limits: Partial<RestartLimits> = {},
  random = () => 1,
): { time: VirtualTime; policy: RestartPolicy } {
  const time = new VirtualTime()
  return { time, policy: new RestartPolicy(limits, () => time.now(), random) }
}

describe('the restart policy', () => {
  it('is promise 14 by default', () => {
    expect(RESTART_DEFAULTS).toMatchObject({ max: 3, withinMs: 60_000 })
  })

  it('waits longer each time, up to the most, and says where it stands', () => {
    const { policy: tried } = policy({ max: 10, initialDelayMs: 100, factor: 2, maxDelayMs: 1000 })
    expect(Array.from({ length: 6 }, () => tried.next())).toEqual([100, 200, 400, 800, 1000, 1000])
    expect(tried.state).toEqual({ restarts: 6, attempt: 6, failed: false })
  })

  it('waits half to all of a step by chance', () => {
    const [least, middle] = [policy({}, () => 0), policy({}, () => 0.5)]
    expect([least.policy.next(), least.policy.next()]).toEqual([50, 100])
    expect(middle.policy.next()).toBe(75)
  })

  it('fails at the fourth loss within 60 s, for good', async () => {
    const { time, policy: tried } = policy()
    for (let loss = 0; loss < 3; loss++) {
      expect(tried.next()).not.toBe('failed')
      await time.pass(15_000)
    }
    expect(tried.next()).toBe('failed')
    expect(tried.state).toEqual({ restarts: 3, attempt: 3, failed: true })
    await time.pass(3_600_000)
    expect(tried.next()).toBe('failed')
  })

  it('never restarts more than max times in any window, and goes on when losses are rarer', async () => {
    const { time, policy: tried } = policy({ max: 3, withinMs: 60_000 })
    const restarts: number[] = []
    for (let loss = 0; loss < 100; loss++) {
      const delayMs = tried.next()
      if (delayMs === 'failed') throw new Error('gave up')
      restarts.push(time.now() + delayMs)
      await time.pass(22_000)
    }
    for (const [index, at] of restarts.entries()) {
      expect(restarts.slice(index).filter((other) => other < at + 60_000).length).toBeLessThanOrEqual(3)
    }
  })

  it('begins with the first step again after a quiet window', async () => {
    const { time, policy: tried } = policy({ max: 3 })
    tried.next()
    expect(tried.next()).toBe(200)
    await time.pass(60_300)
    expect(tried.next()).toBe(100)
    expect(tried.state).toEqual({ restarts: 3, attempt: 1, failed: false })
  })

  it('never gives up with max Infinity, and keeps its delays finite', () => {
    const { policy: tried } = policy({ max: Number.POSITIVE_INFINITY, initialDelayMs: 0, factor: 1e6 })
    for (let loss = 0; loss < 10_000; loss++) expect(tried.next()).toBe(0)
    expect(tried.state).toEqual({ restarts: 10_000, attempt: 10_000, failed: false })
  })

  it('never restarts with max 0', () => {
    expect(policy({ max: 0 }).policy.next()).toBe('failed')
  })

  it.each([{ max: -1 }, { withinMs: Number.NaN }, { factor: 0.5 }, { initialDelayMs: -1 }])(
    'refuses %j',
    (limits) => {
      const [name] = Object.keys(limits)
      expect(() => policy(limits)).toThrow(
        expect.objectContaining({
          code: 'INVALID_ARGUMENT',
          reason: 'BAD_LIMIT',
          path: `restart.${name}`,
        }),
      )
    },
  )
})
