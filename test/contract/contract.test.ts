import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { client } from '../../src/contract/client.ts'
import { contract, method, stream, topic } from '../../src/contract/contract.ts'
import { fingerprint } from '../../src/contract/fingerprint.ts'
import { jsonSchemaOf } from '../../src/contract/jsonSchema.ts'
import type { StandardSchema } from '../../src/contract/schema.ts'
import { DirectLink } from './directLink.ts'
import { pages, three } from './samples.ts'

const text = z.string()

describe('a contract', () => {
  it('names its methods and gives the core what it asks for', () => {
    expect(pages.analyze).toMatchObject({
      name: 'pages.analyze',
      kind: 'call',
      upload: false,
      lane: 'normal',
      idempotent: true,
      overflow: 'drop-oldest',
    })
    expect(pages.lines).toMatchObject({
      name: 'pages.lines',
      kind: 'stream',
      upload: false,
      idempotent: false,
    })
    expect(pages.echo).toMatchObject({ kind: 'stream', upload: true })
    expect(pages.opened).toMatchObject({ name: 'pages.opened', kind: 'topic', upload: false })
  })

  it('takes a stream without items of its own for a call with an upload', () => {
    expect(pages.put).toMatchObject({ kind: 'call', upload: true })
  })

  it('takes lane, overflow and version', () => {
    const made = contract('a', {
      one: method({ lane: 'high', version: 2 }),
      all: topic({ data: text, lane: 'low', overflow: 'conflate' }),
    })
    expect(made.one.lane).toBe('high')
    expect(made.all).toMatchObject({ lane: 'low', overflow: 'conflate' })
    expect(made.one.fingerprint).not.toBe(contract('a', { one: method({}) }).one.fingerprint)
  })

  it('is frozen, has no prototype, and lists its entries only', () => {
    expect(Object.isFrozen(pages)).toBe(true)
    expect(Object.getPrototypeOf(pages)).toBe(null)
    expect(Object.keys(three)).toEqual(['zod', 'valibot', 'arktype'])
  })

  it('may use one declaration under two names', () => {
    const ping = method({ output: text })
    const [a, b] = [contract('a', { ping }), contract('b', { ping })]
    expect([a.ping.name, b.ping.name]).toEqual(['a.ping', 'b.ping'])
    expect(a.ping.fingerprint).not.toBe(b.ping.fingerprint)
  })

  it.each(['then', 'constructor', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON', 'prototype'])(
    'refuses the reserved name %s and says which',
    (key) => {
      expect(() => contract('pages', { [key]: method({}) })).toThrow(`pages: the name "${key}" is reserved`)
    },
  )

  it('refuses __proto__ however it is written', () => {
    expect(() => contract('pages', { ['__proto__']: method({}) })).toThrow('"__proto__" is reserved')
    const literal = JSON.parse('{"__proto__": 1}')
    expect(() => contract('pages', literal)).toThrow('"__proto__" is reserved')
    const inherited = Object.create({ hidden: method({}) })
    expect(() => contract('pages', inherited)).toThrow('none may be called __proto__')
  })

  it.each(['', 'a.b', 'a*', '1st', '~contract', 'a b', '>'])('refuses %j as a key', (key) => {
    expect(() => contract('pages', { [key]: method({}) })).toThrow(`${JSON.stringify(key)} is no name`)
  })

  it.each(['', '.', 'a.', 'a..b', '*', 'a b'])('refuses %j as a contract name', (name) => {
    expect(() => contract(name, {})).toThrow(`contract name ${JSON.stringify(name)}`)
  })

  it.each(['pages', 'org.pages-2', '$hub', '_x'])('takes %s as a contract name', (name) => {
    expect(contract(name, { a: method({}) }).a.name).toBe(`${name}.a`)
  })

  it('bounds the full name', () => {
    expect(() => contract('a'.repeat(198), { ok: method({}) })).toThrow('over 200 characters')
    expect(contract('a'.repeat(197), { ok: method({}) }).ok.name).toHaveLength(200)
  })

  it('refuses what method, stream and topic did not make', () => {
    // @ts-expect-error an entry is made by method(), stream() or topic()
    expect(() => contract('pages', { a: {} })).toThrow('pages.a: use method(), stream() or topic()')
    // @ts-expect-error the same
    expect(() => contract('pages', { a: null })).toThrow('pages.a: use method(), stream() or topic()')
  })

  it('refuses options that it does not know, so that a slip leaves nothing unchecked', () => {
    // @ts-expect-error `inputs` is a slip
    expect(() => method({ inputs: text })).toThrow('method() has no option "inputs"')
    // @ts-expect-error a stream is answered
    expect(() => stream({ item: text, delivery: 'at-least-once' })).toThrow(
      'stream() has no option "delivery"',
    )
    // @ts-expect-error topics have data
    expect(() => topic({ input: text })).toThrow('topic() has no option "input"')
    // @ts-expect-error data is not left out
    expect(() => topic({})).toThrow('topic() needs `data`')
    // @ts-expect-error neither item nor upload
    expect(() => stream({ input: text })).toThrow('stream() needs `item`, `upload` or both')
  })

  it('refuses what does not go with delivery, with its path', () => {
    // @ts-expect-error the caller gets a receipt
    expect(() => method({ delivery: 'at-least-once', output: text })).toThrow(
      'method() with `delivery` has no option "output"',
    )
    const also = {
      errors: { Bad: null },
      progress: text,
      lane: 'low',
      sealed: true,
      idempotent: true,
    } as const
    for (const [name, value] of Object.entries(also)) {
      const options = { delivery: 'at-least-once', [name]: value } as const
      expect(() => method(options)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'INVALID_CONTRACT', path: name }),
      )
    }
    // @ts-expect-error another word
    expect(() => method({ delivery: 'at-most-once' })).toThrow(expect.objectContaining({ path: 'delivery' }))
  })

  it('gives a durable method a fingerprint of its own, and others the one that they had', () => {
    const declared = contract('history', {
      kept: method({ input: text, delivery: 'at-least-once' }),
      answered: method({ input: text }),
    })
    const print = (key: 'kept' | 'answered', more: object) => {
      const schemas = { input: jsonSchemaOf(text, 'input'), output: null, item: null, upload: null }
      const shape = {
        name: `history.${key}`,
        kind: 'call',
        upload: false,
        errors: [],
        version: null,
      } as const
      return fingerprint({ ...shape, schemas, ...more })
    }
    expect(declared.kept.fingerprint).toBe(print('kept', { delivery: 'at-least-once' }))
    expect(declared.kept.fingerprint).not.toBe(print('kept', {}))
    expect(declared.answered.fingerprint).toBe(print('answered', {}))
  })

  it('refuses what is no Standard Schema', () => {
    // @ts-expect-error no schema
    expect(() => method({ input: { type: 'object' } })).toThrow('`input` is no Standard Schema')
    // @ts-expect-error no schema
    expect(() => method({ errors: { Bad: {} } })).toThrow('error Bad is no Standard Schema')
  })

  it("refuses an error with the name of a link's reason", () => {
    expect(() => method({ errors: { SKEW: null } })).toThrow("the error name SKEW is a link's own")
  })

  it('says INVALID_ARGUMENT with the reason INVALID_CONTRACT', () => {
    expect(() => contract('pages', { toJSON: method({}) })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'INVALID_CONTRACT' }),
    )
  })
})

describe('dictionaries and fingerprints of a contract', () => {
  it('has the words of the schemas that give JSON Schema', () => {
    expect(pages.analyze.output?.shapes).toEqual([['category', 'confidence']])
    expect(three.zod.input?.shapes).toContainEqual(['x'])
    expect(three.arktype.input?.shapes).toContainEqual(['x'])
    expect(three.valibot.input?.shapes).toEqual([])
  })

  it('has one dictionary for what is published and what subscribers get', () => {
    expect(pages.opened.input?.shapes).toEqual([['tabId', 'url']])
    expect(pages.opened.item).toBe(pages.opened.input)
  })

  it('keeps the words around a Date that has no JSON Schema', () => {
    const made = contract('a', { at: method({ input: z.object({ when: z.date(), big: z.bigint() }) }) })
    expect(made.at.input?.shapes).toEqual([['when', 'big']])
  })

  it('changes with the shape and with nothing else', () => {
    const one = (input: StandardSchema, more: object = {}) =>
      contract('a', { m: method({ input, ...more }) }).m.fingerprint
    const base = one(z.object({ x: z.number(), y: z.string().optional() }))
    expect(base).toMatch(/^[0-9a-f]{16}$/)
    expect(one(z.object({ x: z.number(), y: z.string().optional() }))).toBe(base)
    expect(
      one(z.object({ x: z.number(), y: z.string().optional() }), { lane: 'high', idempotent: true }),
    ).toBe(base)
    expect(one(z.object({ x: z.number() }))).not.toBe(base)
    expect(one(z.object({ x: z.number(), y: z.number().optional() }))).not.toBe(base)
    expect(one(z.object({ x: z.number(), y: z.string().optional() }), { errors: { Bad: null } })).not.toBe(
      base,
    )
    expect(one(z.object({ x: z.number(), y: z.string().optional() }), { version: 2 })).not.toBe(base)
  })

  it('covers the data of a topic', () => {
    const make = (data: StandardSchema) => contract('a', { t: topic({ data }) }).t.fingerprint
    expect(make(z.string())).toBe(make(z.string()))
    expect(make(z.string())).not.toBe(make(z.number()))
  })

  it('derives one dictionary wherever the fingerprint is one', () => {
    const make = (input: StandardSchema) => contract('a', { m: method({ input }) }).m
    const one = make(z.object({ z: z.string(), b: z.number().optional(), a: z.number().optional() }))
    const other = make(z.object({ a: z.number().optional(), z: z.string(), b: z.number().optional() }))
    expect(other.fingerprint).toBe(one.fingerprint)
    expect(other.input?.shapes).toEqual(one.input?.shapes)
    const third = make(z.object({ b: z.number(), a: z.number() }))
    const fourth = make(z.object({ a: z.number(), b: z.number() }))
    expect(third.fingerprint).not.toBe(fourth.fingerprint)
    expect(third.input?.shapes).toEqual([['b', 'a']])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    [
      'is cyclic',
      () => {
        const loop: { self?: object } = {}
        loop.self = loop
        return loop
      },
    ],
    ['is no JSON', () => ({ default: 1n })],
    ['is undefined', () => undefined],
  ])('counts a JSON Schema as absent when it %s', (_, input) => {
    const validate = (value: unknown) => ({ value })
    const bad = { '~standard': { version: 1 as const, vendor: 'x', validate, jsonSchema: { input } } }
    const plain = { '~standard': { version: 1 as const, vendor: 'x', validate } }
    const make = (schema: StandardSchema) => contract('a', { m: method({ input: schema }) }).m
    expect(make(bad).fingerprint).toBe(make(plain).fingerprint)
    expect(make(bad).input?.shapes).toEqual([])
  })

  it('takes recursive schemas', () => {
    const Node = z.object({
      value: z.number(),
      get children() {
        return z.array(Node)
      },
    })
    expect(contract('a', { m: method({ input: Node }) }).m.input?.shapes).toEqual([['value', 'children']])
  })
})

describe('the client object', () => {
  it('has the calls and streams, and nothing that could be called by chance', async () => {
    const api = client(new DirectLink(), pages)
    expect(Object.keys(api)).toEqual(['analyze', 'count', 'touch', 'lines', 'sum', 'put', 'echo'])
    expect(Object.getPrototypeOf(api)).toBe(null)
    expect(Object.isFrozen(api)).toBe(true)
    expect('then' in api).toBe(false)
    expect(await api).toBe(api)
  })
})
