/** The schemas that the package's own contracts are made of. */
import { describe, expect, it } from 'vitest'
import {
  flag,
  integer,
  json,
  listOf,
  mapOf,
  number,
  oneOf,
  readShape,
  record,
  type Shape,
  text,
} from '../../src/contract/shape.ts'

const place = { method: 'm', part: 'input', code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT' } as const
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])

/** What does not fit: the path to it. */
function pathOf(schema: Shape<unknown>, value: unknown): unknown {
  try {
    readShape(schema, value, place)
    return undefined
  } catch (error) {
    return Reflect.get(Object(error), 'path')
  }
}

describe('shapes', () => {
  it.each<[string, Shape<unknown>, unknown[], unknown[]]>([
    ['text', text(3), ['', 'abc'], ['abcd', 1, null]],
    ['text of a form', text(9, /^\S+$/), ['a'], ['', 'a b']],
    ['integer', integer(), [0, -5, 2 ** 53 - 1], [0.5, 2 ** 53, Number.NaN, '1', 1n]],
    ['number', number(), [-1e300, 0.1], [Number.NaN, Number.POSITIVE_INFINITY, '1']],
    ['number in bounds', number(0, 1), [0, 1, 0.5], [-0.1, 1.1]],
    ['flag', flag(), [true, false], [0, 'true', undefined]],
    ['words', oneOf('a', 'b'), ['a', 'b'], ['c', 'toString', undefined]],
    [
      'JSON',
      json(),
      [null, { a: [1, 'x', true, {}] }, nested(64)],
      [undefined, nested(65), Number.NaN, new Date(), [() => {}], new Map()],
    ],
    ['list', listOf(flag(), 2), [[], [true, false]], [[true, true, true], {}, 'ab']],
    ['map', mapOf(flag(), 2), [{}, { a: true }], [{ a: true, b: true, c: true }, [], new Map(), null]],
  ])('%s', (_, schema, good, bad) => {
    for (const value of good) expect(readShape(schema, value, place)).toEqual(value)
    for (const value of bad) expect(pathOf(schema, value), String(value)).toBe('input')
  })

  it('say where it does not fit, and leave out what is not declared', () => {
    const schema = record({ name: text(5), pages: listOf(record({ n: integer() }), 9), by: mapOf(flag(), 9) })
    const good = { name: 'a', pages: [{ n: 1 }], by: { x: true } }
    expect(readShape(schema, { ...good, more: 1 }, place)).toEqual(good)
    expect(pathOf(schema, { ...good, name: undefined })).toBe('input.name')
    expect(pathOf(schema, { ...good, pages: [{ n: 1 }, { n: 'x' }] })).toBe('input.pages[1].n')
    expect(pathOf(schema, { ...good, by: { 'a b': 1 } })).toBe('input.by["a b"]')
    expect(pathOf(schema, [])).toBe('input')
  })

  it('give nobody’s prototype away', () => {
    const read = readShape(mapOf(json(), 9), JSON.parse('{"__proto__":{"admin":true},"a":1}'), place)
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
    expect('admin' in read).toBe(false)
  })

  it('have a JSON Schema', () => {
    const schema = record({ name: text(5), kind: oneOf('a', 'b'), by: mapOf(number(0, 1), 9) })
    expect(schema['~standard'].jsonSchema.input()).toEqual({
      type: 'object',
      required: ['name', 'kind', 'by'],
      properties: {
        name: { type: 'string', maxLength: 5 },
        kind: { enum: ['a', 'b'] },
        by: { type: 'object', additionalProperties: { type: 'number', minimum: 0, maximum: 1 } },
      },
    })
  })
})
