/** What single calls may say of their tries, and doing again what fails by its result. */
import { describe, expect, it } from 'vitest'
import type { Caller, CallOptions } from '../../src/core/call.ts'
import { interceptedCaller } from '../../src/core/interceptor.ts'
import { untyped } from '../../src/core/method.ts'
import { repeat } from '../../src/policies/repeat.ts'
import { type RetryOptions, retry } from '../../src/policies/retry.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import { refusal } from '../support/hubRig.ts'

const work = untyped('work')

/** A caller whose calls all time out, and what each was given. */
function rig(options: RetryOptions, idempotent: (() => boolean) | undefined) {
  const clock = new VirtualClock()
  const calls: (CallOptions | undefined)[] = []
  const caller: Caller = {
    call: (_, __, given) => {
      calls.push(given)
      const late = new ViaductError('DEADLINE_EXCEEDED', 'late', { fate: 'unknown' })
      return new Promise((_resolve, reject) => clock.after(given?.timeoutMs ?? 0, () => reject(late)))
    },
    stream: () => {
      throw new Error('no stream')
    },
    notify: () => true,
    ...(idempotent ? { isIdempotent: idempotent } : {}),
  }
  const policy = retry({ ...options, clock, random: () => 1 })
  return { clock, calls, caller: interceptedCaller(caller, [policy]), policy }
}

describe('retry', () => {
  it('lets a call have fewer tries of its own', async () => {
    const retriesOf = ({ input }: { input: unknown }) => Number(input)
    const { clock, calls, caller } = rig({ maxRetries: 2, retriesOf, perTry: true }, () => true)
    for (const [input, tries] of [
      [0, 1],
      [1, 2],
      [9, 3],
    ]) {
      const failed = refusal(caller.call(work, input, { timeoutMs: 50 }))
      await clock.advance(60_000)
      expect(await failed).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      expect(calls.splice(0).length).toBe(tries)
    }
  })

  it('bounds each try by itself, or all together', async () => {
    const each = rig({ perTry: true }, () => true)
    const failed = refusal(each.caller.call(work, 1, { timeoutMs: 50 }))
    await each.clock.advance(60_000)
    await failed
    expect(each.calls.map((given) => given?.timeoutMs)).toEqual([50, 50, 50, 50])
    const all = rig({}, () => true)
    const over = refusal(all.caller.call(work, 1, { timeoutMs: 50 }))
    await all.clock.advance(60_000)
    await over
    expect(all.calls.length).toBe(1)
  })

  it.each([
    [() => true, 4],
    [() => false, 1],
    [undefined, 1],
  ])('believes the caller of what may run twice (%#)', async (idempotent, tries) => {
    const { clock, calls, caller } = rig({ perTry: true }, idempotent)
    const failed = refusal(caller.call(work, 1, { timeoutMs: 5 }))
    await clock.advance(60_000)
    await failed
    expect(calls.length).toBe(tries)
    expect(caller.isIdempotent?.({ ...work, idempotent: true })).toBe(idempotent?.() ?? true)
  })
})

describe('repeat', () => {
  it('goes on while the result asks for it, as often as it may, with a wait between', async () => {
    const clock = new VirtualClock()
    const at: number[] = []
    const once = async () => at.push(clock.now())
    const done = repeat(once, { maxRetries: 3, isRetryable: () => true, delayMs: (n) => 10 * (n + 1), clock })
    await clock.advance(1000)
    expect(await done).toBe(4)
    expect(at).toEqual([0, 10, 30, 60])
    expect(await repeat(once, { maxRetries: 3, isRetryable: (n) => n < 5, delayMs: () => 0, clock })).toBe(5)
    expect(clock.pending).toBe(0)
  })

  it('ends with what is thrown', async () => {
    const fails = () => Promise.reject(new ViaductError('INTERNAL', 'x'))
    const given = { maxRetries: 3, isRetryable: () => true, delayMs: () => 0 }
    expect(await refusal(repeat(fails, given))).toMatchObject({ code: 'INTERNAL' })
  })
})
