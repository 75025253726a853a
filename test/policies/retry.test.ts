/** retry: who is asked again, when, how often, and until when. */
import { describe, expect, it } from 'vitest'
import { breaker, isRetryable, retry, timeout } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { type Code, type Fate, ViaductError } from '../../src/wire/errors.ts'
import { end, outgoing, refused, sides, statsOf, work } from './rig.ts'

const down = (fate: Fate | undefined = 'not-sent', more = {}): ViaductError =>
  new ViaductError('UNAVAILABLE', 'down', { ...(fate ? { fate } : {}), ...more })

/** Begins calls and lets time pass until they are settled. */
function tried(options: object, answer: (nth: number) => unknown, call = outgoing()) {
  const clock = new VirtualClock()
  const at: number[] = []
  const policy = retry({ clock, random: () => 1, ...options })
  const { next, seen } = end((_, nth) => {
    at.push(clock.now())
    return answer(nth)
  })
  const outcome = refused(
    Promise.resolve(policy(next)(call)).then((reply) => ('value' in reply ? reply.value : '')),
  )
  return { clock, at, seen, outcome, policy }
}

describe('retry', () => {
  it('waits twice as long each time, at most so long, and gives up after three', async () => {
    const { clock, at, outcome, policy } = tried({ maxDelayMs: 300 }, () => Promise.reject(down()))
    await clock.advance(10_000)
    expect(at).toEqual([0, 100, 300, 600])
    expect(await outcome).toMatchObject({ code: 'UNAVAILABLE', message: 'down' })
    expect(statsOf(policy)).toEqual({ calls: 1, retries: 3, recovered: 0, exhausted: 0 })
    expect(clock.pending).toBe(0)
  })

  it('draws its wait from all of it: full jitter', async () => {
    const draws = [0, 0.5, 0.25]
    const random = (): number => draws.shift() ?? 1
    const { clock, at, outcome } = tried({ random }, (nth) => (nth < 4 ? Promise.reject(down()) : 7))
    await clock.advance(10_000)
    expect(at).toEqual([0, 0, 100, 200])
    expect(await outcome).toBe('gave 7')
  })

  it.each<[Code, string | undefined, Fate | undefined, idempotent: boolean, again: boolean]>([
    ['UNAVAILABLE', undefined, 'not-sent', false, true],
    ['UNAVAILABLE', undefined, 'unknown', false, false],
    ['UNAVAILABLE', undefined, undefined, false, false],
    ['UNAVAILABLE', undefined, 'unknown', true, true],
    ['RESOURCE_EXHAUSTED', 'RATE_LIMITED', 'not-sent', false, true],
    ['RESOURCE_EXHAUSTED', 'MESSAGE_TOO_LARGE', 'not-sent', true, false],
    ['DEADLINE_EXCEEDED', undefined, 'unknown', true, true],
    ['ABORTED', undefined, undefined, true, true],
    ['PERMISSION_DENIED', undefined, 'not-sent', true, false],
    ['INVALID_ARGUMENT', undefined, 'not-sent', true, false],
    ['CANCELLED', undefined, 'not-sent', true, false],
    ['UNKNOWN', 'HANDLER_ERROR', undefined, true, false],
  ])('%s %s, %s, idempotent %s: again %s', (code, reason, fate, idempotent, again) => {
    const error = new ViaductError(code, 'no', { ...(reason ? { reason } : {}), ...(fate ? { fate } : {}) })
    expect(isRetryable(error, idempotent)).toBe(again)
  })

  it('never repeats what is no error of ours', () => {
    expect(isRetryable(new Error('down'), true)).toBe(false)
  })

  it('bounds all tries by the deadline, tells each what is left, and begins no wait that would pass it', async () => {
    const call = outgoing({ options: { timeoutMs: 350 } })
    const { clock, at, seen, outcome } = tried({}, () => Promise.reject(down()), call)
    await clock.advance(10_000)
    expect(at).toEqual([0, 100, 300])
    expect(seen.map((one) => one.side === 'caller' && one.options.timeoutMs)).toEqual([350, 250, 50])
    expect(await outcome).toMatchObject({ message: 'down' })
  })

  it('bounds all tries by the total time too, and by nothing when there is no bound', async () => {
    const bounded = tried(
      {},
      () => Promise.reject(down()),
      outgoing({ options: { timeoutMs: 0, totalTimeoutMs: 250 } }),
    )
    await bounded.clock.advance(10_000)
    expect(bounded.at).toEqual([0, 100])
    const free = tried(
      { initialDelayMs: 9_000, maxDelayMs: 9_000 },
      () => Promise.reject(down()),
      outgoing({ options: { timeoutMs: 0 } }),
    )
    await free.clock.advance(30_000)
    expect(free.at).toEqual([0, 9_000, 18_000, 27_000])
    expect(free.seen.map((one) => one.side === 'caller' && one.options.timeoutMs)).toEqual([0, 0, 0, 0])
  })

  it('does not begin a try when the wait took longer than it should', async () => {
    const { clock, at, outcome } = tried(
      {},
      () => Promise.reject(down()),
      outgoing({ options: { timeoutMs: 120 } }),
    )
    // The loop hung: the timer fires long after its time.
    const late = clock.now.bind(clock)
    clock.now = () => late() + (late() >= 100 ? 20 : 0)
    await clock.advance(10_000)
    expect(at).toEqual([0])
    expect(await outcome).toMatchObject({ message: 'down' })
  })

  it('waits what the far side asks for, and its own share on top', async () => {
    const { clock, at } = tried({}, (nth) =>
      nth === 1 ? Promise.reject(down('not-sent', { retryAfterMs: 800 })) : 1,
    )
    await clock.advance(10_000)
    expect(at).toEqual([0, 900])
  })

  it.each([4_950, 1e12, Number.NaN])(
    'does not wait past the deadline when it asks for %s ms',
    async (retryAfterMs) => {
      const { clock, at, outcome } = tried({}, () => Promise.reject(down('not-sent', { retryAfterMs })))
      await clock.settle()
      expect(await outcome).toMatchObject({ retryAfterMs })
      expect([at, clock.pending]).toEqual([[0], 0])
    },
  )

  it('ends its wait when the call is cancelled', async () => {
    const controller = new AbortController()
    const { clock, at, outcome } = tried(
      {},
      () => Promise.reject(down()),
      outgoing({ options: { signal: controller.signal } }),
    )
    await clock.advance(50)
    controller.abort(new Error('enough'))
    expect(await outcome).toMatchObject({ code: 'CANCELLED', cause: { message: 'enough' } })
    expect([at, clock.pending]).toEqual([[0], 0])
  })

  it('leaves streams, uploads, one-way calls and the side of the callee alone', async () => {
    const upload = (async function* () {})()
    const alone = [
      outgoing({ method: work.count }),
      outgoing({ oneWay: true }),
      outgoing({ method: work.total, options: { upload } }),
    ]
    for (const call of alone) {
      const { clock, at, policy } = tried({}, () => Promise.reject(down()), call)
      await clock.advance(1_000)
      expect(at).toEqual([0])
      expect(statsOf(policy)).toMatchObject({ calls: 0 })
    }
  })

  it('has a budget: a fifth of the calls of ten seconds, or the reserve', async () => {
    const clock = new VirtualClock()
    const policy = retry({ clock, random: () => 0, reserve: 2 })
    const { next, seen } = end(() => Promise.reject(down()))
    const burst = (count: number) =>
      Promise.all(Array.from({ length: count }, () => refused(policy(next)(outgoing()))))
    const done = burst(100)
    await clock.advance(1)
    await done
    expect(seen).toHaveLength(120)
    expect(statsOf(policy)).toMatchObject({ calls: 100, retries: 20 })
    await clock.advance(10_000)
    const few = burst(1)
    await clock.advance(1)
    await few
    expect(seen).toHaveLength(123)
  })

  it('repeats over a link what the far side did not take, and what may run twice; else nothing', async () => {
    const ran: string[] = []
    const failing = (name: string) => (n: number) => {
      ran.push(name)
      if (ran.filter((one) => one === name).length < 3) throw new ViaductError('UNAVAILABLE', 'not now')
      return n
    }
    const clock = new VirtualClock()
    const { api, here } = sides(
      { read: failing('read'), write: failing('write') },
      { clock, caller: [retry({ clock })] },
    )
    const read = api.read(1)
    const write = refused(api.write(1))
    await clock.advance(1_000)
    expect(await read).toBe(1)
    expect(await write).toMatchObject({ code: 'UNAVAILABLE' })
    expect(ran.sort()).toEqual(['read', 'read', 'read', 'write'])
    here.close()
  })
})

/**
 * A target that takes 100 calls a second and is down for 30 s, under 200 a second. What it refuses while it is down or
 * full never ran; of what it takes before it goes down some is lost after it ran.
 */
async function storm(withBreaker: boolean) {
  const clock = new VirtualClock()
  let seed = 7
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  const log: { id: number; at: number; fate: 'ran' | 'lost' | 'refused' }[] = []
  let taken = 0
  let second = -1
  const target = end((call) => {
    const at = clock.now()
    const isDown = at >= 10_000 && at < 40_000
    if (Math.floor(at / 1_000) !== second) {
      second = Math.floor(at / 1_000)
      taken = 0
    }
    const id = Number(call.input)
    if (isDown || ++taken > 100) {
      log.push({ id, at, fate: 'refused' })
      throw isDown
        ? down()
        : new ViaductError('RESOURCE_EXHAUSTED', 'full', { fate: 'not-sent', retryAfterMs: 50 })
    }
    // As when the link ends before the answer has come.
    const lost = at >= 9_300 && at < 9_400
    log.push({ id, at, fate: lost ? 'lost' : 'ran' })
    if (lost) throw down('unknown')
    return id
  })
  const again = retry({ clock, random })
  const inner = withBreaker ? breaker({ clock, halfOpenAfterMs: 1_000 })(target.next) : target.next
  const next = timeout({ clock })(again(inner))
  const outcomes: { began: number; ended: number; ok: boolean; idempotent: boolean }[] = []
  const pending: Promise<void>[] = []
  let requests = 0
  for (let at = 0; at < 60_000; at += 5) {
    const id = requests++
    const method = id % 2 === 0 ? work.read : work.write
    const began = clock.now()
    pending.push(
      refused(next(outgoing({ method, input: id }))).then((outcome) => {
        const ok = typeof outcome === 'string'
        outcomes[id] = { began, ended: clock.now(), ok, idempotent: method.idempotent }
      }),
    )
    await clock.advance(5)
  }
  await clock.advance(6_000)
  await Promise.all(pending)
  return { log, outcomes, requests, attempts: statsOf(again) }
}

describe.each([false, true])('a retry storm, with a breaker %s', (withBreaker) => {
  it('is none: attempts stay within a fifth, nothing runs twice that may not, and it recovers', {
    timeout: 240_000,
  }, async () => {
    const { log, outcomes, requests, attempts } = await storm(withBreaker)
    expect(requests).toBe(12_000)
    const { retries = 0 } = Object(attempts)
    expect(requests + retries).toBeLessThanOrEqual(1.2 * requests)
    expect(log.length).toBeLessThanOrEqual(requests + retries)
    // It is a storm: the budget was what held it.
    expect(Object(attempts).exhausted).toBeGreaterThan(1_000)
    if (withBreaker) {
      const whileDown = log.filter(({ at }) => at >= 10_500 && at < 40_000)
      // One try a second of each of the two methods.
      expect(whileDown.length).toBeLessThanOrEqual(60)
      expect(whileDown.length).toBeGreaterThan(10)
    } else expect(log.filter(({ at }) => at >= 10_000 && at < 40_000).length).toBeGreaterThan(5_000)
    // By the target's own log: what may have run before ran again only if it may.
    const mayHaveRun = new Map<number, number>()
    for (const { id, fate } of log) if (fate !== 'refused') mayHaveRun.set(id, (mayHaveRun.get(id) ?? 0) + 1)
    const twice = [...mayHaveRun].filter(([, times]) => times > 1).map(([id]) => id)
    expect(twice.every((id) => id % 2 === 0)).toBe(true)
    // Nobody waited past a deadline.
    expect(Math.max(...outcomes.map(({ began, ended }) => ended - began))).toBeLessThanOrEqual(5_000)
    // Before and behind the outage as much is answered as the target can take: half of 200 a second.
    const answered = (from: number, to: number) =>
      outcomes.filter(({ ended, ok }) => ok && ended >= from && ended < to).length
    expect(answered(10_000, 40_000)).toBe(0)
    expect(answered(2_000, 9_000)).toBeGreaterThan(withBreaker ? 300 : 650)
    expect(answered(50_000, 60_000)).toBeGreaterThan(withBreaker ? 400 : 950)
  })

  it.runIf(!withBreaker)(
    'had calls that were lost after they ran, or the test of those says nothing',
    async () => {
      const { log } = await storm(false)
      const lost = log.filter(({ fate }) => fate === 'lost').map(({ id }) => id)
      expect(lost.some((id) => id % 2 === 1)).toBe(true)
      expect(lost.some((id) => id % 2 === 0)).toBe(true)
    },
  )
})
