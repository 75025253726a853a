/** Reads the notation of vectors/README.md. */
import { Envelope } from '../../src/wire/envelope.ts'

type Fields = Record<string, unknown>

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('not a list')
  return value
}

function pairs(value: unknown): [unknown, unknown][] {
  return list(value).map((pair) => [valueFrom(list(pair)[0]), valueFrom(list(pair)[1])])
}

function object(entries: [unknown, unknown][]): Fields {
  const made: Fields = {}
  for (const [key, value] of entries) {
    Object.defineProperty(made, String(key), { value, writable: true, enumerable: true, configurable: true })
  }
  return made
}

export function segmentOf(described: unknown): Uint8Array {
  if (!isFields(described)) throw new TypeError('not a segment')
  if (typeof described.hex === 'string') return fromHex(described.hex)
  return new Uint8Array(Number(described.bytes)).fill(Number(described.fill))
}

function error(fields: Fields): Error {
  const classes: Record<string, ErrorConstructor> = { TypeError, RangeError }
  const made = new (classes[String(fields.name)] ?? Error)(String(fields.message))
  for (const [key, value] of Object.entries(fields)) {
    if (key === 'message' || made.name === value) continue
    const enumerable = !['name', 'cause', 'errors'].includes(key)
    Object.defineProperty(made, key, { value, writable: true, enumerable, configurable: true })
  }
  return made
}

const CLASSES: Record<string, new (buffer: ArrayBuffer) => object> = {
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
}

/** A function of a script: what it does when it is called is said by whoever plays the script. */
export interface Placeholder {
  (...args: unknown[]): unknown
  run: (args: unknown[]) => unknown
}

const placeholders = new Map<number, Placeholder>()

export function placeholder(number: number): Placeholder {
  let made = placeholders.get(number)
  if (!made) {
    const called: Placeholder = Object.assign((...args: unknown[]): unknown => called.run(args), {
      run: (): unknown => undefined,
    })
    made = called
    placeholders.set(number, made)
  }
  return made
}

/** A class that only this program knows. */
class Foreign {}

function cycle(): unknown[] {
  const itself: unknown[] = []
  itself.push(itself)
  return itself
}

function levels(count: number, innermost: unknown): unknown {
  let value = innermost
  for (let level = 0; level < count; level += 1) value = [value]
  return value
}

/** The class of a binary in this host; undefined where it has none of that name. */
export function binaryClass(name: string): (new (buffer: ArrayBuffer) => object) | undefined {
  const known = CLASSES[name]
  if (known !== undefined || name !== 'Float16Array') return known
  const found: unknown = Reflect.get(globalThis, name)
  return isBinaryClass(found) ? found : undefined
}

function isBinaryClass(value: unknown): value is new (buffer: ArrayBuffer) => object {
  return typeof value === 'function'
}

/** The value that a description stands for. */
export function valueFrom(described: unknown): unknown {
  if (Array.isArray(described)) return described.map(valueFrom)
  if (!isFields(described)) return described
  const [tag, content] = Object.entries(described)[0] ?? []
  switch (tag) {
    case '$undefined':
      return undefined
    case '$number':
      return Number(content)
    case '$bigint':
      return BigInt(String(content))
    case '$units':
      return String.fromCharCode(...list(content).map(Number))
    case '$repeat':
      return String(content).repeat(Number(described.times))
    case '$items':
      return Array.from({ length: Number(described.times) }, () => valueFrom(content))
    case '$object':
      return object(pairs(content))
    case '$function':
      return placeholder(Number(content))
    case '$instance':
      return new Foreign()
    case '$cycle':
      return cycle()
    case '$levels':
      return levels(Number(content), 'of' in described ? valueFrom(described.of) : 1)
    case '$power':
      return (described.minus === true ? -1n : 1n) << BigInt(Number(content))
    case '$date':
      return new Date(content === null ? Number.NaN : Number(content))
    case '$map':
      return new Map(pairs(content))
    case '$set':
      return new Set(list(content).map(valueFrom))
    case '$error':
      return error(
        isFields(content) ? object(Object.entries(content).map(([k, v]) => [k, valueFrom(v)])) : {},
      )
    case '$envelope':
      return new Envelope(Number(content), segmentOf(described))
    case '$binary': {
      const buffer = new ArrayBuffer(segmentOf(described).length)
      new Uint8Array(buffer).set(segmentOf(described))
      const Class = binaryClass(String(content))
      return Class === undefined ? buffer : new Class(buffer)
    }
    default:
      return object(Object.entries(described).map(([key, value]) => [key, valueFrom(value)]))
  }
}

/** Whether two values are the same: types, bits, key order, hidden fields of errors; stacks are not looked at. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a === 'function' && typeof b === 'function') return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime())
  if (a instanceof Map && b instanceof Map) return same([...a], [...b])
  if (a instanceof Set && b instanceof Set) return same([...a], [...b])
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) return Buffer.from(a).equals(Buffer.from(b))
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
    return bytes(a).equals(bytes(b))
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => index in b && same(item, b[index]))
  }
  if (a instanceof Error !== b instanceof Error) return false
  const fields = (object: object) =>
    Object.getOwnPropertyNames(object).flatMap((key) => {
      const property = Object.getOwnPropertyDescriptor(object, key)
      return key === 'stack' ? [] : [[key, property?.value, property?.enumerable]]
    })
  const inOrder = (object: object) =>
    object instanceof Error
      ? fields(object).sort((x, y) => (String(x[0]) < String(y[0]) ? -1 : 1))
      : fields(object)
  if (a instanceof Error && b instanceof Error && a.name !== b.name) return false
  return same(inOrder(a), inOrder(b))
}
