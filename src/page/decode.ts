import type { BodyLimits } from '../wire/body.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { readU16, readU32 } from '../wire/frame.ts'
import * as TAG from '../wire/tag.ts'
import { BINARIES, CONSTANTS, define, distinct, fail, NEEDS_VALUES } from './common.ts'
import type { Values } from './values.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads the self-describing body that `bytes` are (PROTOCOL.md, section 6). Binaries that travelled as segments become
 * views of them where their alignment allows, all else is a copy. Made for few bytes of bundle rather than for speed,
 * but as strict as the decoder of whole links.
 *
 * Throws INVALID_ARGUMENT, reason MALFORMED_BODY, on anything but one whole value within the limits; UNIMPLEMENTED,
 * reason ENVELOPE_UNKNOWN, on an envelope; and on a kind of value that needs `values`, where that is not given.
 */
export function decode(
  bytes: Uint8Array,
  limits: BodyLimits,
  segments: readonly Uint8Array[],
  values?: Values,
): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const shapes: (readonly string[])[] = []
  /** Never goes back: whatever takes bytes that are not there is found out by the next to take one, or in the end. */
  let at = 0
  let segment = 0
  let depth = 0
  let keysLeft = limits.maxKeys

  const byte = () => bytes[at++] ?? fail()

  /** Goes on by so many bytes, and tells where they begin. */
  const skip = (count: number): number => {
    at += count
    return at - count
  }

  const float = () => view.getFloat64(skip(8), true)

  /** A number below 2 ** 32, seven bits a byte, of which at most `more` may follow the first. */
  const length = (more = 4): number => {
    const digit = byte()
    if (!more && digit > 15) fail()
    return digit < 128 ? digit : digit - 128 + 128 * length(more - 1)
  }

  const take = () => bytes.subarray(skip(length()), at)

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

  const object = (keys: readonly string[]): Fields => {
    const fields: Fields = {}
    list(keys.length, 1, (index) => {
      const name = keys[index] ?? fail()
      if (bytes[at] === TAG.ABSENT) at += 1
      else if (name in fields) define(fields, name, read())
      else fields[name] = read()
    })
    return fields
  }

  const binary = (isSegment: boolean): object => {
    const type = byte()
    const Class = BINARIES[type] ?? fail()
    const size = Class.BYTES_PER_ELEMENT ?? 1
    let content = isSegment ? (segments[segment++] ?? fail()) : new Uint8Array(take())
    if (content.length % size) fail()
    if (type ? content.byteOffset % size : content.length < content.buffer.byteLength)
      content = new Uint8Array(content)
    return type ? new Class(content.buffer, content.byteOffset, content.length / size) : content.buffer
  }

  const further = (): unknown => {
    if (values) return values.read(bytes[at - 1] ?? fail(), { take, length, list, read })
    throw new ViaductError('UNIMPLEMENTED', `value: ${NEEDS_VALUES}`)
  }

  /** What follows a tag, from TAG.U8 on. */
  const readers: (() => unknown)[] = [
    byte,
    () => readU16(bytes, skip(2)),
    () => readU32(bytes, skip(4)) | 0,
    () => ~byte(),
    float,
    further,
    further,
    () => textOf(take()),
    () => utf8.decode(take()),
    // Half a unit is a RangeError.
    () => textOf(new Uint16Array(new Uint8Array(take()).buffer)),
    () => list(length(), 1, read),
    () => object(shapes[length()] ?? fail()),
    () => object(shape()),
    () =>
      Object.fromEntries(
        distinct(
          Map,
          list(length(), 2, () => [key(), read()]),
        ),
      ),
    () => new Date(float()),
    further,
    further,
    further,
    () => binary(false),
    () => binary(true),
    fail,
    () => {
      throw new ViaductError('UNIMPLEMENTED', 'envelopes need viaduct/browser/full, or viaduct', {
        reason: 'ENVELOPE_UNKNOWN',
        fate: 'not-sent',
      })
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
    throw isViaductError(error)
      ? error
      : new ViaductError('INVALID_ARGUMENT', `malformed body at byte ${at}`, { reason: 'MALFORMED_BODY' })
  }
}

type Fields = Record<string, unknown>

/** Keys of shapes, by their number and the bytes of all. */
const kept = new Map<string, readonly string[]>()

/** The text of code units, by pieces: engines bound how many arguments a call has. */
function textOf(units: Uint8Array | Uint16Array): string {
  let text = ''
  for (let at = 0; at < units.length; at += 4096) {
    text += Reflect.apply(String.fromCharCode, undefined, units.subarray(at, at + 4096))
  }
  return text
}
