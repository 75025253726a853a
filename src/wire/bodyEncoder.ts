import { binaryBytes, dateTime, errorFields, kindOf, mapEntries, setValues } from './bodyKinds.ts'
import { refusal, UNSENDABLE } from './bodyRefusal.ts'
import {
  BIGINT_BYTES,
  binaryType,
  FLOAT,
  FLOAT_BYTES,
  LONG,
  MAX_DEFINED_SHAPES,
  SHORT_ARRAY_ITEMS,
  SHORT_SHAPES,
  SHORT_TEXT_UNITS,
} from './bodyTags.ts'
import type { Dictionary } from './dictionary.ts'
import { Envelope } from './envelope.ts'
import { MAX_DEPTH, MAX_REFERENCES, SEGMENT_BYTES, TRUSTED_MAX_KEYS } from './limits.ts'
import { type Layout, type ShapeNode, ShapeTree } from './shapes.ts'
import * as TAG from './tag.ts'
import { isLatin1, utf8Bytes, writeLatin1, writeUtf8, writeUtf16 } from './text.ts'

const NO_SHAPES = new ShapeTree([])
const FIRST_SCRATCH_BYTES = 4096
const LARGEST_KEPT_SCRATCH_BYTES = 1024 * 1024
/** Every value but text and binaries, and every header, fits in this many bytes. */
const SLACK_BYTES = 16
/** Thrown where the target ends. */
const NO_ROOM = new Error('no room')
const NOTHING: object = {}
const getPrototype = Object.getPrototypeOf
const getSymbols = Object.getOwnPropertySymbols
const getProperty = Object.getOwnPropertyDescriptor
const PLAIN: unknown = Object.prototype
const LIST: unknown = Array.prototype

function isFields(_object: object, prototype: unknown): _object is Record<string, unknown> {
  return prototype === PLAIN || prototype === null
}

function refuseSymbols(object: object): void {
  if (getSymbols(object).length > 0) throw UNSENDABLE
}

/** The value of a data property; an accessor is refused without being asked. */
function ownValue(object: object, key: string): unknown {
  const property = getProperty(object, key)
  if (property === undefined || property.get !== undefined || property.set !== undefined) throw UNSENDABLE
  return property.value
}

/** Counts bodies, so that a layout knows whether this body has defined it. */
let bodies = 0

/**
 * Writes values as bodies (PROTOCOL.md, section 6). One encoder serves one link at a time; it keeps no
 * state between bodies but its scratch.
 *
 * A value that cannot be sent is refused with INVALID_ARGUMENT, reason UNSENDABLE and the path to it:
 * functions (unless they are collected), symbols, symbol keys, class instances, accessors, holes, cycles, nesting over MAX_DEPTH.
 * Objects whose keys a dictionary names are not searched for symbol keys, and their properties are read as
 * they are, accessor or not: the contract has said what they are, and the search costs more than the rest.
 */
export class BodyEncoder {
  /**
   * Binaries of SEGMENT_BYTES or more that the last encode lifted out, in order: views of the sender's own
   * memory, which must not change until they are written. A fresh array for each body that has any.
   */
  segments: Uint8Array[] = []
  /** Functions become references: set before an encode, for a message that may have them. */
  collects = false
  /** The functions that the last encode met, by their numbers. A fresh array for each body that has any. */
  references: CallableFunction[] = []
  #scratch = new Uint8Array(FIRST_SCRATCH_BYTES)
  #target: Uint8Array = this.#scratch
  /** The last place where SLACK_BYTES are free. Writes outside an array would be ignored, but are very slow. */
  #room = 0
  #busy = false
  #tree = NO_SHAPES
  /** Shapes of the dictionary, and those that this body has defined. */
  #known = 0
  #defined = 0
  #body = 0
  #entries = 0
  #inherits = false
  /** Values of objects that are under way, so that each property is read once. */
  readonly #values: unknown[] = []
  #top = 0

  /**
   * Encodes into `target` from `at` on and returns the end, or -1 when there is no room: then bytes behind
   * `at` may have been overwritten and nothing counts. Wants SLACK_BYTES of room beyond what it writes.
   */
  encodeInto(target: Uint8Array, at: number, value: unknown, dictionary?: Dictionary): number {
    if (this.#busy) throw refusal(value, new Error('a value called its own encoder'))
    this.#busy = true
    this.#target = target
    this.#room = target.length - SLACK_BYTES
    if (this.segments.length > 0) this.segments = []
    if (this.references.length > 0) this.references = []
    this.#tree = dictionary === undefined ? NO_SHAPES : dictionary.tree
    this.#known = dictionary === undefined ? 0 : dictionary.shapes.length
    this.#defined = 0
    this.#tree.trim()
    bodies += 1
    this.#body = bodies
    this.#entries = 0
    this.#top = 0
    this.#inherits = false
    for (const _ in NOTHING) this.#inherits = true
    try {
      return this.#write(at, value, 0)
    } catch (cause) {
      this.segments = []
      this.#values.fill(undefined)
      if (cause === NO_ROOM) return -1
      throw refusal(value, cause, this.collects)
    } finally {
      this.#busy = false
    }
  }

  /** Encodes into memory of the encoder's own. The view is valid until the next encode. */
  encode(value: unknown, dictionary?: Dictionary): Uint8Array {
    if (this.#scratch.length > LARGEST_KEPT_SCRATCH_BYTES) this.#scratch = new Uint8Array(FIRST_SCRATCH_BYTES)
    let end = this.encodeInto(this.#scratch, 0, value, dictionary)
    while (end < 0) {
      this.#scratch = new Uint8Array(2 * this.#scratch.length)
      end = this.encodeInto(this.#scratch, 0, value, dictionary)
    }
    return this.#scratch.subarray(0, end)
  }

  #write(at: number, value: unknown, depth: number): number {
    if (at > this.#room) throw NO_ROOM
    switch (typeof value) {
      case 'string':
        return this.#text(at, value)
      case 'number':
        return this.#number(at, value)
      case 'object':
        if (value === null) break
        return this.#object(at, value, depth)
      case 'boolean':
        this.#target[at] = value ? TAG.TRUE : TAG.FALSE
        return at + 1
      case 'undefined':
        this.#target[at] = TAG.UNDEFINED
        return at + 1
      case 'bigint':
        return this.#bigint(at, value)
      case 'function':
        return this.#reference(at, value)
      default:
        throw UNSENDABLE
    }
    this.#target[at] = TAG.NULL
    return at + 1
  }

  #reference(at: number, value: CallableFunction): number {
    if (!this.collects) throw UNSENDABLE
    let number = this.references.indexOf(value)
    if (number < 0) {
      number = this.references.length
      if (number === MAX_REFERENCES) throw UNSENDABLE
      this.references.push(value)
    }
    this.#target[at] = TAG.REFERENCE
    return this.#length(at + 1, number)
  }

  #number(at: number, value: number): number {
    const target = this.#target
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) return this.#float(at, TAG.FLOAT, value)
    if (value >= 0) {
      if (value < 0x80) {
        target[at] = value
        return at + 1
      }
      if (value < 0x100) {
        target[at] = TAG.U8
        target[at + 1] = value
        return at + 2
      }
      if (value < 0x10000) {
        target[at] = TAG.U16
        target[at + 1] = value
        target[at + 2] = value >>> 8
        return at + 3
      }
    } else if (value >= -0x100) {
      target[at] = TAG.NEGATIVE
      target[at + 1] = ~value
      return at + 2
    }
    target[at] = TAG.I32
    target[at + 1] = value
    target[at + 2] = value >>> 8
    target[at + 3] = value >>> 16
    target[at + 4] = value >>> 24
    return at + 5
  }

  #float(at: number, tag: number, value: number): number {
    const target = this.#target
    if (Number.isNaN(value)) LONG[0] = 0x7ff8000000000000n
    else FLOAT[0] = value
    target[at] = tag
    for (let index = 0; index < 8; index += 1) target[at + 1 + index] = FLOAT_BYTES[index] as number
    return at + 9
  }

  #bigint(at: number, value: bigint): number {
    const magnitude = value < 0n ? -value : value
    const target = this.#target
    target[at] = value < 0n ? TAG.NEGATIVE_BIGINT : TAG.BIGINT
    let digits = magnitude.toString(16)
    if (digits.length > 2 * BIGINT_BYTES) throw UNSENDABLE
    this.#reserve(at + SLACK_BYTES + digits.length)
    if (magnitude === 0n) digits = ''
    if (digits.length % 2 === 1) digits = `0${digits}`
    let to = this.#length(at + 1, digits.length / 2)
    for (let from = digits.length - 2; from >= 0; from -= 2) {
      target[to] = Number.parseInt(digits.slice(from, from + 2), 16)
      to += 1
    }
    return to
  }

  #length(at: number, value: number): number {
    const target = this.#target
    let rest = value
    let to = at
    while (rest >= 0x80) {
      target[to] = rest | 0x80
      rest >>>= 7
      to += 1
    }
    target[to] = rest
    return to + 1
  }

  #text(at: number, text: string): number {
    const units = text.length
    if (units >= SHORT_TEXT_UNITS) return this.#longText(at, text)
    const target = this.#target
    const from = at + 1
    this.#reserve(from + units)
    let all = 0
    let index = 0
    // Four at a time is a fifth faster; what was written of a wide text is written over.
    for (; index + 3 < units; index += 4) {
      const to = from + index
      const a = text.charCodeAt(index)
      const b = text.charCodeAt(index + 1)
      const c = text.charCodeAt(index + 2)
      const d = text.charCodeAt(index + 3)
      all |= a | b | c | d
      target[to] = a
      target[to + 1] = b
      target[to + 2] = c
      target[to + 3] = d
    }
    for (; index < units; index += 1) {
      const unit = text.charCodeAt(index)
      all |= unit
      target[from + index] = unit
    }
    if (all > 0xff) return this.#wideText(at, text)
    target[at] = TAG.SHORT_TEXT | units
    return from + units
  }

  #longText(at: number, text: string): number {
    if (!isLatin1(text)) return this.#wideText(at, text)
    this.#target[at] = TAG.LATIN1
    const from = this.#length(at + 1, text.length)
    this.#reserve(from + text.length)
    writeLatin1(this.#target, from, text)
    return from + text.length
  }

  #wideText(at: number, text: string): number {
    const bytes = utf8Bytes(text)
    const length = bytes < 0 ? 2 * text.length : bytes
    this.#target[at] = bytes < 0 ? TAG.UTF16 : TAG.UTF8
    const from = this.#length(at + 1, length)
    this.#reserve(from + length)
    if (bytes < 0) writeUtf16(this.#target, from, text)
    else writeUtf8(this.#target, from, text)
    return from + length
  }

  #reserve(end: number): void {
    if (end > this.#target.length) throw NO_ROOM
  }

  #count(entries: number, depth: number): void {
    this.#entries += entries
    if (depth >= MAX_DEPTH || this.#entries > TRUSTED_MAX_KEYS) throw UNSENDABLE
  }

  #object(at: number, value: object, depth: number): number {
    const prototype: unknown = getPrototype(value)
    if (isFields(value, prototype)) return this.#fields(at, value, depth)
    if (prototype === LIST && Array.isArray(value)) return this.#array(at, value, depth)
    return this.#special(at, value, depth)
  }

  #array(at: number, items: readonly unknown[], depth: number): number {
    const count = items.length
    this.#count(count, depth)
    let to = at + 1
    if (count < SHORT_ARRAY_ITEMS) this.#target[at] = TAG.SHORT_ARRAY | count
    else {
      this.#target[at] = TAG.ARRAY
      to = this.#length(to, count)
    }
    for (let index = 0; index < count; index += 1) {
      const item = items[index]
      if (item === undefined && !(index in items)) throw UNSENDABLE
      to = this.#write(to, item, depth + 1)
    }
    return to
  }

  #fields(at: number, object: Record<string, unknown>, depth: number): number {
    const node = this.#inherits ? undefined : this.#read(object)
    if (node === undefined) return this.#record(at, object, depth)
    const count = node.depth
    this.#count(count, depth)
    const layout = node.layout ?? this.#tree.layout(node)
    const from = this.#top
    const values = this.#values
    const gaps = layout.gaps
    let to = this.#shape(at, layout)
    this.#top = from + count
    for (let index = 0; index < count; index += 1) {
      if (gaps !== undefined) to = this.#absent(to, gaps[index] as number)
      const value = values[from + index]
      values[from + index] = undefined
      to = this.#write(to, value, depth + 1)
    }
    if (gaps !== undefined) to = this.#absent(to, gaps[count] as number)
    this.#top = from
    return to
  }

  /** Reads each property once, behind `top`; undefined when the object is to be written as a record. */
  #read(object: Record<string, unknown>): ShapeNode | undefined {
    const tree = this.#tree
    const values = this.#values
    let at = this.#top
    let node = tree.root
    for (const key in object) {
      let next = node.last
      if (node.lastKey !== key || next === undefined) {
        next = tree.step(node, key, this.#defined >= MAX_DEFINED_SHAPES)
        if (next === undefined) return undefined
      }
      node = next
      values[at] = node.expected ? object[key] : ownValue(object, key)
      at += 1
    }
    const layout = node.layout ?? tree.layout(node)
    if (layout.number >= 0) return node
    refuseSymbols(object)
    if (this.#known > 0) for (const key of Object.keys(object)) ownValue(object, key)
    return layout.stamp === this.#body || this.#defined < MAX_DEFINED_SHAPES ? node : undefined
  }

  #shape(at: number, layout: Layout): number {
    if (layout.number >= 0) return this.#numbered(at, layout.number)
    if (layout.stamp === this.#body) return this.#numbered(at, layout.local)
    layout.stamp = this.#body
    layout.local = this.#known + this.#defined
    this.#defined += 1
    const definition = layout.definition
    this.#reserve(at + definition.length)
    for (let index = 0; index < definition.length; index += 1) {
      this.#target[at + index] = definition[index] as number
    }
    return at + definition.length
  }

  #numbered(at: number, number: number): number {
    if (number < SHORT_SHAPES) {
      this.#target[at] = TAG.SHORT_SHAPE | number
      return at + 1
    }
    this.#target[at] = TAG.SHAPE
    return this.#length(at + 1, number)
  }

  #absent(at: number, count: number): number {
    this.#reserve(at + count)
    for (let index = 0; index < count; index += 1) this.#target[at + index] = TAG.ABSENT
    return at + count
  }

  #record(at: number, object: Record<string, unknown>, depth: number): number {
    refuseSymbols(object)
    const keys = Object.keys(object)
    this.#count(keys.length, depth)
    this.#target[at] = TAG.RECORD
    let to = this.#length(at + 1, keys.length)
    for (const key of keys) {
      this.#reserve(to + SLACK_BYTES)
      to = this.#write(this.#text(to, key), ownValue(object, key), depth + 1)
    }
    return to
  }

  #special(at: number, value: object, depth: number): number {
    const target = this.#target
    if (value instanceof Envelope) {
      target[at] = TAG.ENVELOPE
      target[at + 1] = value.codec
      return this.#binary(at + 2, 'Uint8Array', value.bytes)
    }
    const kind = kindOf(value)
    if (kind === 'Object' && isFields(value, null)) return this.#record(at, value, depth)
    if (kind === 'Array' && Array.isArray(value)) return this.#array(at, value, depth)
    if (kind === 'Date') return this.#float(at, TAG.DATE, dateTime.call(value))
    if (kind === 'Map') {
      const entries = [...mapEntries.call(value)]
      this.#count(entries.length, depth)
      target[at] = TAG.MAP
      let to = this.#length(at + 1, entries.length)
      for (const [key, item] of entries) to = this.#write(this.#write(to, key, depth + 1), item, depth + 1)
      return to
    }
    if (kind === 'Set') {
      const items = [...setValues.call(value)]
      this.#count(items.length, depth)
      target[at] = TAG.SET
      let to = this.#length(at + 1, items.length)
      for (const item of items) to = this.#write(to, item, depth + 1)
      return to
    }
    if (kind === 'Error') {
      target[at] = TAG.ERROR
      return this.#fields(at + 1, errorFields(value), depth)
    }
    return this.#binary(at, kind, value)
  }

  #binary(at: number, kind: string | undefined, value: object): number {
    const type = kind === undefined ? -1 : binaryType(kind)
    if (type < 0) throw UNSENDABLE
    const bytes = binaryBytes(value)
    const target = this.#target
    target[at + 1] = type
    if (bytes.length >= SEGMENT_BYTES) {
      target[at] = TAG.SEGMENT
      this.segments.push(bytes)
      return at + 2
    }
    target[at] = TAG.BINARY
    const from = this.#length(at + 2, bytes.length)
    this.#reserve(from + bytes.length)
    target.set(bytes, from)
    return from + bytes.length
  }
}
