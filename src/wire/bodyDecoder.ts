import { FACTORIES, makeError } from './bodyObjects.ts'
import {
  BIGINT_BYTES,
  BINARY_TYPES,
  FLOAT,
  FLOAT_BYTES,
  MAX_DEFINED_SHAPES,
  MAX_SHAPE_KEYS,
  SHORT_TEXT_UNITS,
} from './bodyTags.ts'
import type { Dictionary } from './dictionary.ts'
import { Envelope } from './envelope.ts'
import { ViaductError } from './errors.ts'
import { isObject } from './guards.ts'
import { ABSENT, Maker, setField } from './shapeMaker.ts'
import * as TAG from './tag.ts'
import { readLatin1, readUtf8, readUtf16 } from './text.ts'

/** What one body may hold; both are checked before anything is allocated for it. */
export interface BodyLimits {
  /** Deepest nesting: a value that holds none has depth 0, `[[]]` has 2. */
  readonly maxDepth: number
  /** Most keys, items and map entries over the whole body; absent keys of a shape count. */
  readonly maxKeys: number
}

/** Text is decoded by windows of this size and cut into strings, so no string keeps more memory alive. */
const WINDOW_BYTES = 4096
/** Definitions that are remembered, a power of two, and the longest of them in bytes. */
const KEPT_DEFINITIONS = 256
const LONGEST_KEPT_DEFINITION = 512
const definitions: ({ readonly bytes: Uint8Array; readonly maker: Maker } | undefined)[] = new Array(
  KEPT_DEFINITIONS,
).fill(undefined)
const NO_BYTES = new Uint8Array(0)
const NO_SEGMENTS: readonly Uint8Array[] = []
const NO_REFERENCES: readonly unknown[] = []

/** The body that is being read. Reading runs none of the program's code, so there is only ever one. */
let bytes: Uint8Array = NO_BYTES
let at = 0
let end = 0
let bounds: BodyLimits = { maxDepth: 0, maxKeys: 0 }
let maxDepth = 0
let keysLeft = 0
let text = ''
let textFrom = 0
let textEnd = 0
let shapes: readonly Maker[] = []
let defined: Maker[] = []
let segments = NO_SEGMENTS
let references = NO_REFERENCES
let segment = 0

/**
 * Reads the body in `source` from `start` to `stop`. Binaries that travelled as segments become views of
 * the segments given, where their alignment allows, else copies; references become the `functions` of their
 * numbers; everything else is a copy. Throws
 * INVALID_ARGUMENT, reason MALFORMED_BODY, on anything but one whole value within the limits.
 */
export function decodeBody(
  source: Uint8Array,
  start: number,
  stop: number,
  limits: BodyLimits,
  dictionary?: Dictionary,
  from: readonly Uint8Array[] = NO_SEGMENTS,
  functions: readonly unknown[] = NO_REFERENCES,
): unknown {
  bytes = source
  at = start
  end = stop
  bounds = limits
  maxDepth = limits.maxDepth
  keysLeft = limits.maxKeys
  textFrom = 0
  textEnd = 0
  shapes = dictionary === undefined ? [] : dictionary.makers
  segments = from
  references = functions
  segment = 0
  try {
    if (start < 0 || stop > source.length || start > stop) fail('the range lies outside the bytes')
    const value = read(0)
    if (at !== end) fail('bytes are left over')
    if (segment !== segments.length) fail('segments are left over')
    return value
  } catch (error) {
    if (error instanceof ViaductError) throw error
    throw new ViaductError('INVALID_ARGUMENT', 'malformed body', { reason: 'MALFORMED_BODY', cause: error })
  } finally {
    bytes = NO_BYTES
    text = ''
    segments = NO_SEGMENTS
    references = NO_REFERENCES
    if (defined.length > 0) defined = []
  }
}

function fail(what: string): never {
  throw new ViaductError('INVALID_ARGUMENT', `malformed body at byte ${at}: ${what}`, {
    reason: 'MALFORMED_BODY',
  })
}

function read(depth: number): unknown {
  if (at >= end) fail('it ends too early')
  const tag = bytes[at] as number
  at += 1
  if (tag < TAG.SHORT_TEXT) return tag
  if (tag < TAG.SHORT_ARRAY) return latin1(tag - TAG.SHORT_TEXT)
  if (tag < TAG.SHORT_SHAPE) return array(tag - TAG.SHORT_ARRAY, depth)
  if (tag < TAG.NULL) return shaped(tag - TAG.SHORT_SHAPE, depth)
  switch (tag) {
    case TAG.NULL:
      return null
    case TAG.UNDEFINED:
      return undefined
    case TAG.FALSE:
      return false
    case TAG.TRUE:
      return true
    case TAG.U8:
      need(1)
      at += 1
      return bytes[at - 1]
    case TAG.U16:
      need(2)
      at += 2
      return (bytes[at - 2] as number) | ((bytes[at - 1] as number) << 8)
    case TAG.I32:
      need(4)
      at += 4
      return (
        (bytes[at - 4] as number) |
        ((bytes[at - 3] as number) << 8) |
        ((bytes[at - 2] as number) << 16) |
        ((bytes[at - 1] as number) << 24)
      )
    case TAG.NEGATIVE:
      need(1)
      at += 1
      return ~(bytes[at - 1] as number)
    case TAG.FLOAT:
      return float()
    case TAG.LATIN1:
      return latin1(length())
    case TAG.ARRAY:
      return array(length(), depth)
    case TAG.SHAPE:
      return shaped(length(), depth)
    default:
      return rare(tag, depth)
  }
}

/** The values that are not in every body; apart, so that {@link read} stays small. */
function rare(tag: number, depth: number): unknown {
  switch (tag) {
    case TAG.BIGINT:
      return bigint()
    case TAG.NEGATIVE_BIGINT:
      return -bigint()
    case TAG.UTF8:
      return utf8(length())
    case TAG.UTF16:
      return utf16(length())
    case TAG.DEFINE:
      return define(depth)
    case TAG.RECORD:
      return record(length(), depth)
    case TAG.DATE:
      return new Date(float())
    case TAG.MAP:
      return map(length(), depth)
    case TAG.SET:
      return set(length(), depth)
    case TAG.ERROR:
      return error(depth)
    case TAG.BINARY:
      return inline()
    case TAG.SEGMENT:
      return lifted()
    case TAG.REFERENCE:
      return reference()
    case TAG.ENVELOPE:
      return envelope()
    default:
      at -= 1
      return fail(tag === TAG.ABSENT ? 'only a key of a shape may be absent' : `unknown tag ${tag}`)
  }
}

function need(count: number): void {
  if (end - at < count) fail('it ends too early')
}

function length(): number {
  let value = 0
  let unit = 1
  for (let index = 0; index < 5; index += 1) {
    need(1)
    const byte = bytes[at] as number
    at += 1
    value += (byte & 0x7f) * unit
    if (byte < 0x80) {
      if (value > 0xffffffff) fail('a length is over 32 bits')
      return value
    }
    unit *= 0x80
  }
  return fail('a length is over 32 bits')
}

/** Checks what a container of `count` entries, of `least` bytes each or more, may cost. */
function enter(count: number, least: number, depth: number): void {
  if (depth >= maxDepth) fail(`it is nested deeper than ${maxDepth}`)
  if (count > keysLeft) fail('it has too many keys and items')
  if (count * least > end - at) fail('it ends too early')
  keysLeft -= count
}

function float(): number {
  need(8)
  for (let index = 0; index < 8; index += 1) FLOAT_BYTES[index] = bytes[at + index] as number
  at += 8
  return FLOAT[0] as number
}

function bigint(): bigint {
  const count = length()
  if (count > BIGINT_BYTES) fail('a bigint is too long')
  need(count)
  let digits = '0x0'
  for (let index = count - 1; index >= 0; index -= 1) {
    digits += (bytes[at + index] as number).toString(16).padStart(2, '0')
  }
  at += count
  return BigInt(digits)
}

function latin1(units: number): string {
  if (units > end - at) fail('it ends too early')
  const from = at
  at += units
  if (units >= SHORT_TEXT_UNITS) return readLatin1(bytes, from, at)
  if (from < textFrom || at > textEnd) {
    textFrom = from
    textEnd = Math.min(end, from + WINDOW_BYTES)
    text = readLatin1(bytes, textFrom, textEnd)
  }
  return text.slice(from - textFrom, at - textFrom)
}

function utf8(count: number): string {
  need(count)
  at += count
  return readUtf8(bytes, at - count, at) ?? fail('a string is not UTF-8')
}

function utf16(count: number): string {
  need(count)
  if (count % 2 === 1) fail('a UTF-16 string has half a unit')
  at += count
  return readUtf16(bytes, at - count, at)
}

function string(): string {
  const value = read(maxDepth)
  return typeof value === 'string' ? value : fail('a key is not a string')
}

function array(count: number, depth: number): unknown[] {
  enter(count, 1, depth)
  const items: unknown[] = []
  for (let index = 0; index < count; index += 1) items.push(read(depth + 1))
  return items
}

function shaped(number: number, depth: number): object {
  const maker = number < shapes.length ? shapes[number] : defined[number - shapes.length]
  if (maker === undefined) return fail(`shape ${number} is not known`)
  return make(maker, depth)
}

/** Reads the value of a key of a shape, which alone may be absent. */
function field(depth: number): unknown {
  if (bytes[at] !== TAG.ABSENT || at >= end) return read(depth)
  at += 1
  return ABSENT
}

function make(maker: Maker, depth: number): object {
  enter(maker.keys.length, 1, depth)
  return maker.make(field, depth + 1)
}

function define(depth: number): object {
  const count = length()
  const size = length()
  need(size)
  if (count > MAX_SHAPE_KEYS) fail('a shape has too many keys')
  if (defined.length >= MAX_DEFINED_SHAPES) fail('it defines too many shapes')
  const maker = size <= LONGEST_KEPT_DEFINITION ? keptMaker(count, size) : readMaker(count, size)
  defined.push(maker)
  return make(maker, depth)
}

/** Reads the keys of a shape, unless they were read not long ago: bodies of one kind define the same shapes. */
function keptMaker(count: number, size: number): Maker {
  let hash = count
  for (let index = 0; index < size; index += 1)
    hash = (Math.imul(hash, 31) + (bytes[at + index] as number)) | 0
  const place = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (KEPT_DEFINITIONS - 1)
  const kept = definitions[place]
  if (kept !== undefined && kept.maker.keys.length === count && kept.bytes.length === size) {
    let same = 0
    while (same < size && kept.bytes[same] === bytes[at + same]) same += 1
    if (same === size) {
      at += size
      return kept.maker
    }
  }
  const copy = new Uint8Array(bytes.subarray(at, at + size))
  const maker = readMaker(count, size)
  definitions[place] = { bytes: copy, maker }
  return maker
}

function readMaker(count: number, size: number): Maker {
  const from = at
  const keys: string[] = []
  for (let index = 0; index < count; index += 1) keys.push(string())
  if (at - from !== size) fail('the keys of a shape have another length than it says')
  if (new Set(keys).size !== count) fail('a shape has a key twice')
  return new Maker(keys)
}

function record(count: number, depth: number): object {
  enter(count, 2, depth)
  const object: Record<string, unknown> = {}
  for (let index = 0; index < count; index += 1) {
    const key = string()
    setField(object, key, read(depth + 1))
  }
  if (Object.keys(object).length !== count) fail('an object has a key twice')
  return object
}

function map(count: number, depth: number): Map<unknown, unknown> {
  enter(count, 2, depth)
  const entries = new Map<unknown, unknown>()
  for (let index = 0; index < count; index += 1) {
    const key = read(depth + 1)
    entries.set(key, read(depth + 1))
  }
  if (entries.size !== count) fail('a map has a key twice')
  return entries
}

function set(count: number, depth: number): Set<unknown> {
  enter(count, 1, depth)
  const items = new Set<unknown>()
  for (let index = 0; index < count; index += 1) items.add(read(depth + 1))
  if (items.size !== count) fail('a set has an item twice')
  return items
}

function error(depth: number): Error {
  const tag = at < end ? (bytes[at] as number) : 0
  const holdsFields =
    (tag >= TAG.SHORT_SHAPE && tag < TAG.NULL) ||
    tag === TAG.SHAPE ||
    tag === TAG.DEFINE ||
    tag === TAG.RECORD
  if (!holdsFields) fail('an error is not followed by an object')
  const fields = read(depth)
  const made = isObject(fields) ? makeError(fields) : undefined
  return made ?? fail('an error lacks its name or message')
}

function binaryTypeOf(): number {
  need(1)
  const type = bytes[at] as number
  if (FACTORIES[type] === undefined) fail(`unknown type of binary ${type}`)
  at += 1
  return type
}

function inline(): object {
  const type = binaryTypeOf()
  const count = length()
  need(count)
  const content = new Uint8Array(count)
  content.set(bytes.subarray(at, at + count))
  at += count
  return view(type, content)
}

function lifted(): object {
  const type = binaryTypeOf()
  const content = segments[segment]
  if (content === undefined) return fail('a segment is missing')
  segment += 1
  return view(type, content)
}

function reference(): unknown {
  const number = length()
  return number < references.length ? references[number] : fail('a function is not among the references')
}

function envelope(): Envelope {
  need(2)
  const codec = bytes[at] as number
  const tag = bytes[at + 1] as number
  at += 2
  const content = tag === TAG.BINARY ? inline() : tag === TAG.SEGMENT ? lifted() : undefined
  return content instanceof Uint8Array
    ? new Envelope(codec, content, bounds)
    : fail('an envelope holds no bytes')
}

function view(type: number, content: Uint8Array): object {
  const size = BINARY_TYPES[type]?.[1] ?? 1
  if (content.length % size !== 0) fail('a binary has half an element')
  const factory = FACTORIES[type]
  return factory === undefined ? fail('unknown type of binary') : factory(content, size)
}
