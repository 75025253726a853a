import type { BodyLimits } from './bodyDecoder.ts'

/** What was done to the content of an {@link Envelope}; PROTOCOL.md, section 9. */
export const CODEC = { COMPRESSED: 1, SEALED: 2, SIGNED: 4, AGREEMENT: 8 } as const

/** A value whose bytes are for the two ends alone: compressed, signed, sealed. Sent where a value is sent. */
export class Envelope {
  /** Bits of {@link CODEC}. */
  readonly codec: number
  readonly bytes: Uint8Array
  readonly #bounds: BodyLimits | undefined

  /** @param bounds within which the message was read that brought it, so that its content is read within them. */
  constructor(codec: number, bytes: Uint8Array, bounds?: BodyLimits) {
    this.codec = codec
    this.bytes = bytes
    this.#bounds = bounds
  }

  get bounds(): BodyLimits | undefined {
    return this.#bounds
  }
}
