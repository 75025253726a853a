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
  /** Throws a RangeError at the end of the bytes. */
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

  /** Goes on by so many bytes, and tells where they begin. */
  const skip = (count: number) => {
    at += count
    return at - count
  }

  const byte = () => view.getUint8(skip(1))
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

  /** Reads what a container holds: `count` things of `least` bytes or more, which is checked before it is believed. */
  const many = (count: number, least: number, readOne: (index: number) => void) => {
    keysLeft -= count
    depth += 1
    if (depth > limits.maxDepth || keysLeft < 0 || count * least > bytes.length - at) fail()
    for (let index = 0; index < count; index += 1) readOne(index)
    depth -= 1
  }

  const array = (count = length()) => {
    const items: unknown[] = []
    many(count, 1, () => items.push(read()))
    return items
  }

  const set = () => {
    const items = array()
    return distinct(new Set(items), items.length)
  }

  const entries = <Key>(readKey: () => Key) => {
    const count = length()
    const map = new Map<Key, unknown>()
    many(count, 2, () => map.set(readKey(), read()))
    return distinct(map, count)
  }

  const distinct = <Keys extends { readonly size: number }>(keys: Keys, count: number) =>
    keys.size < count ? fail() : keys

  const text = (tag = byte()): string => {
    if (tag === TAG.UTF8) return utf8.decode(take())
    // Half a unit is a RangeError.
    if (tag === TAG.UTF16) return textOf(new Uint16Array(new Uint8Array(take()).buffer))
    if (tag === TAG.LATIN1) return textOf(take())
    return tag >= TAG.SHORT_TEXT && tag < TAG.SHORT_ARRAY ? textOf(take(tag - TAG.SHORT_TEXT)) : fail()
  }

  const define = (): readonly string[] => {
    const count = length()
    const stop = length() + at
    if (count > 64 || shapes.length > 255) fail()
    const keys = Array.from({ length: count }, () => text())
    if (at !== stop) fail()
    distinct(new Set(keys), count)
    shapes.push(keys)
    return keys
  }

  /** The fields of an object whose tag was read; any other tag is refused. */
  const fields = (tag: number): Map<string, unknown> => {
    if (tag === TAG.RECORD) return entries(text)
    const number = tag === TAG.SHAPE ? length() : tag < TAG.NULL ? tag - TAG.SHORT_SHAPE : -1
    const keys = tag === TAG.DEFINE ? define() : (shapes[number] ?? fail())
    const found = new Map<string, unknown>()
    many(keys.length, 1, (index) => {
      if (bytes[at] === TAG.ABSENT) at += 1
      else found.set(keys[index] as string, read())
    })
    return found
  }

  const bigint = () => {
    const magnitude = take()
    if (magnitude.length > 1024) fail()
    return BigInt(
      magnitude.reduceRight((digits, digit) => digits + digit.toString(16).padStart(2, '0'), '0x0'),
    )
  }

  const error = (fields: Map<string, unknown>): Error => {
    const name = fields.get('name')
    const message = fields.get('message')
    if (typeof name !== 'string' || typeof message !== 'string') return fail()
    const Class = ERRORS.find((known) => known.name === name) ?? Error
    const error = new Class(message)
    // Its stack is this program's and says nothing.
    fields.set('stack', `${name}: ${message}`)
    if (Class.name === name) fields.delete('name')
    for (const [key, value] of fields) {
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

  const envelope = () => {
    isEnvelope = true
    fail()
  }

  const readers: { readonly [tag: number]: (tag: number) => unknown } = {
    [TAG.U8]: byte,
    [TAG.U16]: () => view.getUint16(skip(2), true),
    [TAG.I32]: () => view.getInt32(skip(4), true),
    [TAG.NEGATIVE]: () => ~byte(),
    [TAG.FLOAT]: float,
    [TAG.BIGINT]: bigint,
    [TAG.NEGATIVE_BIGINT]: () => -bigint(),
    [TAG.LATIN1]: text,
    [TAG.UTF8]: text,
    [TAG.UTF16]: text,
    [TAG.ARRAY]: () => array(),
    [TAG.DATE]: () => new Date(float()),
    [TAG.MAP]: () => entries(read),
    [TAG.SET]: set,
    [TAG.ERROR]: () => error(fields(byte())),
    [TAG.BINARY]: binary,
    [TAG.SEGMENT]: binary,
    [TAG.ENVELOPE]: envelope,
  }

  const read = (): unknown => {
    const tag = byte()
    if (tag < TAG.SHORT_TEXT) return tag
    if (tag < TAG.SHORT_ARRAY) return text(tag)
    if (tag < TAG.SHORT_SHAPE) return array(tag - TAG.SHORT_ARRAY)
    if (tag >= TAG.NULL && tag < TAG.ABSENT) return CONSTANTS[tag - TAG.NULL]
    return readers[tag]?.(tag) ?? Object.fromEntries(fields(tag))
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

/** The text of code units, by pieces: engines bound how many arguments a call has. */
function textOf(units: Uint8Array | Uint16Array): string {
  let text = ''
  for (let at = 0; at < units.length; at += 4096)
    text += String.fromCharCode(...units.subarray(at, at + 4096))
  return text
}
