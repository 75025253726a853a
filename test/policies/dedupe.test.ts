/** dedupe: once for each key, whatever happens on the way. */
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../../src/core/call.ts'
import { type IncomingCall, interceptedHandler } from '../../src/core/interceptor.ts'
import { untyped } from '../../src/core/method.ts'
import { connectPeers } from '../../src/index.ts'
import { dedupe, retry } from '../../src/policies/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import { end, gate, outgoing, refused, sides, statsOf, work } from './rig.ts'

function deduped(
  answer: (n: number, nth: number, signal: AbortSignal) => number | Promise<number>,
  options: object = {},
) {
  const clock = new VirtualClock()
  const policy = dedupe({ clock, ...options })
  const ran: number[] = []
  const both = sides({ write: (n, call) => answer(n, ran.push(n), call.signal) }, { clock, callee: [policy] })
  return { ...both, ran, policy, key: (idempotencyKey: string) => ({ idempotencyKey }) }
}

function incoming(input: unknown, context: CallContext): IncomingCall {
  return { side: 'callee', method: untyped('m'), input, context }
}

describe('dedupe at the callee', () => {
  it('answers a key again with what the first call gave, and runs those without one each time', async () => {
    const { api, here, ran, key, policy } = deduped((n, nth) => n * 10 + nth)
    expect([
      await api.write(1, key('a')),
      await api.write(1, key('a')),
      await api.write(1, key('b')),
    ]).toEqual([11, 11, 12])
    expect([await api.write(1), await api.write(1)]).toEqual([13, 14])
    expect([ran.length, statsOf(policy)]).toEqual([4, { repeated: 1, keys: 2 }])
    here.close()
  })

  it('waits for one that still runs, and gives an error of the handler again', async () => {
    const held = gate<number>()
    const { api, here, ran, key, clock } = deduped((n) =>
      n === 1 ? held.passed : Promise.reject(new Error('no')),
    )
    const both = [api.write(1, key('a')), api.write(1, key('a'))]
    await clock.settle()
    expect(ran).toEqual([1])
    held.open(5)
    expect(await Promise.all(both)).toEqual([5, 5])
    for (let n = 0; n < 2; n++)
      expect(await refused(api.write(2, key('b')))).toMatchObject({ reason: 'HANDLER_ERROR', message: 'no' })
    expect(ran).toEqual([1, 2])
    here.close()
  })

  it('refuses a key that came with another input', async () => {
    const { api, here, ran, key } = deduped((n) => n)
    await api.write(1, key('a'))
    expect(await refused(api.write(2, key('a')))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'KEY_REUSED',
    })
    expect(ran).toEqual([1])
    here.close()
  })

  it.each([
    [new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    [new Map([['a', 1]]), new Map([['a', 2]])],
    [new Set([1n]), new Set([2n])],
    [{ at: new Date(1) }, { at: new Date(2) }],
    [undefined, null],
  ])('tells %o from %o', async (one, other) => {
    const { next, seen } = end(() => 1)
    const [here, there] = connectPeers()
    const through = interceptedHandler(untyped('m'), (input, context) => next(incoming(input, context)), [
      dedupe(),
    ])
    there.handle('m', through)
    const key = { idempotencyKey: 'a' }
    await here.call('m', one, key)
    await here.call('m', one, key)
    expect(await refused(here.call('m', other, key))).toMatchObject({ reason: 'KEY_REUSED' })
    expect(seen).toHaveLength(1)
    here.close()
  })

  it('forgets an answer when its window is over, and the oldest when there are too many, never one that runs', async () => {
    const held = gate<number>()
    const { api, here, ran, key, clock } = deduped((n) => (n === 0 ? held.passed : n), {
      windowMs: 1_000,
      maxKeys: 2,
    })
    const running = api.write(0, key('runs'))
    for (const n of [1, 2, 3]) await api.write(n, key(`k${n}`))
    await api.write(3, key('k3'))
    expect(ran).toEqual([0, 1, 2, 3])
    await api.write(1, key('k1'))
    expect(ran).toEqual([0, 1, 2, 3, 1])
    await clock.advance(1_000)
    await api.write(1, key('k1'))
    const again = api.write(0, key('runs'))
    held.open(9)
    expect(await Promise.all([running, again])).toEqual([9, 9])
    expect(ran).toEqual([0, 1, 2, 3, 1, 1])
    here.close()
  })

  it('does not remember what was aborted before it was answered: who waits for it runs', async () => {
    const { api, here, ran, key, clock } = deduped((n, nth, signal) =>
      nth > 1
        ? n
        : new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    )
    const controller = new AbortController()
    const first = refused(api.write(1, { ...key('a'), signal: controller.signal }))
    await clock.settle()
    const second = api.write(1, key('a'))
    await clock.settle()
    controller.abort()
    expect(await first).toMatchObject({ code: 'CANCELLED' })
    expect(await second).toBe(1)
    expect(ran).toEqual([1, 1])
    here.close()
  })

  it('does not remember what was refused behind it, not sent', async () => {
    let refuses = true
    const clock = new VirtualClock()
    const { api, here } = sides(
      { write: (n) => n },
      {
        clock,
        callee: [
          dedupe({ clock }),
          (next) => (call) => {
            if (refuses) throw new ViaductError('RESOURCE_EXHAUSTED', 'full', { fate: 'not-sent' })
            return next(call)
          },
        ],
      },
    )
    const key = { idempotencyKey: 'a' }
    expect(await refused(api.write(1, key))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' })
    refuses = false
    expect(await api.write(1, key)).toBe(1)
    here.close()
  })

  it('tells callers apart, and with retry runs a call once over a link that is lost', async () => {
    const clock = new VirtualClock()
    const hub = memoryHub({ clock })
    const ran: string[] = []
    const worker = hub.peer('worker-1')
    const held = gate()
    worker.serve(
      work,
      {
        read: async (n, call) => {
          ran.push(call.peer.id)
          await held.passed
          return n
        },
      },
      { policies: [dedupe({ clock })], partial: true },
    )
    await clock.settle()
    // Over which link a try goes is said here; the hub knows the caller by its id.
    let link = hub.peer('main-1')
    await clock.settle()
    const through = dedupe({ newKey: () => 'one' })(
      retry({ clock })(async (call) => {
        if (call.side === 'callee') throw new Error('misplaced')
        return {
          value: await link.call(call.method, call.input, { ...call.options, target: { id: 'worker-1' } }),
        }
      }),
    )
    const answer = Promise.resolve(through(outgoing({ input: 7 })))
    await clock.settle()
    expect(ran).toEqual(['main-1'])
    link.core.close('TRANSPORT_CLOSED')
    await link.closed
    link = hub.peer('main-1')
    await clock.advance(200)
    const other = hub.peer('main-2')
    await clock.settle()
    const another = other.call(work.read, 7, { target: { id: 'worker-1' }, idempotencyKey: 'one' })
    await clock.settle()
    held.open()
    expect(await answer).toEqual({ value: 7 })
    expect(await another).toBe(7)
    expect(ran).toEqual(['main-1', 'main-2'])
    hub.close()
  })
})

describe('dedupe at the caller', () => {
  it('gives each call a key of its own, all of its tries the same, and leaves a given one', async () => {
    const clock = new VirtualClock()
    const keys: (string | undefined)[] = []
    const { api, here } = sides(
      {
        read: (n, call) => {
          keys.push(call.idempotencyKey)
          if (keys.length === 1) throw new ViaductError('UNAVAILABLE', 'not now')
          return n
        },
      },
      { clock, caller: [dedupe({ clock }), retry({ clock, random: () => 0 })] },
    )
    const first = api.read(1)
    await clock.advance(10)
    await first
    await api.read(1)
    await api.read(1, { idempotencyKey: 'mine' })
    expect(keys[0]).toMatch(/^[\da-f]{32}$/)
    expect([keys[1], keys[3]]).toEqual([keys[0], 'mine'])
    expect(keys[2]).not.toBe(keys[0])
    here.close()
  })

  it.each(['', 'é'.repeat(33)])('refuses a key of no bytes or over 64: %j', async (idempotencyKey) => {
    const { api, here, ran } = deduped((n) => n)
    expect(await refused(api.write(1, { idempotencyKey }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      path: 'options.idempotencyKey',
    })
    expect(await api.write(1, { idempotencyKey: 'é'.repeat(32) })).toBe(1)
    expect(ran).toEqual([1])
    here.close()
  })
})
