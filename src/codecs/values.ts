import { errorFrom, sendError } from '../core/errorValue.ts'
import type { Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { CODEC, Envelope } from '../wire/envelope.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { type Compression, type Content, contentOf, readContent } from './content.ts'
import { fault, unprotectedError } from './faults.ts'
import type { Exchange, Part } from './session.ts'

/** The reason of an error whose data is the envelope of the true one. */
const ENVELOPED = 'ENVELOPED'

/** What a content is in its part of a method: values within contents, protected or not. */
export class Values {
  readonly #compression: Compression

  constructor(compression: Compression) {
    this.#compression = compression
  }

  /** A value that may travel compressed; `part` names it in errors. Undefined: as it is, since that does not pay. */
  async compressed(method: Method, part: Part, value: unknown, ours: boolean): Promise<Envelope | undefined> {
    const { bits, bytes } = await this.#compression.deflate(contentOf(value, method, part, ours))
    return bits === 0 ? undefined : new Envelope(bits, bytes)
  }

  /** A value that may have come compressed. */
  async inflated(method: Method, part: Part, given: unknown): Promise<unknown> {
    // A batch is taken apart by its own policy.
    if (!(given instanceof Envelope) || given.codec === CODEC.BATCH) return given
    const bits = given.codec
    if (bits > 1) throw fault('TAMPERED', `${method.name}: ${part}`)
    return this.value(method, part, { bits, bytes: given.bytes }, given)
  }

  /** A value as the envelope of its part. */
  async close(
    exchange: Exchange,
    part: Part,
    index: number,
    value: unknown,
    ours: boolean,
  ): Promise<Envelope> {
    return this.closeContent(exchange, part, index, contentOf(value, exchange.method, part, ours))
  }

  async closeContent(exchange: Exchange, part: Part, index: number, bytes: Uint8Array): Promise<Envelope> {
    const { session, method } = exchange
    const content = method.codecs?.compress ? await this.#compression.deflate(bytes) : { bits: 0, bytes }
    return session.protect(exchange, part, index, content)
  }

  /** @throws ViaductError those of the codecs, for what is not of this exchange or not this part of it */
  async open(exchange: Exchange, expected: readonly [Part, ...Part[]], given: unknown) {
    const { session, method, sequence } = exchange
    const opened = await session.open(method, expected, given)
    if (opened.sequence !== sequence) throw fault('TAMPERED', `${method.name}: ${expected[0]}`)
    const { part, index } = opened
    return { part, index, value: await this.value(method, expected[0], opened, given) }
  }

  /** @param given the envelope that it came in. */
  async value(method: Method, part: Part, content: Content, given: unknown): Promise<unknown> {
    if (!(given instanceof Envelope)) return undefined
    try {
      return readContent(await this.#compression.inflate(content, given), given.bounds)
    } catch (error) {
      throw named(error, method, part)
    }
  }

  /** What is thrown in place of what a handler threw. @param index items that went before it. */
  async closeError(exchange: Exchange, index: number, thrown: unknown): Promise<ViaductError> {
    const { method } = exchange
    let content: Uint8Array | undefined
    sendError(thrown, false, (value) => {
      content = contentOf(value, method, 'error', true)
    })
    const data = await this.closeContent(exchange, 'error', index, content ?? new Uint8Array(8))
    return new ViaductError('UNKNOWN', `${method.name}: its error is for the caller alone`, {
      reason: ENVELOPED,
      data,
    })
  }

  /**
   * What a call failed with: the handler's error, or another's, which then has a fate. Never rejects.
   *
   * @param items that were read until then, if they were.
   */
  async openError(exchange: Exchange, error: unknown, items?: number): Promise<unknown> {
    if (!isViaductError(error) || error.reason !== ENVELOPED) return unprotectedError(error)
    try {
      const { index, value } = await this.open(exchange, ['error'], error.data)
      if (items !== undefined && index !== items) return fault('CUT_SHORT', `${exchange.method.name}: items`)
      return errorFrom(value, exchange.method.name)
    } catch (refused) {
      return refused
    }
  }
}
