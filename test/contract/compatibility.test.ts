import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { compareContract } from '../../src/contract/compatibility.ts'
import { contract, method, topic } from '../../src/contract/contract.ts'
import { REASONS } from '../../src/wire/reasons.ts'

const made = contract('pages', {
  a: method({}),
  b: method({}),
  c: method({}),
  opened: topic({ data: z.string() }),
})
const ok = (name: string) => ({ name: `pages.${name}`, status: 0, same: true })

describe('a contract against a route', () => {
  it('is compatible when all is there and the same', () => {
    expect(compareContract(made, [ok('a'), ok('b'), ok('c'), ok('later')])).toEqual({
      compatible: true,
      missing: [],
      changed: [],
      refused: [],
      message: 'pages: both sides agree',
    })
  })

  it('names what is missing, refused and changed', () => {
    const route = [
      { ...ok('a'), same: false },
      { ...ok('b'), status: REASONS.PERMISSION_DENIED.number },
      { ...ok('c'), status: REASONS.METHOD_NOT_FOUND.number, same: false },
    ]
    expect(compareContract(made, route)).toEqual({
      compatible: false,
      missing: ['c'],
      changed: ['a'],
      refused: ['b'],
      message: 'pages: not served there: c; refused: b; changed: a',
    })
  })

  it('counts methods that the route does not mention as missing', () => {
    expect(compareContract(made, [])).toMatchObject({ compatible: false, missing: ['a', 'b', 'c'] })
  })

  it('can call changed methods', () => {
    const route = [ok('a'), ok('b'), { ...ok('c'), same: false }]
    expect(compareContract(made, route)).toMatchObject({ compatible: true, changed: ['c'] })
  })

  it('looks at topics when the route does', () => {
    const route = [ok('a'), ok('b'), ok('c'), { ...ok('opened'), status: 7 }]
    expect(compareContract(made, route)).toMatchObject({ compatible: false, refused: ['opened'] })
  })
})
