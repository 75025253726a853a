/** A hub against a model that fits on a page: whatever happens, every call settles once, as the model says. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import { isViaductError } from '../../src/wire/errors.ts'
import { HubRig } from '../support/hubRig.ts'

const IDS = ['a', 'b', 'c'] as const
const METHODS = [untyped('m0'), untyped('m1'), untyped('forbidden')]
const RULES = { peer: { call: ['m0', 'm1'] } }

type Step =
  | { readonly do: 'join' | 'leave' | 'vanish'; readonly id: number }
  | { readonly do: 'serve' | 'withdraw'; readonly id: number; readonly method: number }
  | { readonly do: 'call'; readonly from: number; readonly to: number; readonly method: number }
  | { readonly do: 'answer' | 'fail' | 'cancel'; readonly which: number }

const peerNumber = fc.integer({ min: 0, max: IDS.length - 1 })
const methodNumber = fc.integer({ min: 0, max: METHODS.length - 1 })
const which = fc.nat({ max: 7 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant<'join'>('join'), id: peerNumber }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom<'leave' | 'vanish'>('leave', 'vanish'), id: peerNumber }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant<'serve'>('serve'), id: peerNumber, method: methodNumber }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant<'withdraw'>('withdraw'), id: peerNumber, method: methodNumber }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant<'call'>('call'),
      from: peerNumber,
      to: peerNumber,
      method: methodNumber,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom<'answer' | 'fail' | 'cancel'>('answer', 'fail', 'cancel'),
      which,
    }),
  },
)

/** What the model and the hub both say of one call. */
interface Call {
  readonly from: Life
  readonly to: Life | undefined
  readonly abort: AbortController
  expected: string | undefined
  readonly outcomes: string[]
  settle: ((value: unknown) => void) | undefined
  reject: ((error: unknown) => void) | undefined
}

/** One life of a peer. */
interface Life {
  readonly peer: PeerCore
  readonly serves: Map<number, () => void>
  alive: boolean
}

async function play(steps: readonly Step[]): Promise<string | undefined> {
  const rig = new HubRig({ rules: RULES })
  const lives: (Life | undefined)[] = IDS.map(() => undefined)
  const calls: Call[] = []
  const open = () => calls.filter(({ expected }) => expected === undefined)
  const end = (life: Life): void => {
    life.alive = false
    for (const call of open()) {
      if (call.from === life) call.expected = 'LINK_LOST'
      else if (call.to === life) call.expected = 'TARGET_UNAVAILABLE'
    }
  }
  for (const now of steps) {
    if (now.do === 'join') {
      const old = lives[now.id]
      const peer = await rig.join(IDS[now.id] ?? '', 'peer')
      // Otherwise calls of what it does not serve yet would wait for it.
      rig.hub.ready(rig.port(IDS[now.id] ?? ''))
      if (old?.alive) end(old)
      lives[now.id] = { peer, serves: new Map(), alive: true }
    } else if (now.do === 'leave' || now.do === 'vanish') {
      const life = lives[now.id]
      if (!life?.alive) continue
      if (now.do === 'leave') life.peer.close()
      else rig.port(IDS[now.id] ?? '').link.close('HEARTBEAT_LOST')
      end(life)
    } else if (now.do === 'serve') {
      const life = lives[now.id]
      if (!life?.alive || life.serves.has(now.method)) continue
      const method = METHODS[now.method]
      if (!method) continue
      const withdraw = life.peer.handle(method, (input) => {
        const call = calls[Number(input)]
        return new Promise((resolve, reject) => {
          if (!call) return reject(new Error('nobody asked'))
          if (call.settle) call.outcomes.push('ran twice')
          call.settle = resolve
          call.reject = reject
        })
      })
      life.serves.set(now.method, withdraw)
    } else if (now.do === 'withdraw') {
      const life = lives[now.id]
      life?.serves.get(now.method)?.()
      life?.serves.delete(now.method)
    } else if (now.do === 'call') {
      const from = lives[now.from]
      const to = lives[now.to]
      const method = METHODS[now.method]
      if (!from?.alive || !method) continue
      const served = to?.alive && to.serves.has(now.method)
      let expected: string | undefined
      if (now.method === 2) expected = 'PERMISSION_DENIED'
      else if (!to?.alive) expected = 'TARGET_UNAVAILABLE'
      else if (!served) expected = 'METHOD_NOT_FOUND'
      const abort = new AbortController()
      const call: Call = { from, to, abort, expected, outcomes: [], settle: undefined, reject: undefined }
      const number = calls.push(call) - 1
      from.peer
        .to({ id: IDS[now.to] ?? '' })
        .call(method, number, { timeoutMs: 0, signal: abort.signal })
        .then(
          (value) => call.outcomes.push(`value ${String(value)}`),
          (error: unknown) => call.outcomes.push(isViaductError(error) ? error.reason : String(error)),
        )
    } else if ('which' in now) {
      const waiting = open()
      const call = waiting[now.which % Math.max(1, waiting.length)]
      if (!call) continue
      if (now.do === 'cancel') {
        call.abort.abort()
        call.expected = 'CANCELLED'
      } else if (now.do === 'answer') {
        call.settle?.(7)
        call.expected = 'value 7'
      } else {
        call.reject?.(new Error('no'))
        call.expected = 'HANDLER_ERROR'
      }
    }
    await rig.settle()
  }
  // Everybody answers what is open, also what was cancelled.
  for (const call of calls) {
    call.expected ??= 'value 8'
    call.settle?.(8)
  }
  await rig.settle()
  const wrong = calls.findIndex(({ expected, outcomes }) => outcomes.length !== 1 || outcomes[0] !== expected)
  if (wrong >= 0)
    return `call ${wrong}: ${calls[wrong]?.outcomes.join()} instead of ${calls[wrong]?.expected}`
  const left = rig.leftovers()
  for (const life of lives) if (life?.alive && life.peer.openCalls > 0) left.push('a peer has calls open')
  return left.length > 0 ? left.join() : undefined
}

describe('a hub against its model', () => {
  it('10,000 runs: every call settles once as it should, and nothing is left', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 18 }), async (steps) => {
        expect(await play(steps)).toBeUndefined()
      }),
      { numRuns: Number(process.env.MODEL_RUNS ?? 10_000) },
    )
  })
})
