/** What somebody between the two ends may try with the envelopes that pass, and what becomes of it. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { codecs, keyring } from '../../src/codecs/index.ts'
import {
  type CallOptions,
  client,
  contract,
  type ItemStream,
  isError,
  type Method,
  method,
  nodePrimitives,
  type Peer,
  type Target,
  ViaductError,
} from '../../src/index.ts'
import { memoryHub, VirtualClock } from '../../src/testing/index.ts'
import { Envelope } from '../../src/wire/envelope.ts'
import { refusal } from '../support/hubRig.ts'
import { toHex } from '../wire/notation.ts'
import { type Api, CONTRACTS, collect, type Ends, each, ends, handlers, vault } from './rig.ts'

const primitives = nodePrimitives
type Contract = (typeof CONTRACTS)[number][1]

/** Somebody between the client and the link: sees each envelope, and may hand on another. */
interface Between {
  input?: (input: unknown, method: Method) => unknown
  output?: (output: unknown, method: Method) => unknown
  items?: (items: AsyncIterable<unknown>) => AsyncIterable<unknown>
  upload?: (items: AsyncIterable<unknown>) => AsyncIterable<unknown>
  error?: (error: unknown) => unknown
}

function attacked(rig: Ends, contract: Contract, between: Between, target: Target = { id: 'ai-1' }): Api {
  const far = rig.main.to(target)
  const given = (input: unknown, method: Method): unknown => between.input?.(input, method) ?? input
  const changed = (options: CallOptions = {}): CallOptions =>
    options.upload && between.upload ? { ...options, upload: between.upload(options.upload) } : options
  const caller = {
    target,
    async call(method: Method, input: unknown, options?: CallOptions) {
      try {
        const output = await far.call(method, given(input, method), changed(options))
        return between.output?.(output, method) ?? output
      } catch (error) {
        throw between.error?.(error) ?? error
      }
    },
    stream(method: Method, input: unknown, options?: CallOptions): ItemStream {
      const stream = far.stream(method, given(input, method), changed(options))
      const output = stream.output.then((value) => between.output?.(value, method) ?? value)
      output.catch(() => {})
      const items = between.items?.(stream) ?? stream
      return {
        output,
        cancel: (reason) => stream.cancel(reason),
        [Symbol.asyncIterator]: () => items[Symbol.asyncIterator](),
      }
    },
    notify: (method: Method, input: unknown) => far.notify(method, given(input, method)),
  }
  return client(caller, contract, { policies: [rig.mainCodec] })
}

const isCall = (value: unknown): value is Envelope => value instanceof Envelope && value.codec !== 8

describe.each(CONTRACTS)('%s: somebody between', (_, contract) => {
  it('sends a call again: REPLAYED, and it runs once', async () => {
    let runs = 0
    const rig = await ends({}, {}, { also: (input) => `${input} ${++runs}` })
    let kept: Envelope | undefined
    const api = attacked(rig, contract, {
      input: (input) => {
        if (isCall(input)) kept ??= input
        return kept ?? input
      },
    })
    expect(await api.also('pay')).toBe('pay 1')
    expect(await refusal(api.also('other'))).toMatchObject({
      code: 'ABORTED',
      reason: 'REPLAYED',
      fate: 'unknown',
    })
    expect(await refusal(api.also('other'))).toMatchObject({ reason: 'REPLAYED' })
    expect(runs).toBe(1)
    rig.close()
  })

  it('says a hello again: REPLAYED; the session that it began stands', async () => {
    const rig = await ends()
    const hellos: Envelope[] = []
    const api = attacked(rig, contract, {
      input: (input) => {
        if (input instanceof Envelope && input.codec === 8) hellos.push(input)
      },
    })
    await api.also('a')
    expect(hellos).toHaveLength(1)
    const again = rig.main.to({ id: 'ai-1' }).call(contract.also, hellos[0])
    expect(await refusal(again)).toMatchObject({ reason: 'REPLAYED' })
    expect(await api.also('b')).toBe('b')
    expect(rig.aiCodec.stats?.()).toMatchObject({ sessions: 1 })
    rig.close()
  })

  it('lets calls come in another order: each runs once', async () => {
    const inputs: string[] = []
    const rig = await ends({}, {}, { also: (input) => inputs.push(input).toString() })
    const held: unknown[] = []
    const api = attacked(rig, contract, {})
    await api.also('first')
    const backwards = attacked(rig, contract, {
      input: (input) => {
        if (isCall(input)) held.push(input)
      },
    })
    await Promise.all(Array.from({ length: 20 }, (__, n) => backwards.also(`${n}`)))
    expect(new Set(inputs).size).toBe(21)
    // Each of them once more, the last first: none is taken.
    for (const input of held.reverse()) {
      expect(await refusal(rig.main.to({ id: 'ai-1' }).call(contract.also, input))).toMatchObject({
        reason: 'REPLAYED',
      })
    }
    expect(inputs).toHaveLength(21)
    rig.close()
  })

  it('swaps answers, methods, directions and sessions: TAMPERED', async () => {
    const rig = await ends()
    const outputs: unknown[] = []
    const inputs: unknown[] = []
    const swapped = attacked(rig, contract, {
      input: (input) => {
        if (isCall(input)) inputs.push(input)
      },
      output: (output) => {
        if (!isCall(output)) return
        outputs.push(output)
        return outputs[0]
      },
    })
    expect(await swapped.also('first')).toBe('first')
    expect(await refusal(swapped.also('second'))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TAMPERED',
    })
    // The input as the output.
    const reflected = attacked(rig, contract, {
      output: (output) => (isCall(output) ? inputs[0] : undefined),
    })
    expect(await refusal(reflected.also('x'))).toMatchObject({ reason: 'TAMPERED' })
    // A call of `also` as one of `echo`.
    let other: Envelope | undefined
    const moved = attacked(rig, contract, {
      input: (input, method) => {
        if (!isCall(input)) return
        if (method.name === contract.also.name) other = input
        else return other
      },
    })
    await moved.also('a')
    const fresh = rig.api(contract)
    await fresh.also('a')
    expect(await refusal(moved.echo('b'))).toMatchObject({ reason: 'SKEW', fate: 'not-sent' })
    // The same with the fingerprint of the method that it is moved to.
    const bytes = other?.bytes.slice() ?? new Uint8Array(56)
    new DataView(bytes.buffer).setBigUint64(48, BigInt(`0x${contract.echo.fingerprint}`), true)
    other = new Envelope(other?.codec ?? 0, bytes)
    expect(await refusal(moved.echo('b'))).toMatchObject({ reason: 'TAMPERED', fate: 'not-sent' })
    // An answer of one session within another.
    const elsewhere = attacked(rig, contract, {
      output: (output) => (isCall(output) ? outputs[0] : undefined),
    })
    expect(await refusal(elsewhere.also('first'))).toMatchObject({ reason: 'TAMPERED' })
    rig.close()
  })

  it('sends a value without protection, or with less: UNPROTECTED at both ends', async () => {
    let runs = 0
    const rig = await ends({}, {}, { also: () => `${++runs}` })
    const plain = attacked(rig, contract, { output: () => 'forged' })
    expect(await refusal(plain.also('a'))).toMatchObject({ reason: 'UNPROTECTED' })
    const core = rig.main.core.to({ id: 'ai-1' })
    const before = runs
    for (const forged of [
      'plain',
      new Envelope(0, new Uint8Array(100)),
      new Envelope(1, new Uint8Array(100)),
      undefined,
    ]) {
      expect(await refusal(core.call(contract.also, forged))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'UNPROTECTED',
      })
    }
    const less = attacked(rig, contract, {
      input: (input) => (isCall(input) ? new Envelope(input.codec & ~4, input.bytes) : undefined),
    })
    if (contract !== vault) expect(await refusal(less.also('a'))).toMatchObject({ reason: 'UNPROTECTED' })
    expect(runs).toBe(before)
    rig.close()
  })

  it('makes an error: it has a fate, and is no declared one', async () => {
    const rig = await ends()
    const forged = attacked(rig, contract, {
      error: () =>
        new ViaductError('FAILED_PRECONDITION', 'no', { reason: 'Refused', data: { why: 'forged' } }),
    })
    const error = await forged.echo('refuse').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ reason: 'Refused', fate: 'unknown', data: undefined })
    expect(isError(contract.echo, error)).toBe(false)
    // The enclosed error of another call.
    let kept: unknown
    const moved = attacked(rig, contract, {
      error: (thrown) => {
        kept ??= thrown
        return kept
      },
    })
    expect(isError(contract.echo, await moved.echo('refuse').catch((thrown: unknown) => thrown))).toBe(true)
    expect(await refusal(moved.echo('refuse'))).toMatchObject({ reason: 'TAMPERED' })
    rig.close()
  })

  it('cuts a stream short, leaves out an item, sends one twice: the reader is told', async () => {
    const rig = await ends()
    const without = (drop: (index: number) => number): Between => ({
      items: async function* (items) {
        let index = 0
        for await (const item of items) for (let copy = drop(index++); copy > 0; copy--) yield item
      },
    })
    const read = (between: Between): Promise<string[]> =>
      collect(attacked(rig, contract, between).list('a b c d'))
    expect(await read({})).toEqual(['a', 'b', 'c', 'd'])
    expect(await refusal(read(without((index) => (index === 3 ? 0 : 1))))).toMatchObject({
      code: 'DATA_LOSS',
      reason: 'CUT_SHORT',
    })
    expect(await refusal(read(without(() => 0)))).toMatchObject({ reason: 'CUT_SHORT' })
    expect(await refusal(read(without((index) => (index === 1 ? 0 : 1))))).toMatchObject({
      reason: 'TAMPERED',
    })
    expect(await refusal(read(without((index) => (index === 1 ? 2 : 1))))).toMatchObject({
      reason: 'TAMPERED',
    })
    rig.close()
  })

  it('cuts an upload short, leaves out an item, sends one twice: the handler is told', async () => {
    const rig = await ends()
    const without = (drop: (index: number) => number): Between => ({
      upload: async function* (items) {
        let index = 0
        for await (const item of items) for (let copy = drop(index++); copy > 0; copy--) yield item
      },
    })
    const send = (between: Between): Promise<string> =>
      attacked(rig, contract, between).join(undefined, { upload: each('a', 'b', 'c') })
    expect(await send({})).toBe('a b c')
    // The fourth is the end.
    for (const drop of [3, 2, 1, 0]) {
      const refused = await refusal(send(without((index) => (index === drop ? 0 : 1))))
      expect(refused).toMatchObject({ reason: 'CUT_SHORT' })
    }
    expect(await refusal(send(without(() => 0)))).toMatchObject({ reason: 'CUT_SHORT' })
    expect(await refusal(send(without((index) => (index === 1 ? 2 : 1))))).toMatchObject({
      reason: 'CUT_SHORT',
    })
    rig.close()
  })
})

it('ends that hold different versions are told so', async () => {
  const rig = await ends()
  const newer = contract('vault', {
    also: method({ input: z.string(), output: z.string(), sealed: true, version: 2 }),
  })
  const api = rig.main.client(newer, { id: 'ai-1' }, { policies: [rig.mainCodec] })
  expect(await refusal(api.also('a'))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'SKEW',
    fate: 'not-sent',
  })
  rig.close()
})

it('no nonce is used twice under one key, and none by both ends', async () => {
  const used: string[] = []
  const watched = {
    ...nodePrimitives,
    crypto: {
      ...nodePrimitives.crypto,
      seal(key: Uint8Array, nonce: Uint8Array, covered: Uint8Array, plain: Uint8Array) {
        used.push(`${toHex(key)} ${toHex(nonce)}`)
        return nodePrimitives.crypto.seal(key, nonce, covered, plain)
      },
    },
  }
  const hub = memoryHub()
  const [main, ai] = [hub.peer('main'), hub.peer('ai-1')]
  const codecOf = (peer: Peer) =>
    codecs({ primitives: watched, keys: keyring({ primitives: watched, peer }), rekeyMessages: 16 })
  ai.serve(vault, handlers, { policies: [codecOf(ai)] })
  await ai.ready()
  const api = main.client(vault, { id: 'ai-1' }, { policies: [codecOf(main)] })
  await Promise.all([
    ...Array.from({ length: 20 }, (_, n) => api.echo(`${n}`, { onProgress: () => {} })),
    ...Array.from({ length: 5 }, () => collect(api.list('a b c'))),
    ...Array.from({ length: 5 }, () => api.join(undefined, { upload: each('a', 'b') })),
    refusal(api.echo('refuse')),
  ])
  expect(used.length).toBeGreaterThan(130)
  expect(new Set(used).size).toBe(used.length)
  // Two directions, and a new key after each 16 messages.
  expect(new Set(used.map((one) => one.slice(0, 64))).size).toBeGreaterThan(8)
  hub.close()
})

describe('sessions', () => {
  it('a callee that began anew is agreed with anew, once: calls and streams go on', async () => {
    const rig = await ends()
    const api = rig.api(vault)
    expect(await api.also('a')).toBe('a')
    rig.ai.close()
    const ai = rig.hub.peer('ai-1')
    const codec = codecs({ primitives, keys: keyring({ primitives, peer: ai }) })
    ai.serve(vault, handlers, { policies: [codec] })
    await ai.ready()
    expect(await collect(api.list('one two'))).toEqual(['one', 'two'])
    expect(await api.also('b')).toBe('b')
    expect(codec.stats?.()).toMatchObject({ sessions: 1 })
    rig.close()
  })

  it('an upload is not begun twice: it fails, not sent, and the next one passes', async () => {
    const rig = await ends()
    const api = rig.api(vault)
    await api.also('a')
    rig.ai.close()
    const ai = rig.hub.peer('ai-1')
    ai.serve(vault, handlers, { policies: [codecs({ primitives, keys: keyring({ primitives, peer: ai }) })] })
    await ai.ready()
    expect(await refusal(api.join(undefined, { upload: each('a') }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'SESSION_UNKNOWN',
      fate: 'not-sent',
    })
    expect(await api.join(undefined, { upload: each('a') })).toBe('a')
    rig.close()
  })

  it('an old hello, said to a callee that began anew, costs one call', async () => {
    const rig = await ends()
    let hello: unknown
    const api = attacked(rig, vault, {
      input: (input) => {
        if (input instanceof Envelope && input.codec === 8) hello ??= input
      },
    })
    await api.also('a')
    rig.ai.close()
    const ai = rig.hub.peer('ai-1')
    ai.serve(vault, handlers, {
      policies: [codecs({ primitives, keys: keyring({ primitives, peer: ai }) })],
    })
    await ai.ready()
    await rig.main.to({ id: 'ai-1' }).call(vault.also, hello)
    expect(await refusal(api.also('b'))).toMatchObject({ reason: 'TAMPERED', fate: 'not-sent' })
    expect(await api.also('c')).toBe('c')
    rig.close()
  })

  it('whoever says at all times that the session is unknown is believed once a call', async () => {
    let runs = 0
    const rig = await ends({}, {}, { also: () => `${++runs}` })
    const unknown = new ViaductError('FAILED_PRECONDITION', 'no', { reason: 'SESSION_UNKNOWN' })
    let hellos = 0
    const api = attacked(rig, vault, {
      input: (input) => {
        if (input instanceof Envelope && input.codec === 8) hellos++
      },
      output: (output) => {
        if (isCall(output)) throw unknown
      },
    })
    expect(await refusal(api.also('a'))).toMatchObject({ reason: 'SESSION_UNKNOWN' })
    expect([runs, hellos]).toEqual([2, 2])
    rig.close()
  })

  it('end with their time, and are begun anew before it is missed', async () => {
    const clock = new VirtualClock()
    const rig = await ends({ clock, sessionMs: 1000 })
    const hellos: unknown[] = []
    let kept: unknown
    const api = attacked(rig, vault, {
      input: (input) => {
        if (isCall(input)) kept = input
        else hellos.push(input)
      },
    })
    await api.also('a')
    await clock.advance(999)
    await api.also('b')
    expect(hellos).toHaveLength(1)
    await clock.advance(1)
    expect(await refusal(rig.main.to({ id: 'ai-1' }).call(vault.also, kept))).toMatchObject({
      reason: 'SESSION_EXPIRED',
    })
    await api.also('c')
    expect(hellos).toHaveLength(2)
    rig.close()
  })

  it('take other keys after so many messages, at both ends', async () => {
    const rig = await ends({ rekeyMessages: 3 })
    const api = rig.api(vault)
    const words = Array.from({ length: 40 }, (_, n) => `word ${n}`)
    expect(await Promise.all(words.map((word) => api.also(word)))).toEqual(words)
    expect(await collect(api.list(words.join(' ')))).toHaveLength(80)
    rig.close()
    const unlike = await ends({ rekeyMessages: 3 })
    const other = codecs({ primitives, keys: unlike.mainKeys, rekeyMessages: 4 })
    const apart = unlike.main.client(vault, { id: 'ai-1' }, { policies: [other] })
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, (_, n) => apart.also(`${n}`)))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    unlike.close()
  })

  it('are bounded: of one caller sixteen, the longest unused goes', async () => {
    const rig = await ends()
    const apis = Array.from({ length: 17 }, () => rig.api(vault))
    for (const api of apis) await api.also('a')
    expect(rig.aiCodec.stats?.()).toMatchObject({ sessions: 16 })
    for (const api of apis) expect(await api.also('b')).toBe('b')
    expect(rig.aiCodec.stats?.()).toMatchObject({ sessions: 16 })
    rig.close()
  })
})
