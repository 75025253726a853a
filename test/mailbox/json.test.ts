import { describe, expect, it } from 'vitest'
import { jsonBytes, jsonValue } from '../../src/mailbox/json.ts'
import { MAX_DEPTH, MAX_KEYS } from '../../src/wire/limits.ts'

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}
const failure = (work: () => unknown): { path?: unknown; reason?: unknown; message?: unknown } => {
  try {
    work()
  } catch (error) {
    return typeof error === 'object' && error !== null ? error : {}
  }
  throw new Error('it did not fail')
}

describe('payloads as JSON', () => {
  it('come back as they were', () => {
    const payloads = [
      null,
      0,
      'ü\ud800',
      [],
      { a: [1, { b: null }], 'c d': true, __proto__: { x: 1 } },
      JSON.parse('{"__proto__":{"x":1},"constructor":2}'),
      nested(MAX_DEPTH),
      Array.from({ length: MAX_KEYS }, (_, index) => index),
    ]
    for (const payload of payloads) {
      expect(jsonValue(jsonBytes(payload))).toEqual(JSON.parse(JSON.stringify(payload)))
    }
    const optional = { at: new Date(0), absent: undefined }
    expect(jsonValue(jsonBytes(optional))).toEqual({ at: '1970-01-01T00:00:00.000Z' })
  })

  it.each([
    ['payload', undefined],
    ['payload', Number.NaN],
    ['payload.pages[3].size', { pages: [1, 'a', null, { size: Number.POSITIVE_INFINITY }] }],
    ['payload["a b"]', { 'a b': 1n }],
    ['payload[1]', [1, undefined]],
    ['payload.call', { call: () => {} }],
    ['payload.seen', { seen: new Set([1]) }],
    ['payload.bytes', { bytes: new Uint8Array(3) }],
    ['payload[0].error', [{ error: new Error('x') }]],
    ['payload[0][0]', nested(MAX_DEPTH + 1)],
    ['payload', Array.from({ length: MAX_KEYS + 1 }, () => 0)],
  ])('are refused where JSON cannot hold them: %s', (path, payload) => {
    const { reason, path: found, message } = failure(() => jsonBytes(payload))
    expect(reason).toBe('UNSENDABLE')
    expect(String(found).startsWith(path)).toBe(true)
    expect(message).toContain(path)
  })

  it('that hold themselves are refused', () => {
    const loop: { self?: unknown } = {}
    loop.self = loop
    expect(failure(() => jsonBytes(loop)).reason).toBe('UNSENDABLE')
  })

  it.each([
    ['cut', '{"a":'],
    ['too deep', JSON.stringify(nested(MAX_DEPTH + 1))],
    ['deep as a well', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['too many keys', JSON.stringify(Array.from({ length: MAX_KEYS + 1 }, () => 0))],
  ])('that others wrote are refused: %s', (_, text) => {
    expect(failure(() => jsonValue(new TextEncoder().encode(text))).reason).toBe('MALFORMED_BODY')
  })

  it('that are no UTF-8 are refused', () => {
    expect(failure(() => jsonValue(new Uint8Array([0x22, 0xff, 0x22]))).reason).toBe('MALFORMED_BODY')
  })
})
