import type { BodyLimits } from '../wire/body.ts'
import { ViaductError } from '../wire/errors.ts'
import * as TAG from '../wire/tag.ts'
import { BINARIES, CONSTANTS, HIDDEN, isBinaryClass } from './common.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]

/**
 * Reads the self-describing body in `payload` from `from` to `end` (PROTOCOL.md, section 6). Binaries that travelled as
 * segments become views of them where their alignment allows, all else is a copy. Made for few bytes of bundle rather
 * than for speed, but as strict as the decoder of whole links.
 *
 * Throws INVALID_ARGUMENT, reason MALFORMED_BODY, on anything but one whole value within the limits; UNIMPLEMENTED,
 * reason ENVELOPE_UNKNOWN, on an envelope.
 */
export function decode(
  payload: Uint8Array,
  from: number,
  end: number,
  limits: BodyLimits,
  segments: readonly Uint8Array[],
): unknown {
  const bytes = payload.subarray(from, end)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const shapes: (readonly string[])[] = []
  let at = 0
  let segment = 0
  let depth = 0
  let keysLeft = limits.maxKeys
  let isEnvelope = false

  /** Whatever is thrown while a body is read, the engine's own errors too, becomes the refusal of the whole. */
  const fail: () => never = () => {
    throw undefined
  }

  const byte = (): number => bytes[at++] ?? fail()

  /** Goes on by so many bytes, and tells where they begin. */
  const skip = (count: number): number => {
    at += count
    return at - count
  }

  const float = () => view.getFloat64(skip(8), true)

  /** A number of at most five bytes, below 2 ** 32. */
  const length = (): number => {
    let value = 0
    for (let unit = 1; unit < 2 ** 35; unit *= 128) {
      const digit = byte()
      value += (digit & 127) * unit
      if (digit < 128 && value < 2 ** 32) return value
    }
    return fail()
  }

  const take = (count = length()) => (count > bytes.length - at ? fail() : bytes.subarray(skip(count), at))

  /** Begins what holds `count` things of `least` bytes or more, before that is believed; `depth` has to go down after. */
  const enter = (count: number, least: number): number => {
    keysLeft -= count
    depth += 1
    return depth > limits.maxDepth || keysLeft < 0 || count * least > bytes.length - at ? fail() : count
  }

  const array = (count: number) => {
    const items: unknown[] = []
    for (let left = enter(count, 1); left > 0; left -= 1) items.push(read())
    depth -= 1
    return items
  }

  const set = (items: readonly unknown[]) => distinct(new Set(items), items.length)

  const map = (count: number) => {
    const map = new Map<unknown, unknown>()
    for (let left = enter(count, 2); left > 0; left -= 1) map.set(read(), read())
    depth -= 1
    return distinct(map, count)
  }

  const distinct = <Keys extends { readonly size: number }>(keys: Keys, count: number) =>
    keys.size < count ? fail() : keys

  const latin1 = (count: number): string => {
    const content = take(count)
    if (count > 63) return longText(content)
    // To have the engine make so short a text of an array takes longer.
    let text = ''
    for (let index = 0; index < count; index += 1) text += String.fromCharCode(content[index] as number)
    return text
  }

  const text = (tag: number): string => {
    if (tag === TAG.UTF8) return utf8.decode(take())
    // Half a unit is a RangeError.
    if (tag === TAG.UTF16) return textOf(new Uint16Array(new Uint8Array(take()).buffer))
    if (tag === TAG.LATIN1) return latin1(length())
    return tag >= TAG.SHORT_TEXT && tag < TAG.SHORT_ARRAY ? latin1(tag - TAG.SHORT_TEXT) : fail()
  }

  /** The keys of the next shape. They are remembered: bodies of one kind define the same shapes. */
  const define = (): readonly string[] => {
    const from = at
    const count = length()
    const stop = length() + at
    if (count > 64 || shapes.length > 255 || stop > bytes.length) fail()
    let hash = 0
    for (let index = from; index < stop; index += 1) hash = Math.imul(hash, 31) + (bytes[index] as number)
    const place = hash & (KEPT_DEFINITIONS - 1)
    const known = definitions[place]
    let keys = known?.keys
    if (
      keys &&
      known?.bytes.length === stop - from &&
      known.bytes.every((one, index) => one === bytes[from + index])
    ) {
      at = stop
    } else {
      keys = Array.from({ length: count }, () => text(byte()))
      if (at !== stop) fail()
      distinct(new Set(keys), count)
      if (stop - from < LONGEST_DEFINITION) definitions[place] = { bytes: bytes.slice(from, stop), keys }
    }
    shapes.push(keys)
    return keys
  }

  /** An object whose tag was read; any other tag is refused. */
  const object = (tag: number): Fields => {
    const fields: Fields = {}
    if (tag === TAG.RECORD) {
      const count = enter(length(), 2)
      for (let left = count; left > 0; left -= 1) put(fields, text(byte()), read())
      if (Object.keys(fields).length < count) fail()
    } else {
      const number = tag === TAG.SHAPE ? length() : tag < TAG.NULL ? tag - TAG.SHORT_SHAPE : -1
      const keys = tag === TAG.DEFINE ? define() : (shapes[number] ?? fail())
      enter(keys.length, 1)
      for (const key of keys) {
        if (bytes[at] === TAG.ABSENT) at += 1
        else put(fields, key, read())
      }
    }
    depth -= 1
    return fields
  }

  const bigint = () => {
    const magnitude = take()
    if (magnitude.length > 1024) fail()
    return BigInt(
      magnitude.reduceRight((digits, digit) => digits + digit.toString(16).padStart(2, '0'), '0x0'),
    )
  }

  const error = ({ name, message, ...others }: Fields): Error => {
    if (typeof name !== 'string' || typeof message !== 'string') return fail()
    const Class = ERRORS.find((known) => known.name === name) ?? Error
    const error = new Class(message)
    // Its stack is this program's and says nothing.
    const fields: Fields = { ...others, stack: `${name}: ${message}` }
    if (Class.name !== name) fields.name = name
    for (const [key, value] of Object.entries(fields)) {
      const enumerable = !HIDDEN.includes(key)
      Object.defineProperty(error, key, { value, writable: true, enumerable, configurable: true })
    }
    return error
  }

  const binary = (tag: number): object => {
    const Class = BINARIES[byte()]
    const content = tag === TAG.BINARY ? new Uint8Array(take()) : segments[segment++]
    if (!content || !isBinaryClass(Class)) return fail()
    const size = Class.BYTES_PER_ELEMENT ?? 1
    if (content.length % size) fail()
    const isBuffer = Class === ArrayBuffer
    const usable = isBuffer ? content.length === content.buffer.byteLength : content.byteOffset % size === 0
    const { buffer, byteOffset } = usable ? content : new Uint8Array(content)
    return isBuffer ? buffer : new Class(buffer, byteOffset, content.length / size)
  }

  const read = (): unknown => {
    const tag = byte()
    if (tag < TAG.SHORT_TEXT) return tag
    if (tag < TAG.SHORT_ARRAY) return latin1(tag - TAG.SHORT_TEXT)
    if (tag < TAG.SHORT_SHAPE) return array(tag - TAG.SHORT_ARRAY)
    if (tag < TAG.NULL) return object(tag)
    if (tag < TAG.ABSENT) return CONSTANTS[tag - TAG.NULL]
    switch (tag) {
      case TAG.U8:
        return byte()
      case TAG.U16:
        return view.getUint16(skip(2), true)
      case TAG.I32:
        return view.getInt32(skip(4), true)
      case TAG.NEGATIVE:
        return ~byte()
      case TAG.FLOAT:
        return float()
      case TAG.BIGINT:
        return bigint()
      case TAG.NEGATIVE_BIGINT:
        return -bigint()
      case TAG.ARRAY:
        return array(length())
      case TAG.DATE:
        return new Date(float())
      case TAG.MAP:
        return map(length())
      case TAG.SET:
        return set(array(length()))
      case TAG.ERROR:
        return error(object(byte()))
      case TAG.BINARY:
      case TAG.SEGMENT:
        return binary(tag)
      case TAG.ENVELOPE:
        isEnvelope = true
        return fail()
    }
    return tag < TAG.ARRAY ? text(tag) : object(tag)
  }

  try {
    const value = read()
    if (bytes.length !== end - from || at < bytes.length || segment < segments.length) fail()
    return value
  } catch {
    throw isEnvelope
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

/** Sets a field of a new object, which `__proto__` is as well. */
function put(fields: Fields, key: string, value: unknown): void {
  if (key !== '__proto__') fields[key] = value
  else Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true })
}

interface Definition {
  readonly bytes: Uint8Array
  readonly keys: readonly string[]
}

/** Definitions of shapes that were read not long ago, each where the hash of its bytes says. */
const definitions: (Definition | undefined)[] = []
const KEPT_DEFINITIONS = 256
const LONGEST_DEFINITION = 512

/** Bytes that are code units; most texts are ASCII, which engines read many times as fast. */
function longText(units: Uint8Array): string {
  let all = 0
  for (let index = 0; index < units.length; index += 1) all |= units[index] as number
  return all < 0x80 ? utf8.decode(units) : textOf(units)
}

/** The text of code units, by pieces: engines bound how many arguments a call has. */
function textOf(units: Uint8Array | Uint16Array): string {
  let text = ''
  for (let at = 0; at < units.length; at += 4096)
    text += Reflect.apply(String.fromCharCode, undefined, units.subarray(at, at + 4096))
  return text
}
