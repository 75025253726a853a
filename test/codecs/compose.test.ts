/** What is sealed, signed or compressed by contract cannot be called or served without a codec. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { codecs, keyring } from '../../src/codecs/index.ts'
import {
  connectPeers,
  contract,
  type Interceptor,
  type Method,
  method,
  nodePrimitives,
  stream,
  topic,
  unchecked,
  ViaductError,
  validate,
} from '../../src/index.ts'
import { memoryHub } from '../../src/testing/index.ts'
import { refusal } from '../support/hubRig.ts'
import { ends, handlers, vault } from './rig.ts'

const primitives = nodePrimitives
const keys = keyring({ primitives, id: 'x' })
const whole = codecs({ primitives, keys })
const keyless = codecs({ primitives })
const own: Interceptor = (next) => next
const bulky = contract('bulky', { put: method({ input: z.string(), output: z.string(), compress: true }) })

function thrown(work: () => unknown): ViaductError {
  try {
    work()
  } catch (error) {
    if (error instanceof ViaductError) return error
  }
  throw new Error('it was not refused')
}

describe('composing', () => {
  const [a, b] = connectPeers()
  const missing = (path: string, message: RegExp) =>
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      reason: 'CODEC_MISSING',
      path,
      message: expect.stringMatching(message),
    })

  it('a client without the codec, without keys, or with the codec in the wrong place is refused', () => {
    expect(thrown(() => a.client(vault))).toEqual(missing('vault.echo', /sealed: add codecs\(\)/))
    expect(thrown(() => a.client(bulky))).toEqual(missing('bulky.put', /compress: add codecs\(\)/))
    const put = (policies: readonly Interceptor[]) => thrown(() => a.client(vault, undefined, { policies }))
    expect(put([keyless])).toEqual(missing('vault.echo', /keys/))
    expect(put([whole, own])).toEqual(missing('vault.echo', /last/))
    expect(() => a.client(vault, undefined, { policies: [own, whole] })).not.toThrow()
    expect(() => a.client(bulky, undefined, { policies: [keyless] })).not.toThrow()
  })

  it('so is serving; then nothing is served', () => {
    const put = (policies: readonly Interceptor[]) => thrown(() => b.serve(vault, handlers, { policies }))
    expect(put([])).toEqual(missing('vault.echo', /sealed: add codecs\(\)/))
    expect(put([keyless])).toEqual(missing('vault.echo', /keys/))
    expect(put([validate, whole])).toEqual(missing('vault.echo', /first/))
    const serving = b.serve(vault, handlers, { policies: [whole, validate, own] })
    serving()
    expect(thrown(() => b.handle(vault.also, (input) => input))).toEqual(
      missing('vault.also', /use client\(\) and serve\(\)/),
    )
  })

  it('nothing of a sealed method is sent without a client', async () => {
    const known = missing('vault.also', /use client\(\)/)
    expect(await refusal(a.call(vault.also, 'secret'))).toEqual(known)
    expect(thrown(() => a.notify(vault.also, 'secret'))).toEqual(known)
    expect(thrown(() => a.stream(vault.list, 'secret'))).toEqual(missing('vault.list', /client/))
    const called: Method & { readonly kind: 'call' } = vault.also
    for (const many of [a.callAll(called, 'secret' as never), a.broadcast(called, 'secret' as never)]) {
      expect(await refusal(many)).toMatchObject({ reason: 'CODEC_TARGET', path: 'vault.also' })
    }
  })

  it('a client towards a type is refused', () => {
    const hub = memoryHub()
    const main = hub.peer('main')
    const refused = thrown(() => main.client(vault, { type: 'ai' }, { policies: [whole] }))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CODEC_TARGET', path: 'vault.echo' })
    expect(() => main.client(bulky, { type: 'ai' }, { policies: [whole] })).not.toThrow()
    hub.close()
  })

  it('functions in a sealed input are refused with their path', async () => {
    const calls = contract('calls', { back: method({ input: unchecked<unknown>(), sealed: true }) })
    const rig = await ends()
    const api = rig.main.client(calls, { id: 'ai-1' }, { policies: [rig.mainCodec] })
    expect(await refusal(api.back({ on: { step: () => {} } }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNSENDABLE',
      path: 'input.on.step',
    })
    rig.close()
  })
})

describe('in a contract', () => {
  const put = (options: object): object => method({ input: z.string(), ...options })

  it('sealed and compressed wants `public`, and the options are what they are', () => {
    expect(() => put({ sealed: true, compress: true })).toThrow(/'public'/)
    expect(() => put({ sealed: true, compress: 'public' })).not.toThrow()
    expect(() => put({ sealed: 1 })).toThrow(/`sealed` is no number/)
    expect(() => put({ signed: 'yes' })).toThrow(/`signed` is no string/)
    expect(() => put({ compress: 'private' })).toThrow(/`compress` is no string/)
    // @ts-expect-error: topics are for many
    expect(() => topic({ data: z.string(), sealed: true })).toThrow(/topic\(\) has no option "sealed"/)
  })

  it('they change the fingerprint, and nothing else does', () => {
    const print = (options: object): string | undefined =>
      contract('x', { y: method({ input: z.string(), ...options }) }).y.fingerprint
    const prints = [
      {},
      { sealed: true },
      { signed: true },
      { compress: true },
      { sealed: true, signed: true },
      { sealed: true, compress: 'public' },
    ].map(print)
    expect(new Set(prints).size).toBe(prints.length)
    expect(print({ sealed: false, signed: false, compress: false })).toBe(print({}))
    expect(print({ compress: 'public' })).toBe(print({ compress: true }))
    expect(stream({ item: z.string(), sealed: true })['~definition'].sealed).toBe(true)
  })
})

it('one way, a value comes sealed', async () => {
  let seen: (input: string) => void = () => {}
  const came = new Promise<string>((resolve) => {
    seen = resolve
  })
  const rig = await ends(
    {},
    {},
    {
      also: (input) => {
        seen(input)
        return input
      },
    },
  )
  const [far] = [rig.main.to({ id: 'ai-1' })]
  const { interceptedCaller } = await import('../../src/core/interceptor.ts')
  expect(interceptedCaller(far, [rig.mainCodec]).notify(vault.also, 'one way')).toBe(true)
  expect(await came).toBe('one way')
  rig.close()
})

it('methods without codecs pass beside those that have them', async () => {
  const mixed = contract('mixed', {
    open: method({ input: z.string(), output: z.string() }),
    shut: method({ input: z.string(), output: z.string(), sealed: true, compress: 'public' }),
  })
  const rig = await ends()
  rig.ai.serve(mixed, { open: (text) => text, shut: (text) => text }, { policies: [rig.aiCodec] })
  await rig.ai.ready()
  const api = rig.main.client(mixed, { id: 'ai-1' }, { policies: [rig.mainCodec] })
  const long = 'again '.repeat(1000)
  expect(await api.open('a')).toBe('a')
  expect(await api.shut(long)).toBe(long)
  expect(rig.mainCodec.stats?.()).toMatchObject({ compressed: 1 })
  expect(await rig.main.call('mixed.open', 'b', { target: { id: 'ai-1' } })).toBe('b')
  rig.close()
})
