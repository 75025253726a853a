/** Flags of a frame and the bits of its lane (PROTOCOL.md, section 1), to be imported as `FLAG`. */

export const LANE = 0x03
export const MORE = 0x04
export const ANSWER = 0x08
export const ONE_WAY = 0x10
export const UPLOAD = 0x20
export const DICTIONARY = 0x40
