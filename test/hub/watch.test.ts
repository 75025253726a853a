/** `$hub.watch`: a snapshot and the changes after it make the rows at any time. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyChange, isHubChange } from '../../src/contract/watch.ts'
import { untyped } from '../../src/core/method.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import type { HubChange, PeerRow } from '../../src/hub/answers.ts'
import { WATCH_CAPACITY } from '../../src/hub/watch.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const RULES = { main: { zone: 'trusted' as const }, worker: { zone: 'semi' as const }, page: {} }
const WATCH = untyped('$hub.watch', 'stream')

/** A watcher's own view, made of nothing but what it was sent. */
class View {
  readonly rows = new Map<string, PeerRow>()
  readonly changes: HubChange[] = []
  failed: unknown
  readonly #items: AsyncIterator<unknown>

  constructor(peer: PeerCore) {
    this.#items = peer.stream(WATCH, undefined, { timeoutMs: 0 })[Symbol.asyncIterator]()
    this.#read().catch((error: unknown) => {
      this.failed = error
    })
  }

  async #read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#items.next()
      if (done) return
      if (!isHubChange(value)) throw new Error('not a change')
      this.changes.push(value)
      applyChange<PeerRow>(this.rows, value)
    }
  }

  leave(): void {
    void this.#items.return?.()
  }

  kinds(): string[] {
    return this.changes.map((change) =>
      change.kind === 'snapshot' ? 'snapshot' : `${change.kind} ${change.id} ${change.peer?.state ?? 'gone'}`,
    )
  }
}

const FIELDS = ['id', 'type', 'zone', 'session', 'pid', 'state', 'methods'] as const

/** What `who` says of connected peers, as far as rows say it. */
function who(rig: HubRig): unknown[] {
  return rig.hub.service.who().map((row) => pick(row))
}

function pick(row: object): unknown {
  return Object.fromEntries(
    FIELDS.flatMap((key) => (Reflect.get(row, key) === undefined ? [] : [[key, Reflect.get(row, key)]])),
  )
}

function byId(rows: readonly unknown[]): unknown[] {
  return [...rows].sort((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other)))
}

function rest(rig: HubRig, id: string, busy: boolean): void {
  const port = rig.port(id)
  port.busy = busy ? { until: Number.POSITIVE_INFINITY, cancel: () => {} } : undefined
  rig.hub.presence.changed(port)
}

it('a declared silence is one: the next replaces it, and with its peer nothing of it is left', async () => {
  const rig = new HubRig({ rules: RULES })
  const worker = await rig.join('w', 'worker')
  rig.hub.ready(rig.port('w'))
  await rig.settle()
  const timers = rig.clock.timers
  const busy = async (forMs: number): Promise<void> => {
    const told = worker.call(untyped('$hub.busy'), { forMs }, { timeoutMs: 0 })
    await rig.settle()
    await told
  }
  const state = () => rig.hub.service.who().find(({ id }) => id === 'w')
  await busy(1000)
  await busy(5000)
  expect(rig.clock.timers).toBe(timers + 1)
  await rig.clock.pass(1001)
  expect(state()).toMatchObject({ state: 'busy', busyMs: 3999 })
  await busy(0)
  expect(state()).toMatchObject({ state: 'ready', busyMs: 0 })
  await busy(100)
  await rig.clock.pass(101)
  expect(state()).toMatchObject({ state: 'ready', busyMs: 0 })
  await busy(5000)
  worker.close()
  await rig.settle()
  expect(rig.clock.timers).toBeLessThanOrEqual(timers)
})

describe('$hub.watch', () => {
  it('tells who joins, is ready, serves, withdraws, drains and leaves, with the reason', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    const view = new View(main)
    await rig.settle()
    const worker = await rig.join('w', 'worker')
    const served = worker.handle(untyped('work'), () => 1)
    await rig.settle()
    rig.hub.ready(rig.port('w'))
    await rig.settle()
    served()
    await rig.settle()
    rest(rig, 'w', true)
    rest(rig, 'w', false)
    await rig.hub.drain('w')
    worker.close()
    await rig.settle()
    expect(view.kinds()).toEqual([
      'snapshot',
      'joined w starting',
      'served w starting',
      'state w ready',
      'withdrawn w ready',
      'state w busy',
      'state w ready',
      'state w draining',
      'left w gone',
    ])
    expect(view.changes[2]).toMatchObject({ methods: ['work'], peer: { methods: 1 } })
    expect(view.changes[4]).toMatchObject({ methods: ['work'], peer: { methods: 0 } })
    expect(view.changes.at(-1)).toMatchObject({ reason: 'GOING_AWAY' })
  })

  it('tells of supervised children that are not connected, of restarts and why', async () => {
    const rig = new HubRig({ rules: RULES })
    const view = new View(await rig.join('main', 'main'))
    await rig.settle()
    const { presence } = rig.hub
    presence.child('w', { type: 'worker', state: 'starting' })
    const first = await rig.join('w', 'worker')
    presence.child('w', { type: 'worker', state: 'ready' })
    first.close()
    await rig.settle()
    presence.child('w', { type: 'worker', state: 'backoff', reason: 'was killed by SIGKILL', restarts: 1 })
    presence.child('w', { type: 'worker', state: 'starting', restarts: 1 })
    presence.child('w', { type: 'worker', state: 'failed', reason: 'hung', restarts: 3 })
    await rig.settle()
    const [restart] = view.changes.filter(({ kind }) => kind === 'restart')
    expect(restart).toMatchObject({
      reason: 'was killed by SIGKILL',
      peer: { state: 'starting', restarts: 1 },
    })
    expect(view.rows.get('w')).toEqual({
      id: 'w',
      type: 'worker',
      state: 'failed',
      methods: 0,
      reason: 'hung',
      restarts: 3,
    })
    presence.child('w', { type: 'worker', state: 'stopped' })
    await rig.settle()
    expect(view.rows.has('w')).toBe(false)
  })

  it('a slow watcher gets a snapshot that says how many changes it stands for, in bounded memory', async () => {
    const rig = new HubRig({ rules: RULES })
    const main = await rig.join('main', 'main')
    await rig.join('w', 'worker')
    rig.hub.ready(rig.port('w'))
    await rig.settle()
    const items = main.stream(WATCH, undefined, { timeoutMs: 0, windowBytes: 1 })[Symbol.asyncIterator]()
    await rig.settle()
    // Nobody reads: what the window takes leaves, the rest is kept as a state.
    let told = 0
    for (let round = 0; round < 1000; round++) {
      rig.hub.serve(rig.port('w'), [[`a-name-that-costs-bytes-${round}`, '']])
      rig.hub.withdraw(rig.port('w'), [`a-name-that-costs-bytes-${round}`])
      await rig.settle()
      told += 2
    }
    rest(rig, 'w', true)
    told++
    const seen: HubChange[] = []
    const rows = new Map<string, PeerRow>()
    while (rows.get('w')?.state !== 'busy') {
      const next = items.next()
      await rig.settle()
      const { value } = await next
      if (!isHubChange(value)) throw new Error('not a change')
      seen.push(value)
      applyChange<PeerRow>(rows, value)
    }
    const snapshots = seen.flatMap((change) => (change.kind === 'snapshot' ? [change.missed] : []))
    expect(snapshots[0]).toBe(0)
    expect(snapshots.length).toBeGreaterThan(1)
    const missed = snapshots.reduce<number>(
      (sum, count) => sum + (count === 'unknown' ? Number.NaN : count),
      0,
    )
    // What was told and what is said to be missed is all there was.
    expect(seen.length - snapshots.length + missed).toBe(told)
    expect(missed).toBeGreaterThan(WATCH_CAPACITY)
    expect(byId([...rows.values()].map(pick))).toEqual(byId(who(rig)))
    void items.return?.()
  })

  it('is refused like $hub.who, and bounded for each peer and in all', async () => {
    const rig = new HubRig({ rules: RULES })
    const page = await rig.join('page', 'page', false)
    const denied = refusal(page.stream(WATCH, undefined).output)
    await rig.settle()
    expect(await denied).toMatchObject({ reason: 'PERMISSION_DENIED', fate: 'not-sent' })
    const main = await rig.join('main', 'main')
    const views = Array.from({ length: 8 }, () => new View(main))
    await rig.settle()
    const ninth = refusal(main.stream(WATCH, undefined).output)
    await rig.settle()
    expect(await ninth).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_WATCHES' })
    views[0]?.leave()
    await rig.settle()
    const again = new View(main)
    await rig.settle()
    expect(again.kinds()).toEqual(['snapshot'])
    // Those of a link that ends are free again.
    main.close()
    await rig.settle()
    expect(again.failed).toMatchObject({ reason: 'LINK_LOST' })
    const back = await rig.join('main', 'main')
    for (let number = 0; number < 8; number++) expect(new View(back)).toBeDefined()
    const last = new View(await rig.join('other', 'main'))
    await rig.settle()
    expect(last.kinds()).toEqual(['snapshot'])
    expect(rig.leftovers().filter((text) => text.startsWith('page'))).toEqual([])
  })

  it('property: rows made of what was sent are the rows of who, after every step', async () => {
    const number = fc.integer({ min: 0, max: 3 })
    const step = fc.oneof(
      fc.record({ do: fc.constant('join' as const), peer: number }),
      fc.record({ do: fc.constant('leave' as const), peer: number }),
      fc.record({ do: fc.constant('ready' as const), peer: number }),
      fc.record({ do: fc.constant('drain' as const), peer: number }),
      fc.record({ do: fc.constant('rest' as const), peer: number, busy: fc.boolean() }),
      fc.record({ do: fc.constant('serve' as const), peer: number, method: number }),
      fc.record({ do: fc.constant('withdraw' as const), peer: number, method: number }),
      fc.record({ do: fc.constant('watch' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const rig = new HubRig({ rules: RULES })
        const main = await rig.join('main', 'main')
        const views = [new View(main)]
        await rig.settle()
        const peers = new Map<number, { core: PeerCore; serves: Map<number, () => void> }>()
        for (const now of steps) {
          const there = 'peer' in now ? peers.get(now.peer) : undefined
          const id = 'peer' in now ? `w${now.peer}` : ''
          if (now.do === 'watch') {
            if (views.length < 4) views.push(new View(main))
          } else if (now.do === 'join') {
            // Also over a link that is there: it replaces that one.
            peers.set(now.peer, { core: await rig.join(id, 'worker'), serves: new Map() })
          } else if (!there) {
            continue
          } else if (now.do === 'leave') {
            there.core.close()
            peers.delete(now.peer)
          } else if (now.do === 'ready') rig.hub.ready(rig.port(id))
          else if (now.do === 'drain') void rig.hub.drain(id)
          else if (now.do === 'rest') rest(rig, id, now.busy)
          else if (now.do === 'serve' && !there.serves.has(now.method)) {
            there.serves.set(
              now.method,
              there.core.handle(untyped(`m${now.method}`), () => 1),
            )
          } else if (now.do === 'withdraw') {
            there.serves.get(now.method)?.()
            there.serves.delete(now.method)
          }
          await rig.settle()
          const expected = byId(who(rig))
          for (const view of views) expect(byId([...view.rows.values()].map(pick))).toEqual(expected)
        }
        rig.hub.close()
      }),
      { numRuns: 150 },
    )
  })
})
