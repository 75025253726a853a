import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { BodyEncoder, decodeBody } from '../../src/wire/body.ts'
import { makeDictionary, shapesOf } from '../../src/wire/dictionary.ts'

describe('shapesOf', () => {
  test('names the properties of every object, as declared, outer before inner', () => {
    const schema = z.object({
      url: z.string(),
      options: z.object({ deep: z.boolean(), lang: z.string().optional() }),
      pages: z.array(
        z.object({ title: z.string(), at: z.tuple([z.object({ x: z.number(), y: z.number() })]) }),
      ),
      either: z.union([z.object({ left: z.null() }), z.object({ right: z.null() })]),
      byName: z.record(z.string(), z.object({ size: z.number() })),
    })
    expect(shapesOf(z.toJSONSchema(schema))).toEqual([
      ['url', 'options', 'pages', 'either', 'byName'],
      ['size'],
      ['left'],
      ['right'],
      ['deep', 'lang'],
      ['title', 'at'],
      ['x', 'y'],
    ])
  })

  test('follows local references, also round in circles', () => {
    const Tree = z.object({
      name: z.string(),
      get children() {
        return z.array(Tree)
      },
    })
    expect(shapesOf(z.toJSONSchema(Tree))).toEqual([['name', 'children']])
    const odd = {
      $ref: '#/$defs/a~1b',
      $defs: {
        'a/b': { properties: { n: { $ref: '#' }, m: { $ref: '#/$defs/list/0' } } },
        list: [{ properties: { z: {} } }],
      },
    }
    expect(shapesOf(odd)).toEqual([['n', 'm'], ['z']])
    const self = { allOf: [{ $ref: '#' }], properties: { a: {} } }
    expect(shapesOf(self)).toEqual([['a']])
    const circle: Record<string, unknown> = { properties: { a: {} } }
    circle.items = circle
    expect(shapesOf(circle)).toEqual([['a']])
  })

  test('gives the parts of allOf one by one and together', () => {
    const [one, two] = [{ properties: { a: {} } }, { properties: { b: {}, a: {} } }]
    const schema = { $defs: { two }, properties: { c: {} }, allOf: [one, { $ref: '#/$defs/two' }] }
    expect(shapesOf(schema)).toEqual([['c', 'a', 'b'], ['a'], ['b', 'a']])
    const both = z.intersection(z.object({ a: z.number() }), z.object({ b: z.number() }))
    expect(shapesOf(z.toJSONSchema(both))[0]).toEqual(['a', 'b'])
  })

  test('does not depend on the order in which keywords and names stand', () => {
    const inner = { properties: { p: {} } }
    const other = { properties: { q: {} } }
    const one = {
      type: 'object',
      patternProperties: { x: inner, y: other },
      items: { properties: { i: {} } },
    }
    const two = {
      items: { properties: { i: {} } },
      patternProperties: { y: other, x: inner },
      type: 'object',
    }
    expect(shapesOf(one)).toEqual(shapesOf(two))
  })

  test('makes nothing of what is no schema, and is bounded', () => {
    for (const nothing of [
      undefined,
      null,
      true,
      3,
      'x',
      [],
      {},
      { properties: 4 },
      { $ref: 'http://x/y' },
    ]) {
      expect(shapesOf(nothing)).toEqual([])
    }
    const many = Array.from({ length: 20_000 }, (_, index) => ({ properties: { [`k${index}`]: {} } }))
    expect(shapesOf({ anyOf: many }).length).toBe(256)
    let deep: Record<string, unknown> = { properties: { bottom: {} } }
    for (let level = 0; level < 10_000; level += 1) deep = { items: deep }
    expect(shapesOf(deep)).toEqual([])
    const wide = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, {}]))
    expect(shapesOf({ properties: wide })).toEqual([])
    const bomb = { $defs: {}, allOf: Array.from({ length: 50 }, () => ({ $ref: '#' })) }
    expect(shapesOf(bomb)).toEqual([])
  })
})

describe('makeDictionary', () => {
  test('numbers shapes as they come', () => {
    const dictionary = makeDictionary([['a', 'b'], ['c']])
    expect(dictionary.shapes).toEqual([['a', 'b'], ['c']])
    expect([...new BodyEncoder().encode({ c: 1 }, dictionary)]).toEqual([0xd1, 1])
  })

  test('refuses shapes that cannot be', () => {
    expect(() => makeDictionary([['a', 'a']])).toThrow(TypeError)
    expect(() => makeDictionary([Array.from({ length: 65 }, (_, index) => `k${index}`)])).toThrow(TypeError)
  })

  test('serves two encoders at once, and bodies of any history alike', () => {
    const dictionary = makeDictionary([
      ['a', 'b', 'c'],
      ['a', 'c'],
    ])
    const [one, two] = [new BodyEncoder(), new BodyEncoder()]
    const values = [{ a: 1 }, { q: [{ q: 1 }] }, { a: 1, c: 2 }, { b: 1 }, {}, { q: 1 }]
    const first = values.map((value) => [...one.encode(value, dictionary)])
    for (const value of values.toReversed()) two.encode(value, dictionary)
    expect(values.map((value) => [...two.encode(value, dictionary)])).toEqual(first)
  })

  test('makes objects with any of 40 keys absent', () => {
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`)
    const dictionary = makeDictionary([keys, keys.slice(0, 20)])
    const encoder = new BodyEncoder()
    for (let run = 0; run < 500; run += 1) {
      const count = run % 2 === 0 ? 40 : 20
      const chosen = keys
        .slice(0, count)
        .filter((_, index) => (Math.imul(run + 1, 2654435761) >>> (index % 32)) & 1)
      const value = Object.fromEntries(chosen.map((key, index) => [key, index]))
      const bytes = encoder.encode(value, dictionary)
      const decoded = decodeBody(bytes, 0, bytes.length, { maxDepth: 2, maxKeys: 100 }, dictionary)
      expect(JSON.stringify(decoded)).toBe(JSON.stringify(value))
    }
  })
})
