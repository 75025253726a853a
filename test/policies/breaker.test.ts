/** breaker: when it opens, who decides that it closes, and what tells nothing. */
import { describe, expect, it } from 'vitest'
import { breaker } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { type Code, ViaductError } from '../../src/wire/errors.ts'
import { end, gate, outgoing, refused, sides, statsOf, work } from './rig.ts'

const down = new ViaductError('UNAVAILABLE', 'down', { fate: 'unknown' })

/** A breaker before a target whose answers the test says. */
function broken(options: object = {}) {
  const clock = new VirtualClock()
  const state: { answer: (nth: number) => unknown } = { answer: () => Promise.reject(down) }
  const policy = breaker({ clock, threshold: 3, halfOpenAfterMs: 1_000, ...options })
  const { next, seen } = end((_, nth) => state.answer(nth))
  const through = policy(next)
  const call = (more = {}) =>
    refused(Promise.resolve(through(outgoing(more))).then((reply) => 'value' in reply && reply.value))
  const fail = async (times: number) => {
    for (let n = 0; n < times; n++) await call()
  }
  return { clock, state, policy, seen, call, fail }
}

const OPEN = { code: 'UNAVAILABLE', reason: 'BREAKER_OPEN', fate: 'not-sent' }

describe('breaker', () => {
  it('opens after so many failures in a row, and says when to come again', async () => {
    const { clock, seen, call, fail, policy } = broken()
    await fail(3)
    await clock.advance(300)
    expect(await call()).toMatchObject({ ...OPEN, retryAfterMs: 700 })
    expect(seen).toHaveLength(3)
    expect(statsOf(policy)).toEqual({ state: 'work.read open', opened: 1, refused: 1 })
  })

  it('counts failures in a row alone', async () => {
    const { state, call, fail, seen } = broken()
    await fail(2)
    state.answer = () => 1
    await call()
    state.answer = () => Promise.reject(down)
    await fail(2)
    expect(await call()).toBe(down)
    expect(seen).toHaveLength(6)
  })

  it('lets one call try when its time is over, and closes when that is answered', async () => {
    const { clock, state, call, fail, seen, policy } = broken()
    await fail(3)
    await clock.advance(1_000)
    const answer = gate<number>()
    state.answer = () => answer.passed
    const trying = call()
    expect(await call()).toMatchObject({ ...OPEN, retryAfterMs: 1_000 })
    expect(seen).toHaveLength(4)
    answer.open(5)
    expect(await trying).toBe('gave 5')
    state.answer = () => 6
    expect(await Promise.all([call(), call()])).toEqual(['gave 6', 'gave 6'])
    expect(statsOf(policy)).toMatchObject({ state: 'closed', opened: 1 })
  })

  it('opens again when that fails', async () => {
    const { clock, call, fail, seen } = broken()
    await fail(3)
    await clock.advance(1_000)
    expect(await call()).toBe(down)
    expect(await call()).toMatchObject({ ...OPEN, retryAfterMs: 1_000 })
    expect(seen).toHaveLength(4)
  })

  it('lets another one try when that hangs, and when it was cancelled', async () => {
    const { clock, state, call, fail, seen } = broken()
    await fail(3)
    await clock.advance(1_000)
    state.answer = () => new Promise(() => {})
    void call()
    await clock.advance(1_000)
    state.answer = () => Promise.reject(new ViaductError('CANCELLED', 'the user left'))
    expect(await call()).toMatchObject({ code: 'CANCELLED' })
    state.answer = () => 7
    expect(await call()).toBe('gave 7')
    expect(seen).toHaveLength(6)
  })

  it('hears nothing of what began before it turned: neither closes nor opens by it', async () => {
    const { clock, state, call, fail } = broken()
    const slow = gate<number>()
    const failing = gate<number>()
    state.answer = (nth) => (nth === 1 ? slow.passed : failing.passed.then(() => Promise.reject(down)))
    const first = call()
    const second = call()
    state.answer = () => Promise.reject(down)
    await fail(3)
    slow.open(1)
    expect(await first).toBe('gave 1')
    expect(await call()).toMatchObject(OPEN)
    await clock.advance(1_000)
    state.answer = () => 2
    expect(await call()).toBe('gave 2')
    failing.open(0)
    await second
    state.answer = () => Promise.reject(down)
    await fail(2)
    expect(await call()).toBe(down)
  })

  it.each<[Code, string | undefined, opens: boolean]>([
    ['UNAVAILABLE', undefined, true],
    ['DEADLINE_EXCEEDED', undefined, true],
    ['RESOURCE_EXHAUSTED', 'OVERLOADED', true],
    ['RESOURCE_EXHAUSTED', 'RATE_LIMITED', false],
    ['RESOURCE_EXHAUSTED', 'MESSAGE_TOO_LARGE', false],
    ['CANCELLED', undefined, false],
    ['UNKNOWN', 'HANDLER_ERROR', false],
    ['INVALID_ARGUMENT', undefined, false],
    ['PERMISSION_DENIED', undefined, false],
  ])('%s %s: opens %s', async (code, reason, opens) => {
    const { state, fail, call } = broken()
    state.answer = () => Promise.reject(new ViaductError(code, 'no', reason ? { reason } : {}))
    await fail(5)
    if (opens) expect(await call()).toMatchObject(OPEN)
    else expect(await call()).toMatchObject({ code })
  })

  it('tells methods and targets apart', async () => {
    const { call, fail, policy } = broken()
    await fail(3)
    expect(await call({ method: work.write })).toBe(down)
    expect(await call({ target: { id: 'ai-1' } })).toBe(down)
    expect(await call()).toMatchObject(OPEN)
    for (let n = 0; n < 3; n++) await call({ target: { id: 'ai-1' } })
    expect(statsOf(policy)).toMatchObject({ state: 'work.read open, work.read on id ai-1 open' })
  })

  it('hears how a stream ends, and passes one-way calls in their turn', async () => {
    const clock = new VirtualClock()
    const policy = breaker({ clock, threshold: 2 })
    const { api, here } = sides(
      {
        async *count() {
          yield 1
          throw new ViaductError('UNAVAILABLE', 'gone')
        },
      },
      { clock, caller: [policy] },
    )
    for (let n = 0; n < 2; n++) await refused(api.count(1).output)
    expect(await refused(api.count(1).output)).toMatchObject(OPEN)
    const sent = policy(() => ({ value: false }))(outgoing({ oneWay: true }))
    expect(sent).toEqual({ value: false })
    here.close()
  })
})
