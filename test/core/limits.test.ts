import { describe, expect, test } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import type { Method } from '../../src/core/method.ts'
import { makeDictionary } from '../../src/wire/dictionary.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { ONE_WAY_QUEUE_BYTES, TRUSTED_MESSAGE_BYTES } from '../../src/wire/limits.ts'
import {
  collect,
  echo,
  errorOf,
  list,
  outcome,
  peers,
  put,
  type Rig,
  type RigPeer,
  rig,
  rigOf,
  slow,
  watched,
} from './rig.ts'

/** There is room when the link, which stalls, goes on, and not before. */
async function expectRoom({
  near,
  link,
  clock,
}: Pick<Rig<RigPeer>, 'near' | 'link' | 'clock'>): Promise<void> {
  const room = watched(near.drained())
  await clock.settle()
  expect(room.settled).toBe(false)
  link.resume()
  await clock.settle()
  expect(room.settled).toBe(true)
}

describe.each(peers)('deadlines ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('a handler that never answers: both ends stop at the deadline', async () => {
    const { near, far, clock } = rig()
    const heard: unknown[] = []
    far.handle(slow, (_input, call) => {
      return new Promise((_, no) =>
        call.signal.addEventListener('abort', () => {
          heard.push(call.signal.reason)
          no(call.signal.reason)
        }),
      )
    })
    const call = watched(near.call(slow, 1, { timeoutMs: 300 }))
    await clock.advance(299)
    expect(call.settled).toBe(false)
    await clock.advance(10)
    expect(await errorOf(call.promise)).toMatchObject({ reason: 'DEADLINE_EXCEEDED', fate: 'unknown' })
    expect(heard).toHaveLength(1)
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('five seconds unless said otherwise, none for 0, at once when it has passed', async () => {
    const { near, far, clock } = rig()
    far.handle(slow, () => new Promise(() => {}))
    const usual = watched(near.call(slow, 1))
    const endless = watched(near.call(slow, 1, { timeoutMs: 0 }))
    const huge = watched(near.call(slow, 1, { timeoutMs: Number.MAX_SAFE_INTEGER }))
    const infinite = watched(near.call(slow, 1, { timeoutMs: Number.POSITIVE_INFINITY }))
    expect(await errorOf(near.call(slow, 1, { timeoutMs: -1 }))).toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
      fate: 'not-sent',
    })
    await clock.advance(4990)
    expect(usual.settled).toBe(false)
    await clock.advance(20)
    expect(await outcome(usual.promise)).toBe('!DEADLINE_EXCEEDED')
    await clock.advance(1e9)
    expect([endless.settled, huge.settled, infinite.settled]).toEqual([false, false, false])
    near.close()
    await Promise.all([endless, huge, infinite].map(({ promise }) => outcome(promise)))
  })

  test('what travels is the time that is left: waiting in the outbox costs', async () => {
    const { near, far, link, clock, of } = rig({ highWaterBytes: 1 })
    const left: number[] = []
    far.handle(echo, (_input, call) => left.push(call.timeLeftMs))
    await near.call(echo, 0, { timeoutMs: 1000 })
    link.stall('left')
    const calls = [near.call(echo, 'fills', { timeoutMs: 1000 })]
    await clock.settle()
    calls.push(near.call(echo, 'waits', { timeoutMs: 1000 }))
    calls.push(near.call(echo, 'x'.repeat(100_000), { timeoutMs: 1000 }))
    calls.push(near.call(echo, 'no deadline', { timeoutMs: 0 }))
    await clock.advance(400)
    link.resume()
    await Promise.all(calls)
    const sent = of(KIND.CALL, 'left').map(({ timeLeft }) => timeLeft)
    expect(sent.toSorted((a, b) => a - b)).toEqual([0, 600, 600, 1000, 1000])
    expect(left).toHaveLength(5)
  })

  test('a deadline that passes in the outbox: not sent, and never sent', async () => {
    const { near, far, link, clock, of } = rig({ highWaterBytes: 1 })
    let ran = 0
    far.handle(echo, () => ran++)
    await near.call(echo, 0)
    link.stall('left')
    void near.call(echo, 'fills', { timeoutMs: 0 }).catch(() => {})
    await clock.settle()
    const waits = errorOf(near.call(echo, 'waits', { timeoutMs: 50 }))
    await clock.advance(100)
    expect(await waits).toMatchObject({ reason: 'DEADLINE_EXCEEDED', fate: 'not-sent' })
    link.resume()
    await clock.settle()
    expect(ran).toBe(2)
    expect(of(KIND.CALL, 'left')).toHaveLength(2)
  })

  test('of a stream it bounds the opening only', async () => {
    const { near, far, clock } = rig()
    far.handle(list, async function* (input) {
      if (input === 'late') await new Promise((resolve) => clock.after(500, () => resolve(1)))
      yield 1
      await new Promise((resolve) => clock.after(5000, () => resolve(1)))
      yield 2
    })
    const late = outcome(collect(near.stream(list, 'late', { timeoutMs: 100 })))
    const items = watched(collect(near.stream(list, 'soon', { timeoutMs: 100 })))
    await clock.advance(200)
    expect(await late).toBe('!DEADLINE_EXCEEDED')
    await clock.advance(5000)
    expect(await items.promise).toEqual([1, 2])
  })

  test('an idle bound holds while the far side is slow, and rests while the reader is', async () => {
    const { near, far, clock } = rig()
    let send = (_: unknown): void => {}
    far.handle(list, async function* () {
      for (;;) yield await new Promise((resolve) => (send = resolve))
    })
    const reader = near.stream(list, 0, { idleTimeoutMs: 100 })[Symbol.asyncIterator]()
    await clock.settle()
    send('a')
    await clock.settle()
    // The item waits for its reader, be it for an hour.
    await clock.advance(3_600_000)
    expect(await reader.next()).toEqual({ value: 'a', done: false })
    send('b')
    await clock.settle()
    expect(await reader.next()).toEqual({ value: 'b', done: false })
    const next = outcome(reader.next())
    await clock.advance(250)
    expect(await next).toBe('!DEADLINE_EXCEEDED')
  })
})

describe.each(peers)('limits ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('TOO_MANY_CALLS to a large one-way message as well, which has to be cut; small ones need no slot', async () => {
    const { near, far } = rig({ near: { limits: { ...TRUSTED_LIMITS, exchanges: 1 } } })
    far.handle(slow, () => new Promise(() => {}))
    const answer = outcome(near.call(slow, 1, { timeoutMs: 0 }))
    expect(near.notify(echo, 2)).toBe(true)
    expect(() => near.notify(echo, 'x'.repeat(100_000))).toThrow(
      expect.objectContaining({ reason: 'TOO_MANY_CALLS', fate: 'not-sent' }),
    )
    near.close()
    expect(await answer).toBe('!LINK_LOST')
  })

  test('TOO_MANY_CALLS when every slot is taken; a slot is used again when its callee has ended', async () => {
    const limits = { ...TRUSTED_LIMITS, exchanges: 3 }
    const { near, far, clock, of } = rig({ near: { limits }, far: { limits } })
    const finish: ((value: unknown) => void)[] = []
    far.handle(slow, () => new Promise((resolve) => finish.push(resolve)))
    const controller = new AbortController()
    const calls = [1, 2, 3].map((input) => outcome(near.call(slow, input, { signal: controller.signal })))
    await clock.settle()
    expect(await errorOf(near.call(slow, 4))).toMatchObject({ reason: 'TOO_MANY_CALLS', fate: 'not-sent' })
    controller.abort()
    expect(await Promise.all(calls)).toEqual(['!CANCELLED', '!CANCELLED', '!CANCELLED'])
    await clock.settle()
    expect(await outcome(near.call(slow, 5))).toBe('!TOO_MANY_CALLS')
    finish[1]?.('late')
    await clock.settle()
    const next = near.call(slow, 6)
    await clock.settle()
    finish[3]?.('six')
    expect(await next).toBe('six')
    const ids = of(KIND.CALL, 'left').map(({ id }) => id)
    expect(new Set(ids).size).toBe(4)
    expect((ids[3] ?? 0) & 0xfffff).toBe((ids[1] ?? 0) & 0xfffff)
  })

  test('QUEUE_FULL, false and drained(): an outbox of small messages is bounded', async () => {
    const limits = { ...TRUSTED_LIMITS, queueBytes: 200_000 }
    const { near, far, link, clock } = rig({ highWaterBytes: 1000, near: { limits } })
    let got = 0
    far.handle(echo, () => got++)
    await near.call(echo, 0)
    link.stall('left')
    const fill = (): number => {
      let taken = 0
      while (near.notify(echo, 'x'.repeat(500))) taken++
      return taken
    }
    const taken = fill()
    expect(taken).toBeLessThan(400)
    expect(await errorOf(near.call(echo, 1))).toMatchObject({ reason: 'QUEUE_FULL', fate: 'not-sent' })
    await expectRoom({ near, link, clock })
    expect(got).toBe(taken + 1)
    expect(near.notify(echo, 1)).toBe(true)
    await clock.settle()
    // What went out left nothing behind: as much is taken as before.
    link.stall('left')
    expect(fill()).toBe(taken)
  })

  test('an outbox of large messages is bounded as well', async () => {
    const limits = { ...TRUSTED_LIMITS, queueBytes: 1_000_000 }
    const { near, far, link, clock } = rig({ highWaterBytes: 1000, near: { limits } })
    let got = 0
    far.handle(echo, () => got++)
    await near.call(echo, 0)
    link.stall('left')
    const fill = (): number => {
      let taken = 0
      while (taken < 100 && near.notify(echo, new Uint8Array(100_000))) taken++
      return taken
    }
    const taken = fill()
    expect(taken).toBeLessThan(20)
    expect(await outcome(near.call(echo, 1))).toBe('!QUEUE_FULL')
    link.resume()
    await clock.settle()
    expect(got).toBe(taken + 1)
    expect(near.notify(echo, 1)).toBe(true)
    await clock.settle()
    link.stall('left')
    expect(fill()).toBe(taken)
  })

  test('MESSAGE_TOO_LARGE: input, output, item, upload and error, and the link lives', async () => {
    const small = { ...TRUSTED_LIMITS, messageBytes: 100_000 }
    const { near, far, clock } = rig({ near: { limits: small } })
    far.handle(echo, (input) =>
      input === 'error' ? Promise.reject(new Error('e'.repeat(300_000))) : new Uint8Array(200_000),
    )
    far.handle(list, function* () {
      yield 1
      yield new Uint8Array(200_000)
    })
    near.handle(put, async (_input, call) => collect(call.upload))
    near.handle(echo, (input) => input)
    const large = new Uint8Array(200_000)
    async function* upload() {
      yield large
    }
    const failures = await Promise.all([
      errorOf(near.call(echo, large)),
      errorOf(near.call(echo, 1)),
      errorOf(collect(near.stream(list, 1))),
      errorOf(far.call(echo, large)),
      errorOf(far.call(put, 0, { upload: upload() })),
    ])
    for (const error of failures) {
      expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' })
    }
    expect(failures[0]?.fate).toBe('not-sent')
    expect(failures[3]?.fate).toBe('not-sent')
    expect(() => near.notify(echo, large)).toThrow(/over the receiver/)
    expect(await errorOf(near.call(echo, 'error'))).toMatchObject({ code: 'UNKNOWN' })
    await clock.settle()
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
    expect(near.isClosed || far.isClosed).toBe(false)
    expect(await near.call(slow, 1).catch(() => 'lives')).toBe('lives')
  })

  test('a receiver refuses what a sender should not have sent', async () => {
    // The far end believes that its own limit holds for both: the preamble is held back.
    const small = { ...TRUSTED_LIMITS, messageBytes: 100_000 }
    const { near, far, clock } = rig({ near: { limits: small } })
    near.handle(echo, (input) => input)
    const call = errorOf(far.call(echo, new Uint8Array(200_000)))
    await clock.settle()
    expect(await call).toMatchObject({ reason: 'MESSAGE_TOO_LARGE', fate: 'not-sent' })
    expect(await far.call(echo, 1)).toBe(1)
  })

  test('the largest message of all goes through', async () => {
    const { near, far } = rig()
    far.handle(echo, (input) => (input instanceof Uint8Array ? input.length : 0))
    const bytes = TRUSTED_MESSAGE_BYTES - 64
    expect(await near.call(echo, new Uint8Array(bytes))).toBe(bytes)
    expect(await outcome(near.call(echo, new Uint8Array(TRUSTED_MESSAGE_BYTES)))).toBe('!MESSAGE_TOO_LARGE')
  })
})

/** Looks into the outbox, to the byte. */
describe('the whole peer’s outbox', () => {
  for (const [name, input] of [
    ['small', 'x'.repeat(500)],
    ['large', new Uint8Array(100_000)],
  ] as const) {
    test(`of ${name} messages holds nothing once they are out`, async () => {
      const limits = { ...TRUSTED_LIMITS, queueBytes: 200_000 }
      const { near, far, link, clock } = rig({ highWaterBytes: 1000, near: { limits } })
      far.handle(echo, () => 0)
      await near.call(echo, 0)
      link.stall('left')
      while (near.notify(echo, input));
      const { outbox } = near.link
      expect(outbox.queuedBytes + outbox.heldBytes).toBeGreaterThan(0)
      link.resume()
      await clock.settle()
      expect([outbox.queuedBytes, outbox.heldBytes]).toEqual([0, 0])
    })
  }

  test('takes one-way messages while at most 1 MiB waits, and calls beyond that', async () => {
    const { near, far, link, clock } = rig({ highWaterBytes: 1000 })
    let got = 0
    far.handle(echo, (input) => {
      got++
      return input
    })
    await near.call(echo, 0)
    link.stall('left')
    let taken = 0
    while (near.notify(echo, 'x'.repeat(1000))) taken++
    expect(near.link.outbox.queuedBytes).toBeGreaterThan(ONE_WAY_QUEUE_BYTES)
    expect(near.link.outbox.queuedBytes).toBeLessThan(ONE_WAY_QUEUE_BYTES + 2000)
    const answer = near.call(echo, 'and this')
    await expectRoom({ near, link, clock })
    expect(await answer).toBe('and this')
    expect(got).toBe(taken + 2)
    expect(near.notify(echo, 1)).toBe(true)
  })
})

/** Of dictionaries, which only the whole peer has. */
describe('skew', () => {
  const shaped = (kind: Method['kind'], fingerprint: string, keys: string[]): Method => ({
    name: `t.shaped ${kind}`,
    kind,
    upload: false,
    fingerprint,
    lane: 'normal',
    input: makeDictionary([keys]),
    output: makeDictionary([keys]),
    item: makeDictionary([keys]),
    idempotent: false,
    overflow: 'block',
  })
  const ours = '00000000000000aa'
  const theirs = '00000000000000bb'

  test('a call in the dictionary of another version is sent again, describing itself', async () => {
    const { near, far, clock, of } = rig({ delayMs: 5 })
    const method = shaped('call', ours, ['a', 'b'])
    const withdraw = far.handle(method, (input) => input)
    const first = near.call(method, { a: 1, b: 2 })
    await clock.advance(50)
    await first
    const second = near.call(method, { a: 3, b: 4 })
    withdraw()
    far.handle(shaped('call', theirs, ['b', 'a']), (input) => ({ got: input }))
    await clock.advance(50)
    expect(await second).toEqual({ got: { a: 3, b: 4 } })
    expect(of(KIND.CALL, 'left').map(({ flags }) => flags & FLAG.DICTIONARY)).toEqual([0, FLAG.DICTIONARY, 0])
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('a stream that was sent again has its credit, and can be cancelled', async () => {
    const { near, far, clock } = rig({ delayMs: 5 })
    const method = shaped('stream', ours, ['a'])
    const withdraw = far.handle(method, () => [])
    const first = collect(near.stream(method, { a: 1 }))
    await clock.advance(50)
    await first
    const whole = collect(near.stream(method, { a: 2 }, { timeoutMs: 0 }))
    const left = (async () => {
      for await (const _ of near.stream(method, { a: 3 }, { timeoutMs: 0 })) break
    })()
    withdraw()
    far.handle(shaped('stream', theirs, ['b']), async function* () {
      for (let number = 0; number < 600; number++) yield { text: 'x'.repeat(1000) }
    })
    await clock.advance(500)
    expect(await whole).toHaveLength(600)
    await left
    await clock.advance(50)
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })
})

describe.each(peers)('going away ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('drain finishes what runs, refuses what is new, closes', async () => {
    const { near, far, clock } = rig()
    let finish = (_: unknown): void => {}
    far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    far.handle(echo, (input) => input)
    const call = near.call(slow, 1)
    await clock.settle()
    const drained = watched(far.drain(10_000))
    await clock.settle()
    expect(await errorOf(near.call(echo, 1))).toMatchObject({ reason: 'DRAINING', fate: 'not-sent' })
    expect(drained.settled).toBe(false)
    finish('finished')
    expect(await call).toBe('finished')
    await clock.settle()
    expect(drained.settled).toBe(true)
    expect(await near.closed).toBe('GOING_AWAY')
  })

  test('calls that crossed GOAWAY are refused by name, not lost', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    far.handle(echo, (input) => input)
    await clock.advance(20)
    const drained = far.drain(10_000)
    const crossed = errorOf(near.call(echo, 1))
    await clock.advance(100)
    expect(await crossed).toMatchObject({ reason: 'DRAINING', fate: 'not-sent' })
    await drained
  })

  test('also when the last call that runs ends before the far end has seen it', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    let finish = (_: unknown): void => {}
    far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    far.handle(echo, (input) => input)
    const call = near.call(slow, 1)
    await clock.advance(50)
    const drained = watched(far.drain(10_000))
    const crossed = errorOf(near.call(echo, 1))
    finish('finished')
    await clock.advance(5)
    expect(drained.settled).toBe(false)
    await clock.advance(50)
    expect(await call).toBe('finished')
    expect(await crossed).toMatchObject({ reason: 'DRAINING', fate: 'not-sent' })
    await drained.promise
  })

  test('a large answer that still waits in the outbox is part of finishing', async () => {
    const { near, far, clock } = rig({ highWaterBytes: 1000, delayMs: 1 })
    far.handle(echo, () => new Uint8Array(2_000_000))
    const call = outcome(near.call(echo, 1, { timeoutMs: 0 }))
    await clock.advance(5)
    expect(far.openCalls).toBe(0)
    const drained = far.drain(60_000)
    await clock.advance(1000)
    const answer = await call
    expect(answer instanceof Uint8Array && answer.length).toBe(2_000_000)
    await drained
  })

  test('a one-way message in fragments is let out before the link closes', async () => {
    const { near, far, link, clock } = rig({ highWaterBytes: 1000 })
    const got: unknown[] = []
    far.handle(echo, (input) => got.push(input))
    await near.call(echo, 0)
    link.stall('left')
    near.notify(echo, 'x'.repeat(300_000))
    near.notify(echo, 'small')
    const drained = near.drain(60_000)
    await clock.settle()
    link.resume()
    await drained
    await clock.settle()
    expect(got).toHaveLength(3)
  })

  test('a handler that never ends is waited for no longer than told', async () => {
    const { near, far, clock } = rig()
    far.handle(slow, () => new Promise(() => {}))
    const call = outcome(near.call(slow, 1, { timeoutMs: 0 }))
    await clock.settle()
    const drained = watched(far.drain(500))
    await clock.advance(400)
    expect(drained.settled).toBe(false)
    await clock.advance(200)
    expect(drained.settled).toBe(true)
    expect(await call).toBe('!LINK_LOST')
  })
})

test('offsets that these tests read are the protocol’s', () => {
  expect(AT.timeLeft).toBe(16)
})
