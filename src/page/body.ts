import type { BodyLimits } from '../wire/body.ts'
import { padded, readU32 } from '../wire/frame.ts'
import { isObject } from '../wire/guards.ts'
import { HUB_BODY_BYTES, HUB_BODY_DEPTH, MAX_METHODS } from '../wire/limits.ts'
import { decode } from './decode.ts'
import { type Encoded, encode } from './encode.ts'
import type { Received } from './link.ts'
import type { Message } from './outbox.ts'

const LINK_LIMITS: BodyLimits = { maxDepth: HUB_BODY_DEPTH, maxKeys: MAX_METHODS * 4 }

/**
 * The payload of a message: head, segments, body (PROTOCOL.md, section 1).
 *
 * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path of what cannot be sent.
 */
export function payloadOf(
  value: unknown,
  head: Uint8Array = NOTHING.body,
): Required<Pick<Message, 'payload' | 'headBytes' | 'segments'>> {
  const { body, segments } = value === undefined ? NOTHING : encode(value)
  const table = new Uint8Array(Uint32Array.from(segments, ({ length }) => length).buffer)
  const parts = [head, table, ...segments, body]
  let end = 0
  const places = parts.map(({ length }) => {
    const at = padded(end)
    end = at + length
    return at
  })
  const payload = new Uint8Array(end)
  parts.forEach((part, index) => {
    payload.set(part, places[index])
  })
  return { payload, headBytes: padded(head.length), segments: segments.length }
}

const NOTHING: Encoded = { body: new Uint8Array(), segments: [] }

/** @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY */
export function readValue({ payload, headBytes, segments }: Received, limits: BodyLimits): unknown {
  const table = padded(headBytes)
  let at = table + padded(4 * segments)
  const parts = Array.from({ length: at > payload.length ? 0 : segments }, (_, index) => {
    const length = readU32(payload, table + 4 * index)
    const part = payload.subarray(at, at + length)
    at += padded(length)
    return part
  })
  // Of a payload that is shorter than its head says nothing is left for the body, which is refused.
  return at === payload.length && !segments ? undefined : decode(payload.subarray(at), limits, parts)
}

/** The body of a link frame; undefined when it is no object within the bounds of such. */
export function linkBodyOf(message: Received): Record<string, unknown> | undefined {
  if (message.payload.length > HUB_BODY_BYTES) return undefined
  try {
    const value = readValue(message, LINK_LIMITS)
    return isObject(value) && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
