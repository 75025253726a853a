import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, fingerprint, fnv1a64 } from '../../src/contract/fingerprint.ts'

interface Vectors {
  readonly cases: readonly {
    readonly name: string
    readonly canonical: string
    readonly fingerprint: string
  }[]
  readonly canonical: readonly { readonly json: string; readonly canonical: string }[]
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../../vectors/fingerprints.json', import.meta.url), 'utf8'),
)

describe('fingerprints', () => {
  it.each(vectors.cases)('vector: $name', ({ canonical, fingerprint: expected }) => {
    expect(fnv1a64(canonical)).toBe(expected)
  })

  it.each(vectors.canonical)('canonical form of $json', ({ json, canonical }) => {
    expect(canonicalJson(JSON.parse(json))).toBe(canonical)
  })

  it('has vectors enough', () => {
    expect(vectors.cases.length).toBeGreaterThanOrEqual(10)
  })

  it('is FNV-1a 64 as big integers have it', () => {
    const slow = (text: string) => {
      let hash = 0xcbf29ce484222325n
      for (const byte of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
      return hash.toString(16).padStart(16, '0')
    }
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => fnv1a64(text) === slow(text)))
  })

  it('gives one form to one value, whatever the order of its members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const reversed = JSON.parse(JSON.stringify(value), (_, part) =>
          typeof part === 'object' && part !== null && !Array.isArray(part)
            ? Object.fromEntries(Object.entries(part).reverse())
            : part,
        )
        const plain = JSON.parse(JSON.stringify(value))
        expect(canonicalJson(reversed)).toBe(canonicalJson(plain))
        expect(JSON.parse(canonicalJson(plain))).toEqual(plain)
      }),
    )
  })

  it('sorts the names of errors', () => {
    const schemas = { input: null, output: null, item: null, upload: null }
    const shape = { name: 'a.b', kind: 'call', upload: false, version: null, schemas } as const
    expect(fingerprint({ ...shape, errors: ['B', 'A'] })).toBe(fingerprint({ ...shape, errors: ['A', 'B'] }))
  })
})
