/** Methods that are withdrawn while they run: PROTOCOL.md, sections 3 and 12. */
import { describe, expect, test } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import { untyped } from '../../src/core/method.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { REASONS } from '../../src/wire/reasons.ts'
import { collect, echo, errorOf, list, outcome, peers, rig, rigOf, slow, watched } from './rig.ts'

describe.each(peers)('withdraw ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('refuses new calls at once, not sent, and lets those that run finish', async () => {
    const { near, far, clock } = rig()
    let finish = (_: string): void => {}
    const served = far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    const running = near.call(slow, 0)
    await clock.settle()
    const timers = clock.pending
    const gone = watched(served.withdraw())
    await clock.settle()
    expect(clock.pending).toBe(timers + 1)
    expect(await errorOf(near.call(slow, 1))).toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'METHOD_NOT_FOUND',
      fate: 'not-sent',
    })
    expect(gone.settled).toBe(false)
    finish('done')
    expect(await running).toBe('done')
    await gone.promise
    expect(clock.pending).toBe(timers)
  })

  test('waits for what runs, though the input of another could not be read', async () => {
    const { near, far, clock } = rig({ far: { limits: { ...TRUSTED_LIMITS, maxDepth: 2 } } })
    let finish = (_: string): void => {}
    const served = far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    expect(await errorOf(near.call(slow, [[[[1]]]]))).toMatchObject({ reason: 'MALFORMED_BODY' })
    const running = near.call(slow, 0)
    await clock.settle()
    const gone = watched(served.withdraw({ graceMs: Number.POSITIVE_INFINITY }))
    await clock.settle()
    expect(gone.settled).toBe(false)
    finish('done')
    expect(await running).toBe('done')
    await clock.settle()
    expect(gone.settled).toBe(true)
  })

  test('a call that crosses it on the wire is refused, not sent, and its handler does not run', async () => {
    const { near, far, clock } = rig({ delayMs: 10 })
    let runs = 0
    const served = far.handle(echo, () => ++runs)
    const first = near.call(echo, 0)
    await clock.advance(20)
    expect(await first).toBe(1)
    const crossing = errorOf(near.call(echo, 1))
    await clock.advance(5)
    await served.withdraw()
    await clock.advance(50)
    expect(await crossing).toMatchObject({ reason: 'METHOD_NOT_FOUND', fate: 'not-sent' })
    expect(runs).toBe(1)
  })

  test('aborts what still runs when its grace is over, to the millisecond, and tells callers at once', async () => {
    const { near, far, clock, of } = rig()
    const reasons: unknown[] = []
    far.handle(list, async function* (_, call) {
      call.signal.addEventListener('abort', () => reasons.push(call.signal.reason))
      yield 1
      await new Promise(() => {})
    })
    const served = far.handle(slow, (_, call) => {
      call.signal.addEventListener('abort', () => reasons.push(call.signal.reason))
      return new Promise(() => {})
    })
    const other = watched(collect(near.stream(list, 0)))
    const call = watched(errorOf(near.call(slow, 0, { timeoutMs: 0 })))
    await clock.settle()
    const gone = watched(served.withdraw({ graceMs: 100 }))
    await clock.advance(99)
    expect([call.settled, gone.settled, reasons]).toEqual([false, false, []])
    await clock.advance(1)
    expect([call.settled, gone.settled]).toEqual([true, true])
    expect(await call.promise).toMatchObject({ code: 'UNAVAILABLE', reason: 'WITHDRAWN' })
    expect(reasons).toMatchObject([{ reason: 'WITHDRAWN' }])
    // What others run goes on.
    expect(other.settled).toBe(false)
    const [error] = of(KIND.ERROR, 'right')
    expect([error?.method, error?.route]).toEqual([14, REASONS.WITHDRAWN.number])
  })

  test('a stream drains to its end, and one whose reader rests is cut off', async () => {
    const { near, far, clock } = rig()
    let ended = 0
    const served = far.handle(list, async function* (input) {
      try {
        for (let number = 0; number < 3; number++) yield input === 'large' ? 'x'.repeat(200_000) : number
      } finally {
        ended++
      }
    })
    const small = collect(near.stream(list, 'small'))
    const resting = near.stream(list, 'large')[Symbol.asyncIterator]()
    await clock.settle()
    const gone = served.withdraw({ graceMs: 50 })
    expect(await small).toEqual([0, 1, 2])
    await clock.advance(50)
    await gone
    expect(ended).toBe(2)
    expect(await outcome(drain(resting))).toBe('!WITHDRAWN')
  })

  test('the name is served again, by others, while the old calls drain; each handler answers its own', async () => {
    const { near, far, clock } = rig()
    let finish = (_: string): void => {}
    const old = far.handle(echo, () => new Promise((resolve) => (finish = resolve)))
    const first = near.call(echo, 0)
    await clock.settle()
    const gone = watched(old.withdraw())
    const young = far.handle(echo, () => 'young')
    expect(await near.call(echo, 0)).toBe('young')
    await clock.settle()
    expect(gone.settled).toBe(false)
    finish('old')
    expect(await first).toBe('old')
    await gone.promise
    // To withdraw the old one again does nothing to the young one.
    await old.withdraw({ graceMs: 0 })
    expect(await near.call(echo, 0)).toBe('young')
    await young.withdraw()
    expect(await outcome(near.call(echo, 0))).toBe('!METHOD_NOT_FOUND')
  })

  test('settles when the link ends, waits for notifications, and may be called twice', async () => {
    const { near, far, clock } = rig()
    const ended: (() => void)[] = []
    const served = far.handle(slow, () => new Promise<void>((resolve) => ended.push(resolve)))
    near.notify(slow, 0)
    await clock.settle()
    const [one, two] = [watched(served.withdraw()), watched(served.withdraw())]
    await clock.settle()
    expect([one.settled, two.settled]).toEqual([false, false])
    ended[0]?.()
    await clock.settle()
    expect([one.settled, two.settled]).toEqual([true, true])

    const again = far.handle(slow, () => new Promise(() => {}))
    const call = outcome(near.call(slow, 0))
    await clock.settle()
    const gone = again.withdraw({ graceMs: Number.POSITIVE_INFINITY })
    near.close()
    await clock.settle()
    expect(await call).toBe('!LINK_LOST')
    await gone
  })

  test('graceMs 0 aborts now', async () => {
    const { near, far, clock } = rig()
    const served = far.handle(slow, () => new Promise(() => {}))
    const call = outcome(near.call(slow, 0))
    await clock.settle()
    const gone = served.withdraw({ graceMs: 0 })
    await clock.advance(0)
    await gone
    expect(await call).toBe('!WITHDRAWN')
  })
})

/** Of the whole peer: who joins a hub tells it what is served. */
describe('announcements to a hub', () => {
  test('a withdrawal waits for room in a full outbox instead of being lost', async () => {
    const { near, far, clock, link, of } = rig({ near: { hub: true } })
    const told: unknown[] = []
    far.handle(untyped('$hub.serve'), (input) => void told.push(['serve', input]))
    far.handle(untyped('$hub.withdraw'), (input) => void told.push(['withdraw', input]))
    const served = near.handle(echo, () => 1)
    await clock.settle()
    expect(told).toEqual([['serve', { methods: [['t.echo', '']] }]])
    link.stall()
    while (near.notify(slow, 'x'.repeat(30_000))) await clock.settle()
    served()
    await clock.settle()
    expect(told.length).toBe(1)
    link.resume()
    await clock.advance(1)
    expect(told.at(-1)).toEqual(['withdraw', { methods: ['t.echo'] }])
    expect(of(KIND.CALL, 'left').every(({ flags }) => (flags & FLAG.ONE_WAY) !== 0)).toBe(true)
  })

  test('of what changes within one turn the hub hears how it stands then, kinds and all', async () => {
    const { near, far, clock } = rig({ near: { hub: true } })
    const told: unknown[] = []
    far.handle(untyped('$hub.serve'), (input) => void told.push(['serve', input]))
    far.handle(untyped('$hub.withdraw'), (input) => void told.push(['withdraw', input]))
    near.handle(list, () => [])
    near.handle(echo, () => 1)()
    const again = near.handle(slow, () => 1)
    again()
    near.handle(slow, () => 2)
    await clock.settle()
    expect(told).toEqual([
      [
        'serve',
        {
          methods: [
            ['t.list', '', 'stream'],
            ['t.slow', ''],
          ],
        },
      ],
      ['withdraw', { methods: ['t.echo'] }],
    ])
  })
})

async function drain(items: AsyncIterator<unknown>): Promise<unknown> {
  for (;;) if ((await items.next()).done) return 'done'
}
