import type { Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import type { BodyLimits } from '../wire/body.ts'
import { CODEC, type Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import {
  MAX_DEPTH,
  TRUSTED_MAX_KEYS,
  TRUSTED_MESSAGE_BYTES,
  UNTRUSTED_MESSAGE_BYTES,
} from '../wire/limits.ts'
import { pack, unpack } from '../wire/packed.ts'
import type { CompressionPrimitives } from './primitives.ts'

/** Contents below this many bytes are not compressed. */
export const COMPRESS_BYTES = 1024
/** What compressing has to leave of a content at most, to be kept. */
const WORTH = 0.9
const BOUNDS: BodyLimits = { maxDepth: MAX_DEPTH, maxKeys: TRUSTED_MAX_KEYS }

/** What an envelope carries inside: `bits` says whether it is compressed. */
export interface Content {
  readonly bits: number
  readonly bytes: Uint8Array
}

/** A value as a content. Functions are refused with their path. */
export function contentOf(value: unknown, method: Method, part: string, ours: boolean): Uint8Array {
  try {
    return pack(value)
  } catch (error) {
    throw named(error, method, part, ours)
  }
}

/** The value in a content. @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY */
export function readContent(content: Uint8Array, bounds: BodyLimits = BOUNDS): unknown {
  return unpack(content, bounds)
}

/** Compresses what is worth it, and inflates no further than it may. */
export class Compression {
  readonly #primitives: CompressionPrimitives
  readonly #maxBytes: number
  compressed = 0
  savedBytes = 0

  /** @param maxBytes the longest content that is inflated. */
  constructor(primitives: CompressionPrimitives, maxBytes = TRUSTED_MESSAGE_BYTES) {
    this.#primitives = primitives
    this.#maxBytes = maxBytes
  }

  async deflate(content: Uint8Array): Promise<Content> {
    if (content.length >= COMPRESS_BYTES) {
      const bytes = await this.#primitives.deflate(content)
      if (bytes.length <= content.length * WORTH) {
        this.compressed++
        this.savedBytes += content.length - bytes.length
        return { bits: CODEC.COMPRESSED, bytes }
      }
    }
    return { bits: 0, bytes: content }
  }

  /** @throws ViaductError RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE · INVALID_ARGUMENT / MALFORMED_BODY */
  async inflate({ bits, bytes }: Content, { bounds }: Envelope): Promise<Uint8Array> {
    if ((bits & CODEC.COMPRESSED) === 0) return bytes
    // What came within the bounds for everybody may not grow over the message that everybody may send.
    const isBounded = bounds !== undefined && bounds.maxKeys < TRUSTED_MAX_KEYS
    const maxBytes = Math.min(this.#maxBytes, isBounded ? UNTRUSTED_MESSAGE_BYTES : TRUSTED_MESSAGE_BYTES)
    const inflated = await this.#inflate(bytes, maxBytes)
    if (inflated) return inflated
    throw new ViaductError(
      'RESOURCE_EXHAUSTED',
      `it inflates to over ${maxBytes} bytes; send it as a stream`,
      {
        reason: 'MESSAGE_TOO_LARGE',
      },
    )
  }

  async #inflate(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#primitives.inflate(bytes, maxBytes)
    } catch (cause) {
      throw malformed('what is said to be compressed is not', cause)
    }
  }
}

function malformed(text: string, cause?: unknown): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', text, { reason: 'MALFORMED_BODY', cause })
}
