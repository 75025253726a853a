/** Sealed and signed methods through a hub: everything that a method may say arrives, and nothing else does. */
import { describe, expect, it } from 'vitest'
import { isError } from '../../src/index.ts'
import { CONTRACTS, collect, each, ends } from './rig.ts'

describe.each(CONTRACTS)('%s methods', (_, contract) => {
  it('carry input, output, progress and declared errors with their data', async () => {
    const rig = await ends()
    const api = rig.api(contract)
    const progress: string[] = []
    expect(await api.echo('hello', { onProgress: (said) => progress.push(said) })).toBe('hello')
    expect(progress).toEqual(['at hello', 'done hello'])
    const error = await api.echo('refuse').catch((thrown: unknown) => thrown)
    expect(isError(contract.echo, error, 'Refused') && error.data).toEqual({ why: 'secret reason' })
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', fate: undefined })
    rig.close()
  })

  it('carry streams, uploads and both at once', async () => {
    const rig = await ends()
    const api = rig.api(contract)
    const listed = api.list('one two three')
    expect(await collect(listed)).toEqual(['one', 'two', 'three'])
    expect(await listed.output).toBe(3)
    expect(await api.join(undefined, { upload: each('a', 'b') })).toBe('a b')
    expect(await api.join(undefined, { upload: each() })).toBe('')
    const both = api.both(undefined, { upload: each('x', 'y') })
    expect(await collect(both)).toEqual(['X', 'Y'])
    expect(await both.output).toBe(2)
    rig.close()
  })

  it('carry an error behind items, and both ends of a stream that is left early', async () => {
    const rig = await ends()
    const api = rig.api(contract)
    const failing = api.list('one refuse two')
    const seen: string[] = []
    const error = await (async () => {
      for await (const item of failing) seen.push(item)
    })().catch((thrown: unknown) => thrown)
    expect(seen).toEqual(['one'])
    expect(isError(contract.list, error, 'Refused')).toBe(true)
    for await (const item of api.list('one two three')) {
      expect(item).toBe('one')
      break
    }
    await expect.poll(() => rig.ai.core.openCalls).toBe(0)
    rig.close()
  })

  it('carry large binaries whole', async () => {
    const rig = await ends()
    const api = rig.api(contract)
    for (const size of [0, 1, 4095, 4096, 100_000]) {
      const sent = new Uint8Array(size).map((_, index) => index * 7)
      expect(Buffer.from(await api.bytes(sent)).equals(sent)).toBe(true)
    }
    rig.close()
  })

  it('agree once for all calls of a client', async () => {
    const rig = await ends()
    const api = rig.api(contract)
    await Promise.all(Array.from({ length: 50 }, (_, n) => api.also(`${n}`)))
    expect(rig.aiCodec.stats?.()).toMatchObject({ sessions: 1 })
    const calls = rig.hub.core.traffic.rows().find(({ method }) => method === contract.also.name)?.calls
    expect(calls).toBe(51)
    rig.close()
  })
})
