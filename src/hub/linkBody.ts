import type { Link } from '../core/link.ts'
import { BodyEncoder } from '../wire/body.ts'
import * as FLAG from '../wire/flag.ts'
import { readU32, writeHeader } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import { HEADER_BYTES, HUB_BODY_BYTES } from '../wire/limits.ts'
import { linkFrameBytes, readLinkBody, writeLinkFrame } from '../wire/linkBody.ts'

const encoder = new BodyEncoder()

/**
 * Writes `{ ...head, methods: lines }` in the control lane, in as many link frames as it takes: names may be
 * so long, and lines so many, that one would be over what its reader takes.
 */
export function sendLines(
  link: Link,
  kind: number,
  route: number,
  head: object,
  lines: readonly unknown[],
): void {
  const body = encoder.encode({ ...head, methods: lines })
  if (body.length > HUB_BODY_BYTES && lines.length > 1) {
    const half = lines.length >>> 1
    sendLines(link, kind, route, head, lines.slice(0, half))
    sendLines(link, kind, route, head, lines.slice(half))
    return
  }
  const { outbox } = link
  const frameBytes = linkFrameBytes(body)
  const at = outbox.room(frameBytes)
  writeLinkFrame(outbox.slab, at, kind, route, body)
  outbox.commit(at, at + frameBytes, 0, false)
}

/** Answers an exchange with what the hub itself has to say, in the control lane: a PROGRESS, an ERROR. */
export function sendAnswer(link: Link, kind: number, id: number, value: object): void {
  const body = encoder.encode(value)
  const frameBytes = linkFrameBytes(body)
  const { outbox } = link
  const at = outbox.room(frameBytes)
  writeLinkFrame(outbox.slab, at, kind, 0, body)
  writeHeader(outbox.slab, at, frameBytes, kind, FLAG.ANSWER, 0, id, 0, 0, 0, body.length, 0, 0)
  outbox.commit(at, at + frameBytes, 0, false)
}

/** Reads the body of a link frame that has come whole. */
export function readBody(bytes: Uint8Array, at: number): Record<string, unknown> | undefined {
  const from = at + HEADER_BYTES
  return readLinkBody(bytes, from, from + readU32(bytes, at + AT.payloadBytes))
}
