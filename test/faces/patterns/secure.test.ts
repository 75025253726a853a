/** Secure messages between real processes, and what reaches no handler. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { keyring } from '../../../src/codecs/index.ts'
import { SecureIPCChannel } from '../../../src/faces/patterns/index.ts'
import { Hub, nodePrimitives as primitives } from '../../../src/index.ts'
import { errorOf } from '../../core/rig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-s1-secure-'))
const vault = fileURLToPath(new URL('fixtures/vault.mjs', import.meta.url))
const target = { id: 'vault-1' }
const data = { account: 'ada', pin: new Uint8Array([1, 2, 3]) }

describe('SecureIPCChannel', () => {
  let hub: Hub
  beforeAll(async () => {
    const rules = { main: { call: ['*'] }, worker: {} }
    hub = await Hub.listen({ app: 's1-secure', base, manifest: rules, log: () => {} })
    await hub.supervise('vault-1', { type: 'worker', run: [process.execPath, vault] })
    await hub.whenReady('vault-1')
  })
  afterAll(async () => {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  })
  const taken = () => hub.peer.call('taken', undefined, { target })

  it('sends what only the target opens, and who sent it is known', async () => {
    const channel = new SecureIPCChannel(hub.peer, keyring({ primitives, peer: hub.peer }), { target })
    const seal = vi.spyOn(primitives.crypto, 'seal')
    expect(await channel.sendSecureMessage('login', data)).toBe('login taken')
    expect(seal).toHaveBeenCalled()
    seal.mockRestore()
    expect(await taken()).toEqual([['login', data, 'main']])
  })

  it('takes nothing that came in the open', async () => {
    const before = await taken()
    const open = hub.peer.call('secure.message', { type: 'login', data }, { target })
    expect(await errorOf(open)).toMatchObject({ code: 'UNAUTHENTICATED' })
    expect(await taken()).toEqual(before)
  })

  it('sends nothing to whom its keys do not know', async () => {
    const before = await taken()
    const stranger = keyring({ primitives, id: 'stranger' })
    const keys = keyring({ primitives, peer: hub.peer, pinned: { 'vault-1': await stranger.publicKey } })
    const channel = new SecureIPCChannel(hub.peer, keys, { target })
    expect(await errorOf(channel.sendSecureMessage('login', data))).toMatchObject({
      code: 'UNAUTHENTICATED',
      fate: 'not-sent',
    })
    expect(await taken()).toEqual(before)
  })

  it('has one target', () => {
    const keys = keyring({ primitives, peer: hub.peer })
    expect(() =>
      Reflect.construct(SecureIPCChannel, [hub.peer, keys, { target: { type: 'worker' } }]),
    ).toThrow(expect.objectContaining({ reason: 'CODEC_TARGET' }))
  })
})
