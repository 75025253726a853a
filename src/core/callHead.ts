import { ViaductError } from '../wire/errors.ts'
import { boundedTextOf, joinHeads, MAX_IDEMPOTENCY_BYTES, TAG, textEntry } from '../wire/head.ts'

/** What travels beside the input of a call, for policies at both ends; nobody in between reads it. */
export interface CallMarks {
  /** The W3C trace context: `00-<32 hexadecimal digits>-<16>-<2>`. */
  readonly traceparent?: string | undefined
  /** One for all tries of a call, at most 64 bytes: whoever remembers it runs the call once. */
  readonly idempotencyKey?: string | undefined
}

/** Version ff and ids of zeros alone are none (W3C Trace Context). */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/

export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text)
}

/** @throws ViaductError INVALID_ARGUMENT with the path of the option that is malformed. */
export function callHead({ traceparent, idempotencyKey }: CallMarks): Uint8Array | undefined {
  let head: Uint8Array | undefined
  if (traceparent !== undefined) {
    if (!isTraceparent(traceparent)) {
      throw malformed('traceparent', 'has the form 00-<32 hexadecimal digits>-<16>-<2>, in lower case')
    }
    head = textEntry(TAG.TRACE, traceparent)
  }
  if (idempotencyKey !== undefined) {
    const entry = textEntry(TAG.IDEMPOTENCY, idempotencyKey)
    const bytes = new TextEncoder().encode(idempotencyKey).length
    if (bytes === 0 || bytes > MAX_IDEMPOTENCY_BYTES) {
      throw malformed('idempotencyKey', `has 1 to ${MAX_IDEMPOTENCY_BYTES} bytes`)
    }
    head = head ? joinHeads(head, entry) : entry
  }
  return head
}

/** What a far end's head says, leaving out what is malformed. */
export function marksOf(head: Uint8Array): CallMarks {
  const traceparent = boundedTextOf(head, TAG.TRACE, 55)
  const idempotencyKey = boundedTextOf(head, TAG.IDEMPOTENCY, MAX_IDEMPOTENCY_BYTES)
  return {
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
    ...(idempotencyKey ? { idempotencyKey } : {}),
  }
}

function malformed(option: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `options.${option}: it ${text}`, { path: `options.${option}` })
}
