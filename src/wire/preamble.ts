/** What a PREAMBLE says (PROTOCOL.md, section 2): constants of their own, so that a bundler writes the numbers. */

/** The version of the protocol; the lowest and the highest that are spoken are this one. */
export const VERSION = 1
export const MAGIC_LOW = 0x44414956 // "VIAD"
export const MAGIC_HIGH = 0x1a544355 // "UCT" 0x1a
