/** `{ any: true }`: whoever serves the method, main first; and what is said of methods that may run twice. */
import { describe, expect, it } from 'vitest'
import { type Method, untyped } from '../../src/core/method.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import type { Rules } from '../../src/hub/manifest.ts'
import { readLinkBody } from '../../src/wire/linkBody.ts'
import { HubRig, refusal } from '../support/hubRig.ts'

const FREE: Rules = {
  main: { call: ['*'] },
  worker: { call: ['*'] },
  ui: { call: [{ method: 'work', to: 'w2' }, 'alone'] },
  mute: {},
}
const work = untyped('work')
const anyone = { any: true } as const

async function rigOf(): Promise<{ rig: HubRig; join(id: string, type?: string): Promise<PeerCore> }> {
  const rig = new HubRig({ rules: FREE })
  const join = (id: string, type = 'worker') => rig.join(id, type)
  return { rig, join }
}

/** Serves a method with the peer's own name as its answer. */
async function serve(rig: HubRig, peer: PeerCore, name: string, method: Method = work) {
  const serving = peer.handle(method, () => name)
  await rig.settle()
  return serving
}

async function ask(rig: HubRig, peer: PeerCore, method = work): Promise<unknown> {
  const asked = peer.to(anyone).call(method, 1)
  asked.catch(() => {})
  await rig.settle()
  return asked
}

describe('a call on anyone', () => {
  it('goes to main while it serves the method, else to the others, whoever comes first', async () => {
    const { rig, join } = await rigOf()
    const [asker, w1, main] = [await join('asker'), await join('w1'), await join('main', 'main')]
    await serve(rig, w1, 'w1')
    expect(await ask(rig, asker)).toBe('w1')
    const serving = await serve(rig, main, 'main')
    expect([await ask(rig, asker), await ask(rig, asker)]).toEqual(['main', 'main'])
    await serve(rig, await join('w2'), 'w2')
    expect([await ask(rig, asker), await ask(rig, asker)]).toEqual(['main', 'main'])
    void serving.withdraw()
    await rig.settle()
    const answers = await Promise.all([ask(rig, asker), ask(rig, asker), ask(rig, asker), ask(rig, asker)])
    expect(new Set(answers)).toEqual(new Set(['w1', 'w2']))
    await serve(rig, main, 'main')
    expect(await ask(rig, asker)).toBe('main')
    main.close()
    await rig.settle()
    expect(['w1', 'w2']).toContain(await ask(rig, asker))
    expect(rig.leftovers()).toEqual([])
  })

  it('goes to the least loaded', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    const busy = await join('busy')
    let free = (): void => {}
    busy.handle(untyped('wait'), () => new Promise<void>((resolve) => (free = resolve)))
    await serve(rig, busy, 'busy')
    await serve(rig, await join('idle'), 'idle')
    const waiting = asker.to({ id: 'busy' }).call(untyped('wait'), 1, { timeoutMs: 0 })
    await rig.settle()
    for (let round = 0; round < 6; round++) expect(await ask(rig, asker)).toBe('idle')
    free()
    await rig.settle()
    await waiting
  })

  it('passes rules for each peer by itself', async () => {
    const { rig, join } = await rigOf()
    const [ui, main] = [await join('ui-1', 'ui'), await join('main', 'main')]
    await serve(rig, main, 'main')
    await serve(rig, await join('w1'), 'w1')
    for (const id of ['ui-1', 'main', 'w1']) rig.hub.ready(rig.port(id))
    // Its rule names w2 alone, which is not there.
    expect(await refusal(ask(rig, ui))).toMatchObject({ reason: 'METHOD_NOT_FOUND', fate: 'not-sent' })
    await serve(rig, await join('w2'), 'w2')
    expect([await ask(rig, ui), await ask(rig, ui), await ask(rig, ui)]).toEqual(['w2', 'w2', 'w2'])
    expect(rig.port('main').forwarded.ids).toEqual([])
    expect(await refusal(ask(rig, await join('mute-1', 'mute')))).toMatchObject({
      reason: 'PERMISSION_DENIED',
    })
  })

  it('finds nobody, and never the hub', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    await serve(rig, await join('w1'), 'w1', untyped('other'))
    for (const peer of ['asker', 'w1']) rig.hub.ready(rig.port(peer))
    expect(await refusal(ask(rig, asker))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    expect(await ask(rig, asker, untyped('other'))).toBe('w1')
    expect(await refusal(ask(rig, asker, untyped('$hub.ping')))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    expect(await refusal(ask(rig, asker))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
  })

  it('waits for a peer that is starting', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    rig.hub.ready(rig.port('asker'))
    rig.hub.expect('w1', 'worker')
    let answer: unknown = 'none'
    const asked = ask(rig, asker).then((value) => (answer = value))
    await rig.settle()
    expect(answer).toBe('none')
    await serve(rig, await join('w1'), 'w1')
    rig.hub.ready(rig.port('w1'))
    await rig.settle()
    await asked
    expect(answer).toBe('w1')
  })

  it('reaches one way, and a peer’s own method', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    const heard: unknown[] = []
    asker.handle(untyped('alone'), (input, call) => heard.push([input, call.peer.id]))
    await rig.settle()
    expect(asker.to(anyone).notify(untyped('alone'), 7)).toBe(true)
    await rig.settle()
    expect(heard).toEqual([[7, 'asker']])
  })

  it('tells nothing of who serves it', async () => {
    const { rig, join } = await rigOf()
    await serve(rig, await join('w1'), 'w1')
    const ui = await rig.raw('ui-1', 'ui')
    ui.open(1, anyone, 'alone', 'work')
    await rig.settle()
    await serve(rig, await join('w2'), 'w2')
    const told = ui.take()
    expect(told.length).toBe(2)
    expect(
      told.map(({ payload }) => JSON.stringify(readLinkBody(payload, 0, payload.length))).join(),
    ).not.toMatch(/w1|w2|peer/)
  })

  it('a route is dropped with its owner', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    const w1 = await join('w1')
    await serve(rig, w1, 'w1')
    await ask(rig, asker)
    asker.close()
    await rig.settle()
    // Nothing leads there any more: what is served and who leaves concerns nobody.
    await serve(rig, w1, 'w1', untyped('more'))
    w1.close()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
  })
})

describe('a method that may run twice', () => {
  const twice = { ...work, idempotent: true }

  it('is known to its callers once they have called, when all who serve it say so', async () => {
    const { rig, join } = await rigOf()
    const asker = await join('asker')
    await serve(rig, await join('w1'), 'w1', twice)
    const workers = asker.to({ type: 'worker' })
    expect([workers.isIdempotent?.(work), workers.isIdempotent?.(twice)]).toEqual([false, true])
    const answer = workers.call(work, 1)
    await rig.settle()
    expect(await answer).toBe('w1')
    expect(workers.isIdempotent?.(work)).toBe(true)
    expect(asker.to({ id: 'w1' }).isIdempotent?.(work)).toBe(false)
    const w2 = await join('w2')
    const serving = await serve(rig, w2, 'w2')
    expect(workers.isIdempotent?.(work)).toBe(false)
    void serving.withdraw()
    await rig.settle()
    expect(workers.isIdempotent?.(work)).toBe(true)
  })

  it('is described so', async () => {
    const { rig, join } = await rigOf()
    const w1 = await join('w1')
    await serve(rig, w1, 'w1', twice)
    await serve(rig, w1, 'w1', untyped('once'))
    const [row] = rig.hub.service.describe({ id: 'w1' })
    expect(row?.methods).toEqual([
      { name: 'work', fingerprint: '', kind: 'call', idempotent: true },
      { name: 'once', fingerprint: '', kind: 'call' },
    ])
  })
})
