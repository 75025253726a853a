import { ViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'
import { MAX_DEPTH, SEGMENT_BYTES, TRUSTED_MAX_KEYS } from '../wire/limits.ts'
import { stepOf } from '../wire/path.ts'
import * as TAG from '../wire/tag.ts'
import { BINARIES, CONSTANTS, isOf, NEEDS_VALUES } from './common.ts'
import type { Values, Writer } from './values.ts'

/** A body, and the binaries that travel beside it. */
export interface Encoded {
  /** Memory of its own. */
  readonly body: Uint8Array
  /** Views of the sender's binaries of SEGMENT_BYTES or more, in order; they must not change until they are sent. */
  readonly segments: readonly Uint8Array[]
}

const BEYOND_LATIN1 = /[\u0100-\uffff]/
const LONE_SURROGATE = /\p{Surrogate}/u
const FLOAT = new Float64Array(1)
const FLOAT_BYTES = new Uint8Array(FLOAT.buffer)
const utf8 = new TextEncoder()

/**
 * Writes a value as a self-describing body (PROTOCOL.md, section 6), in the canonical form: the same bytes as the
 * encoder of whole links writes without a dictionary. Made for few bytes of bundle rather than for speed.
 *
 * What cannot be sent is refused with INVALID_ARGUMENT, reason UNSENDABLE and the path to it; accessors are refused
 * unread. Instances of another realm's classes are instances of classes here.
 *
 * @param values further kinds of values.
 */
export function encode(value: unknown, values?: Values): Encoded {
  /** Takes numbers modulo 256, so that they need no masks here. */
  let bytes = new Uint8Array(256)
  let end = 0
  const segments: Uint8Array[] = []
  /** The keys of the shapes that this body has defined. */
  const shapes: (readonly string[])[] = []
  /** The objects on the way to the value at hand. */
  const open: object[] = []
  let entries = 0
  /** Where the fault is: each container puts its step before, on the way out. */
  let path = ''
  /** What is wrong with the value at hand; as long as nothing is, only its own code can throw. */
  let fault = 'unreadable'

  const hint = values ? '' : `; ${NEEDS_VALUES}`
  const refuse: (what: string) => never = (what) => {
    fault = what
    throw undefined
  }

  /** Makes room for so many bytes more. */
  const reserve = (count: number) => {
    if (end + count > bytes.length) {
      const written = bytes
      bytes = new Uint8Array(2 * (end + count))
      bytes.set(written)
    }
  }

  const put = (byte: number) => {
    reserve(1)
    bytes[end++] = byte
  }

  /** A tag and so many bytes of a number, the lowest first. */
  const word = (tag: number, value: number, count: number) => {
    put(tag)
    for (; count > 0; count -= 1) {
      put(value)
      value >>= 8
    }
  }

  const append = (content: ArrayLike<number>) => {
    reserve(content.length)
    bytes.set(content, end)
    end += content.length
  }

  /** A tag and a count of any length, seven bits a byte. A count below `limit` is part of the tag `short`. */
  const header = (tag: number, count: number, short = 0, limit = 0) => {
    if (count < limit) put(short | count)
    else {
      put(tag)
      for (; count > 0x7f; count >>>= 7) put(count | 0x80)
      put(count)
    }
  }

  /** Content behind its length. */
  const block = (tag: number, content: ArrayLike<number>) => {
    header(tag, content.length)
    append(content)
  }

  const float = (tag: number, value: number) => {
    put(tag)
    FLOAT[0] = Number.isNaN(value) ? Number.NaN : value
    append(FLOAT_BYTES)
  }

  const text = (value: string) => {
    const isWide = BEYOND_LATIN1.test(value)
    if (isWide && !LONE_SURROGATE.test(value)) return block(TAG.UTF8, utf8.encode(value))
    if (isWide) header(TAG.UTF16, 2 * value.length)
    else header(TAG.LATIN1, value.length, TAG.SHORT_TEXT, 64)
    reserve(2 * value.length)
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index)
      bytes[end++] = unit
      if (isWide) bytes[end++] = unit >> 8
    }
  }

  /** Counts what a container holds, and gives the count back. */
  const enter = (count: number): number => {
    entries += count
    if (open.length > MAX_DEPTH) refuse('nested too deep')
    if (entries > TRUSTED_MAX_KEYS) refuse('too many entries')
    return count
  }

  /** Writes what a container holds under this key; `step` says how a path names that. */
  const child = <Key extends string | number>(
    holder: object,
    key: Key,
    step: (key: Key) => string = stepOf,
  ) => {
    try {
      const property = Object.getOwnPropertyDescriptor(holder, key)
      if (!property || !('value' in property)) return refuse('a hole or accessor')
      write(property.value)
    } catch (error) {
      path = step(key) + path
      throw error
    }
  }

  const fields = (object: object) => {
    for (const symbol of Object.getOwnPropertySymbols(object)) {
      path = stepOf(symbol)
      refuse('a symbol key')
    }
    const keys = Object.keys(object)
    const known = shapes.findIndex(
      (shape) => shape.length === keys.length && shape.every((key, index) => key === keys[index]),
    )
    const isRecord = enter(keys.length) > 64 || (shapes.length > 255 && known < 0)
    if (isRecord) header(TAG.RECORD, keys.length)
    else if (known < 0) {
      shapes.push(keys)
      // The names go behind their length, which is not known before they are written.
      const from = end
      keys.forEach(write)
      const names = bytes.slice(from, end)
      end = from
      put(TAG.DEFINE)
      block(keys.length, names)
    } else header(TAG.SHAPE, known, TAG.SHORT_SHAPE, 16)
    for (const key of keys) {
      if (isRecord) write(key)
      child(object, key)
    }
  }

  const items = (list: readonly unknown[], step?: (index: number) => string) => {
    for (let index = 0; index < list.length; index += 1) child(list, index, step)
  }

  const object = (value: object) => {
    if (open.includes(value)) refuse('a cycle')
    open.push(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (!prototype || prototype === Object.prototype) fields(value)
    else if (isOf(Array, value)) {
      header(TAG.ARRAY, enter(value.length), TAG.SHORT_ARRAY, 16)
      items(value)
    } else if (isOf(Date, value)) float(TAG.DATE, value.getTime())
    else if (!values?.write(value, writer)) binary(value)
    open.pop()
  }

  const binary = (value: object) => {
    const type = BINARIES.findIndex((Class) => Class && value instanceof Class)
    if (type < 0) refuse(`a class instance${hint}`)
    // A DataView is made of nothing but true buffers, whatever a value says that it is.
    const view = ArrayBuffer.isView(value) ? value : new DataView(value as ArrayBuffer)
    const content = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    if (content.length < SEGMENT_BYTES) {
      put(TAG.BINARY)
      block(type, content)
    } else {
      put(TAG.SEGMENT)
      put(type)
      // Shared memory may change before it is sent, so that is copied.
      segments.push(content.buffer instanceof ArrayBuffer ? content : content.slice())
    }
  }

  const number = (value: number) => {
    if ((value | 0) !== value || Object.is(value, -0)) float(TAG.FLOAT, value)
    else if (value < -0x100 || value > 0xffff) word(TAG.I32, value, 4)
    else if (value < 0) word(TAG.NEGATIVE, ~value, 1)
    else if (value < 0x80) put(value)
    else if (value < 0x100) word(TAG.U8, value, 1)
    else word(TAG.U16, value, 2)
  }

  const write = (value: unknown) => {
    if (typeof value === 'string') text(value)
    else if (typeof value === 'number') number(value)
    else if (isObject(value)) object(value)
    else if (CONSTANTS.includes(value)) put(TAG.NULL + CONSTANTS.indexOf(value))
    else if (!values?.write(value, writer))
      refuse(`a ${typeof value}${typeof value === 'bigint' ? hint : ''}`)
  }

  const writer: Writer = { put, header, block, enter, fields, items, refuse }
  try {
    write(value)
  } catch (cause) {
    path = entries > TRUSTED_MAX_KEYS ? 'value' : `value${path}`
    const details = { reason: 'UNSENDABLE', path, cause }
    throw new ViaductError('INVALID_ARGUMENT', `${path} cannot be sent: ${fault}`, details)
  }
  return { body: bytes.slice(0, end), segments }
}
