/** timeout: one bound for what stands behind it. */
import { describe, expect, it } from 'vitest'
import { retry, timeout } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { end, outgoing, refused, sides, statsOf, work } from './rig.ts'

describe('timeout', () => {
  it.each([
    [undefined, 30_000],
    [0, 30_000],
    [60_000, 30_000],
    [200, 200],
  ])('of 30 s gives a call that asks for %s ms %i ms', async (timeoutMs, expected) => {
    const clock = new VirtualClock()
    const { next, seen } = end(() => new Promise(() => {}))
    const policy = timeout({ timeoutMs: 30_000, clock })
    let settled: unknown
    const options = timeoutMs === undefined ? {} : { timeoutMs }
    void refused(policy(next)(outgoing({ options }))).then((error) => {
      settled = error
    })
    await clock.advance(expected - 1)
    expect(settled).toBe(undefined)
    await clock.advance(1)
    expect(settled).toMatchObject({ code: 'DEADLINE_EXCEEDED', fate: 'unknown' })
    expect(seen[0]).toMatchObject({ options: { timeoutMs: expected } })
    expect(statsOf(policy)).toEqual({ passed: 1 })
  })

  it('leaves no timer behind, whatever the answer', async () => {
    const clock = new VirtualClock()
    const { next } = end((_, nth) => (nth === 1 ? 5 : Promise.reject(new Error('no'))))
    const limited = timeout({ clock })(next)
    expect(await limited(outgoing())).toEqual({ value: 5 })
    expect(await refused(limited(outgoing()))).toMatchObject({ message: 'no' })
    expect(clock.pending).toBe(0)
  })

  it('bounds each try behind retry, and all of them before it', async () => {
    const clock = new VirtualClock()
    const { next, seen } = end(() => new Promise(() => {}))
    const each = timeout({ timeoutMs: 100, clock })
    const all = timeout({ timeoutMs: 350, clock })
    const began = refused(all(retry({ clock, random: () => 0 })(each(next)))(outgoing()))
    await clock.advance(350)
    expect(await began).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(seen.map((call) => call.side === 'caller' && call.options.timeoutMs)).toEqual([100, 100, 100, 50])
  })

  it('travels: the handler sees the bound, a stream has it for its opening alone', async () => {
    const clock = new VirtualClock()
    const left: number[] = []
    let step = (): void => {}
    const { api, here } = sides(
      {
        read: (n, call) => {
          left.push(call.timeLeftMs)
          return n
        },
        async *count() {
          yield 1
          await new Promise<void>((resolve) => {
            step = resolve
          })
          yield 2
          return 'done'
        },
      },
      { clock, caller: [timeout({ timeoutMs: 700, clock })] },
    )
    await api.read(1)
    expect(left).toEqual([700])
    const counted = api.count(2)
    const items = counted[Symbol.asyncIterator]()
    expect(await items.next()).toMatchObject({ value: 1 })
    await clock.advance(5_000)
    const second = items.next()
    await clock.settle()
    step()
    expect(await second).toMatchObject({ value: 2 })
    here.close()
  })

  it('says in its turn whether a one-way message was taken', () => {
    const taken = timeout()(() => ({ value: false }))(outgoing({ oneWay: true, method: work.write }))
    expect(taken).toEqual({ value: false })
  })
})
