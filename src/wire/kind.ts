/**
 * Kinds of frames (PROTOCOL.md, section 1), to be imported as `KIND`: constants of their own, so that a bundler writes
 * the numbers in their place.
 */

export const PREAMBLE = 0x00
export const HELLO = 0x01
export const PROOF = 0x02
export const WELCOME = 0x03
export const PING = 0x04
export const PONG = 0x05
export const GOAWAY = 0x06
export const MOVE = 0x07
export const OPEN = 0x08
export const ROUTE = 0x09
export const DROP = 0x0a
export const CALL = 0x10
export const ITEM = 0x11
export const END = 0x12
export const ERROR = 0x13
export const FRAGMENT = 0x14
export const CREDIT = 0x15
export const CANCEL = 0x16
export const PROGRESS = 0x17
export const BACK = 0x18
export const RELEASE = 0x19
/** What a frame that still waits is made into, to call it off. */
export const NOOP = 0x7f
