/** Whom the ends believe: keys that are pinned, told to the hub, replaced, or somebody else's. */
import { describe, expect, it } from 'vitest'
import { codecs, type Keyring, keyring } from '../../src/codecs/index.ts'
import { connectPeers, nodePrimitives, Peer, type Rules, ViaductError } from '../../src/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { refusal } from '../support/hubRig.ts'
import { CONTRACTS, ends, handlers, notary, vault } from './rig.ts'

const primitives = nodePrimitives
const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const RULES: Rules = {
  main: { call: ['vault.*', 'notary.*'] },
  ai: {},
  plugin: { zone: 'untrusted', call: ['vault.*'] },
  other: { call: ['$hub.who'] },
}

async function pinnedEnds(
  mainPins: Record<string, string>,
  aiPins: Record<string, string>,
  clock = new VirtualClock(),
) {
  const hub = memoryHub({ manifest: RULES })
  const main = hub.peer('main')
  const ai = hub.peer('ai-1')
  const mainKeys = keyring({ primitives, id: 'main', seed: seed(1), pinned: mainPins, clock })
  const aiKeys = keyring({ primitives, id: 'ai-1', seed: seed(2), pinned: aiPins, clock })
  const mainCodec = codecs({ primitives, keys: mainKeys, clock })
  const aiCodec = codecs({ primitives, keys: aiKeys, clock })
  for (const [, contract] of CONTRACTS) ai.serve(contract, handlers, { policies: [aiCodec] })
  await ai.ready()
  const api = () => main.client(vault, { id: 'ai-1' }, { policies: [mainCodec] })
  return { hub, main, ai, mainKeys, aiKeys, api, clock }
}

async function publicKeyOf(byte: number): Promise<string> {
  return keyring({ primitives, id: 'x', seed: seed(byte) }).publicKey
}

describe('pinned keys', () => {
  it('count; any other key does not, at either end', async () => {
    const [mainKey, aiKey, strange] = await Promise.all([publicKeyOf(1), publicKeyOf(2), publicKeyOf(3)])
    const good = await pinnedEnds({ 'ai-1': aiKey }, { main: mainKey })
    expect(await good.api().also('a')).toBe('a')
    good.hub.close()
    const cases: readonly [Record<string, string>, Record<string, string>][] = [
      [{ 'ai-1': strange }, { main: mainKey }],
      [{ 'ai-1': aiKey }, { main: strange }],
      [{}, { main: mainKey }],
      [{ 'ai-1': aiKey }, {}],
    ]
    for (const [mainPins, aiPins] of cases) {
      const bad = await pinnedEnds(mainPins, aiPins)
      expect(await refusal(bad.api().also('a'))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'KEY_UNKNOWN',
        fate: 'not-sent',
      })
      bad.hub.close()
    }
  })

  it('may be replaced: the old one counts for its time, then KEY_EXPIRED, and its sessions end', async () => {
    const [mainKey, aiKey, next] = await Promise.all([publicKeyOf(1), publicKeyOf(2), publicKeyOf(3)])
    const { api, aiKeys, clock, hub } = await pinnedEnds({ 'ai-1': aiKey }, { main: mainKey })
    const before = api()
    expect(await before.also('a')).toBe('a')
    aiKeys.pin('main', next, { overlapMs: 1000 })
    await clock.advance(999)
    expect(await before.also('b')).toBe('b')
    expect(await api().also('c')).toBe('c')
    await clock.advance(1)
    expect(await refusal(before.also('d'))).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'KEY_EXPIRED' })
    expect(await refusal(api().also('e'))).toMatchObject({ reason: 'KEY_EXPIRED' })
    hub.close()
  })

  it('are refused when they are none', () => {
    const make = (options: object) => () => keyring({ primitives, id: 'x', ...options })
    expect(make({ pinned: { a: 'short' } })).toThrow(/keyring: pinned.a: a public key is 32 bytes in base64/)
    expect(() => keyring({ primitives })).toThrow(ViaductError)
    expect(() => codecs({ primitives, sessionMs: 0 })).toThrow(/sessionMs/)
  })
})

describe('keys that the hub tells', () => {
  it('are replaced with an overlap: sessions of the old key go on in it, and new ones are of the new key', async () => {
    const clock = new VirtualClock()
    const rig = await ends({ clock }, { clock })
    const before = rig.api(vault)
    expect(await before.also('a')).toBe('a')
    const old = await rig.mainKeys.publicKey
    expect(await rig.mainKeys.rotate({ overlapMs: 1000 })).not.toBe(old)
    await clock.advance(999)
    expect(await before.also('b')).toBe('b')
    expect(await told(rig.ai, 'main')).toHaveLength(2)
    expect(await rig.api(notary).also('c')).toBe('c')
    await clock.advance(1)
    expect(await told(rig.ai, 'main')).toHaveLength(1)
    // Its session has ended with the key; it agrees anew by the new one.
    expect(await before.also('d')).toBe('d')
    rig.close()
  })

  it('somebody who holds the old key is believed in the overlap, and not after', async () => {
    const clock = new VirtualClock()
    const hub = memoryHub({ clock })
    const main = hub.peer('main')
    const ai = hub.peer('ai-1')
    const thief: Keyring = keyring({
      primitives,
      id: 'main',
      seed: seed(1),
      pinned: { 'ai-1': await publicKeyOf(2) },
      clock,
    })
    const mainKeys = keyring({ primitives, peer: main, seed: seed(1), clock })
    const aiKeys = keyring({ primitives, peer: ai, seed: seed(2), clock })
    ai.serve(vault, handlers, { policies: [codecs({ primitives, keys: aiKeys, clock })] })
    await ai.ready()
    const stolen = () =>
      main.client(vault, { id: 'ai-1' }, { policies: [codecs({ primitives, keys: thief, clock })] })
    await mainKeys.rotate({ overlapMs: 1000 })
    expect(await stolen().also('in time')).toBe('in time')
    await clock.advance(1000)
    expect(await refusal(stolen().also('late'))).toMatchObject({ reason: 'KEY_UNKNOWN' })
    hub.close()
  })

  it('are told to those alone who may call, or be called', async () => {
    const hub = memoryHub({ manifest: RULES })
    const [main, ai, plugin, other] = ['main', 'ai-1', 'plugin-1', 'other-1'].map((id) => hub.peer(id))
    if (!main || !ai || !plugin || !other) throw new Error('nobody')
    for (const peer of [main, ai, plugin, other]) await keyring({ primitives, peer }).publicKey
    await Promise.all([main, ai, plugin, other].map((peer) => peer.ready()))
    const asked = async (peer: Peer, id: string, method = 'vault.also') =>
      (await told(peer, id, method)).length
    expect(await asked(main, 'ai-1')).toBe(1)
    expect(await asked(ai, 'main')).toBe(1)
    expect(await asked(plugin, 'ai-1')).toBe(1)
    expect(await asked(plugin, 'ai-1', 'notary.also')).toBe(0)
    expect(await asked(other, 'ai-1')).toBe(0)
    expect(await asked(other, 'ai-1', '$hub.ping')).toBe(0)
    expect(await asked(other, 'nobody')).toBe(0)
    expect(await asked(ai, 'other-1')).toBe(0)
    hub.close()
  })

  it('are 32 bytes, four at most, and one of a peer that has gone is gone', async () => {
    const hub = memoryHub()
    const [main, ai] = [hub.peer('main'), hub.peer('ai-1')]
    const tell = (keys: unknown) => refusal(ai.call('$hub.key', { keys }))
    expect(await tell(undefined)).toMatchObject({ code: 'INVALID_ARGUMENT', path: 'input.keys' })
    expect(await tell(new Array(5).fill({ key: seed(1) }))).toMatchObject({ path: 'input.keys' })
    expect(await tell([{ key: new Uint8Array(31) }])).toMatchObject({ path: 'input.keys[0].key' })
    expect(await tell([{ key: seed(1), forMs: -1 }])).toMatchObject({ path: 'input.keys[0].forMs' })
    await ai.call('$hub.key', { keys: [{ key: seed(1) }] })
    expect(await told(main, 'ai-1')).toHaveLength(1)
    ai.close()
    await expect.poll(() => hub.core.registry.get('ai-1')).toBeUndefined()
    expect(await told(main, 'ai-1')).toHaveLength(0)
    hub.peer('ai-1')
    expect(await told(main, 'ai-1')).toHaveLength(0)
    hub.close()
  })

  it('are told over each further link', async () => {
    const told: unknown[] = []
    const [a] = connectPeers()
    const peer = new Peer(a.core, { id: 'x', type: 'x', zone: 'local', session: '' })
    const keys = keyring({
      primitives,
      peer: {
        id: 'x',
        onLink: (listener) => peer.onLink(listener),
        call: async (method, input) => told.push([method, input]),
      },
    })
    const key = Buffer.from(await keys.publicKey, 'base64')
    const [b] = connectPeers()
    peer.resume(b.core, peer.info)
    await expect.poll(() => told).toHaveLength(2)
    expect(told).toEqual(new Array(2).fill(['$hub.key', { keys: [{ key: new Uint8Array(key) }] }]))
    keys.close()
    const [c] = connectPeers()
    peer.resume(c.core, peer.info)
    await keys.publicKey
    expect(told).toHaveLength(2)
    for (const end of [a, b, c]) end.close()
  })

  it('a peer says hello in its own name alone', async () => {
    const hub = memoryHub()
    const [main, ai, evil] = [hub.peer('main'), hub.peer('ai-1'), hub.peer('worker-1')]
    const aiKeys = keyring({ primitives, peer: ai, pinned: { main: await publicKeyOf(1) } })
    ai.serve(vault, handlers, { policies: [codecs({ primitives, keys: aiKeys })] })
    await ai.ready()
    // It has main's very key, and its own link.
    const keys = keyring({
      primitives,
      id: 'main',
      seed: seed(1),
      pinned: { 'ai-1': await aiKeys.publicKey },
    })
    const api = (peer: Peer) =>
      peer.client(vault, { id: 'ai-1' }, { policies: [codecs({ primitives, keys })] })
    expect(await refusal(api(evil).also('a'))).toMatchObject({ reason: 'TAMPERED' })
    expect(await api(main).also('a')).toBe('a')
    hub.close()
  })
})

it('a private key is in nothing that may be printed', async () => {
  const keys = keyring({ primitives, id: 'x', seed: seed(7) })
  await keys.publicKey
  const { inspect } = await import('node:util')
  const codec = codecs({ primitives, keys })
  const printed = [keys, codec, codec.stats?.()]
    .map((one) => inspect(one, { depth: 20, showHidden: true }))
    .join()
  expect(printed).not.toMatch(/(7,\s*){8}|(07\s*){8}|BwcHBwcH/)
  expect(JSON.stringify(keys)).not.toMatch(/7,7,7|0707/)
})

async function told(peer: Peer, id: string, method = 'vault.also'): Promise<unknown[]> {
  const answer = await peer.call('$hub.keysOf', { id, method })
  const keys: unknown =
    typeof answer === 'object' && answer !== null && 'keys' in answer ? answer.keys : undefined
  return Array.isArray(keys) ? keys : []
}
