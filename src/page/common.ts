/** What both directions of the body codec need to know (PROTOCOL.md, section 6). */

/** What makes a binary of an element type; the class of what holds no elements lacks their size. */
interface BinaryClass {
  new (buffer: ArrayBufferLike, at: number, length: number): object
  readonly BYTES_PER_ELEMENT?: number
}

/** Classes of binaries by their number on the wire; older hosts lack the last. */
export const BINARIES = [
  ArrayBuffer,
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  Reflect.get(globalThis, 'Float16Array'),
].filter(isBinaryClass)

function isBinaryClass(value: unknown): value is BinaryClass {
  return typeof value === 'function'
}

/** Values that a tag stands for, from TAG.NULL on. */
export const CONSTANTS: readonly unknown[] = [null, undefined, false, true]

/** Fields that an error has as hidden properties. */
export const HIDDEN = ['name', 'message', 'cause', 'errors', 'stack']
