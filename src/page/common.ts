/** What both directions of the body codec need to know (PROTOCOL.md, section 6). */

/** What makes a binary of an element type; the class of what holds no elements lacks their size. */
interface BinaryClass {
  new (buffer: ArrayBufferLike, at: number, length: number): object
  readonly BYTES_PER_ELEMENT?: number
}

/** Classes of binaries by their number on the wire; older hosts lack the last. */
export const BINARIES: readonly (BinaryClass | undefined)[] = [
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
]

/** What to do when `Values` are missed. */
export const NEEDS_VALUES = 'bigint, Map, Set and Error need viaduct/browser/values'

/** Values that a tag stands for, from TAG.NULL on. */
export const CONSTANTS: readonly unknown[] = [null, undefined, false, true]

/** Whether the class itself made the value, not one below it. */
export function isOf<Instance extends object>(
  Class: { readonly prototype: Instance },
  value: unknown,
): value is Instance {
  return Object.getPrototypeOf(value) === Class.prototype
}

/** Sets a property, whatever is inherited. */
export function define(object: object, key: string, value: unknown, enumerable = true): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable, configurable: true })
}

/** Whatever is thrown while a body is read, the engine's own errors too, becomes the refusal of the whole. */
export function fail(): never {
  throw undefined
}

/** A collection of members, or entries, of which no two are the same. */
export function distinct<Item, Keys extends { readonly size: number }>(
  Class: new (items: readonly Item[]) => Keys,
  items: readonly Item[],
): Keys {
  const keys = new Class(items)
  return keys.size < items.length ? fail() : keys
}
