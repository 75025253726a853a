import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { contract, Hub, isViaductError, join, manifest, method, type Peer, topic } from '../../src/index.ts'

const anything = {
  '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) },
}
const tabs = contract('tabs', { open: method({ output: anything }), opened: topic({ data: anything }) })
const rules = manifest({
  outsider: { join: true, zone: 'trusted', call: ['tabs.*'], publish: ['tabs.*'], subscribe: ['tabs.*'] },
  main: { call: ['tabs.*'], publish: ['tabs.*'] },
})

let base: string
let peer: Peer | undefined
let hub: Hub | undefined
beforeEach(() => {
  base = mkdtempSync(path(tmpdir(), 'viaduct-test-'))
})
afterEach(async () => {
  peer?.close()
  await hub?.close()
  rmSync(base, { recursive: true, force: true })
})

describe('a peer that joined by itself', () => {
  it('dials a hub that comes back, serves again and goes on with its subscriptions', async () => {
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    peer = await join({ app: 'again', id: 'outsider', base })
    peer.serve(tabs, { open: () => 'served' })
    const events = peer.subscribe(tabs.opened)
    const seen = events[Symbol.asyncIterator]()
    await events.ready
    hub.publish(tabs.opened, 'before')
    expect((await seen.next()).value).toBe('before')
    expect(await hub.client(tabs, { id: 'outsider' }).open()).toBe('served')
    const session = peer.info.session

    const next = seen.next()
    await hub.close()
    expect(peer.isClosed).toBe(false)
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    // Published until the subscription has been made again: nobody says when a stranger has come back.
    const again = hub
    const repeat = setInterval(() => again.publish(tabs.opened, 'after'), 5)
    expect((await next).value).toBe('after')
    clearInterval(repeat)
    expect(peer.isConnected).toBe(true)
    expect(peer.info.session).not.toBe(session)
    expect(await hub.client(tabs, { id: 'outsider' }).open()).toBe('served')
  })

  it('does not serve again what was withdrawn, be it while there was no hub, and goes on watching', async () => {
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    peer = await join({ app: 'again', id: 'outsider', base })
    const before = peer.handle('tabs.before', () => 'before')
    const during = peer.handle('tabs.during', () => 'during')
    const kept = peer.handle('tabs.open', () => 'kept')
    const changes = peer.watch()[Symbol.asyncIterator]()
    expect((await changes.next()).value).toMatchObject({ kind: 'snapshot', missed: 0 })
    await before.withdraw()
    const lost = peer.core.closed
    await hub.close()
    await lost
    await during.withdraw()
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    let said = await changes.next()
    while (!said.done && said.value.kind !== 'snapshot') said = await changes.next()
    expect(said.value).toMatchObject({ kind: 'snapshot', missed: 'unknown' })
    await peer.ready()
    const [described] = await hub.peer
      .call('$hub.describe', { id: 'outsider' })
      .then((answer) => (Array.isArray(answer) ? answer : []))
    expect(described).toMatchObject({ methods: [{ name: 'tabs.open' }] })
    // What lives on can still be withdrawn.
    await kept.withdraw()
    await peer.ready()
    expect(await hub.peer.call('$hub.describe', { id: 'outsider' })).toMatchObject([{ methods: [] }])
    await changes.return?.()
  })

  it('fails calls at once while there is no hub, and stays closed when it is closed', async () => {
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    peer = await join({ app: 'again', id: 'outsider', base })
    const lost = peer.core.closed
    await hub.close()
    await lost
    const error: unknown = await peer
      .call('tabs.open', undefined, { target: { id: 'main' } })
      .catch((thrown) => thrown)
    expect(isViaductError(error) && [error.reason, error.fate]).toEqual(['LINK_LOST', 'not-sent'])
    peer.close()
    expect(await peer.closed).toBe('GOING_AWAY')
    expect(peer.isClosed).toBe(true)
  })

  it('does not dial again when it has drained', async () => {
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    peer = await join({ app: 'again', id: 'outsider', base })
    await peer.drain()
    expect(await peer.closed).toBe('GOING_AWAY')
    expect([peer.isClosed, peer.isConnected]).toEqual([true, false])
  })

  it('does not dial again when another has taken its place', async () => {
    hub = await Hub.listen({ app: 'again', base, manifest: rules })
    peer = await join({ app: 'again', id: 'outsider', base })
    const second = await join({ app: 'again', id: 'outsider', base })
    expect(await peer.closed).toBe('REPLACED')
    expect(second.isConnected).toBe(true)
    second.close()
  })
})
