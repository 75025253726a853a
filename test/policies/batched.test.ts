import { describe, expect, it } from 'vitest'
import { batched } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { later } from './calls.ts'

describe('batched', () => {
  it('runs together what comes while a run is under way, in order, each with its own outcome', async () => {
    const clock = new VirtualClock()
    const runs: (readonly number[])[] = []
    const first = later<void>()
    const half = batched(
      async (inputs: readonly number[]) => {
        runs.push(inputs)
        if (runs.length === 1) await first.promise
        return inputs.map((n) => (n % 2 === 0 ? n / 2 : new Error(`${n} is odd`)))
      },
      { maxSize: 4, maxDelayMs: 50, clock },
    )
    const all = [0, 2, 3, 4].map((n) => half(n))
    expect(runs).toEqual([[0]])
    first.resolve()
    expect(await Promise.allSettled(all)).toEqual([
      { status: 'fulfilled', value: 0 },
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: new Error('3 is odd') },
      { status: 'fulfilled', value: 2 },
    ])
    expect(runs).toEqual([[0], [2, 3, 4]])
    expect(half.stats()).toEqual({ batches: 2, calls: 4, failed: 0, averageSize: 2, averageMs: 0 })
    expect(clock.pending).toBe(0)
  })

  it('does not wait longer than it may, nor for more than it takes', async () => {
    const clock = new VirtualClock()
    const runs: number[] = []
    const run = batched(
      (inputs: readonly number[]) => {
        runs.push(inputs.length)
        return new Promise<number[]>((resolve) => clock.after(1_000, () => resolve([...inputs])))
      },
      { maxSize: 3, maxDelayMs: 50, clock },
    )
    const all = Array.from({ length: 6 }, (_, n) => run(n))
    expect(runs).toEqual([1, 3])
    await clock.advance(49)
    expect(runs).toEqual([1, 3])
    await clock.advance(1)
    expect(runs).toEqual([1, 3, 2])
    await clock.advance(2_000)
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5])
    expect(run.stats()).toMatchObject({ averageMs: 1_000 })
  })

  it('fails all of a run that fails, or that answers another number; and goes on', async () => {
    let answer: (inputs: readonly number[]) => Promise<number[]> = () =>
      Promise.reject(new Error('no database'))
    const run = batched((inputs: readonly number[]) => answer(inputs))
    const failed = await Promise.allSettled([run(1), run(2)])
    expect(failed).toMatchObject([{ reason: new Error('no database') }, { reason: new Error('no database') }])
    answer = async () => [1, 2, 3]
    await expect(run(1)).rejects.toMatchObject({ code: 'INTERNAL', reason: 'BATCH_LENGTH' })
    answer = async (inputs) => [...inputs]
    expect(await run(7)).toBe(7)
    // What throws at once is no different.
    answer = () => {
      throw new Error('at once')
    }
    await expect(run(1)).rejects.toThrow('at once')
    expect(run.stats()).toMatchObject({ failed: 4 })
  })

  it('refuses options that will not do', () => {
    for (const option of ['maxSize', 'maxDelayMs']) {
      expect(() => batched(async () => [], { [option]: 0 })).toThrow(
        expect.objectContaining({ reason: 'BAD_OPTION', path: `batched.${option}` }),
      )
    }
  })
})
