/** The bytes that begin each value of a body, and the bounds that come with them (PROTOCOL.md, section 6). */

/** Tags. Below SHORT_TEXT a tag is the integer itself; the next three ranges carry a length or a number. */
export const TAG = {
  SHORT_TEXT: 0x80,
  SHORT_ARRAY: 0xc0,
  SHORT_SHAPE: 0xd0,
  NULL: 0xe0,
  UNDEFINED: 0xe1,
  FALSE: 0xe2,
  TRUE: 0xe3,
  ABSENT: 0xe4,
  U8: 0xe5,
  U16: 0xe6,
  I32: 0xe7,
  NEGATIVE: 0xe8,
  FLOAT: 0xe9,
  BIGINT: 0xea,
  NEGATIVE_BIGINT: 0xeb,
  LATIN1: 0xec,
  UTF8: 0xed,
  UTF16: 0xee,
  ARRAY: 0xef,
  SHAPE: 0xf0,
  DEFINE: 0xf1,
  RECORD: 0xf2,
  DATE: 0xf3,
  MAP: 0xf4,
  SET: 0xf5,
  ERROR: 0xf6,
  BINARY: 0xf7,
  SEGMENT: 0xf8,
  REFERENCE: 0xf9,
  ENVELOPE: 0xfa,
} as const

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
