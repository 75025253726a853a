/** Bounds of the values of a body, and their types of binaries (PROTOCOL.md, section 6). */

/** Strings below this many Latin-1 units have a one-byte header. */
export const SHORT_TEXT_UNITS = 64
/** Arrays below this many items have a one-byte header. */
export const SHORT_ARRAY_ITEMS = 16
/** Shapes below this number have a one-byte header. */
export const SHORT_SHAPES = 16
/** Objects with more keys are records: their keys are never defined as a shape. */
export const MAX_SHAPE_KEYS = 64
/** Shapes that one body may define. */
export const MAX_DEFINED_SHAPES = 256
/** Longest magnitude of a bigint, in bytes: 8,192 bits. */
export const BIGINT_BYTES = 1024

/** Element types of binary values by their number on the wire; [name, bytes of an element]. */
export const BINARY_TYPES = [
  ['ArrayBuffer', 1],
  ['Uint8Array', 1],
  ['Int8Array', 1],
  ['Uint8ClampedArray', 1],
  ['Int16Array', 2],
  ['Uint16Array', 2],
  ['Int32Array', 4],
  ['Uint32Array', 4],
  ['Float32Array', 4],
  ['Float64Array', 8],
  ['BigInt64Array', 8],
  ['BigUint64Array', 8],
  ['DataView', 1],
  ['Float16Array', 2],
] as const

/** Number of a binary type by its name, -1 when it has none. */
export function binaryType(name: string): number {
  return BINARY_TYPES.findIndex(([known]) => known === name)
}

/** One number in two dresses, for moving float64s and 64-bit integers byte by byte. */
export const FLOAT = new Float64Array(1)
export const LONG = new BigUint64Array(FLOAT.buffer)
export const FLOAT_BYTES = new Uint8Array(FLOAT.buffer)
