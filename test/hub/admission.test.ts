/** Who gets in, as whom, and what each may do. */
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { Rules } from '../../src/hub/manifest.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { ADMISSION_TIMEOUT_MS } from '../../src/wire/limits.ts'
import { REASONS } from '../../src/wire/reasons.ts'
import { frameFrom } from '../support/frames.ts'
import { HubRig, joinOver, PREAMBLE, refusal } from '../support/hubRig.ts'

const key = new Uint8Array(32).fill(7)
const keys = { 'ui-1': { type: 'ui', key } }
const work = untyped('pages.work')

function dial(rig: HubRig, id: string, with_: Uint8Array) {
  const [ours, theirs] = memoryTransports(rig.clock)
  rig.hub.accept(ours)
  return joinOver(theirs, rig.clock, { id, key: with_ })
}

describe('admission', () => {
  it('lets in who holds the key, and nobody else', async () => {
    const rig = new HubRig({ keys })
    const right = dial(rig, 'ui-1', key)
    const wrong = dial(rig, 'ui-1', new Uint8Array(32).fill(8))
    const unknown = dial(rig, 'constructor', key)
    await rig.settle()
    expect(right.isClosed).toBe(false)
    expect(await wrong.closed).toBe('UNAUTHENTICATED')
    expect(await unknown.closed).toBe('UNAUTHENTICATED')
    expect(rig.hub.registry.all().map(({ info }) => info.id)).toEqual(['hub', 'ui-1'])
  })

  it('a second link of the same id takes the place of the first', async () => {
    const rig = new HubRig({ keys, rules: { ui: { call: ['pages.*'] }, main: { call: ['*'] } } })
    const main = await rig.join('main', 'main')
    const first = dial(rig, 'ui-1', key)
    first.handle(work, () => new Promise(() => {}))
    await rig.settle()
    const pending = refusal(main.to({ id: 'ui-1' }).call(work, 1))
    await rig.settle()
    const second = dial(rig, 'ui-1', key)
    second.handle(work, () => 2)
    await rig.settle()
    expect(await first.closed).toBe('REPLACED')
    expect(await pending).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
    const answer = main.to({ id: 'ui-1' }).call(work, 1)
    await rig.settle()
    expect(await answer).toBe(2)
    expect(rig.leftovers()).toEqual([])
  })

  it('nobody is the hub', async () => {
    const rig = new HubRig({ keys: { hub: { type: 'hub', key } } })
    const peer = dial(rig, 'hub', key)
    await rig.settle()
    expect(await peer.closed).toBe('DENIED')
  })

  it('half-open links: 64 at once, 2 s each, and those that prove themselves by their link still come in', async () => {
    const rig = new HubRig({ keys, rules: { main: { call: ['*'] } } })
    const halves = Array.from({ length: 64 }, () => rig.half())
    for (const half of halves.slice(0, 32)) half.send(PREAMBLE)
    await rig.settle()
    const over = rig.half()
    await rig.settle()
    expect(over.closed).toBe(true)
    const child = await rig.join('worker-1', 'worker')
    expect(child.isClosed).toBe(false)
    await rig.clock.pass(ADMISSION_TIMEOUT_MS - 1)
    expect(halves.some(({ closed }) => closed)).toBe(false)
    await rig.clock.pass(1)
    expect(halves.every(({ closed }) => closed)).toBe(true)
    expect(halves[0]?.take().at(-1)).toMatchObject({ kind: KIND.GOAWAY, route: 4 })
    const honest = dial(rig, 'ui-1', key)
    await rig.settle()
    expect(honest.isClosed).toBe(false)
  })

  it('a replayed proof is worth nothing', async () => {
    const rig = new HubRig({ keys })
    const [ours, theirs] = memoryTransports(rig.clock)
    const seen: Uint8Array[] = []
    rig.hub.accept({
      ...ours,
      send: (frames, tail) => ours.send(frames, tail),
      close: (reason) => ours.close(reason),
      attach: (events) =>
        ours.attach({
          frame: (frames) => {
            seen.push(frames.slice())
            events.frame(frames)
          },
          drain: () => events.drain(),
          close: (reason) => events.close(reason),
        }),
    })
    const peer = joinOver(theirs, rig.clock, { id: 'ui-1', key })
    await rig.settle()
    expect(rig.hub.registry.get('ui-1')).toBeDefined()
    peer.close()
    await rig.settle()
    const thief = rig.half()
    for (const frames of seen) thief.send(frames)
    await rig.settle()
    expect(thief.take().at(-1)).toMatchObject({ kind: KIND.GOAWAY, route: 3 })
    expect(rig.hub.registry.get('ui-1')).toBeUndefined()
  })

  it('calls before WELCOME close the link', async () => {
    const rig = new HubRig({ keys })
    const half = rig.half()
    half.send(PREAMBLE, frameFrom({ kind: 'CALL', lane: 2, id: 1, body: 1 }))
    await rig.settle()
    expect(half.closed).toBe(true)
  })
})

describe('rules', () => {
  const rules: Rules = {
    main: { call: ['*'] },
    ui: { call: ['pages.work', 'tabs.*', { method: 'files.read', to: ['store', 'worker'] }] },
    'ui-2': { call: ['extra.one'] },
  }
  const names = [
    'pages.work',
    'pages.other',
    'tabs.open',
    'tabs.x.y',
    'tabsopen',
    'files.read',
    'files.write',
    'extra.one',
  ]

  it('deny what no rule allows, in the hub itself: the target never sees it', async () => {
    const rig = new HubRig({ rules })
    const target = await rig.raw('main', 'main')
    const store = await rig.raw('store-1', 'store')
    for (const id of ['main', 'store-1'])
      rig.hub.serve(
        rig.port(id),
        names.map((name) => [name, '']),
      )
    const ask = async (from: string, to: string): Promise<string[]> => {
      const peer = await rig.join(from, 'ui')
      const allowed: string[] = []
      for (const name of names) {
        const answer = peer.to({ id: to }).call(untyped(name), 1)
        await rig.settle()
        for (const raw of [target, store]) {
          for (const { kind, id } of raw.take()) if (kind === KIND.CALL) raw.answer(id)
        }
        await rig.settle()
        const reason = await answer.then(
          () => 'OK',
          (error: { reason?: string }) => error.reason,
        )
        if (reason === 'OK') allowed.push(name)
        else expect(reason).toBe('PERMISSION_DENIED')
      }
      return allowed
    }
    expect(await ask('ui-1', 'main')).toEqual(['pages.work', 'tabs.open', 'tabs.x.y'])
    expect(await ask('ui-2', 'main')).toEqual(['pages.work', 'tabs.open', 'tabs.x.y', 'extra.one'])
    expect(await ask('ui-3', 'store-1')).toEqual(['pages.work', 'tabs.open', 'tabs.x.y', 'files.read'])
    const refused = rig.port('ui-1').refused
    expect(refused).toBe(5)
    const raw = await rig.raw('ui-4', 'ui')
    raw.open(1, { id: 'main' }, 'files.write')
    raw.call(1, 1)
    raw.call(0, 1, { flags: FLAG.ONE_WAY })
    await rig.settle()
    expect(raw.take().filter(({ kind }) => kind === KIND.ERROR)).toMatchObject([
      { id: 1, route: REASONS.PERMISSION_DENIED.number, window: 1 },
    ])
    expect(target.take()).toEqual([])
  })

  it('an id that comes later, of a type that a rule names, is decided when it comes', async () => {
    const rig = new HubRig({ rules })
    const ui = await rig.join('ui-1', 'ui')
    const read = untyped('files.read')
    const early = refusal(ui.to({ id: 'w' }).call(read, 1))
    await rig.settle()
    expect(await early).toMatchObject({ reason: 'PERMISSION_DENIED' })
    const worker = await rig.join('w', 'worker')
    worker.handle(read, () => 'text')
    await rig.settle()
    const late = ui.to({ id: 'w' }).call(read, 1)
    await rig.settle()
    expect(await late).toBe('text')
    worker.close()
    await rig.settle()
    const impostor = await rig.join('w', 'other')
    impostor.handle(read, () => 'no')
    await rig.settle()
    const again = refusal(ui.to({ id: 'w' }).call(read, 1))
    await rig.settle()
    expect(await again).toMatchObject({ reason: 'PERMISSION_DENIED' })
  })

  it('without a manifest the supervised of two zones may do everything, all others nothing, and it is said once', async () => {
    const log: string[] = []
    const rig = new HubRig({ log: (text) => log.push(text) })
    const main = await rig.join('main', 'main')
    main.handle(work, () => 1)
    const worker = await rig.join('w', 'worker')
    const stranger = await rig.join('w2', 'worker', false)
    const plugin = await rig.join('p', 'plugin')
    await rig.settle()
    const ask = async (peer: typeof main) => {
      const answer = peer
        .to({ id: 'main' })
        .call(work, 1)
        .then(
          () => 'OK',
          (error: { reason?: string }) => error.reason,
        )
      await rig.settle()
      return answer
    }
    expect(await Promise.all([ask(worker), ask(stranger), ask(plugin)])).toEqual([
      'OK',
      'PERMISSION_DENIED',
      'PERMISSION_DENIED',
    ])
    expect(log.length).toBe(1)
  })

  it('the hub’s own methods: everybody some, readers more, operators all', async () => {
    const rig = new HubRig({ rules: { main: {}, ui: { call: ['*'] }, worker: {} } })
    rig.hub.operators.add('main')
    rig.hub.service.extend({ secret: () => 'told' })
    const table: Record<string, string[]> = {}
    for (const [id, type] of [
      ['main', 'main'],
      ['w', 'worker'],
      ['u', 'ui'],
    ] as const) {
      const peer = await rig.join(id, type)
      table[id] = []
      for (const name of ['ping', 'who', 'describe', 'stats', 'secret']) {
        const answer = peer.call(untyped(`$hub.${name}`), {}).then(
          () => true,
          () => false,
        )
        await rig.settle()
        if (await answer) table[id]?.push(name)
      }
    }
    expect(table).toEqual({
      main: ['ping', 'who', 'describe', 'stats', 'secret'],
      w: ['ping', 'who', 'describe', 'stats'],
      u: ['ping'],
    })
  })

  it('nobody but the hub serves a name of the hub’s, nor more names than can be called', async () => {
    const rig = new HubRig({ rules })
    const ui = await rig.join('ui-1', 'ui')
    const serve = (methods: unknown) => ui.call(untyped('$hub.serve'), { methods })
    const own = serve([['$hub.who', ''], ['mine', ''], [1, 2], 'x', ['long'.repeat(100), '']])
    await rig.settle()
    await own
    expect([...rig.hub.registry.served(rig.port('ui-1')).keys()]).toEqual(['mine'])
    for (let round = 0; round < 50; round++) {
      const more = serve(Array.from({ length: 400 }, (_, index) => [`m${round}.${index}`, '']))
      await rig.settle()
      await more
    }
    expect(rig.hub.registry.served(rig.port('ui-1')).size).toBe(8192)
    const huge = refusal(ui.call(untyped('$hub.serve'), { methods: 'x'.repeat(60_000) }))
    const deep = refusal(ui.call(untyped('$hub.who'), [[[[[[[[[[1]]]]]]]]]]))
    await rig.settle()
    expect(await huge).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    expect((await deep).reason).toMatch(/PERMISSION_DENIED|MALFORMED_BODY/)
  })
})
