/** Values as bytes (PROTOCOL.md, section 6). */
export { type BodyLimits, decodeBody } from './bodyDecoder.ts'
export { BodyEncoder } from './bodyEncoder.ts'
