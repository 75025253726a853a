import { type BodyLimits, decodeBody } from './body.ts'
import { padded, writeHeader } from './frame.ts'
import { isObject } from './guards.ts'
import { HEADER_BYTES, HUB_BODY_BYTES, HUB_BODY_DEPTH, MAX_METHODS } from './limits.ts'

/** Bounds of what link frames say, and of what the hub's own methods are asked. */
export const LINK_BODY_LIMITS: BodyLimits = { maxDepth: HUB_BODY_DEPTH, maxKeys: MAX_METHODS * 4 }

/** Bytes of a link frame with such a body. */
export function linkFrameBytes(body: Uint8Array): number {
  return HEADER_BYTES + padded(body.length)
}

/** Writes a link frame with a self-describing body. The caller has room for {@link linkFrameBytes} at `at`. */
export function writeLinkFrame(
  bytes: Uint8Array,
  at: number,
  kind: number,
  route: number,
  body: Uint8Array,
): void {
  const frameBytes = linkFrameBytes(body)
  writeHeader(bytes, at, frameBytes, kind, 0, 0, 0, route, 0, 0, body.length, 0, 0)
  bytes.set(body, at + HEADER_BYTES)
  bytes.fill(0, at + HEADER_BYTES + body.length, at + frameBytes)
}

/** Reads the body of a link frame; undefined when it is no object within the bounds of such. */
export function readLinkBody(
  bytes: Uint8Array,
  from: number,
  end: number,
  limits: BodyLimits = LINK_BODY_LIMITS,
): Record<string, unknown> | undefined {
  if (end - from > HUB_BODY_BYTES) return undefined
  try {
    const value = decodeBody(bytes, from, end, limits)
    return isObject(value) && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
