import { describe, expect, it } from 'vitest'
import {
  client,
  connectPeers,
  type Interceptor,
  isViaductError,
  serve,
  ViaductError,
} from '../../src/index.ts'
import { acl, concurrency, retry, throughCaller, throughServer } from '../../src/policies/index.ts'
import { refused, type Work, work } from './rig.ts'

const handlers: Work = {
  read: (n) => n + 1,
  write: (n) => n * 2,
  async *count(to) {
    for (let n = 1; n <= to; n++) yield n
    return 'done'
  },
  async total(_, call) {
    let total = 0
    for await (const n of call.upload) total += n
    return total
  },
}

/** A policy that notes which calls pass, and at which side. */
function noting(): { policy: Interceptor; seen: string[] } {
  const seen: string[] = []
  const policy: Interceptor = (next) => (call) => {
    seen.push(`${call.side} ${call.method.name} ${String(call.input)}`)
    return next(call)
  }
  return { policy, seen }
}

async function* upTo(last: number): AsyncGenerator<number> {
  for (let n = 1; n <= last; n++) yield n
}

describe('throughCaller()', () => {
  it('takes calls, streams, uploads and notifications through the policies, the first one first', async () => {
    const [here, there] = connectPeers()
    serve(there, work, handlers)
    const outer = noting()
    const more: Interceptor = (next) => (call) => next({ ...call, input: Number(call.input) + 1 })
    const inner = noting()
    const caller = throughCaller(here.to(), [outer.policy, more, inner.policy])
    const api = client(caller, work)
    expect(await api.read(1)).toBe(3)
    const items: number[] = []
    for await (const n of api.count(1)) items.push(n)
    expect(items).toEqual([1, 2])
    expect(caller.notify(work.write, 4)).toBe(true)
    expect(outer.seen).toEqual(['caller work.read 1', 'caller work.count 1', 'caller work.write 4'])
    expect(inner.seen).toEqual(['caller work.read 2', 'caller work.count 2', 'caller work.write 5'])
    expect(
      await client(throughCaller(here.to(), [outer.policy]), work).total(undefined, { upload: upTo(3) }),
    ).toBe(6)
    here.close()
  })

  it('knows whom the caller calls, and what may run twice', async () => {
    const [here, there] = connectPeers()
    let tries = 0
    const fail = () => {
      tries++
      throw new ViaductError('UNAVAILABLE', 'not now')
    }
    serve(there, work, { read: fail, write: fail }, { partial: true })
    const target = { type: 'ai' }
    expect(throughCaller(here.to(target), [retry()]).target).toEqual(target)
    const api = client(throughCaller(here.to(), [retry({ maxRetries: 2, initialDelayMs: 1 })]), work)
    expect(await refused(api.read(1))).toSatisfy(isViaductError)
    expect(tries).toBe(3)
    await refused(api.write(1))
    expect(tries).toBe(4)
    here.close()
  })

  it('is the caller itself without policies', () => {
    const [here] = connectPeers()
    const caller = here.to()
    expect(throughCaller(caller, [])).toBe(caller)
    here.close()
  })
})

describe('throughServer()', () => {
  it('takes calls, streams and uploads through the policies, before input is checked', async () => {
    const [here, there] = connectPeers()
    const { policy, seen } = noting()
    const more: Interceptor = (next) => (call) =>
      call.input === 'one' ? next({ ...call, input: 1 }) : next(call)
    const withdraw = serve(throughServer(there, [policy, more]), work, handlers)
    const api = client(here.to(), work)
    // @ts-expect-error a policy makes a number of it
    expect(await api.read('one')).toBe(2)
    // @ts-expect-error no policy does
    expect(await refused(api.read('two'))).toMatchObject({ reason: 'INVALID_INPUT', path: 'input' })
    const stream = api.count(2)
    const items: number[] = []
    for await (const n of stream) items.push(n)
    expect([items, await stream.output]).toEqual([[1, 2], 'done'])
    expect(await api.total(undefined, { upload: upTo(4) })).toBe(10)
    expect(seen).toEqual([
      'callee work.read one',
      'callee work.read two',
      'callee work.count 2',
      'callee work.total undefined',
    ])
    await withdraw.withdraw()
    expect(await refused(api.read(1))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    here.close()
  })

  it('refuses what a policy refuses, and bounds what runs', async () => {
    const [here, there] = connectPeers()
    serve(
      throughServer(there, [acl({ 'work.read': () => false })]),
      work,
      { read: handlers.read },
      { partial: true },
    )
    let running = 0
    let most = 0
    const write = async (n: number): Promise<number> => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      return n
    }
    serve(
      throughServer(there, [concurrency({ limit: 2, maxWaiting: 9 })]),
      work,
      { write },
      { partial: true },
    )
    const api = client(here.to(), work)
    expect(await refused(api.read(1))).toMatchObject({ code: 'PERMISSION_DENIED' })
    await Promise.all([1, 2, 3, 4, 5].map((n) => api.write(n)))
    expect(most).toBe(2)
    here.close()
  })
})
