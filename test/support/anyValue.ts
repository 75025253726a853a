/** Arbitrary values of bodies (PROTOCOL.md, section 6), for tests of properties. */
import fc from 'fast-check'

/** Keys that are likely to meet: dangerous ones, of all widths, integer-like ones. */
export const KEYS = [
  'a',
  'b',
  'c',
  'id',
  '__proto__',
  'constructor',
  'then',
  '',
  '0',
  'é',
  'ł',
  '\ud800',
  'toString',
]
const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ unit: 'binary' }), fc.string())
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units)),
  fc.string({ minLength: 60, maxLength: 70 }),
)
const views = fc.uint8Array({ maxLength: 40 }).chain((bytes) =>
  fc
    .constantFrom<(buffer: ArrayBuffer) => object>(
      (buffer) => new Uint8Array(buffer),
      (buffer) => new Int8Array(buffer),
      (buffer) => new Uint8ClampedArray(buffer),
      (buffer) => new Int16Array(buffer.slice(0, buffer.byteLength & ~1)),
      (buffer) => new Float32Array(buffer.slice(0, buffer.byteLength & ~3)),
      (buffer) => new Float64Array(buffer.slice(0, buffer.byteLength & ~7)),
      (buffer) => new BigInt64Array(buffer.slice(0, buffer.byteLength & ~7)),
      (buffer) => new DataView(buffer),
      (buffer) => buffer,
    )
    .map((make) => make(new Uint8Array(bytes).buffer)),
)
const leaf = fc.oneof(
  fc.constantFrom<unknown>(null, undefined, true, false, -0, Number.NaN, Infinity, -Infinity, 0n, -1n),
  fc.double(),
  fc.integer(),
  fc.integer({ min: -300, max: 300 }),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  text,
  fc.date({ noInvalidDate: false }),
  views,
)
/** Every kind of value that a body may hold, nested. */
export const anything = fc.letrec<{ value: unknown; object: object; error: Error }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    tie('object'),
    fc.array(tie('value'), { maxLength: 18 }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 6 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 6 }).map((items) => new Set(items)),
    tie('error'),
  ),
  object: fc.array(fc.tuple(key, tie('value')), { maxLength: 8 }).map(asObject),
  error: fc
    .tuple(text, fc.option(tie('value'), { nil: undefined }), tie('value'))
    .map(([message, cause, data]) => Object.assign(new RangeError(message, { cause }), { data, code: 'E' })),
})).value

function asObject(entries: [string, unknown][]): object {
  const object = {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
  }
  return object
}
