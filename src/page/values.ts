import * as TAG from '../wire/tag.ts'
import { define, distinct, fail, isOf } from './common.ts'

/** Kinds of values beyond those of JSON, dates and binaries: a part that a peer is given, or lacks. */
export interface Values {
  /** Writes a value of these kinds. @returns false for all others */
  write(value: unknown, to: Writer): boolean
  /** What follows one of their tags. Throws anything when that is malformed. */
  read(tag: number, from: Reader): unknown
}

/** What writes bodies, as far as these kinds need it. */
export interface Writer {
  put(byte: number): void
  /** A tag and a count. */
  header(tag: number, count: number): void
  /** Content behind its tag and length. */
  block(tag: number, content: ArrayLike<number>): void
  /** Counts what a container holds, and gives the count back. */
  enter(count: number): number
  /** An object, as its keys and what stands under them. */
  fields(object: object): void
  /** What a list holds; `step` says how a path names what stands at an index. */
  items(list: readonly unknown[], step: (index: number) => string): void
  readonly refuse: (what: string) => never
}

/** What reads bodies, as far as these kinds need it. */
export interface Reader {
  length(): number
  /** So many bytes as the length before them says. */
  take(): Uint8Array
  /** What `one` reads, as often as `count` says, each of `least` bytes or more. */
  list<One>(count: number, least: number, one: () => One): One[]
  read(): unknown
}

/** All of them, bigints, maps, sets and errors: give it to `peerOver`. */
export const values: Values = {
  write(value, to) {
    if (typeof value === 'bigint')
      to.block(value < 0n ? TAG.NEGATIVE_BIGINT : TAG.BIGINT, magnitude(value, to))
    else if (value instanceof Error) {
      to.put(TAG.ERROR)
      to.fields(errorFields(value))
    } else if (isOf(Set, value)) {
      to.header(TAG.SET, to.enter(value.size))
      to.items([...value], (index) => `.values[${index}]`)
    } else if (isOf(Map, value)) {
      to.header(TAG.MAP, to.enter(value.size))
      ;[...value].forEach((entry, index) => {
        to.items(entry, (isValue) =>
          isValue && typeof entry[0] === 'string'
            ? `.get(${JSON.stringify(entry[0])})`
            : `.${isValue ? 'values' : 'keys'}[${index}]`,
        )
      })
    } else return false
    return true
  },
  read(tag, { length, list, read, take }) {
    if (tag === TAG.BIGINT) return bigint(take())
    if (tag === TAG.NEGATIVE_BIGINT) return -bigint(take())
    if (tag === TAG.SET) return distinct(Set, list(length(), 1, read))
    if (tag === TAG.ERROR) return error(Object(read()))
    return distinct(
      Map,
      list(length(), 2, (): [unknown, unknown] => [read(), read()]),
    )
  },
}

/** Most bytes of a bigint. */
const BIGINT_BYTES = 1024

/** The bytes of a bigint without its sign, the least first. */
function magnitude(value: bigint, to: Writer): readonly number[] {
  const bytes: number[] = []
  for (let rest = value < 0n ? -value : value; rest; rest >>= 8n) {
    if (bytes.push(Number(rest & 0xffn)) > BIGINT_BYTES) to.refuse('a bigint too long')
  }
  return bytes
}

function bigint(magnitude: Uint8Array): bigint {
  if (magnitude.length > BIGINT_BYTES) fail()
  // By way of a text: to shift a long one by a byte at a time takes the square of its length.
  return BigInt(magnitude.reduceRight((text, digit) => text + digit.toString(16).padStart(2, '0'), '0x0'))
}

/** Fields that an error has as hidden properties. */
const HIDDEN = ['name', 'message', 'cause', 'errors', 'stack']

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

const ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]

function error(fields: Record<string, unknown>): Error {
  const { name, message } = fields
  if (fields instanceof Error || typeof name !== 'string' || typeof message !== 'string') return fail()
  const Class = ERRORS.find((known) => known.name === name) ?? Error
  const error = new Class()
  // Its stack is this program's and says nothing.
  for (const [key, value] of Object.entries({ ...fields, stack: `${name}: ${message}` })) {
    if (key !== 'name' || error.name !== name) define(error, key, value, !HIDDEN.includes(key))
  }
  return error
}
