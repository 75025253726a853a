/** What the hub does when methods are withdrawn, peers drain, and errors and traffic are counted. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { type Traffic, TrafficLog } from '../../src/hub/traffic.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const FREE = { main: { call: ['*'] }, worker: { call: ['*'] }, ui: { call: ['work'] } }
const work = untyped('work')
const lines = untyped('lines', 'stream')

/** All rows but those of the hub's own methods. */
function rowsOf(rig: HubRig): Traffic[] {
  return rig.hub.traffic.rows().filter(({ method }) => !method.startsWith('$'))
}

describe('a method withdrawn behind a hub', () => {
  it('is refused at once by id, and by type others answer', async () => {
    const rig = new HubRig({ rules: FREE })
    const main = await rig.join('main', 'main')
    const [one, two] = [await rig.join('w1', 'worker'), await rig.join('w2', 'worker')]
    const finish: (() => void)[] = []
    const served = one.handle(work, () => new Promise<string>((resolve) => finish.push(() => resolve('one'))))
    two.handle(work, () => 'two')
    for (const id of ['w1', 'w2']) rig.hub.ready(rig.port(id))
    await rig.settle()
    const running = main.to({ id: 'w1' }).call(work, 1)
    await rig.settle()
    const gone = served.withdraw()
    await rig.settle()
    // Not waited for, though waiting is what a call does for a target that is starting.
    const before = rig.clock.now()
    const refused = refusal(main.to({ id: 'w1' }).call(work, 1))
    await rig.settle()
    expect(await refused).toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'METHOD_NOT_FOUND',
      fate: 'not-sent',
    })
    expect(rig.clock.now()).toBe(before)
    const others = Array.from({ length: 10 }, () => main.to({ type: 'worker' }).call(work, 1))
    await rig.settle()
    expect(await Promise.all(others)).toEqual(Array(10).fill('two'))
    finish[0]?.()
    await rig.settle()
    expect(await running).toBe('one')
    await gone
    one.handle(work, () => 'again')
    await rig.settle()
    const again = main.to({ id: 'w1' }).call(work, 1)
    await rig.settle()
    expect(await again).toBe('again')
    expect(rig.leftovers()).toEqual([])
  })

  it('a call that crosses the withdrawal on the wire is refused by the callee, not sent', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    let runs = 0
    const served = worker.handle(work, () => ++runs)
    const main = await rig.join('main', 'main')
    await rig.settle()
    const first = main.to({ id: 'w' }).call(work, 1)
    await rig.settle()
    expect(await first).toBe(1)
    // Both within one turn: the hub forwards the call before it hears of the withdrawal.
    const crossing = refusal(main.to({ id: 'w' }).call(work, 1))
    served()
    expect(rig.hub.registry.served(rig.port('w')).has('work')).toBe(true)
    await rig.settle()
    expect(await crossing).toMatchObject({ reason: 'METHOD_NOT_FOUND', fate: 'not-sent' })
    expect(runs).toBe(1)
    expect(rig.leftovers()).toEqual([])
  })

  it('tells callers WITHDRAWN through the hub when the grace is over, and the slot is free', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    const served = worker.handle(lines, async function* () {
      yield 1
      await new Promise(() => {})
    })
    const main = await rig.join('main', 'main')
    await rig.settle()
    const stream = main.to({ id: 'w' }).stream(lines, 1)
    const reader = stream[Symbol.asyncIterator]()
    await rig.settle()
    expect(await reader.next()).toEqual({ value: 1, done: false })
    const failed = refusal(reader.next())
    const gone = served.withdraw({ graceMs: 50 })
    await rig.clock.pass(49)
    expect(rig.port('w').load).toBe(1)
    await rig.clock.pass(1)
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE', reason: 'WITHDRAWN' })
    await gone
    expect(rig.leftovers()).toEqual([])
    expect(rowsOf(rig)).toMatchObject([{ method: 'lines', errors: 1, errorCodes: { UNAVAILABLE: 1 } }])
  })
})

describe('$hub.describe', () => {
  it('says what is a stream, also of its own methods', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    worker.handle(work, () => 1)
    worker.handle(lines, () => [])
    const main = await rig.join('main', 'main')
    await rig.settle()
    const answer = main.call(untyped('$hub.describe'), { id: 'w' })
    await rig.settle()
    expect(await answer).toEqual([
      {
        id: 'w',
        type: 'worker',
        methods: [
          { name: 'work', fingerprint: '', kind: 'call' },
          { name: 'lines', fingerprint: '', kind: 'stream' },
        ],
      },
    ])
    const own = rig.hub.service.describe({ id: 'hub' })[0]?.methods ?? []
    expect(own.filter(({ kind }) => kind === 'stream').map(({ name }) => name)).toEqual([
      '$hub.tap',
      '$hub.watch',
      '$hub.metrics',
      '$hub.alerts',
    ])
  })
})

describe('draining', () => {
  it('settles with the last call, without time passing', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    const finish: (() => void)[] = []
    worker.handle(work, () => new Promise<void>((resolve) => finish.push(resolve)))
    const main = await rig.join('main', 'main')
    await rig.settle()
    const calls = [1, 2].map((input) => main.to({ id: 'w' }).call(work, input, { timeoutMs: 0 }))
    await rig.settle()
    const timers = rig.clock.timers
    let drained = 0
    const all = [rig.hub.drain('w'), rig.hub.drain('w')].map((drain) => drain.then(() => drained++))
    await rig.settle()
    expect(rig.clock.timers).toBe(timers)
    finish[0]?.()
    await rig.settle()
    expect(drained).toBe(0)
    finish[1]?.()
    await rig.settle()
    expect(drained).toBe(2)
    await Promise.all([...all, ...calls])
    // At once when nothing is open, or nobody there.
    await rig.hub.drain('w')
    await rig.hub.drain('nobody')
  })

  it('settles when the link ends, with calls open', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    worker.handle(work, () => new Promise(() => {}))
    const main = await rig.join('main', 'main')
    await rig.settle()
    const lost = refusal(main.to({ id: 'w' }).call(work, 1))
    await rig.settle()
    const drained = rig.hub.drain('w')
    worker.close()
    await rig.settle()
    await drained
    expect(await lost).toMatchObject({ reason: 'TARGET_UNAVAILABLE' })
  })
})

describe('errors', () => {
  it('are counted by the code in their head, large ones and those of links too', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    worker.handle(work, (input) => {
      if (input === 'hang') return new Promise(() => {})
      if (input === 'large') throw new ViaductError('NOT_FOUND', 'gone', { data: 'x'.repeat(100_000) })
      throw input === 'oh' ? new Error('oh') : new ViaductError('NOT_FOUND', 'gone', { reason: 'PAGE_GONE' })
    })
    const main = await rig.join('main', 'main')
    await rig.settle()
    const inputs = ['gone', 'gone', 'large', 'oh', 'hang']
    const failed = inputs.map((input) => refusal(main.to({ id: 'w' }).call(work, input)))
    await rig.settle()
    worker.close()
    await rig.settle()
    const reasons = (await Promise.all(failed)).map(({ reason }) => reason)
    expect(reasons).toEqual(['PAGE_GONE', 'PAGE_GONE', 'NOT_FOUND', 'HANDLER_ERROR', 'TARGET_UNAVAILABLE'])
    const codes = { NOT_FOUND: 3, UNKNOWN: 1, UNAVAILABLE: 1 }
    expect(rig.hub.service.stats().traffic.filter(({ method }) => method === 'work')).toMatchObject([
      { errors: 5, errorCodes: codes },
    ])
  })

  it('of a peer that puts nothing, or nonsense, into the head are counted as such', async () => {
    const rig = new HubRig({ rules: FREE })
    const callee = await rig.raw('w', 'worker')
    rig.hub.serve(rig.port('w'), [['work', '']])
    const main = await rig.join('main', 'main')
    for (const method of [0, 999]) {
      const failed = refusal(main.to({ id: 'w' }).call(work, 1))
      await rig.settle()
      const [call] = callee.take().filter(({ kind }) => kind === KIND.CALL)
      callee.answer(call?.id ?? 0, { kind: KIND.ERROR, method, payload: new Uint8Array([0xe0]) })
      await rig.settle()
      expect(await failed).toMatchObject({ code: 'UNKNOWN' })
    }
    expect(rowsOf(rig)[0]?.errorCodes).toEqual({ UNSAID: 2 })
  })
})

describe('rows of traffic', () => {
  it('are not taken by what is denied or not served', async () => {
    const rig = new HubRig({ rules: FREE })
    const worker = await rig.join('w', 'worker')
    const ui = await rig.join('ui', 'ui')
    rig.hub.ready(rig.port('w'))
    await rig.settle()
    const names = Array.from({ length: 50 }, (_, number) => untyped(`secret${number}`))
    const refused = [...names, work].map((method) => refusal(ui.to({ id: 'w' }).call(method, 1)))
    await rig.settle()
    const reasons = new Set((await Promise.all(refused)).map(({ reason }) => reason))
    expect([...reasons]).toEqual(['PERMISSION_DENIED', 'METHOD_NOT_FOUND'])
    expect(rowsOf(rig)).toEqual([])
    // Served later it is counted from then on.
    worker.handle(work, () => 1)
    await rig.settle()
    const answer = ui.to({ id: 'w' }).call(work, 1)
    await rig.settle()
    expect(await answer).toBe(1)
    expect(rowsOf(rig)).toMatchObject([{ from: 'ui', to: 'w', method: 'work', calls: 1 }])
  })

  it('are bounded for each sender: one that uses its own up takes none of the others’', () => {
    const log = new TrafficLog()
    for (let number = 0; number < 10_000; number++) log.row('greedy', 'w', `m${number}`).calls++
    log.row('honest', 'w', 'work').calls++
    const rows = log.rows()
    const greedy = rows.filter(({ from }) => from === 'greedy')
    expect(greedy.length).toBe(513)
    expect(greedy.reduce((sum, { calls }) => sum + calls, 0)).toBe(10_000)
    expect(greedy.at(-1)).toMatchObject({ to: '*', method: '*', calls: 10_000 - 512 })
    expect(rows.at(-1)).toMatchObject({ from: 'honest', method: 'work', calls: 1 })
    // In all they stay bounded as well, however many senders there are.
    for (let number = 0; number < 10_000; number++) log.row(`cli.${number}`, 'w', 'work').calls++
    expect(log.rows().length).toBe(4097)
  })
})
