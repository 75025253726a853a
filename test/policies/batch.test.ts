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
  callerPolicies,
  calleePolicies,
  dedupe,
  log,
  rateLimit,
  trace,
} from '../../src/policies/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { CODEC, Envelope } from '../../src/wire/envelope.ts'
import { pack } from '../../src/wire/packed.ts'
import { incoming, later, outgoing } from './rig.ts'

const METHODS = ['math.*']
const math = contract('math', {
  half: method({ input: z.number(), output: z.any() }),
  plain: method({ input: z.any(), output: z.any() }),
})

type Half = (n: number, call: CallContext) => unknown

async function served(half: Half, options: { callee?: Parameters<typeof calleePolicies>[0]; batch?: BatchOptions } = {}) {
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
    const { hub, main, api, policy } = await served(halved)
    await api.half(0)
    const frames = (): number => {
      const row = hub.core.who().find(({ id }) => id === 'main')
      return Number(row?.framesIn ?? 0) + Number(row?.framesOut ?? 0)
    }
    void main
    const before = frames()
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, (_, n) => api.half(n)))
    expect(frames() - before).toBeLessThanOrEqual(200)
    outcomes.forEach((outcome, n) => {
      if (n % 2 === 0) expect(outcome).toEqual({ status: 'fulfilled', value: n / 2 })
      else expect(outcome).toMatchObject({ reason: { code: 'FAILED_PRECONDITION', reason: 'ODD', message: `${n} is odd` } })
    })
    expect(policy.stats?.()).toMatchObject({ calls: 1_001, failed: 0 })
    expect(Number(policy.stats?.().batches)).toBeLessThanOrEqual(13)
    hub.close()
  })
})
