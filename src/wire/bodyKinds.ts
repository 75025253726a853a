/** What kind of object a value is, whichever realm made it, and how its content is reached. */

import { isObject } from './guards.ts'

const tagOf = Object.prototype.toString
const typedArrayPrototype: object = Object.getPrototypeOf(Uint8Array.prototype)

/** Milliseconds of a Date; throws on anything else. */
export const dateTime: (this: object) => number = Date.prototype.getTime
/** Entries of a Map; throws on anything else. */
export const mapEntries: (this: object) => Iterable<[unknown, unknown]> = Map.prototype.entries
/** Values of a Set; throws on anything else. */
export const setValues: (this: object) => Iterable<unknown> = Set.prototype.values

/**
 * Object, Array, Date, Map, Set, Error or a binary type's name; undefined for instances of other classes.
 * Subclasses of Error and of the binary types (Buffer) count as those, other subclasses do not.
 */
export function kindOf(value: object): string | undefined {
  if (ArrayBuffer.isView(value)) {
    const name: unknown = Reflect.get(typedArrayPrototype, Symbol.toStringTag, value)
    return typeof name === 'string' ? name : 'DataView'
  }
  const tag = tagOf.call(value).slice(8, -1)
  if (tag === 'Error' || value instanceof Error) return 'Error'
  if (tag !== 'ArrayBuffer' && tag !== 'Array' && tag !== 'Object') {
    if (tag !== 'Date' && tag !== 'Map' && tag !== 'Set') return undefined
  }
  return isOwnClass(Object.getPrototypeOf(value), tag) ? tag : undefined
}

/** Whether the prototype is that of the built-in class of this name, in any realm. */
function isOwnClass(prototype: unknown, name: string): boolean {
  if (!isObject(prototype)) return name === 'Object'
  const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof made !== 'function' || made.name !== name) return false
  return Function.prototype.toString.call(made).includes('[native code]')
}

/**
 * The bytes of a binary value: a view of its memory, or a copy when it is shared and may change while it
 * is read. Throws a TypeError on detached memory.
 */
export function binaryBytes(value: object): Uint8Array {
  if (!ArrayBuffer.isView(value)) return new Uint8Array(asBuffer(value))
  if (value.byteLength === 0) return new Uint8Array(value.buffer, 0, 0)
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return tagOf.call(value.buffer) === '[object SharedArrayBuffer]' ? new Uint8Array(bytes) : bytes
}

function asBuffer(value: object): ArrayBuffer {
  if (value instanceof ArrayBuffer) return value
  // Another realm's: its own slice gives the content, and throws on anything but an ArrayBuffer.
  return ArrayBuffer.prototype.slice.call(value, 0)
}

/** Fields that an Error has beside its own enumerable ones, in the order they are written. */
const HIDDEN = ['cause', 'errors'] as const

/** An Error as plain data: name, message, cause, errors (of an aggregate), own fields; no stack. */
export function errorFields(error: object): Record<string, unknown> {
  const name: unknown = Reflect.get(error, 'name')
  const message: unknown = Reflect.get(error, 'message')
  const fields: Record<string, unknown> = {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : '',
  }
  for (const key of HIDDEN) {
    const property = Object.getOwnPropertyDescriptor(error, key)
    if (property !== undefined) Object.defineProperty(fields, key, { ...property, enumerable: true })
  }
  for (const key of Object.keys(error)) {
    if (Object.hasOwn(fields, key) || key === 'stack') continue
    const property = Object.getOwnPropertyDescriptor(error, key)
    if (property !== undefined) Object.defineProperty(fields, key, property)
  }
  return fields
}
