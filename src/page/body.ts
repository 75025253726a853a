import type { BodyLimits } from '../wire/body.ts'
import { padded, readU32 } from '../wire/frame.ts'
import { HUB_BODY_BYTES, HUB_BODY_DEPTH, MAX_METHODS } from '../wire/limits.ts'
import { decode } from './decode.ts'
import { encode } from './encode.ts'
import type { Received } from './link.ts'
import type { Message } from './outbox.ts'
import type { Values } from './values.ts'

const LINK_LIMITS: BodyLimits = { maxDepth: HUB_BODY_DEPTH, maxKeys: MAX_METHODS * 4 }

/**
 * The payload of a message: head, segments, body (PROTOCOL.md, section 1).
 *
 * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path of what cannot be sent.
 */
export function payloadOf(
  value: unknown,
  values?: Values,
  head: Uint8Array = new Uint8Array(),
): Required<Pick<Message, 'payload' | 'layout'>> {
  const { body, segments } = encode(value, values)
  const table = new Uint8Array(Uint32Array.from(segments, ({ length }) => length).buffer)
  const parts = [head, table, ...segments, body.subarray(value === undefined ? 1 : 0)]
  const payload = new Uint8Array(parts.reduce((end, { length }) => padded(end) + length, 0))
  let at = 0
  for (const part of parts) {
    payload.set(part, at)
    at = padded(at + part.length)
  }
  return { payload, layout: padded(head.length) | (segments.length << 16) }
}

/** @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY */
export function readValue({ payload, layout }: Received, limits: BodyLimits, values?: Values): unknown {
  const table = padded(layout & 0xffff)
  const segments = layout >>> 16
  let at = table + padded(4 * segments)
  const parts = Array.from({ length: at > payload.length ? 0 : segments }, (_, index) => {
    const length = readU32(payload, table + 4 * index)
    const part = payload.subarray(at, at + length)
    at += padded(length)
    return part
  })
  // Of a payload that is shorter than its head says nothing is left for the body, which is refused.
  return at === payload.length && !segments ? undefined : decode(payload.subarray(at), limits, parts, values)
}

/** The body of a link frame; undefined when it is no object within the bounds of such. */
export function linkBodyOf(message: Received): Record<string, unknown> | undefined {
  if (message.payload.length > HUB_BODY_BYTES) return undefined
  try {
    return Object(readValue(message, LINK_LIMITS))
  } catch {
    return undefined
  }
}
