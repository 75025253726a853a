/** Sealed and signed calls between processes, through a hub in a third one's place: what it holds is ciphertext. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codecs, keyring } from '../../src/codecs/index.ts'
import { EmbeddedHub } from '../../src/host/hub.ts'
import { contract, Hub, isError, method, nodePrimitives, stream, unchecked } from '../../src/index.ts'
import { refusal } from '../support/hubRig.ts'
import { collect, each } from './rig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-seal-'))
const program = fileURLToPath(new URL('fixtures/vault.mjs', import.meta.url))
const text = unchecked<string>()
const guarded = { sealed: true, signed: true } as const
const vault = contract('vault', {
  put: method({
    input: text,
    output: text,
    progress: text,
    errors: { Refused: unchecked<{ why: string }>() },
    ...guarded,
  }),
  list: stream({ input: unchecked<string[]>(), item: text, output: text, ...guarded }),
  join: stream({ input: unchecked<void>(), upload: text, output: text, ...guarded }),
})

describe('sealed between processes', () => {
  let hub: Hub
  let embedded: EmbeddedHub
  /** All bytes that the hub has read from the child, and written to it. */
  const passed: Buffer[] = []
  const primitives = nodePrimitives

  beforeAll(async () => {
    const rules = { worker: { zone: 'semi' }, main: { call: ['vault.*'] } } as const
    embedded = await EmbeddedHub.open({ app: 'seal', base, manifest: rules, log: () => {} })
    hub = new Hub('seal', embedded.peer, embedded)
    const { switch: switching } = embedded.core
    const frame = switching.frame.bind(switching)
    switching.frame = (port, bytes, at, length) => {
      passed.push(Buffer.from(bytes.subarray(at, at + length)))
      frame(port, bytes, at, length)
    }
    await hub.supervise('keeper', { type: 'worker', run: [process.execPath, program] })
    await hub.whenReady('keeper')
  })
  afterAll(async () => {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  })

  it('everything arrives; nothing of it is in any frame that the hub has seen', {
    timeout: 240_000,
  }, async () => {
    const codec = codecs({ primitives, keys: keyring({ primitives, peer: hub.peer }) })
    const api = hub.client(vault, { id: 'keeper' }, { policies: [codec] })
    const told: string[] = []
    const put = await api.put('the secret input', {
      timeoutMs: 20_000,
      onProgress: (said) => told.push(said),
    })
    expect(put).toBe('the secret input and the secret answer')
    expect(told).toEqual(['the secret progress'])
    const listed = api.list(['the secret item', 'another'])
    expect(await collect(listed)).toEqual(['the secret item', 'another'])
    expect(await listed.output).toBe('the secret end')
    expect(await api.join(undefined, { upload: each('the secret ', 'upload') })).toBe('the secret upload')
    const error = await api.put('refuse').catch((thrown: unknown) => thrown)
    expect(isError(vault.put, error, 'Refused') && error.data).toEqual({ why: 'the secret reason' })
    const all = Buffer.concat(passed)
    expect(all.length).toBeGreaterThan(2000)
    // The names of methods are for the hub; what they carry is not.
    expect(all.includes('vault.put')).toBe(true)
    for (const word of ['secret', 'another', 'Refused', 'upload '])
      expect(all.includes(word), word).toBe(false)
  })

  it('a callee that is killed and started again is agreed with anew', async () => {
    const codec = codecs({ primitives, keys: keyring({ primitives, peer: hub.peer }) })
    const api = hub.client(vault, { id: 'keeper' }, { policies: [codec] })
    expect(await api.put('before')).toContain('before')
    expect(await refusal(api.put('die', { timeoutMs: 20_000 }))).toMatchObject({
      reason: 'TARGET_UNAVAILABLE',
      fate: 'unknown',
    })
    await hub.whenReady('keeper')
    expect(await api.put('after', { timeoutMs: 20_000 })).toContain('after')
    expect(await collect(api.list(['a', 'b']))).toEqual(['a', 'b'])
  })

  it('a caller without keys is told so by the callee', async () => {
    const refused = await refusal(hub.peer.call('vault.put', 'plain', { target: { id: 'keeper' } }))
    expect(refused).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'UNPROTECTED' })
  })
})
