import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { memoryStore } from '../../src/host/cacheStores.ts'
import {
  type ContractOf,
  contract,
  type Handlers,
  type Interceptor,
  manifest,
  method,
  type Reply,
  stream,
  unchecked,
  ViaductError,
} from '../../src/index.ts'
import {
  type CacheEntry,
  type CacheOptions,
  type CacheOthers,
  type CacheStore,
  cache,
  cacheTopics,
  calleePolicies,
  invalidateWith,
} from '../../src/policies/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { incoming, later, outgoing } from './calls.ts'

const METHODS = ['pages.*']

/** A cache in front of something that says how often it was asked. */
function asked(
  options: Partial<CacheOptions> = {},
  answer: (input: unknown) => unknown = (input) => ({ input }),
) {
  const clock = new VirtualClock(1_000)
  const policy = cache({
    methods: METHODS,
    stores: [memoryStore()],
    clock,
    wallClock: () => clock.now(),
    ...options,
  })
  const inputs: unknown[] = []
  const next = policy(async (call): Promise<Reply> => {
    inputs.push(call.input)
    return { value: await answer(call.input) }
  })
  const ask = async (...call: Parameters<typeof outgoing>): Promise<unknown> => {
    const reply = await next(outgoing(...call))
    return 'value' in reply ? reply.value : reply
  }
  return { policy, inputs, ask, clock, next }
}

describe('cache', () => {
  it('answers what was asked before, until its time is over', async () => {
    const { ask, inputs, clock, policy } = asked({ ttlMs: 500 })
    expect(await ask({ url: 'a' })).toEqual({ input: { url: 'a' } })
    expect(await ask({ url: 'a' })).toEqual({ input: { url: 'a' } })
    expect(await ask({ url: 'b' })).toEqual({ input: { url: 'b' } })
    expect(inputs).toHaveLength(2)
    await clock.advance(499)
    await ask({ url: 'a' })
    expect(inputs).toHaveLength(2)
    await clock.advance(1)
    await ask({ url: 'a' })
    expect(inputs).toHaveLength(3)
    expect(policy.stats()).toMatchObject({ hits: 2, misses: 3, shared: 0, hitRate: 0.4 })
  })

  it('does not keep longer than it may when the clock is set back', async () => {
    let now = 1_000_000
    const { ask, inputs } = asked({ ttlMs: 500, wallClock: () => now })
    await ask(1)
    now -= 600_000
    await ask(1)
    expect(inputs).toHaveLength(2)
  })

  it('tells apart what differs: method, target, side, scope, and values that look alike', async () => {
    const store = memoryStore()
    const { ask, inputs, next } = asked({ stores: [store] })
    const other = asked({ stores: [store], scope: 'another hub' })
    await ask(1)
    await ask('1')
    await ask(1n)
    await ask(-0)
    await ask(0)
    await ask(undefined)
    await ask(null)
    await ask(1, {}, { method: untyped('pages.other') })
    await ask(1, {}, { target: { id: 'main' } })
    await ask(1, {}, { target: { type: 'main' } })
    await next(incoming(1, 'main'))
    expect(inputs).toHaveLength(11)
    await other.ask(1)
    expect(other.inputs).toHaveLength(1)
  })

  it('keeps nothing of other methods, errors, streams, one-way calls, progress and long inputs', async () => {
    const { ask, inputs } = asked({ maxKeyBytes: 100 }, (input) => {
      if (input === 'fail') throw new ViaductError('UNAVAILABLE', 'not now')
      return 1
    })
    for (const call of [
      () => ask(1, {}, { method: untyped('other.analyze') }),
      () => ask(1, {}, { method: untyped('pages.items', 'stream') }),
      () => ask(1, {}, { method: untyped('pages.up', 'call', true) }),
      () => ask(1, {}, { oneWay: true }),
      () => ask(1, { onProgress: () => {} }),
      () => ask('x'.repeat(200)),
    ]) {
      const before = inputs.length
      await call()
      await call()
      expect(inputs.length - before).toBe(2)
    }
    await expect(ask('fail')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(ask('fail')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(inputs.filter((input) => input === 'fail')).toHaveLength(2)
  })

  it('gives everybody an answer of his own', async () => {
    const { ask, inputs } = asked({}, () => ({ list: [1], bytes: new Uint8Array(8192) }))
    const both = [ask('a'), ask('a')].map((answer) =>
      // Changed as soon as it is there, while the other waits for it.
      answer.then((value) => {
        const copy = structuredClone(value)
        Object.assign(Object(value), { list: 'changed' })
        Reflect.get(Object(value), 'bytes').fill(7)
        return copy
      }),
    )
    const fresh = { list: [1], bytes: new Uint8Array(8192) }
    expect(await Promise.all(both)).toEqual([fresh, fresh])
    expect(inputs).toHaveLength(1)
    const hit = await ask('a')
    expect(hit).toEqual(fresh)
    Reflect.get(Object(hit), 'bytes').fill(9)
    expect(await ask('a')).toEqual(fresh)
  })

  it('refuses options that will not do, each by its path', () => {
    const stores = [memoryStore()]
    for (const [options, path] of [
      [{ methods: [], stores }, 'cache.methods'],
      [{ methods: ['a*b'], stores }, 'cache.methods'],
      [{ methods: METHODS, stores: [] }, 'cache.stores'],
      [{ methods: METHODS, stores, ttlMs: 0 }, 'cache.ttlMs'],
      [{ methods: METHODS, stores, ttl: 5 }, 'cache.ttl'],
      [{ methods: METHODS, stores, scope: 7 }, 'cache.scope'],
    ] as const) {
      expect(() => Reflect.apply(cache, undefined, [options])).toThrow(
        expect.objectContaining({ reason: 'BAD_OPTION', path }),
      )
    }
  })
})

describe('single flight', () => {
  it('makes like calls that are under way one', async () => {
    const answer = later()
    const { ask, inputs, clock, policy } = asked({}, () => answer.promise)
    const all = Array.from({ length: 50 }, () => ask('a'))
    await clock.settle()
    answer.resolve('once')
    expect(await Promise.all(all)).toEqual(Array(50).fill('once'))
    expect(inputs).toHaveLength(1)
    expect(policy.stats()).toMatchObject({ hits: 0, misses: 1, shared: 49 })
  })

  it('gives its error to all, but not that its maker gave up', async () => {
    const answers = [later(), later(), later()]
    let at = 0
    const { ask, inputs, clock } = asked({}, () => answers[at++]?.promise)
    const failing = [ask('a'), ask('a')]
    await clock.settle()
    answers[0]?.reject(new ViaductError('FAILED_PRECONDITION', 'no'))
    for (const one of failing) await expect(one).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    expect(inputs).toHaveLength(1)

    const controller = new AbortController()
    const leader = ask('b', { signal: controller.signal })
    const follower = ask('b')
    await clock.settle()
    controller.abort()
    answers[1]?.reject(new ViaductError('CANCELLED', 'cancelled'))
    await expect(leader).rejects.toMatchObject({ code: 'CANCELLED' })
    await clock.settle()
    expect(inputs).toHaveLength(3)
    answers[2]?.resolve('for the follower')
    expect(await follower).toBe('for the follower')
  })

  it('asks again for whoever has time left when its maker had none, within that time', async () => {
    const timeouts: unknown[] = []
    const clock = new VirtualClock()
    const policy = cache({ methods: METHODS, stores: [memoryStore()], clock })
    const next = policy((call) => {
      const ms = call.side === 'caller' ? (call.options.timeoutMs ?? 0) : 0
      timeouts.push(ms)
      return new Promise((_, reject) => {
        clock.after(ms, () => reject(new ViaductError('DEADLINE_EXCEEDED', 'too late')))
      })
    })
    const ends: string[] = []
    const end = (name: string, timeoutMs: number): void =>
      void Promise.resolve(next(outgoing('a', { timeoutMs }))).catch(({ code }) =>
        ends.push(`${name} ${code} at ${clock.now()}`),
      )
    end('leader', 100)
    end('follower', 250)
    end('hasty', 40)
    await clock.advance(40)
    expect(ends).toEqual(['hasty DEADLINE_EXCEEDED at 40'])
    await clock.advance(60)
    expect(ends).toHaveLength(2)
    await clock.advance(1_000)
    expect(ends[2]).toBe('follower DEADLINE_EXCEEDED at 250')
    expect(timeouts).toEqual([100, 150])
    expect(clock.pending).toBe(0)
  })

  it('lets one who follows give up alone', async () => {
    const answer = later()
    const { ask, clock } = asked({}, () => answer.promise)
    const controller = new AbortController()
    const leader = ask('a')
    const follower = ask('a', { signal: controller.signal })
    await clock.settle()
    controller.abort()
    await expect(follower).rejects.toMatchObject({ code: 'CANCELLED' })
    answer.resolve('there')
    expect(await leader).toBe('there')
  })

  it('lets those ask by themselves whose answer cannot be packed', async () => {
    class Page {}
    const { ask, inputs } = asked({}, () => new Page())
    const both = await Promise.all([ask('a'), ask('a')])
    expect(both.every((value) => value instanceof Page)).toBe(true)
    expect(inputs).toHaveLength(2)
  })
})

describe('invalidation', () => {
  it('forgets by tag, by method, or everything', async () => {
    const { ask, inputs, policy } = asked({
      tags: (_, value) => [`user:${Reflect.get(Object(value), 'input')}`],
    })
    const all = async (): Promise<number> => {
      const before = inputs.length
      for (const input of [1, 2]) await ask(input)
      await ask(1, {}, { method: untyped('pages.other') })
      return inputs.length - before
    }
    expect(await all()).toBe(3)
    expect(await all()).toBe(0)
    await policy.invalidate(['user:1'])
    expect(await all()).toBe(2)
    await policy.invalidate(['pages.other'])
    expect(await all()).toBe(1)
    await policy.invalidate(['nothing', 'of this'])
    expect(await all()).toBe(0)
    await policy.invalidate()
    expect(await all()).toBe(3)
    expect(policy.stats()).toMatchObject({ invalidations: 4 })
  })

  it('does not keep what was asked before it, nor lets anybody follow that', async () => {
    const answers = [later(), later()]
    let at = 0
    const { ask, inputs, clock, policy } = asked({}, () => answers[at++]?.promise)
    const before = ask('a')
    await clock.settle()
    await policy.invalidate()
    const after = ask('a')
    await clock.settle()
    expect(inputs).toHaveLength(2)
    answers[0]?.resolve('old')
    expect(await before).toBe('old')
    answers[1]?.resolve('new')
    expect(await after).toBe('new')
    expect(await ask('a')).toBe('new')
    expect(inputs).toHaveLength(2)
  })

  it('does not bring back what a slow store still had when it was forgotten', async () => {
    const slow = new SlowStore()
    await asked({ stores: [slow] }, () => 'old').ask('a')
    const { ask, inputs, policy, clock } = asked({ stores: [memoryStore(), slow] }, () => 'new')
    const found = later<void>()
    slow.holdGet = found.promise
    const asking = ask('a')
    await clock.settle()
    // It has read the old answer already; by the time it says so that has been forgotten.
    await policy.invalidate()
    found.resolve()
    expect(await asking).toBe('new')
    expect(inputs).toHaveLength(1)

    await asked({ stores: [slow] }, () => 'old').ask('b')
    expect(await ask('b')).toBe('old')
    const forgotten = later<void>()
    slow.holdInvalidate = forgotten.promise
    const forgetting = policy.invalidate()
    // Forgetting takes time; until then the store is not asked.
    expect(await ask('b')).toBe('new')
    forgotten.resolve()
    await forgetting
    expect(await ask('b')).toBe('new')
    expect(inputs).toHaveLength(3)
  })

  it('goes on without a store that fails, and reads none that could not forget', async () => {
    const broken = new SlowStore()
    const { ask, inputs, policy } = asked({ stores: [broken] })
    broken.fails = true
    await ask('a')
    expect(policy.stats()).toMatchObject({ storeFailures: 2 })
    broken.fails = false
    await ask('a')
    await ask('a')
    expect(inputs).toHaveLength(2)
    broken.fails = true
    await expect(policy.invalidate(['pages.analyze'])).rejects.toThrow('broken')
    broken.fails = false
    await ask('a')
    expect(inputs).toHaveLength(3)
    // It has to forget everything before it is read again.
    await policy.invalidate(['something else'])
    expect(broken.forgotten.at(-1)).toBeUndefined()
    await ask('a')
    await ask('a')
    expect(inputs).toHaveLength(4)
  })

  it('reaches the others, and says so when it does not', async () => {
    const hub = memoryHub()
    const [one, other] = ['worker-1', 'worker-2'].map((id) => {
      const peer = hub.peer(id)
      return { peer, ...asked({ others: invalidateWith(peer) }) }
    })
    if (!one || !other) throw new Error('no peers')
    await one.clock.settle()
    for (const { ask } of [one, other]) for (const input of ['a', 'b']) await ask(input)
    await one.policy.invalidate(['pages.analyze'])
    await expect.poll(() => other.policy.stats().invalidations).toBe(1)
    await other.ask('a')
    expect(other.inputs).toHaveLength(3)
    // Whatever is no list of tags forgets everything.
    await other.ask('b')
    one.peer.publish(cacheTopics.invalidated, { tags: [] })
    // @ts-expect-error: tags are texts
    one.peer.publish(cacheTopics.invalidated, { tags: [7] })
    await expect.poll(() => other.policy.stats().invalidations).toBe(3)
    await other.ask('a')
    expect(other.inputs).toHaveLength(5)
    one.peer.close()
    await expect(one.policy.invalidate()).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'NOT_TOLD' })
    hub.close()
  })

  it('forgets everything when it was too slow to hear', async () => {
    const heard: (readonly string[] | undefined)[] = []
    const { others, drop, publish } = scripted()
    others.listen(
      (tags) => heard.push(tags),
      () => heard.push(['deaf']),
    )
    await publish(['a'])
    drop()
    await publish(['b'])
    await publish(['c'])
    expect(heard).toEqual([['a'], undefined, ['c']])
  })

  it('keeps nothing where it may not hear what others forget', async () => {
    const hub = memoryHub({ manifest: manifest({ deaf: { call: ['pages.*'] } }) })
    const { ask, inputs, policy } = asked({ others: invalidateWith(hub.peer('deaf')) })
    await ask('a')
    await expect.poll(() => policy.stats().deaf).toBe(1)
    await ask('a')
    await ask('a')
    expect(inputs).toHaveLength(3)
    hub.close()
  })
})

describe('a callee behind acl', () => {
  const pages = contract('pages', {
    analyze: method({ input: unchecked<string>(), output: unchecked<string>() }),
    items: stream({ input: unchecked<string>(), item: unchecked<string>() }),
  })
  type Served = typeof pages extends ContractOf<infer E> ? Handlers<E> : never

  async function served(shared: boolean, use: readonly Interceptor[] = []) {
    const hub = memoryHub()
    const seen: string[] = []
    const handlers: Served = {
      analyze: (input, { peer }) => {
        seen.push(peer.id)
        return `${input} for ${peer.id}`
      },
      async *items() {
        yield 'item'
      },
    }
    const policies = calleePolicies({
      acl: { 'pages.analyze': ['main', 'network'], 'pages.items': ['main'] },
      use,
      cache: { methods: ['*'], stores: [memoryStore()], shared },
    })
    hub.peer('ai-1').serve(pages, handlers, { policies })
    await new Promise((resolve) => setImmediate(resolve))
    const client = (id: string) => hub.peer(id).client(pages, { type: 'ai' })
    return { hub, seen, main: client('main'), network: client('network'), worker: client('worker-1') }
  }

  it.each([false, true])('never answers who may not ask (shared: %s)', async (shared) => {
    const { hub, seen, main, network, worker } = await served(shared)
    expect(await main.analyze('a')).toBe('a for main')
    expect(await main.analyze('a')).toBe('a for main')
    expect(seen).toEqual(['main'])
    await expect(worker.analyze('a')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    expect(await network.analyze('a')).toBe(shared ? 'a for main' : 'a for network')
    expect(seen).toEqual(shared ? ['main'] : ['main', 'network'])
    await expect(worker.analyze('a')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    hub.close()
  })

  it('lets nobody follow a call that he may not make', async () => {
    const answer = later<string>()
    const begun = later<void>()
    const hub = memoryHub()
    const policies = calleePolicies({
      acl: { 'pages.analyze': ['main'] },
      cache: { methods: ['*'], stores: [memoryStore()], shared: true },
    })
    const analyze = () => {
      begun.resolve()
      return answer.promise
    }
    hub.peer('ai-1').serve(pages, { analyze }, { policies, partial: true })
    await new Promise((resolve) => setImmediate(resolve))
    const first = hub.peer('main').client(pages, { type: 'ai' }).analyze('a')
    await begun.promise
    const denied = hub.peer('worker-1').client(pages, { type: 'ai' }).analyze('a')
    await expect(denied).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    answer.resolve('secret')
    expect(await first).toBe('secret')
    hub.close()
  })

  it('keeps nothing of those whom nobody can name, unless it is shared', async () => {
    for (const shared of [false, true]) {
      const { next, inputs } = asked({ shared })
      await next(incoming('a', ''))
      await next(incoming('a', ''))
      expect(inputs).toHaveLength(shared ? 1 : 2)
    }
  })

  it('passes streams on', async () => {
    const { hub, main } = await served(true)
    for (let round = 0; round < 2; round++) {
      const items: string[] = []
      for await (const item of main.items('a')) items.push(item)
      expect(items).toEqual(['item'])
    }
    hub.close()
  })
})

/** A store whose answers a test holds back, or makes fail. */
class SlowStore implements CacheStore {
  readonly #entries = new Map<string, CacheEntry>()
  holdGet: Promise<void> | undefined
  holdInvalidate: Promise<void> | undefined
  fails = false
  readonly forgotten: (readonly string[] | undefined)[] = []

  async get(key: string) {
    const entry = this.#entries.get(key)
    await this.holdGet
    if (this.fails) throw new Error('broken')
    return entry
  }
  async set(key: string, entry: CacheEntry) {
    if (this.fails) throw new Error('broken')
    this.#entries.set(key, entry)
  }
  async invalidate(tags?: readonly string[]) {
    await this.holdInvalidate
    if (this.fails) throw new Error('broken')
    this.forgotten.push(tags)
    for (const [key, entry] of this.#entries) {
      if (!tags || entry.tags.some((tag) => tags.includes(tag))) this.#entries.delete(key)
    }
  }
}

/** A subscription whose events, and losses, a test makes. */
function scripted(): { others: CacheOthers; drop(): void; publish(tags: string[]): Promise<void> } {
  const events: { tags: string[] }[] = []
  let wake = later<void>()
  let dropped = 0n
  const subscription = {
    get dropped() {
      return dropped
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const event = events.shift()
        if (event) yield event
        else {
          await wake.promise
          wake = later<void>()
        }
      }
    },
  }
  const peer = { publish: () => true, subscribe: () => subscription }
  return {
    // @ts-expect-error: as much of a peer as it needs
    others: invalidateWith(peer),
    drop: () => {
      dropped++
    },
    async publish(tags) {
      events.push({ tags })
      wake.resolve()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
