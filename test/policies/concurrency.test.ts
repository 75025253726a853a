/** concurrency: how many run, how many wait, and that every place is given back. */
import { describe, expect, it } from 'vitest'
import { concurrency } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { end, gate, outgoing, refused, sides, statsOf } from './rig.ts'

describe('concurrency', () => {
  it('runs so many at a callee, lets so many wait in their order, refuses the rest', async () => {
    const ran: number[] = []
    const ends: (() => void)[] = []
    const policy = concurrency({ limit: 2, maxWaiting: 2 })
    const { api, here, clock } = sides(
      {
        read: (n) => {
          ran.push(n)
          return new Promise((resolve) => ends.push(() => resolve(n)))
        },
      },
      { callee: [policy] },
    )
    const answers = [1, 2, 3, 4].map((n) => api.read(n))
    const fifth = await refused(api.read(5))
    expect(fifth).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED' })
    expect([ran, statsOf(policy)]).toEqual([[1, 2], { running: 2, waiting: 2, refused: 1 }])
    ends[1]?.()
    await answers[1]
    await clock.settle()
    expect(ran).toEqual([1, 2, 3])
    for (const over of ends) over()
    await clock.settle()
    ends[3]?.()
    expect(await Promise.all(answers)).toEqual([1, 2, 3, 4])
    await clock.settle()
    expect(statsOf(policy)).toMatchObject({ running: 0, waiting: 0 })
    here.close()
  })

  it('does not run what was cancelled, or whose deadline passed, while it waited', async () => {
    const ran: number[] = []
    const first = gate<number>()
    const policy = concurrency({ limit: 1, maxWaiting: 5 })
    const { api, here, clock } = sides(
      { read: (n) => (ran.push(n) === 1 ? first.passed : n) },
      { callee: [policy] },
    )
    const running = api.read(1)
    const controller = new AbortController()
    const cancelled = refused(api.read(2, { signal: controller.signal }))
    const late = refused(api.read(3, { timeoutMs: 100 }))
    await clock.settle()
    controller.abort()
    expect(await cancelled).toMatchObject({ code: 'CANCELLED' })
    await clock.advance(300)
    expect(await late).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(statsOf(policy)).toEqual({ running: 1, waiting: 0, refused: 0 })
    first.open(1)
    expect(await running).toBe(1)
    expect(await api.read(4)).toBe(4)
    expect(ran).toEqual([1, 4])
    here.close()
  })

  it('at a caller holds back, tells what waited how much time is left, and fails what has none, not sent', async () => {
    const clock = new VirtualClock()
    const first = gate<number>()
    const { next, seen } = end((_, nth) => (nth === 1 ? first.passed : nth))
    const limited = concurrency({ limit: 1, maxWaiting: 2, clock })(next)
    const one = limited(outgoing())
    const two = limited(outgoing({ options: { timeoutMs: 900 } }))
    const three = refused(limited(outgoing({ options: { timeoutMs: 200 } })))
    await clock.advance(300)
    expect(await three).toMatchObject({ code: 'DEADLINE_EXCEEDED', fate: 'not-sent' })
    first.open(1)
    expect(await Promise.all([one, two])).toEqual([{ value: 1 }, { value: 2 }])
    expect(seen[1]).toMatchObject({ options: { timeoutMs: 600 } })
    expect(clock.pending).toBe(0)
  })

  it('gives the place back whatever becomes of a call: an error, a throw at once, a signal aborted before', async () => {
    const { next } = end((_, nth) => (nth < 3 ? Promise.reject(new Error('no')) : nth))
    const policy = concurrency({ limit: 1, maxWaiting: 1 })
    await refused(policy(next)(outgoing()))
    const thrown = policy(() => {
      throw new Error('at once')
    })
    expect(await refused(thrown(outgoing()))).toMatchObject({ message: 'at once' })
    const hanging = gate()
    void policy(() => hanging.passed.then(() => ({ value: 1 })))(outgoing())
    const aborted = await refused(policy(next)(outgoing({ options: { signal: AbortSignal.abort() } })))
    expect(aborted).toMatchObject({ code: 'CANCELLED', fate: 'not-sent' })
    hanging.open()
    await new Promise(setImmediate)
    expect(statsOf(policy)).toEqual({ running: 0, waiting: 0, refused: 0 })
  })

  it('counts a stream until it ends, is left or its call is cancelled before anybody read it', async () => {
    const policy = concurrency({ limit: 1 })
    const held = gate()
    const mapped = sides(
      {
        async *count(to) {
          for (let n = 1; n <= to; n++) yield n
          return 'done'
        },
      },
      {
        callee: [
          // Its generator never begins when the call is cancelled first.
          (next) => async (call) => {
            const reply = await next(call)
            if (!('items' in reply)) return reply
            const { items, done } = reply
            await held.passed
            return {
              items: (async function* () {
                yield* items
              })(),
              done,
            }
          },
          policy,
        ],
      },
    )
    const { api, here, clock } = mapped
    const unread = api.count(3)
    await clock.settle()
    expect(statsOf(policy)).toMatchObject({ running: 1 })
    expect(await refused(api.count(1).output)).toMatchObject({ reason: 'OVERLOADED' })
    unread.cancel()
    await refused(unread.output)
    held.open()
    await clock.settle()
    expect(statsOf(policy)).toMatchObject({ running: 0 })
    for await (const _ of api.count(9)) break
    await clock.settle()
    expect(statsOf(policy)).toMatchObject({ running: 0 })
    expect(await api.count(2).output).toBe('done')
    await clock.settle()
    expect(statsOf(policy)).toMatchObject({ running: 0, refused: 1 })
    here.close()
  })

  it('passes one-way calls at a caller in their turn', () => {
    const full = concurrency({ limit: 1 })(() => ({ value: false }))
    expect(full(outgoing({ oneWay: true }))).toEqual({ value: false })
  })
})
