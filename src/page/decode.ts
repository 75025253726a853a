import type { BodyLimits } from '../wire/body.ts'
import { ViaductError } from '../wire/errors.ts'
import * as TAG from '../wire/tag.ts'
import { BINARIES, CONSTANTS, HIDDEN } from './common.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]

/**
 * Reads the self-describing body that `bytes` are (PROTOCOL.md, section 6). Binaries that travelled as segments become
 * views of them where their alignment allows, all else is a copy. Made for few bytes of bundle rather than for speed,
 * but as strict as the decoder of whole links.
 *
 * Throws INVALID_ARGUMENT, reason MALFORMED_BODY, on anything but one whole value within the limits; UNIMPLEMENTED,
 * reason ENVELOPE_UNKNOWN, on an envelope.
 */
export function decode(bytes: Uint8Array, limits: BodyLimits, segments: readonly Uint8Array[]): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const shapes: (readonly string[])[] = []
  /** Never goes back: whatever takes bytes that are not there is found out by the next to take one, or in the end. */
  let at = 0
  let segment = 0
  let depth = 0
  let keysLeft = limits.maxKeys

  const byte = () => view.getUint8(at++)

  /** Goes on by so many bytes, and tells where they begin. */
  const skip = (count: number): number => {
    at += count
    return at - count
  }

  const float = () => view.getFloat64(skip(8), true)

  /** A number of at most five bytes, below 2 ** 32. */
  const length = (unit = 1): number => {
    const digit = byte()
    if (unit > 2 ** 27 && digit > 15) fail()
    return digit < 128 ? digit * unit : (digit - 128) * unit + length(unit * 128)
  }

  const take = (count = length()) => bytes.subarray(skip(count), at)

  /** What `one` reads, as often as `count` says, when there may be so many, each of `least` bytes or more. */
  const list = <One>(count: number, least: number, one: (index: number) => One): One[] => {
    keysLeft -= count
    depth += 1
    if (depth > limits.maxDepth || keysLeft < 0 || count * least > bytes.length - at) fail()
    const items: One[] = []
    for (let index = 0; index < count; index += 1) items.push(one(index))
    depth -= 1
    return items
  }

  /** To have the engine make so short a text of an array takes longer. */
  const shortText = (count: number): string => {
    let text = ''
    for (let left = count; left > 0; left -= 1) text += String.fromCharCode(byte())
    return text
  }

  const key = (): string => {
    const text = read()
    return typeof text === 'string' ? text : fail()
  }

  /** The keys of the next shape. They are kept: bodies of one kind define the same shapes. */
  const shape = (): readonly string[] => {
    const count = length()
    const names = take()
    const id = `${count} ${textOf(names)}`
    let keys = kept.get(id)
    if (!keys) {
      const end = at
      at -= names.length
      keys = Array.from({ length: count > 64 ? fail() : count }, key)
      if (at !== end) fail()
      distinct(Set, keys)
      if (kept.size < 256 && names.length < 512) kept.set(id, keys)
    }
    return shapes.push(keys) > 256 ? fail() : keys
  }

  /** An object of a shape, or with keys of its own. */
  const object = (keys?: readonly string[]): Fields => {
    const fields: Fields = {}
    const count = keys ? keys.length : length()
    list(count, keys ? 1 : 2, (index) => {
      if (keys && bytes[at] === TAG.ABSENT) at += 1
      else {
        const name = keys?.[index] ?? key()
        if (name === '__proto__') define(fields, name, read())
        else fields[name] = read()
      }
    })
    return !keys && Object.keys(fields).length < count ? fail() : fields
  }

  const bigint = () => {
    const magnitude = take()
    if (magnitude.length > 1024) fail()
    // By way of a text: to shift a long one by a byte at a time takes the square of its length.
    return BigInt(magnitude.reduceRight((text, digit) => text + digit.toString(16).padStart(2, '0'), '0x0'))
  }

  const error = (): Error => {
    const fields: Fields = Object(read())
    const { name, message } = fields
    if (fields instanceof Error || typeof name !== 'string' || typeof message !== 'string') return fail()
    const Class = ERRORS.find((known) => known.name === name) ?? Error
    const error = new Class(message)
    // Its stack is this program's and says nothing.
    for (const [key, value] of Object.entries({ ...fields, stack: `${name}: ${message}` })) {
      if (key !== 'name' || error.name !== name) define(error, key, value, !HIDDEN.includes(key))
    }
    return error
  }

  const binary = (isSegment: boolean): object => {
    const type = byte()
    const Class = BINARIES[type] ?? fail()
    const size = Class.BYTES_PER_ELEMENT ?? 1
    let content = isSegment ? (segments[segment++] ?? fail()) : new Uint8Array(take())
    if (content.length % size) fail()
    if (type ? content.byteOffset % size : content.length < content.buffer.byteLength)
      content = new Uint8Array(content)
    const { buffer, byteOffset } = content
    return type ? new Class(buffer, byteOffset, content.length / size) : buffer
  }

  const pair = (): [unknown, unknown] => [read(), read()]

  /** What follows a tag, from TAG.U8 on. */
  const readers: (() => unknown)[] = [
    byte,
    () => view.getUint16(skip(2), true),
    () => view.getInt32(skip(4), true),
    () => ~byte(),
    float,
    bigint,
    () => -bigint(),
    () => textOf(take()),
    () => utf8.decode(take()),
    // Half a unit is a RangeError.
    () => textOf(new Uint16Array(new Uint8Array(take()).buffer)),
    () => list(length(), 1, read),
    () => object(shapes[length()] ?? fail()),
    () => object(shape()),
    () => object(),
    () => new Date(float()),
    () => distinct(Map, list(length(), 2, pair)),
    () => distinct(Set, list(length(), 1, read)),
    error,
    () => binary(false),
    () => binary(true),
    fail,
    () => {
      throw TAG.ENVELOPE
    },
  ]

  const read = (): unknown => {
    const tag = byte()
    if (tag < TAG.SHORT_TEXT) return tag
    if (tag < TAG.SHORT_ARRAY) return shortText(tag - TAG.SHORT_TEXT)
    if (tag < TAG.SHORT_SHAPE) return list(tag - TAG.SHORT_ARRAY, 1, read)
    if (tag < TAG.NULL) return object(shapes[tag - TAG.SHORT_SHAPE] ?? fail())
    if (tag < TAG.ABSENT) return CONSTANTS[tag - TAG.NULL]
    return (readers[tag - TAG.U8] ?? fail)()
  }

  try {
    const value = read()
    return at === bytes.length && segment === segments.length ? value : fail()
  } catch (error) {
    throw error === TAG.ENVELOPE
      ? new ViaductError('UNIMPLEMENTED', 'pages read no envelopes', {
          reason: 'ENVELOPE_UNKNOWN',
          fate: 'not-sent',
        })
      : new ViaductError('INVALID_ARGUMENT', `malformed body at byte ${at}`, {
          reason: 'MALFORMED_BODY',
        })
  }
}

type Fields = Record<string, unknown>

/** Keys of shapes, by their number and the bytes of all. */
const kept = new Map<string, readonly string[]>()

/** Sets a property, whatever is inherited. */
function define(object: object, key: string, value: unknown, enumerable = true): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable, configurable: true })
}

/** Whatever is thrown while a body is read, the engine's own errors too, becomes the refusal of the whole. */
function fail(): never {
  throw undefined
}

/** A collection of members, or entries, of which no two are the same. */
function distinct<Item, Keys extends { readonly size: number }>(
  Class: new (items: readonly Item[]) => Keys,
  items: readonly Item[],
): Keys {
  const keys = new Class(items)
  return keys.size < items.length ? fail() : keys
}

/** The text of code units, by pieces: engines bound how many arguments a call has. */
function textOf(units: Uint8Array | Uint16Array): string {
  let text = ''
  for (let at = 0; at < units.length; at += 4096) {
    text += Reflect.apply(String.fromCharCode, undefined, units.subarray(at, at + 4096))
  }
  return text
}
