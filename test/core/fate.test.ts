import { describe, expect, it } from 'vitest'
import { type Method, untyped } from '../../src/core/method.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { errorOf, outcome, peers, type RigPeer, rigOf, slow } from './rig.ts'

const low = { ...untyped('t.low'), lane: 'low' } as const
const high = { ...untyped('t.high'), lane: 'high' } as const
const never = () => new Promise(() => {})

/** A call whose failure is looked at later. */
function made(peer: RigPeer, method: Method, input: unknown): Promise<unknown> {
  const call = peer.call(method, input, { timeoutMs: 0 })
  call.catch(() => {})
  return call
}

async function fates(calls: readonly PromiseLike<unknown>[]): Promise<(string | undefined)[]> {
  return (await Promise.all(calls.map(errorOf))).map(({ fate }) => fate)
}

describe.each(peers)('the fate of a call when its link ends ($name)', (pairing) => {
  const rig = rigOf(pairing)

  it('is not-sent above the count of the far end’s GOAWAY', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    far.handle(slow, never)
    const calls = [made(near, slow, 1)]
    near.notify(slow, 'one way')
    calls.push(made(near, slow, 2))
    await clock.advance(15)
    calls.push(made(near, slow, 3))
    near.notify(slow, 'late')
    calls.push(made(near, slow, 4))
    far.close()
    await clock.advance(50)
    expect(await fates(calls)).toEqual(['unknown', 'unknown', 'not-sent', 'not-sent'])
  })

  it('is unknown for what had left when there was no GOAWAY, and not-sent for what had not', async () => {
    const { near, far, link, clock } = rig({ highWaterBytes: 1000 })
    far.handle(slow, never)
    far.handle(low, never)
    await clock.settle()
    link.stall('left')
    const calls = [made(near, slow, 'x'.repeat(2000))]
    await clock.settle()
    calls.push(made(near, slow, 2), made(near, low, 'x'.repeat(100_000)))
    await clock.settle()
    link.cut()
    await clock.settle()
    expect(await fates(calls)).toEqual(['unknown', 'not-sent', 'not-sent'])
  })

  it('goes by the order in which calls left, whatever that in which they were made', async () => {
    const { near, far, link, clock, sent } = rig({ highWaterBytes: 1000, delayMs: 10 })
    const came: unknown[] = []
    for (const method of [slow, low, high]) {
      far.handle(method, (input) => {
        came.push(input)
        return never()
      })
    }
    // Numbers of methods are told first, so that the frames that wait are the calls.
    const opened = [slow, low, high].map((method) => outcome(made(near, method, 0)))
    await clock.advance(50)
    link.stall('left')
    near.notify(slow, 'x'.repeat(2000))
    await clock.settle()
    const three = {
      low: made(near, low, 1),
      large: made(near, slow, 'x'.repeat(60_000)),
      high: made(near, high, 1),
    }
    await clock.advance(50)
    link.resume()
    // Each leaves when the one before it has arrived: the last one is under way when the far end closes.
    for (let ms = 0; ms < 100 && came.length < 6; ms++) await clock.advance(1)
    const left = sent.filter(({ kind, flags }) => kind === KIND.CALL && (flags & FLAG.ONE_WAY) === 0).slice(3)
    expect(left.map(({ flags }) => flags & FLAG.LANE)).toEqual([1, 2, 3])
    far.close()
    await clock.advance(50)
    expect(came).toHaveLength(6)
    expect(await fates([three.high, three.large, three.low])).toEqual(['unknown', 'unknown', 'not-sent'])
    await Promise.all(opened)
  })

  it('is told by the smallest count of several', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    far.handle(slow, never)
    const calls = [made(near, slow, 1)]
    await clock.advance(15)
    void far.drain(5)
    calls.push(made(near, slow, 2))
    await clock.advance(5)
    await clock.advance(50)
    expect(await fates(calls)).toEqual(['unknown', 'not-sent'])
  })
})
