import { ViaductError } from '../wire/errors.ts'
import { MAX_DEPTH, SEGMENT_BYTES, TRUSTED_MAX_KEYS } from '../wire/limits.ts'
import * as TAG from '../wire/tag.ts'
import { BINARIES, CONSTANTS, HIDDEN, isBinaryClass } from './common.ts'

/** A body, and the binaries that travel beside it. */
export interface Encoded {
  /** Memory of its own. */
  readonly body: Uint8Array
  /** Views of the sender's binaries of SEGMENT_BYTES or more, in order; they must not change until they are sent. */
  readonly segments: readonly Uint8Array[]
}

const NAN_BYTES = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const LONE_SURROGATE = /\p{Surrogate}/u
const utf8 = new TextEncoder()

/**
 * Writes a value as a self-describing body (PROTOCOL.md, section 6), in the canonical form: the same bytes as the
 * encoder of whole links writes without a dictionary. Made for few bytes of bundle rather than for speed.
 *
 * What cannot be sent is refused with INVALID_ARGUMENT, reason UNSENDABLE and the path to it; accessors are refused
 * unread. Instances of another realm's classes are instances of classes here.
 */
export function encode(value: unknown): Encoded {
  /** Takes numbers modulo 256, so that they need no masks here. A proxy's trap may encode as well, with its own. */
  let bytes = spare ?? new Uint8Array(4096)
  spare = undefined
  let end = 0
  const segments: Uint8Array[] = []
  /** Numbers of the shapes that this body has defined, by their keys as JSON. */
  const shapes = new Map<string, number>()
  /** The way to the value at hand, and the objects on it. */
  const path: Step[] = []
  const open: object[] = []
  let entries = 0
  /** What is wrong with the value at the end of the path; as long as nothing is, only its own code can throw. */
  let fault = 'unreadable'

  const refuse: (what: string) => never = (what) => {
    fault = what
    throw undefined
  }

  /** Makes room for so many bytes more. */
  const reserve = (count: number) => {
    if (end + count <= bytes.length) return
    const longer = new Uint8Array(2 * (end + count))
    longer.set(bytes)
    bytes = longer
  }

  const put = (byte: number) => {
    reserve(1)
    bytes[end++] = byte
  }

  const append = (content: ArrayLike<number>) => {
    reserve(content.length)
    bytes.set(content, end)
    end += content.length
  }

  /** A tag and a count of any length, seven bits a byte. A count below `limit` is part of the tag `short`. */
  const header = (tag: number, count: number, short = 0, limit = 0) => {
    if (count < limit) return put(short | count)
    put(tag)
    let rest = count
    for (; rest > 0x7f; rest >>>= 7) put(rest | 0x80)
    put(rest)
  }

  /** Content behind its length. */
  const block = (tag: number, content: ArrayLike<number>) => {
    header(tag, content.length)
    append(content)
  }

  /** A tag and an integer of so many bytes, the least first. */
  const integer = (tag: number, value: number, count: number) => {
    put(tag)
    for (let shift = 0; shift < 8 * count; shift += 8) put(value >> shift)
  }

  const number = (value: number) => {
    if ((value | 0) !== value || Object.is(value, -0)) float(TAG.FLOAT, value)
    else if (value < -0x100 || value > 0xffff) integer(TAG.I32, value, 4)
    else if (value < 0) integer(TAG.NEGATIVE, ~value, 1)
    else if (value < 0x80) put(value)
    else if (value < 0x100) integer(TAG.U8, value, 1)
    else integer(TAG.U16, value, 2)
  }

  const float = (tag: number, value: number) => {
    put(tag)
    append(Number.isNaN(value) ? NAN_BYTES : new Uint8Array(new Float64Array([value]).buffer))
  }

  const bigint = (value: bigint) => {
    const magnitude: number[] = []
    let rest = value < 0n ? -value : value
    if (rest >> 8192n) refuse('a bigint too long')
    for (; rest; rest >>= 8n) magnitude.push(Number(rest & 0xffn))
    block(value < 0n ? TAG.NEGATIVE_BIGINT : TAG.BIGINT, magnitude)
  }

  const text = (value: string) => {
    const units = value.length
    const from = end
    header(TAG.LATIN1, units, TAG.SHORT_TEXT, 64)
    reserve(units)
    let all = 0
    for (let index = 0; index < units; index += 1) {
      const unit = value.charCodeAt(index)
      all |= unit
      bytes[end++] = unit
    }
    if (all < 0x100) return
    end = from
    if (!LONE_SURROGATE.test(value)) return block(TAG.UTF8, utf8.encode(value))
    const wide = Uint16Array.from({ length: units }, (_, index) => value.charCodeAt(index))
    block(TAG.UTF16, new Uint8Array(wide.buffer))
  }

  const binary = (type: number, value: object) => {
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

  /** Counts what a container holds, and gives the count back. */
  const enter = (count: number): number => {
    entries += count
    if (open.length > MAX_DEPTH) refuse('nested too deep')
    if (entries <= TRUSTED_MAX_KEYS) return count
    path.length = 0
    return refuse('too many entries')
  }

  /** Writes what a container holds under this key, and where that is. */
  const child = (holder: object, key: string | number, step: Step) => {
    path.push(step)
    const property = Object.getOwnPropertyDescriptor(holder, key)
    if (!property || !('value' in property)) return refuse('a hole or accessor')
    write(property.value)
    path.pop()
  }

  const items = (list: readonly unknown[], step: (index: number) => Step) => {
    for (let index = 0; index < list.length; index += 1) child(list, index, step(index))
  }

  /** Says what the keys of a shape are, and keeps that: bodies of one kind define the same shapes. */
  const define = (list: string, keys: readonly string[]) => {
    const from = end
    keys.forEach(text)
    const names = bytes.slice(from, end)
    end = from
    put(TAG.DEFINE)
    block(keys.length, names)
    if (definitions.size < KEPT_DEFINITIONS && names.length < LONGEST_DEFINITION) {
      definitions.set(list, bytes.slice(from, end))
    }
  }

  const fields = (object: object) => {
    for (const symbol of Object.getOwnPropertySymbols(object)) {
      path.push(symbol)
      refuse('a symbol key')
    }
    const keys = Object.keys(object)
    const list = JSON.stringify(keys)
    const known = shapes.get(list)
    const record = enter(keys.length) > 64 || (known === undefined && shapes.size > 255)
    if (record) header(TAG.RECORD, keys.length)
    else if (known !== undefined) header(TAG.SHAPE, known, TAG.SHORT_SHAPE, 16)
    else {
      shapes.set(list, shapes.size)
      const definition = definitions.get(list)
      if (definition) append(definition)
      else define(list, keys)
    }
    for (const key of keys) {
      if (record) text(key)
      child(object, key, key)
    }
  }

  const object = (value: object) => {
    if (open.includes(value)) refuse('a cycle')
    open.push(value)
    if (isPlain(value)) fields(value)
    else if (isOf(Array, value)) {
      header(TAG.ARRAY, enter(value.length), TAG.SHORT_ARRAY, 16)
      items(value, (index) => index)
    } else if (isOf(Date, value)) {
      float(TAG.DATE, value.getTime())
    } else if (isOf(Set, value)) {
      header(TAG.SET, enter(value.size))
      items([...value], (index) => () => `.values[${index}]`)
    } else if (isOf(Map, value)) {
      const list = [...value].flat()
      header(TAG.MAP, enter(value.size))
      items(list, (index) => () => {
        const key = list[index - 1]
        if (index % 2 === 0) return `.keys[${index / 2}]`
        return typeof key === 'string' ? `.get(${JSON.stringify(key)})` : `.values[${index >> 1}]`
      })
    } else if (value instanceof Error) {
      put(TAG.ERROR)
      fields(errorFields(value))
    } else {
      const type = BINARIES.findIndex((Class) => isBinaryClass(Class) && value instanceof Class)
      if (type < 0) refuse('a class instance')
      binary(type, value)
    }
    open.pop()
  }

  const write = (value: unknown) => {
    const constant = CONSTANTS.indexOf(value)
    if (constant >= 0) put(TAG.NULL + constant)
    else if (typeof value === 'string') text(value)
    else if (typeof value === 'number') number(value)
    else if (typeof value === 'bigint') bigint(value)
    else if (typeof value === 'object' && value) object(value)
    else refuse(`a ${typeof value}`)
  }

  try {
    write(value)
  } catch (cause) {
    const at = path.reduce<string>((way, step) => way + partOf(step), 'value')
    const details = { reason: 'UNSENDABLE', path: at, cause }
    throw new ViaductError('INVALID_ARGUMENT', `${at} cannot be sent: ${fault}`, details)
  }
  const body = bytes.slice(0, end)
  if (bytes.length < LONGEST_SPARE) spare = bytes
  return { body, segments }
}

/** Definitions of shapes by their keys as JSON. */
const definitions = new Map<string, Uint8Array>()
const KEPT_DEFINITIONS = 256
const LONGEST_DEFINITION = 512

/** Memory of the last body, for the next one. */
let spare: Uint8Array<ArrayBuffer> | undefined
const LONGEST_SPARE = 2 ** 17

/** One step of the way to a value: a key, an index, or what says it itself. */
type Step = string | number | symbol | (() => string)

function partOf(step: Step): string {
  if (typeof step === 'function') return step()
  if (typeof step === 'string') return IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
  return `[${String(step)}]`
}

function isPlain(value: object): boolean {
  return isOf(Object, value) || !Object.getPrototypeOf(value)
}

/** Whether the class itself made the value, not one below it. */
function isOf<Instance extends object>(
  Class: { readonly prototype: Instance },
  value: object,
): value is Instance {
  return Object.getPrototypeOf(value) === Class.prototype
}

/** An Error as plain data: name, message, cause, errors (of an aggregate), own fields; no stack. */
function errorFields(error: Error): object {
  const { name, message } = error
  const fields = {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : '',
  }
  for (const key of [...HIDDEN, ...Object.keys(error)]) {
    const property = Object.getOwnPropertyDescriptor(error, key)
    if (property && key !== 'stack' && !Object.hasOwn(fields, key)) {
      Object.defineProperty(fields, key, { ...property, enumerable: true })
    }
  }
  return fields
}
