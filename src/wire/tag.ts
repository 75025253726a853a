/**
 * The bytes that begin each value of a body (PROTOCOL.md, section 6), to be imported as `TAG`. Below SHORT_TEXT a tag
 * is the integer itself; the next three ranges carry a length or a number. Constants of their own, not members of an
 * object: a bundler writes the numbers in their place.
 */

export const SHORT_TEXT = 0x80
export const SHORT_ARRAY = 0xc0
export const SHORT_SHAPE = 0xd0
export const NULL = 0xe0
export const UNDEFINED = 0xe1
export const FALSE = 0xe2
export const TRUE = 0xe3
export const ABSENT = 0xe4
export const U8 = 0xe5
export const U16 = 0xe6
export const I32 = 0xe7
export const NEGATIVE = 0xe8
export const FLOAT = 0xe9
export const BIGINT = 0xea
export const NEGATIVE_BIGINT = 0xeb
export const LATIN1 = 0xec
export const UTF8 = 0xed
export const UTF16 = 0xee
export const ARRAY = 0xef
export const SHAPE = 0xf0
export const DEFINE = 0xf1
export const RECORD = 0xf2
export const DATE = 0xf3
export const MAP = 0xf4
export const SET = 0xf5
export const ERROR = 0xf6
export const BINARY = 0xf7
export const SEGMENT = 0xf8
export const REFERENCE = 0xf9
export const ENVELOPE = 0xfa
