import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BodyEncoder, decodeBody } from '../../src/wire/body.ts'
import { type Dictionary, makeDictionary } from '../../src/wire/dictionary.ts'
import { isViaductError, ViaductError } from '../../src/wire/errors.ts'
import { MAX_DEPTH, SEGMENT_BYTES } from '../../src/wire/limits.ts'
import { anything, KEYS } from '../support/anyValue.ts'
import { processorMs } from '../support/processor.ts'
import { thrownBy, vectors } from '../support/valueVectors.ts'
import { binaryClass, fromHex, same, segmentOf, toHex, valueFrom } from './notation.ts'

const LIMITS = { maxDepth: MAX_DEPTH, maxKeys: 10_000 }
const encoder = new BodyEncoder()

function decode(bytes: Uint8Array, dictionary?: Dictionary, segments?: Uint8Array[]): unknown {
  return decodeBody(bytes, 0, bytes.length, LIMITS, dictionary, segments)
}

function roundTrip(value: unknown, dictionary?: Dictionary): unknown {
  const bytes = encoder.encode(value, dictionary).slice()
  return decode(bytes, dictionary, encoder.segments)
}

function dictionaryOf(shapes: string[][] | undefined): Dictionary | undefined {
  return shapes === undefined ? undefined : makeDictionary(shapes)
}

function expectRefused(value: unknown, path: string, what: RegExp, dictionary?: Dictionary): void {
  const error = thrownBy(() => encoder.encode(value, dictionary))
  expect(isViaductError(error)).toBe(true)
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE', path })
  expect(error).toHaveProperty('message', expect.stringMatching(what))
}

describe('vectors', () => {
  test('there are enough of them', () => {
    expect(vectors.values.length + vectors.accepted.length).toBeGreaterThanOrEqual(400)
    expect(vectors.bad.length).toBeGreaterThanOrEqual(150)
    expect(vectors.unsendable.length).toBeGreaterThanOrEqual(30)
  })

  test.each(vectors.values)('value: $name', ({ value, hex, shapes, shapedHex, segments, needs }) => {
    const lifted = (segments ?? []).map(segmentOf)
    if (needs !== undefined && binaryClass(needs) === undefined) {
      expect(thrownBy(() => decode(fromHex(hex), undefined, lifted))).toMatchObject({
        reason: 'MALFORMED_BODY',
      })
      return
    }
    const made = valueFrom(value)
    expect(toHex(encoder.encode(made))).toBe(hex)
    expect(encoder.segments.map(toHex)).toEqual(lifted.map(toHex))
    expect(same(decode(fromHex(hex), undefined, lifted), made)).toBe(true)
    if (shapes === undefined || shapedHex === undefined) return
    const dictionary = makeDictionary(shapes)
    expect(toHex(encoder.encode(made, dictionary))).toBe(shapedHex)
    expect(same(decode(fromHex(shapedHex), dictionary, lifted), made)).toBe(true)
  })

  test.each(vectors.accepted)('accepted: $name', ({ value, hex, shapes, segments }) => {
    const decoded = decode(fromHex(hex), dictionaryOf(shapes), (segments ?? []).map(segmentOf))
    expect(same(decoded, valueFrom(value))).toBe(true)
  })

  test.each(vectors.bad)('bad: $name', ({ hex, shapes, segments, maxDepth, maxKeys }) => {
    const limits = { maxDepth: maxDepth ?? 64, maxKeys: maxKeys ?? 10_000 }
    const bytes = fromHex(hex)
    const error = thrownBy(() =>
      decodeBody(bytes, 0, bytes.length, limits, dictionaryOf(shapes), (segments ?? []).map(segmentOf)),
    )
    expect(error).toBeInstanceOf(ViaductError)
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_BODY' })
    // A cause would mean that something unforeseen was thrown and wrapped.
    expect(error).not.toHaveProperty('cause')
  })
})

describe('values that cannot be sent', () => {
  test.each(vectors.unsendable)('vector: $name', ({ value, path }) => {
    expectRefused(valueFrom(value), path ?? '', /cannot be sent/)
  })

  const nest = (levels: number): unknown => {
    let value: unknown = 1
    for (let level = 0; level < levels; level += 1) value = [value]
    return value
  }
  class Page {
    url = 'a'
  }
  class Pages extends Map {}

  test('are refused with the path to them', () => {
    expectRefused({ pages: [1, 2, 3, { url: () => 1 }] }, 'value.pages[3].url', /a function/)
    expectRefused(Symbol('s'), 'value', /a symbol/)
    expectRefused({ a: { [Symbol('hidden')]: 1 } }, 'value.a[Symbol(hidden)]', /key is a symbol/)
    expectRefused([new Page()], 'value[0]', /instance of Page/)
    expectRefused({ p: Promise.resolve() }, 'value.p', /instance of Promise/)
    expectRefused({ 'a-b': new WeakMap() }, 'value["a-b"]', /instance of WeakMap/)
    expectRefused(new Map([['k', new Pages()]]), 'value.get("k")', /instance of Pages/)
    expectRefused(new Map([[() => 1, 1]]), 'value.keys[0]', /a function/)
    expectRefused(new Set([1, /x/]), 'value.values[1]', /instance of RegExp/)
    expectRefused(new Error('m', { cause: { f: () => 1 } }), 'value.cause.f', /a function/)
    expectRefused(Object.assign(new Array(3), { 0: 1, 2: 3 }), 'value[1]', /a hole/)
    expectRefused({ big: 1n << 8192n }, 'value.big', /over 1024 bytes/)
    expectRefused(new SharedArrayBuffer(8), 'value', /instance of SharedArrayBuffer/)
    expectRefused(Object.create({ inherited: 1 }), 'value', /instance of/)
  })

  test('accessors are refused unread', () => {
    let asked = 0
    const value = {
      get url() {
        asked += 1
        return 'a'
      },
    }
    expectRefused({ page: value }, 'value.page.url', /an accessor/)
    expectRefused({ page: value }, 'value.page.url', /an accessor/, makeDictionary([['page'], ['title']]))
    expect(asked).toBe(0)
    expectRefused(
      { url: 1, set title(_: string) {} },
      'value.title',
      /an accessor/,
      makeDictionary([['url']]),
    )
    expectRefused(
      { url: 1, [Symbol('s')]: 1, x: 1 },
      'value[Symbol(s)]',
      /a symbol/,
      makeDictionary([['url']]),
    )
  })

  test('cycles and depth', () => {
    const loop: Record<string, unknown> = { list: [] }
    loop.list = [1, { again: loop }]
    expectRefused(loop, 'value.list[1].again', /contains itself/)
    expect(same(roundTrip(nest(MAX_DEPTH)), nest(MAX_DEPTH))).toBe(true)
    expectRefused(nest(MAX_DEPTH + 1), `value${'[0]'.repeat(MAX_DEPTH)}`, /deeper than 64/)
    expectRefused(nest(100_000), `value${'[0]'.repeat(MAX_DEPTH)}`, /deeper than 64/)
  })

  test('proxies that throw, and values that call their encoder', () => {
    const boom = new Error('boom')
    const throwing = new Proxy(
      {},
      {
        ownKeys() {
          throw boom
        },
      },
    )
    expectRefused({ p: throwing }, 'value.p', /failed/)
    expect(thrownBy(() => encoder.encode({ p: throwing }))).toHaveProperty('cause', boom)
    const nosy = new Proxy(
      {},
      {
        ownKeys() {
          encoder.encode(1)
          return []
        },
      },
    )
    expectRefused([nosy], 'value[0]', /failed/)
    expect(roundTrip({ fine: true })).toEqual({ fine: true })
  })

  test('detached memory', () => {
    const bytes = new Uint8Array(8)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    expectRefused({ a: bytes }, 'value.a', /failed/)
  })
})

describe('objects', () => {
  test('dangerous names become own data', () => {
    const value = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2, "then": 3, "a": 4}')
    for (const dictionary of [undefined, makeDictionary([['__proto__', 'constructor', 'then', 'a', 'b']])]) {
      const decoded = roundTrip(value, dictionary)
      expect(Object.keys(Object(decoded))).toEqual(['__proto__', 'constructor', 'then', 'a'])
      expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
      expect(Object.hasOwn(Object(decoded), '__proto__')).toBe(true)
    }
    expect(Reflect.get({}, 'polluted')).toBe(undefined)
  })

  test('a polluted Object.prototype adds nothing to what is sent', () => {
    Object.defineProperty(Object.prototype, 'stray', {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true,
    })
    try {
      expect(Object.keys(Object(roundTrip({ a: 1 }, makeDictionary([['a']]))))).toEqual(['a'])
      expect(Object.keys(Object(roundTrip({ stray: 1 })))).toEqual(['stray'])
    } finally {
      Reflect.deleteProperty(Object.prototype, 'stray')
    }
  })

  test('plain objects, arrays and the rest of another realm are plain here', () => {
    const value: unknown = runInNewContext(
      '({ a: [1], d: new Date(5), m: new Map([[1, 2]]), b: new ArrayBuffer(2) })',
    )
    const expected = { a: [1], d: new Date(5), m: new Map([[1, 2]]), b: new ArrayBuffer(2) }
    expect(same(roundTrip(value), expected)).toBe(true)
    expect(same(roundTrip(Object.assign(Object.create(null), { a: 1 })), { a: 1 })).toBe(true)
  })

  test('records of many different keys', () => {
    const rows = Array.from({ length: 3000 }, (_, row) => ({ [`key${row}`]: row, same: 1 }))
    expect(same(decodeAll(rows), rows)).toBe(true)
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, key) => [`k${key}`, key]))
    expect(same(roundTrip(wide), wide)).toBe(true)
  })

  test('an error keeps what it says but not its stack', () => {
    const error = Object.assign(new TypeError('no', { cause: new Error('why') }), {
      code: 'E_NO',
      stack: 'secret',
    })
    const decoded = roundTrip(error)
    expect(decoded).toBeInstanceOf(TypeError)
    expect(decoded).toMatchObject({ name: 'TypeError', message: 'no', code: 'E_NO' })
    expect(Reflect.get(Object(decoded), 'stack')).toBe('TypeError: no')
    expect(toHex(encoder.encode(error))).not.toContain(toHex(Buffer.from('secret')))
  })

  function decodeAll(value: unknown): unknown {
    const bytes = encoder.encode(value)
    return decodeBody(bytes, 0, bytes.length, { maxDepth: 64, maxKeys: 100_000 })
  }
})

describe('binaries', () => {
  test('small ones are copies, large ones segments', () => {
    const small = Buffer.from('abc')
    const large = new Float64Array(SEGMENT_BYTES / 8).fill(1.5)
    const bytes = encoder.encode({ small, large, again: large }).slice()
    expect(bytes.length).toBeLessThan(64)
    expect(encoder.segments.map((segment) => segment.length)).toEqual([SEGMENT_BYTES, SEGMENT_BYTES])
    expect(encoder.segments[0]?.buffer).toBe(large.buffer)
    const odd = new Uint8Array(SEGMENT_BYTES + 1).subarray(1)
    odd.set(encoder.segments[0] ?? [])
    const even = new Uint8Array(odd)
    const decoded = Object(decode(bytes, undefined, [odd, even]))
    expect(decoded.small.constructor).toBe(Uint8Array)
    expect(decoded.small.buffer).not.toBe(bytes.buffer)
    expect(decoded.large).toEqual(large)
    expect(decoded.large.buffer).not.toBe(odd.buffer)
    expect(decoded.again.buffer).toBe(even.buffer)
    expect(encoder.encode(1).length).toBe(1)
    expect(encoder.segments).toEqual([])
  })

  test('shared memory is copied before it can change', () => {
    const view = new Uint8Array(new SharedArrayBuffer(SEGMENT_BYTES))
    encoder.encode(view)
    view[0] = 9
    expect(encoder.segments[0]?.[0]).toBe(0)
  })
})

describe('room', () => {
  const value = {
    id: 1,
    text: 'zażółć',
    list: ['x'.repeat(100), 1.5, -3n, new Uint8Array(20)],
    m: new Map([[1, { q: 2 }]]),
  }

  test('encodeInto writes where it is told, and nothing counts when it cannot', () => {
    const bytes = encoder.encode(value).slice()
    const target = new Uint8Array(bytes.length + 26)
    expect(encoder.encodeInto(target, 10, value)).toBe(10 + bytes.length)
    expect(target.subarray(10, 10 + bytes.length)).toEqual(bytes)
    expect(same(decodeBody(target, 10, 10 + bytes.length, LIMITS), value)).toBe(true)
    for (let size = 0; size < bytes.length; size += 1) {
      const short = new Uint8Array(size)
      expect(encoder.encodeInto(short, 0, value)).toBe(-1)
      expect(encoder.segments).toEqual([])
    }
    expect(encoder.encodeInto(new Uint8Array(8), 0, [new Uint8Array(SEGMENT_BYTES), 'x'.repeat(99)])).toBe(-1)
    expect(encoder.segments).toEqual([])
  })

  test('the scratch grows to what is needed', () => {
    const long = { text: 'ł'.repeat(2_000_000), rows: Array.from({ length: 2000 }, (_, id) => ({ id })) }
    expect(same(roundTrip(long), long)).toBe(true)
    expect(same(roundTrip({ a: 1 }), { a: 1 })).toBe(true)
  })
})

describe('hostile bodies', () => {
  const MIB = 1024 * 1024
  const repeat = (head: string, unit: string): Uint8Array =>
    fromHex(head + unit.repeat(Math.floor((MIB - head.length / 2) / (unit.length / 2))))

  test.each([
    ['nested arrays', repeat('', 'c1')],
    ['nested errors', repeat('', 'f6f201816e')],
    ['empty definitions', repeat('ef808040', 'f10000')],
    ['short strings', repeat('ef808020', '8161')],
    ['a million items', repeat('effcff3f', '00')],
    ['sets in sets', repeat('', 'f501')],
    ['one long string', repeat('ecfbff3f', '61')],
    ['one long UTF-8 string', repeat('edfaff3f', 'c3a9')],
    ['one long UTF-16 string', repeat('eefaff3f', '00d8')],
  ])('are done with in time: %s', (_name, bytes) => {
    const started = processorMs()
    for (const maxKeys of [10_000, 10_000_000]) {
      const error = thrownBy(() => decodeBody(bytes, 0, bytes.length, { maxDepth: 64, maxKeys }))
      if (error === undefined) continue
      expect(error).toMatchObject({ reason: 'MALFORMED_BODY' })
      expect(error).not.toHaveProperty('cause')
    }
    expect(processorMs() - started).toBeLessThan(2000)
  })

  test('ranges outside of the bytes', () => {
    for (const [start, end] of [
      [-1, 1],
      [0, 9],
      [3, 2],
      [9, 9],
    ] as const) {
      const error = thrownBy(() => decodeBody(new Uint8Array(4), start, end, LIMITS))
      expect(error).toMatchObject({ reason: 'MALFORMED_BODY' })
    }
  })
})

const dictionaries = [
  undefined,
  makeDictionary([['a', 'b', 'c'], ['id'], ['a', 'c'], ['__proto__', 'constructor', 'then'], ['b', 'a']]),
  makeDictionary([KEYS, KEYS.toReversed(), ['0', 'a', 'b', 'c', 'id', 'then']]),
]

describe('properties', () => {
  test('what goes in comes out', () => {
    fc.assert(
      fc.property(anything, fc.nat({ max: dictionaries.length - 1 }), (value, number) => {
        const dictionary = dictionaries[number]
        const bytes = encoder.encode(value, dictionary).slice()
        const decoded = decode(bytes, dictionary)
        // A plain error keeps the report of a failure short: the dictionaries are long.
        if (!same(decoded, value)) throw new Error(`it came back as another value: ${toHex(bytes)}`)
        const again = toHex(encoder.encode(decoded, dictionary))
        if (again !== toHex(bytes)) throw new Error(`it is written as ${again}, then as ${toHex(bytes)}`)
      }),
      { numRuns: 10_000 },
    )
  })

  test('100,000 broken bodies give a value or one kind of error', () => {
    const samples = fc.sample(anything, { numRuns: 3000, seed: 5 })
    let state = 12345
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const bodies = dictionaries.map((each) =>
      // Small ones: a change is more likely to hit something in them, and they are quickly done.
      samples.map((value) => encoder.encode(value, each).slice()).filter((body) => body.length < 400),
    )
    let refused = 0
    for (let run = 0; run < 100_000; run += 1) {
      const dictionary = dictionaries[run % dictionaries.length]
      const choice = bodies[run % dictionaries.length] ?? []
      const whole = choice[random(choice.length)] ?? new Uint8Array(0)
      let bytes = whole.slice(0, random(8) === 0 ? random(whole.length) : whole.length)
      for (let change = random(4); change >= 0 && bytes.length > 0; change -= 1) {
        const place = random(bytes.length)
        if (random(5) === 0)
          bytes = new Uint8Array([...bytes.subarray(0, place), ...bytes.subarray(place + 1)])
        else bytes[place] = random(3) === 0 ? 0xc0 + random(64) : random(256)
      }
      const error = thrownBy(() => decode(bytes, dictionary))
      if (error === undefined) continue
      refused += 1
      if (
        !(error instanceof ViaductError) ||
        error.reason !== 'MALFORMED_BODY' ||
        error.cause !== undefined
      ) {
        throw new Error(`not refused as it should be: ${toHex(bytes)}`, { cause: error })
      }
    }
    expect(refused).toBeGreaterThan(10_000)
  })
})
