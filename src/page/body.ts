import type { BodyLimits } from '../wire/body.ts'
import { ViaductError } from '../wire/errors.ts'
import { padded, readU32, writeU32 } from '../wire/frame.ts'
import { isObject } from '../wire/guards.ts'
import { HUB_BODY_BYTES, HUB_BODY_DEPTH, MAX_METHODS } from '../wire/limits.ts'
import { decode } from './decode.ts'
import { encode } from './encode.ts'
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
  head: Uint8Array = NOTHING,
): Required<Pick<Message, 'payload' | 'headBytes' | 'segments'>> {
  const { body, segments } = value === undefined ? NO_BODY : encode(value)
  if (head.length + segments.length === 0) return { payload: body, headBytes: 0, segments: 0 }
  const table = new Uint8Array(4 * segments.length)
  segments.forEach(({ length }, index) => {
    writeU32(table, 4 * index, length)
  })
  const parts = [head, table, ...segments]
  const payload = new Uint8Array(parts.reduce((sum, { length }) => sum + padded(length), body.length))
  let at = 0
  for (const part of parts) {
    payload.set(part, at)
    at += padded(part.length)
  }
  payload.set(body, at)
  return { payload, headBytes: padded(head.length), segments: segments.length }
}

const NOTHING = new Uint8Array()
const NO_BODY = { body: NOTHING, segments: [] }

/** @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY */
export function readValue({ payload, headBytes, segments, wasCut }: Received, limits: BodyLimits): unknown {
  const parts: Uint8Array[] = []
  const table = padded(headBytes)
  let at = table + padded(4 * segments)
  for (let index = 0; index < segments && at <= payload.length; index++) {
    const length = readU32(payload, table + 4 * index)
    const part = payload.subarray(at, at + length)
    // Views of a message that was put together; copies of what stands in a chunk with others.
    parts.push(wasCut ? part : part.slice())
    at += padded(length)
  }
  if (at > payload.length) {
    throw new ViaductError('INVALID_ARGUMENT', 'malformed body: it is shorter than its head says', {
      reason: 'MALFORMED_BODY',
    })
  }
  return at === payload.length && segments === 0
    ? undefined
    : decode(payload, at, payload.length, limits, parts)
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
