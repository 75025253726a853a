/** Makes the objects of a body that are neither plain nor arrays. */

import { BINARY_TYPES } from './bodyTags.ts'

type Factory = (content: Uint8Array, elementBytes: number) => object
type ArrayClass = new (buffer: ArrayBufferLike, at: number, length: number) => object

/** A view of the content where its alignment allows, else of a copy. */
function views(Class: ArrayClass): Factory {
  return (content, elementBytes) => {
    const aligned = content.byteOffset % elementBytes === 0 ? content : new Uint8Array(content)
    return new Class(aligned.buffer, aligned.byteOffset, aligned.length / elementBytes)
  }
}

/** The content as memory of its own: itself, when it is all there is in its buffer. */
function wholeBuffer(content: Uint8Array): object {
  const buffer = content.buffer
  if (buffer instanceof ArrayBuffer && buffer.byteLength === content.length) return buffer
  return new Uint8Array(content).buffer
}

function isArrayClass(value: unknown): value is ArrayClass {
  return typeof value === 'function'
}

/** By type number; undefined for types that this host does not have. */
export const FACTORIES: readonly (Factory | undefined)[] = BINARY_TYPES.map(([name]) => {
  const Class: unknown = Reflect.get(globalThis, name)
  if (name === 'ArrayBuffer') return wholeBuffer
  return isArrayClass(Class) ? views(Class) : undefined
})

const CLASSES = new Map<string, ErrorConstructor>(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((Class) => [
    Class.name,
    Class,
  ]),
)
/** Fields that an error has as hidden properties; its stack is this program's and says nothing, so it goes. */
const HIDDEN = new Set(['name', 'message', 'cause', 'errors'])

/** An Error from its fields, or undefined when name or message are no strings. A `stack` is dropped. */
export function makeError(fields: object): Error | undefined {
  const name: unknown = Object.getOwnPropertyDescriptor(fields, 'name')?.value
  const message: unknown = Object.getOwnPropertyDescriptor(fields, 'message')?.value
  if (typeof name !== 'string' || typeof message !== 'string') return undefined
  const Class = CLASSES.get(name) ?? Error
  const error = new Class(message)
  const stack = { value: `${name}: ${message}`, writable: true, enumerable: false, configurable: true }
  Object.defineProperty(error, 'stack', stack)
  for (const [key, value] of Object.entries(fields)) {
    if (key === 'message' || key === 'stack' || (key === 'name' && Class.name === name)) continue
    const enumerable = !HIDDEN.has(key)
    Object.defineProperty(error, key, { value, writable: true, enumerable, configurable: true })
  }
  return error
}
