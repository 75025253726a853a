import { callHead, marksOf } from '../core/callHead.ts'
import { ContextView } from '../core/contextView.ts'
import { errorFrom, sendError } from '../core/errorValue.ts'
import type { Call, IncomingCall, OutgoingCall, Reply } from '../core/interceptor.ts'
import { CODEC, Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import { MAX_DEPTH, MAX_KEYS, UNTRUSTED_MESSAGE_BYTES } from '../wire/limits.ts'
import { pack, unpack } from '../wire/packed.ts'
import type { Settled } from './gatherer.ts'

/** Packed calls of one batch. */
export const BATCH_BYTES = UNTRUSTED_MESSAGE_BYTES / 4
/** The longest call that travels with others. */
const CALL_BYTES = BATCH_BYTES / 4
/** Packed answers of one batch: what everybody may receive, with room for what stands around them. */
const ANSWERS_BYTES = UNTRUSTED_MESSAGE_BYTES - BATCH_BYTES
/** What an answer takes beside its bytes. */
const ITEM_BYTES = 16
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: MAX_KEYS }

export function isBatch(value: unknown): value is Envelope {
  return value instanceof Envelope && value.codec === CODEC.BATCH
}

/** Calls or answers, each packed by itself, so that what is wrong with one is no fault of the others. */
export function envelopeOf(items: readonly Uint8Array[]): Envelope {
  return new Envelope(CODEC.BATCH, pack(items))
}

/**
 * A call as the list of its input and, if it has any, its marks as the entries of a head. Undefined for what is too
 * long, and for what cannot be sent this way: it travels alone, or is refused there.
 */
export function packedCall({ input, options }: OutgoingCall): Uint8Array | undefined {
  try {
    const marks = callHead(options)
    const bytes = pack(marks ? [input, marks] : [input])
    return bytes.length > CALL_BYTES ? undefined : bytes
  } catch {
    return undefined
  }
}

/**
 * The calls of a batch, each read when it is made.
 * @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY · / BATCH_TOO_LARGE
 */
export function callsOf(batch: Envelope, call: IncomingCall, maxSize: number): (() => IncomingCall)[] {
  const { name } = call.method
  const items = itemsOf(batch, call)
  if (items.length > maxSize) {
    throw new ViaductError(
      'INVALID_ARGUMENT',
      `${name}: a batch of ${items.length} calls; it takes ${maxSize}: give batch() the same maxSize at both ends`,
      { reason: 'BATCH_TOO_LARGE', fate: 'not-sent' },
    )
  }
  return items.map((bytes) => () => {
    const read = unpack(bytes, batch.bounds ?? BOUNDS)
    if (!Array.isArray(read) || read.length === 0) throw malformed(call)
    const [input, head]: readonly unknown[] = read
    const marks = head instanceof Uint8Array ? marksOf(head) : {}
    // Whose progress it is could not be told.
    return { ...call, input, context: new ContextView(call.context, { ...marks, progress: () => {} }) }
  })
}

export function packedOutcome(outcome: Settled<unknown>): Uint8Array {
  if ('value' in outcome) {
    try {
      return pack([outcome.value])
    } catch (error) {
      return packedOutcome({ error })
    }
  }
  let bytes = pack([undefined, undefined])
  sendError(outcome.error, false, (value) => {
    bytes = pack([undefined, value])
  })
  return bytes
}

/** As many answers as everybody may receive in one message; in place of the others, that they have no room. */
export function withinRoom(outcomes: readonly Uint8Array[], { method }: Call): Uint8Array[] {
  let left = ANSWERS_BYTES
  return outcomes.map((bytes) => {
    left -= bytes.length + ITEM_BYTES
    if (left >= 0) return bytes
    left += bytes.length + ITEM_BYTES
    const full = new ViaductError(
      'RESOURCE_EXHAUSTED',
      `${method.name}: its answer of ${bytes.length} bytes has no room beside others: call it without batch()`,
      { reason: 'BATCH_FULL' },
    )
    return packedOutcome({ error: full })
  })
}

/** What became of each call. @throws ViaductError when the answer is not one to so many calls. */
export function outcomesOf(reply: Reply, calls: number, call: Call): Settled<unknown>[] {
  const value: unknown = 'value' in reply ? reply.value : undefined
  if (!isBatch(value)) throw notTogether(call)
  const items = itemsOf(value, call)
  if (items.length !== calls) throw malformed(call)
  return items.map((bytes) => {
    try {
      const read = unpack(bytes, value.bounds ?? BOUNDS)
      if (!Array.isArray(read)) throw malformed(call)
      return read.length === 1 ? { value: read[0] } : { error: errorFrom(read[1], call.method.name) }
    } catch (error) {
      return { error }
    }
  })
}

function itemsOf({ bytes, bounds }: Envelope, call: Call): readonly Uint8Array[] {
  const items = unpack(bytes, bounds ?? BOUNDS)
  if (!Array.isArray(items) || !items.every((item) => item instanceof Uint8Array)) throw malformed(call)
  return items
}

function malformed({ method }: Call): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${method.name}: what came is no batch`, {
    reason: 'MALFORMED_BODY',
  })
}

export function notTogether({ method }: Call): ViaductError {
  return new ViaductError(
    'UNIMPLEMENTED',
    `${method.name}: its callee does not answer batches: give serve() batch() too`,
    { reason: 'ENVELOPE_UNKNOWN' },
  )
}
