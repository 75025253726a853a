// Wraps deflate with a bound on what it inflates to: large messages as one message of compressed bytes.
import type { CompressionPrimitives } from '../../codecs/primitives.ts'
import { nodePrimitives } from '../../host/crypto.ts'
import { count, given, readOptions } from '../../policies/options.ts'
import { ViaductError } from '../../wire/errors.ts'
import { MAX_DEPTH, MAX_KEYS, TRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'
import { linkError } from '../../wire/linkError.ts'
import { pack, unpack } from '../../wire/packed.ts'
import { ProcessMessage } from './processMessage.ts'

export interface MessageCompressorOptions {
  /** Smaller messages stay as they are; default 1,024. */
  readonly minBytes?: number
  /** What a message may inflate to; default 10 MiB. */
  readonly maxBytes?: number
  /** Default Node's. */
  readonly primitives?: CompressionPrimitives
}

const COMPRESSED = 'compressed_message'
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: MAX_KEYS }

export class MessageCompressor {
  readonly #options: Required<MessageCompressorOptions>

  constructor(options?: MessageCompressorOptions) {
    this.#options = readOptions('MessageCompressor', options, {
      minBytes: count(1_024),
      maxBytes: count(TRUSTED_MESSAGE_BYTES),
      primitives: given<CompressionPrimitives>(
        nodePrimitives.compression,
        'functions `deflate` and `inflate`',
      ),
    })
  }

  /** `compressed_message` with the message's name and its compressed arguments; the message itself where that does not pay. */
  async compress(message: ProcessMessage): Promise<ProcessMessage> {
    const { minBytes, primitives } = this.#options
    if (message.getSize() < minBytes || message.getName() === COMPRESSED) return message
    const packed = pack(message.getArgumentList().values)
    const deflated = await primitives.deflate(packed)
    if (deflated.length >= packed.length) return message
    return ProcessMessage.from(COMPRESSED, [message.getName(), deflated])
  }

  /**
   * The message in a compressed one; any other as it is. Who checks messages checks what this gives.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE before more than `maxBytes` are taken;
   * INVALID_ARGUMENT / MALFORMED_BODY, BAD_METHOD, INVALID_INPUT
   */
  async decompress(message: ProcessMessage): Promise<ProcessMessage> {
    if (message.getName() !== COMPRESSED) return message
    const { maxBytes, primitives } = this.#options
    const args = message.getArgumentList()
    const [name, deflated] = [args.getString(0), args.getBinary(1)]
    const packed = await inflate(() => primitives.inflate(deflated, maxBytes))
    if (!packed) throw linkError('MESSAGE_TOO_LARGE', `${name}: ${maxBytes} bytes inflated`, 'unknown')
    // A compressed message in another is no message's name.
    return ProcessMessage.from(name === COMPRESSED ? '' : name, unpack(packed, BOUNDS))
  }
}

async function inflate(
  run: () => ReturnType<CompressionPrimitives['inflate']>,
): Promise<Uint8Array | undefined> {
  try {
    return await run()
  } catch (cause) {
    throw new ViaductError('INVALID_ARGUMENT', `${COMPRESSED}: these bytes are no deflate`, {
      reason: 'MALFORMED_BODY',
      path: 'arguments[1]',
      cause,
    })
  }
}
