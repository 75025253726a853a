import type { Link } from '../core/link.ts'
import { BodyEncoder, decodeBody } from '../wire/body.ts'
import { AT, padded, readU32, writeHeader } from '../wire/frame.ts'
import { HEADER_BYTES, HUB_BODY_BYTES, HUB_BODY_DEPTH, MAX_METHODS } from '../wire/limits.ts'

const encoder = new BodyEncoder()
const LIMITS = { maxDepth: HUB_BODY_DEPTH, maxKeys: MAX_METHODS * 4 }

/** Writes a link frame with a self-describing body in the control lane. */
export function sendBody(link: Link, kind: number, route: number, value: unknown): void {
  const body = encoder.encode(value)
  const { outbox } = link
  const frameBytes = HEADER_BYTES + padded(body.length)
  const at = outbox.room(frameBytes)
  writeHeader(outbox.slab, at, frameBytes, kind, 0, 0, 0, route, 0, 0, body.length, 0, 0)
  outbox.slab.set(body, at + HEADER_BYTES)
  outbox.slab.fill(0, at + HEADER_BYTES + body.length, at + frameBytes)
  outbox.commit(at, at + frameBytes, 0, false)
}

/** Reads the body of a link frame; undefined when it is not an object within the hub's bounds. */
export function readBody(bytes: Uint8Array, at: number): Record<string, unknown> | undefined {
  const size = readU32(bytes, at + AT.payloadBytes)
  if (size > HUB_BODY_BYTES) return undefined
  if (size === 0) return {}
  try {
    const value = decodeBody(bytes, at + HEADER_BYTES, at + HEADER_BYTES + size, LIMITS)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
