/** The small codec of pages, with the one of whole links as its judge. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode } from '../../src/page/decode.ts'
import * as small from '../../src/page/encode.ts'
import { values as kinds } from '../../src/page/values.ts'
import { BodyEncoder, decodeBody } from '../../src/wire/body.ts'
import { Envelope } from '../../src/wire/envelope.ts'
import { isViaductError } from '../../src/wire/errors.ts'
import { MAX_DEPTH, SEGMENT_BYTES, TRUSTED_MAX_KEYS } from '../../src/wire/limits.ts'
import { anything } from '../support/anyValue.ts'
import { processorMs } from '../support/processor.ts'
import { thrownBy, type ValueCase, vectors } from '../support/valueVectors.ts'
import { binaryClass, fromHex, same, segmentOf, toHex, valueFrom } from '../wire/notation.ts'

const LIMITS = { maxDepth: MAX_DEPTH, maxKeys: 10_000 }
const ENVELOPE = { code: 'UNIMPLEMENTED', reason: 'ENVELOPE_UNKNOWN', fate: 'not-sent' }
const MALFORMED = { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_BODY' }
const RUNS = { numRuns: 10_000 }
const judge = new BodyEncoder()

function read(bytes: Uint8Array, limits = LIMITS, segments: Uint8Array[] = []): unknown {
  return decode(bytes, limits, segments, kinds)
}

function encode(value: unknown): small.Encoded {
  return small.encode(value, kinds)
}

function judged(bytes: Uint8Array, limits = LIMITS, segments: Uint8Array[] = []): unknown {
  return decodeBody(bytes, 0, bytes.length, limits, undefined, segments)
}

function segmentsOf({ segments }: ValueCase): Uint8Array[] {
  return (segments ?? []).map(segmentOf)
}

function limitsOf({ maxDepth, maxKeys }: ValueCase): typeof LIMITS {
  return { maxDepth: maxDepth ?? MAX_DEPTH, maxKeys: maxKeys ?? 10_000 }
}

/** What came of it: a value, or an error. Anything but a ViaductError is thrown on. */
function outcome(run: () => unknown): {
  value?: unknown
  error?: { code: string; reason: string; path: unknown }
} {
  try {
    return { value: run() }
  } catch (error) {
    if (!isViaductError(error)) throw error
    const { code, reason, path } = Object(error)
    return { error: { code, reason, path } }
  }
}

/** Whether a value has an envelope in it, or is made of one: those are for links that have codecs. */
function holdsEnvelope(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (value instanceof Envelope) return true
  if (value instanceof Map) return [...value].flat().some(holdsEnvelope)
  if (value instanceof Set) return [...value].some(holdsEnvelope)
  return Object.getOwnPropertyNames(value).some((key) =>
    holdsEnvelope(Object.getOwnPropertyDescriptor(value, key)?.value),
  )
}

const startsEnvelope = ({ hex }: ValueCase): boolean => /^(fa|c1fa)/.test(hex)
const plain = (cases: ValueCase[]): ValueCase[] =>
  cases.filter(
    ({ value, shapes }) => shapes === undefined && !JSON.stringify(value ?? null).includes('$envelope'),
  )
/** The dictionary of these is what else a body may be written with; self-describing they are as others. */
const values = vectors.values.filter(({ value }) => !JSON.stringify(value).includes('$envelope'))
const bad = vectors.bad.filter(({ shapes }) => shapes === undefined)

describe('vectors', () => {
  test('there are enough of them', () => {
    expect(values.length).toBeGreaterThan(370)
    expect(plain(vectors.accepted).length).toBeGreaterThan(30)
    expect(bad.length).toBeGreaterThan(150)
    expect(bad.filter(startsEnvelope).length).toBeGreaterThan(5)
  })

  test.each(values)('value: $name', (each) => {
    const segments = segmentsOf(each)
    if (each.needs !== undefined && binaryClass(each.needs) === undefined) {
      expect(thrownBy(() => read(fromHex(each.hex), LIMITS, segments))).toMatchObject(MALFORMED)
      return
    }
    const made = valueFrom(each.value)
    const encoded = encode(made)
    expect(toHex(encoded.body)).toBe(each.hex)
    expect(encoded.segments.map(toHex)).toEqual(segments.map(toHex))
    expect(same(read(fromHex(each.hex), LIMITS, segments), made)).toBe(true)
  })

  test.each(plain(vectors.accepted))('accepted: $name', (each) => {
    expect(same(read(fromHex(each.hex), LIMITS, segmentsOf(each)), valueFrom(each.value))).toBe(true)
  })

  test.each(bad)('bad: $name', (each) => {
    const error = thrownBy(() => read(fromHex(each.hex), limitsOf(each), segmentsOf(each)))
    expect(error).toMatchObject(startsEnvelope(each) ? ENVELOPE : MALFORMED)
  })

  test.each(vectors.unsendable)('unsendable: $name', ({ value, path }) => {
    const error = thrownBy(() => encode(valueFrom(value)))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE', path })
    expect(error).toHaveProperty('message', expect.stringContaining(`${path} cannot be sent: `))
  })
})

describe('the same as the codec of whole links', () => {
  test('bytes, and values read from them', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const expected = judge.encode(value).slice()
        const { body, segments } = encode(value)
        if (toHex(body) !== toHex(expected)) throw new Error(`${toHex(body)}, not ${toHex(expected)}`)
        expect(segments).toEqual(judge.segments)
        if (!same(read(expected), value)) throw new Error(`read as another value: ${toHex(expected)}`)
      }),
      RUNS,
    )
  })

  test('bodies that were changed: the same value or the same refusal', () => {
    const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0xc0, max: 0xfb }))
    const change = fc.record({ at: fc.nat(), by: byte, how: fc.constantFrom('set', 'cut', 'insert', 'end') })
    const tally = { taken: 0, refused: 0, envelopes: 0 }
    const property = fc.property(
      anything,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(LIMITS, LIMITS, LIMITS, { maxDepth: 2, maxKeys: 10_000 }, { maxDepth: 64, maxKeys: 6 }),
      fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, fc.array(fc.nat({ max: 24 }), { maxLength: 2 })),
      (value, changes, limits, sizes) => {
        const bytes = [...judge.encode(value)]
        for (const { at, by, how } of changes) {
          const place = at % (bytes.length + 1)
          if (how === 'end') bytes.length = place
          else if (how === 'insert') bytes.splice(place, 0, by)
          else if (how === 'cut') bytes.splice(place, 1)
          else if (place < bytes.length) bytes[place] = by
        }
        const body = new Uint8Array(bytes)
        const segments = sizes.map((size) => new Uint8Array(size).fill(size))
        const mine = outcome(() => read(body, limits, segments))
        const theirs = outcome(() => judged(body, limits, segments))
        if (mine.error?.reason === ENVELOPE.reason) {
          tally.envelopes += 1
          // The other one reads on, and may stumble over what stands behind.
          expect(body).toContain(0xfa)
          expect(theirs.error !== undefined || holdsEnvelope(theirs.value)).toBe(true)
          return
        }
        tally[mine.error ? 'refused' : 'taken'] += 1
        expect(mine.error).toEqual(theirs.error)
        if (!same(mine.value, theirs.value)) throw new Error(`read as another value: ${toHex(body)}`)
      },
    )
    fc.assert(property, RUNS)
    expect(tally.taken).toBeGreaterThan(500)
    expect(tally.refused).toBeGreaterThan(2000)
  })

  test('more shapes than may be defined, wide objects, many bytes', () => {
    const rows = Array.from({ length: 300 }, (_, row) => ({ [`key${row}`]: row, same: { inner: row } }))
    const wide = (keys: number) =>
      Object.fromEntries(Array.from({ length: keys }, (_, key) => [`k${key}`, key]))
    const value = [rows, rows, wide(64), wide(65), wide(64), 'x'.repeat(100_000), 'ł'.repeat(50_000)]
    const { body } = encode(value)
    expect(toHex(body) === toHex(judge.encode(value))).toBe(true)
    const limits = { maxDepth: 64, maxKeys: 100_000 }
    expect(same(read(body, limits), value)).toBe(true)
  })

  test('errors of all kinds, aggregates, and oddly named ones', () => {
    const own = Object.assign(new TypeError('no', { cause: 1 }), {
      code: 'E_NO',
      stack: 'secret',
      7: 'seven',
    })
    const renamed = Object.assign(new Error('m'), { name: 'Renamed', message: 'other' })
    const odd = Object.assign(new Error('m'), { name: 5, message: undefined })
    const values = [
      own,
      renamed,
      odd,
      new AggregateError([own, 1], 'both'),
      new DOMException('m', 'AbortError'),
    ]
    for (const value of values) {
      expect(toHex(encode(value).body)).toBe(toHex(judge.encode(value)))
      const mine = read(encode(value).body)
      const theirs = judged(judge.encode(value))
      expect(same(mine, theirs)).toBe(true)
      expect(Object(mine).constructor).toBe(Object(theirs).constructor)
      expect(Object(mine).stack).toBe(Object(theirs).stack)
      expect(Object(mine).stack).not.toContain('secret')
    }
  })

  test('every NaN is written as the one, and −0 keeps its sign', () => {
    const [strange] = new Float64Array(new BigUint64Array([0xfff8dead0000beefn]).buffer)
    for (const value of [strange, Number.NaN, -0, new Date(Number.NaN)]) {
      expect(toHex(encode(value).body)).toBe(toHex(judge.encode(value)))
    }
  })
})

describe('binaries', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(SEGMENT_BYTES))
  const samples = [
    Buffer.from('abc'),
    new Float64Array(SEGMENT_BYTES / 8).fill(1.5),
    new DataView(new ArrayBuffer(SEGMENT_BYTES + 1), 1),
    new ArrayBuffer(SEGMENT_BYTES),
    new ArrayBuffer(SEGMENT_BYTES - 1),
    new Uint8Array(0),
    shared,
  ]

  test('small ones are copies, large ones segments', () => {
    const expected = toHex(judge.encode(samples))
    const { body, segments } = encode(samples)
    expect(toHex(body)).toBe(expected)
    expect(segments).toEqual(judge.segments)
    expect(segments[0]?.buffer).toBe(samples[1] instanceof Float64Array && samples[1].buffer)
    shared[0] = 9
    expect(segments.at(-1)?.[0]).toBe(0)
    const decoded = read(body, LIMITS, [...segments])
    expect(same(decoded, judged(body, LIMITS, [...segments]))).toBe(true)
  })

  test('segments are views where they may be', () => {
    const odd = new Uint8Array(17).subarray(1)
    const float = fromHex('f809')
    expect(Object(read(float, LIMITS, [odd])).buffer).not.toBe(odd.buffer)
    const even = new Uint8Array(24).subarray(8)
    expect(Object(read(float, LIMITS, [even]))).toMatchObject({
      buffer: even.buffer,
      byteOffset: 8,
      length: 2,
    })
    const buffer = fromHex('f800')
    expect(read(buffer, LIMITS, [even])).toEqual(new ArrayBuffer(16))
    const whole = new Uint8Array(16)
    expect(read(buffer, LIMITS, [whole])).toBe(whole.buffer)
  })

  test('a body is memory of its own', () => {
    const first = encode('first').body
    const copy = toHex(first)
    encode('other')
    expect(toHex(first)).toBe(copy)
    expect(first.buffer.byteLength).toBe(first.length)
    const bytes = encode(new Uint8Array([1, 2])).body
    const decoded = read(bytes)
    bytes.fill(0)
    expect(decoded).toEqual(new Uint8Array([1, 2]))
  })

  test('a body in the midst of a payload', () => {
    const bytes = fromHex('00c3010203e9000000000000f83f00')
    expect(read(bytes.subarray(1, 5))).toEqual([1, 2, 3])
    expect(read(bytes.subarray(5, 14))).toBe(1.5)
    for (const [from, end] of [
      [1, 4],
      [3, 2],
      [3, 5],
      [5, 13],
      [9, 9],
    ] as const) {
      expect(thrownBy(() => read(bytes.subarray(from, end)))).toMatchObject(MALFORMED)
    }
  })
})

describe('values that cannot be sent', () => {
  class Page {
    url = 'a'
  }
  class Pages extends Map {}
  class Days extends Date {}
  class Rows extends Array {}
  const nest = (levels: number): unknown => {
    let value: unknown = 1
    for (let level = 0; level < levels; level += 1) value = [value]
    return value
  }
  const loop: Record<string, unknown> = {}
  loop.list = [1, { again: loop }]
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const boom = new Error('boom')
  const throwing = new Proxy(
    {},
    {
      ownKeys() {
        throw boom
      },
    },
  )
  let asked = 0
  const accessor = {
    fine: 1,
    get url() {
      asked += 1
      return 'a'
    },
  }
  const tag = {
    get [Symbol.toStringTag]() {
      asked += 1
      return 'Map'
    },
  }
  const table: Record<string, [value: unknown, path: string, what: RegExp]> = {
    'a function': [{ pages: [1, 2, 3, { url: () => 1 }] }, 'value.pages[3].url', /a function/],
    'a symbol': [Symbol('s'), 'value', /a symbol/],
    'a symbol key': [{ a: { [Symbol('hidden')]: 1 } }, 'value.a[Symbol(hidden)]', /a symbol key/],
    'a symbol key behind a bad value': [{ f: () => 1, [Symbol('s')]: 1 }, 'value[Symbol(s)]', /a symbol key/],
    'an instance': [[new Page()], 'value[0]', /instance/],
    'a promise': [{ p: Promise.resolve() }, 'value.p', /instance/],
    'a regular expression': [new Set([1, /x/]), 'value.values[1]', /instance/],
    'a WeakMap': [{ 'a b': new WeakMap() }, 'value["a b"]', /instance/],
    'a Map of a class of its own': [new Map([['k', new Pages()]]), 'value.get("k")', /instance/],
    'a Date of a class of its own': [[new Days()], 'value[0]', /instance/],
    'an array of a class of its own': [[new Rows()], 'value[0]', /instance/],
    'an object that inherits': [Object.create({ inherited: 1 }), 'value', /instance/],
    'shared memory itself': [new SharedArrayBuffer(8), 'value', /instance/],
    'an envelope': [new Map([[1, new Envelope(0, new Uint8Array(1))]]), 'value.values[0]', /instance/],
    'a key of a Map': [new Map([[() => 1, 1]]), 'value.keys[0]', /a function/],
    'a value of a Map': [
      new Map<unknown, unknown>([
        [1, 1],
        [{}, Symbol('s')],
      ]),
      'value.values[1]',
      /a symbol/,
    ],
    'a value under a string': [new Map([['a"b', Symbol('s')]]), 'value.get("a\\"b")', /a symbol/],
    'a cause': [new Error('m', { cause: { f: () => 1 } }), 'value.cause.f', /a function/],
    'errors of an aggregate': [new AggregateError([1, () => 1]), 'value.errors[1]', /a function/],
    'data of an error': [Object.assign(new Error(), { 'a-b': new Page() }), 'value["a-b"]', /instance/],
    'a hole': [Object.assign(new Array(3), { 0: 1, 2: 3 }), 'value[1]', /a hole/],
    'a hole behind what was nested': [Object.assign(new Array(2), { 0: [[[1]]] }), 'value[1]', /a hole/],
    'a long bigint': [{ big: 1n << 8192n }, 'value.big', /too long/],
    'a long negative bigint': [-(1n << 8192n), 'value', /too long/],
    'an accessor': [{ page: [[accessor]] }, 'value.page[0][0].url', /accessor/],
    'a setter': [{ deep: { er: 1 }, set title(_: string) {} }, 'value.title', /accessor/],
    'a tag that is an accessor': [{ tag }, 'value.tag[Symbol(Symbol.toStringTag)]', /a symbol key/],
    'a cycle': [loop, 'value.list[1].again', /a cycle/],
    'what is nested too deep': [nest(MAX_DEPTH + 1), `value${'[0]'.repeat(MAX_DEPTH)}`, /too deep/],
    'what is nested far too deep': [nest(100_000), `value${'[0]'.repeat(MAX_DEPTH)}`, /too deep/],
    'a proxy that throws': [{ p: throwing }, 'value.p', /unreadable/],
    'detached memory': [[1, { a: detached }], 'value[1].a', /unreadable/],
    'what only looks like a buffer': [[Object.create(Uint8Array.prototype)], 'value[0]', /unreadable/],
  }

  test.each(Object.entries(table))('%s', (_name, [value, path, what]) => {
    const error = thrownBy(() => encode(value))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE', path })
    expect(error).toHaveProperty('message', expect.stringMatching(what))
    expect(asked).toBe(0)
    if (!(value instanceof Map && [...value.values()].some((item) => item instanceof Envelope))) {
      expect(outcome(() => judge.encode(value)).error).toEqual(outcome(() => encode(value)).error)
    }
  })

  test('what was thrown is the cause', () => {
    expect(thrownBy(() => encode({ p: throwing }))).toHaveProperty('cause', boom)
  })

  test('too many items are refused before they are looked at', () => {
    const error = outcome(() => encode([new Array(TRUSTED_MAX_KEYS)])).error
    expect(error).toEqual({ code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE', path: 'value' })
  })

  test('depth is measured and not the number of values', () => {
    expect(same(read(encode(nest(MAX_DEPTH)).body), nest(MAX_DEPTH))).toBe(true)
    const twice = { a: [1] }
    expect(same(read(encode([twice, twice, [twice]]).body), [twice, twice, [twice]])).toBe(true)
  })

  test('a value that has been refused leaves nothing behind', () => {
    expect(() => encode([{ a: 1 }, () => 1])).toThrow('value[1] cannot be sent: a function')
    expect(toHex(encode({ a: 1 }).body)).toBe(toHex(judge.encode({ a: 1 })))
  })
})

describe('hostile bodies', () => {
  const MIB = 1024 * 1024
  const repeat = (head: string, unit: string): Uint8Array =>
    fromHex(head + unit.repeat(Math.floor((MIB - head.length / 2) / (unit.length / 2))))

  test.each(['ec', 'ed', 'ee', 'ef', 'f1', 'f101', 'f2', 'f4', 'f5', 'ea', 'eb', 'f701', 'f70a', 'f0'])(
    'a count of 2 ** 32 - 1 after %s allocates nothing',
    (tag) => {
      const bytes = fromHex(`${tag}ffffffff0f${'00'.repeat(64)}`)
      const limits = { maxDepth: 64, maxKeys: 2 ** 40 }
      const started = processorMs()
      const before = process.memoryUsage()
      for (let run = 0; run < 1000; run += 1) {
        expect(() => read(bytes, limits)).toThrow('malformed body')
      }
      const after = process.memoryUsage()
      expect(processorMs() - started).toBeLessThan(2000)
      expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * MIB)
    },
  )

  test.each([
    ['nested arrays', repeat('', 'c1')],
    ['nested definitions', repeat('', 'f10101')],
    ['nested keys', repeat('', 'f201')],
    ['nested errors', repeat('', 'f6f201816e')],
    ['empty definitions', repeat('ef808040', 'f10000')],
    ['short strings', repeat('ef808020', '8161')],
    ['a million items', repeat('effcff3f', '00')],
    ['sets in sets', repeat('', 'f501')],
    ['long bigints', repeat('ef8008', `ea8008${'ff'.repeat(1024)}`)],
    ['one long string', repeat('ecfbff3f', '61')],
    ['one long UTF-8 string', repeat('edfaff3f', 'c3a9')],
    ['one long UTF-16 string', repeat('eefaff3f', '00d8')],
  ])('are done with in time: %s', (_name, bytes) => {
    const started = processorMs()
    for (const maxKeys of [10_000, 10_000_000]) {
      const limits = { maxDepth: 64, maxKeys }
      const mine = outcome(() => read(bytes, limits))
      expect(mine.error).toEqual(outcome(() => judged(bytes, limits)).error)
    }
    expect(processorMs() - started).toBeLessThan(3000)
  })

  test('dangerous names become own data', () => {
    const value = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2, "then": 3, "a": 4}')
    for (const decoded of [read(encode(value).body), read(fromHex('f201895f5f70726f746f5f5ff20181610a'))]) {
      expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
      expect(Object.hasOwn(Object(decoded), '__proto__')).toBe(true)
    }
    expect(same(read(encode(value).body), value)).toBe(true)
    expect(Reflect.get({}, 'polluted')).toBe(undefined)
  })

  test('functions and envelopes', () => {
    expect(thrownBy(() => read(fromHex('c1f900')))).toMatchObject(MALFORMED)
    expect(thrownBy(() => read(fromHex('c1fa01f70100')))).toMatchObject(ENVELOPE)
  })
})
