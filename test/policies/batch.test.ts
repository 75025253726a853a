import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { codecs } from '../../src/codecs/index.ts'
import {
  type CallContext,
  connectPeers,
  contract,
  method,
  nodePrimitives,
  type OutgoingCall,
  type Reply,
  ViaductError,
} from '../../src/index.ts'
import {
  acl,
  type BatchOptions,
  batch,
  calleePolicies,
  callerPolicies,
  dedupe,
  log,
  rateLimit,
  trace,
} from '../../src/policies/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { CODEC, Envelope } from '../../src/wire/envelope.ts'
import { pack } from '../../src/wire/packed.ts'
import { incoming, later, outgoing } from './calls.ts'

const METHODS = ['math.*']
const math = contract('math', {
  half: method({ input: z.number(), output: z.any() }),
  plain: method({ input: z.any(), output: z.any() }),
})

type Half = (n: number, call: CallContext) => unknown

async function served(
  half: Half,
  options: { callee?: Parameters<typeof calleePolicies>[0]; batch?: BatchOptions } = {},
) {
  const hub = memoryHub()
  const policies = calleePolicies(options.callee ?? { batch: { methods: METHODS } })
  hub.peer('ai-1').serve(math, { half, plain: (input) => input }, { policies })
  await new Promise((resolve) => setImmediate(resolve))
  const policy = batch({ methods: METHODS, ...options.batch })
  const main = hub.peer('main')
  const api = main.client(math, { type: 'ai' }, { policies: [policy] })
  return { hub, main, api, policy }
}

const halved: Half = (n) => {
  if (n % 2 === 1) throw new ViaductError('FAILED_PRECONDITION', `${n} is odd`, { reason: 'ODD' })
  return n / 2
}

describe('batch', () => {
  it('sends 1,000 like calls of one burst in a few messages, each with its own answer', async () => {
    const { hub, api, policy } = await served(halved)
    await api.half(0)
    const frames = async (): Promise<number> => (await hub.core.service.stats()).frames
    const before = await frames()
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, (_, n) => api.half(n)))
    expect((await frames()) - before).toBeLessThanOrEqual(200)
    outcomes.forEach((outcome, n) => {
      if (n % 2 === 0) expect(outcome).toEqual({ status: 'fulfilled', value: n / 2 })
      else
        expect(outcome).toMatchObject({
          reason: { code: 'FAILED_PRECONDITION', reason: 'ODD', message: `${n} is odd` },
        })
    })
    expect(policy.stats?.()).toMatchObject({ calls: 1_001, failed: 0 })
    expect(Number(policy.stats?.().batches)).toBeLessThanOrEqual(13)
    hub.close()
  })

  it('does not hold a lone call, and gathers while one is under way: by delay, by number, by bytes', async () => {
    const clock = new VirtualClock()
    const policy = batch({ methods: METHODS, maxSize: 3, maxDelayMs: 10, clock })
    const sizes: number[] = []
    const answers: (() => void)[] = []
    const next = policy((call) => {
      const size = call.input instanceof Envelope ? -1 : 1
      sizes.push(size)
      return new Promise<Reply>((resolve) => answers.push(() => resolve({ value: 'x' })))
    })
    const ask = (input: unknown) => {
      const reply = Promise.resolve(next(outgoing(input, {}, { method: method0 })))
      reply.catch(() => {})
      return reply
    }
    const lone = ask(1)
    // At once: no timer, no turn.
    expect(sizes).toEqual([1])
    answers[0]?.()
    expect(await lone).toEqual({ value: 'x' })
    expect(clock.now()).toBe(0)
    void ask(1)
    void ask(2)
    void ask(3)
    expect(sizes).toHaveLength(2)
    await clock.advance(9)
    expect(sizes).toHaveLength(2)
    await clock.advance(1)
    expect(sizes).toEqual([1, 1, -1])
    for (let n = 0; n < 3; n++) void ask(n)
    expect(sizes).toHaveLength(4)
    void ask('x'.repeat(60_000))
    void ask('x'.repeat(60_000))
    // Too long to travel with others.
    void ask('x'.repeat(70_000))
    expect(sizes).toEqual([1, 1, -1, -1, 1])
  })

  it('fails alone what cannot be sent, be it input or output', async () => {
    const { hub, api } = await served((n) => (n === 2 ? () => {} : n))
    const outcomes = await Promise.allSettled([
      api.half(0),
      api.half(1),
      api.half(2),
      // @ts-expect-error: no number
      api.half('three'),
      api.plain(1),
      api.plain(() => 1),
      api.plain(Symbol('no')),
      api.plain(new Uint8Array(5_000)),
    ])
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.reason))).toEqual([
      0,
      1,
      'UNSENDABLE',
      'INVALID_INPUT',
      1,
      expect.anything(),
      'UNSENDABLE',
      new Uint8Array(5_000),
    ])
    hub.close()
  })

  it('takes an input as it was when the call was made', async () => {
    const { hub, api } = await served(halved)
    const input = { n: 1 }
    const calls = [api.plain(0), api.plain(input)]
    input.n = 2
    expect(await Promise.all(calls)).toEqual([0, { n: 1 }])
    hub.close()
  })

  it('cancels one alone, and all together at the callee', async () => {
    const begun = later<void>()
    const over = later<void>()
    let seen = 0
    const { hub, api } = await served(async (n, { signal }) => {
      if (n === 0) return 0
      seen++
      if (seen === 2) begun.resolve()
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      over.resolve()
      return n
    })
    const controllers = [1, 2, 3].map(() => new AbortController())
    const first = api.half(0)
    const all = controllers.map(({ signal }, at) => {
      const call = api.half(at + 1, { signal })
      call.catch(() => {})
      return call
    })
    // Given up before it was sent: it is not.
    controllers[2]?.abort()
    await expect(all[2]).rejects.toMatchObject({ code: 'CANCELLED' })
    await first
    await begun.promise
    controllers[0]?.abort()
    await expect(all[0]).rejects.toMatchObject({ code: 'CANCELLED' })
    await hub.core.service.stats()
    controllers[1]?.abort()
    await expect(all[1]).rejects.toMatchObject({ code: 'CANCELLED' })
    await over.promise
    expect(seen).toBe(2)
    hub.close()
  })

  it('keeps to the deadline of each call', async () => {
    const { hub, api } = await served((n) =>
      n === 0 ? 0 : new Promise((resolve) => setTimeout(resolve, 200, n)),
    )
    const [, hasty, patient] = await Promise.allSettled([
      api.half(0),
      api.half(2, { timeoutMs: 50 }),
      api.half(4, { timeoutMs: 2_000 }),
    ])
    expect(hasty).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED' } })
    expect(patient).toEqual({ status: 'fulfilled', value: 4 })
    hub.close()
  })

  it('shows single calls to every policy behind it at the callee', async () => {
    const seen = log({ values: true })
    const { hub, main } = await served(halved, {
      callee: {
        batch: { methods: METHODS },
        log: seen,
        trace: trace(),
        acl: acl({ 'math.*': (_, input) => input !== 6 }),
        rateLimit: rateLimit({ limits: { 'math.half': 4 } }),
        dedupe: true,
      },
    })
    const policies = callerPolicies({ trace: true, dedupe: true, batch: { methods: METHODS } })
    const api = main.client(math, { type: 'ai' }, { policies })
    const outcomes = await Promise.allSettled([0, 2, 4, 6, 8, 10].map((n) => api.half(n)))
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code))).toEqual([
      0,
      1,
      2,
      'PERMISSION_DENIED',
      4,
      'RESOURCE_EXHAUSTED',
    ])
    const entries = seen.entries()
    expect(entries.map(({ input }) => input).sort()).toEqual([0, 10, 2, 4, 6, 8])
    // Each has the trace of its own caller.
    expect(new Set(entries.map(({ traceparent }) => traceparent)).size).toBe(6)
    hub.close()
  })

  it('runs a call once for its key, in whatever batch it comes', async () => {
    let runs = 0
    const { hub, api } = await served(
      (n) => {
        runs++
        return n
      },
      { callee: { batch: { methods: METHODS }, dedupe: dedupe() } },
    )
    const idempotencyKey = 'the same'
    await Promise.all([api.half(0), api.half(2, { idempotencyKey }), api.half(2, { idempotencyKey })])
    await api.half(2, { idempotencyKey })
    expect(runs).toBe(2)
    hub.close()
  })

  it('says so when the callee does not take batches, or not such large ones', async () => {
    for (const [callee, reason] of [
      [{}, 'ENVELOPE_UNKNOWN'],
      [{ batch: { methods: METHODS, maxSize: 2 } }, 'BATCH_TOO_LARGE'],
    ] as const) {
      const { hub, api } = await served(halved, { callee })
      for (const ask of [(n: number) => api.half(n), (n: number) => api.plain(n)]) {
        const [first, ...others] = await Promise.allSettled([0, 2, 4, 6].map(ask))
        expect(first).toMatchObject({ status: 'fulfilled' })
        for (const other of others) expect(other).toMatchObject({ reason: { reason } })
      }
      hub.close()
    }
  })

  it('leaves out answers that have no room beside the others, and those alone', async () => {
    const { hub, api } = await served(() => 'x'.repeat(300_000))
    const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map((n) => api.half(n)))
    expect(
      outcomes.map((one) => (one.status === 'fulfilled' ? one.value.length : one.reason.reason)),
    ).toEqual([300_000, 300_000, 300_000, 'BATCH_FULL', 'BATCH_FULL'])
    hub.close()
  })

  it('lets calls travel alone that cannot travel with others', async () => {
    const alone: unknown[] = []
    const next = batch({ methods: METHODS })((call) => {
      alone.push(call.input)
      return { value: true }
    })
    const controller = new AbortController()
    controller.abort()
    const calls: OutgoingCall[] = [
      outgoing('one way', {}, { method: method0, oneWay: true }),
      outgoing('progress', { onProgress: () => {} }, { method: method0 }),
      outgoing('lane', { lane: 'high' }, { method: method0 }),
      outgoing('idle', { idleTimeoutMs: 5 }, { method: method0 }),
      outgoing('aborted', { signal: controller.signal }, { method: method0 }),
      outgoing('stream', {}, { method: { ...method0, kind: 'stream' } }),
      outgoing('other', {}, { method: { ...method0, name: 'other.half' } }),
    ]
    for (const call of calls) expect(next(call)).toEqual({ value: true })
    expect(alone).toHaveLength(calls.length)
  })

  it('refuses at the callee what is no batch', async () => {
    const next = batch({ methods: METHODS })((call) => ({ value: call.input }))
    const take = async (value: unknown): Promise<unknown> =>
      next(
        incoming(new Envelope(CODEC.BATCH, value instanceof Uint8Array ? value : pack(value)), 'a', {
          method: method0,
        }),
      )
    for (const bad of [new Uint8Array(3), new Uint8Array(16).fill(255), 7, [7], { a: 1 }]) {
      await expect(take(bad)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_BODY' })
    }
    // One that cannot be read is its own fault alone.
    const reply = await take([pack(7), pack([1]), new Uint8Array(9), pack([2, 'no head'])])
    expect(reply).toMatchObject({ value: { codec: CODEC.BATCH } })
  })

  it('goes through codecs, compressed or not', async () => {
    const zipped = contract('math', {
      plain: method({ input: z.any(), output: z.any(), compress: true }),
    })
    const [a, b] = connectPeers()
    const codec = () => codecs({ primitives: nodePrimitives })
    b.serve(
      zipped,
      { plain: (input) => input },
      { policies: calleePolicies({ codec: codec(), batch: { methods: METHODS } }) },
    )
    const policies = callerPolicies({ codec: codec(), batch: { methods: METHODS } })
    const api = a.client(zipped, undefined, { policies })
    for (const text of ['short', 'long '.repeat(1_000)]) {
      const inputs = [1, 2, 3, 4].map((n) => `${text}${n}`)
      expect(await Promise.all(inputs.map((input) => api.plain(input)))).toEqual(inputs)
    }
    a.close()
  })
})

const method0 = math['~contract'].methods.get('half') ?? Object(undefined)
