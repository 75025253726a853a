import { type Clock, systemClock } from '../core/clock.ts'
import type { Interceptor, Next } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { type AgreementOptions, Sessions } from './agreement.ts'
import { answering } from './answering.ts'
import { Calling } from './calling.ts'
import { Compression } from './content.ts'
import { type Keyring, Keys } from './keyring.ts'
import type { Primitives } from './primitives.ts'
import { Values } from './values.ts'

/** How long a session holds before the ends agree anew. */
const SESSION_MS = 60 * 60 * 1000
const REKEY_MESSAGES = 2 ** 32
/** Sessions that a callee keeps, and those of one caller. */
const MAX_SESSIONS = 1024
const MAX_SESSIONS_OF_PEER = 16

export interface CodecOptions {
  /** Those of the host: `nodePrimitives` of `viaduct`. */
  readonly primitives: Primitives
  /** Who we are, and whom we believe; see `keyring`. Without it nothing can be sealed or signed. */
  readonly keys?: Keyring
  /** The longest value that is inflated; default: the longest message. */
  readonly maxInflatedBytes?: number
  /** Default an hour. */
  readonly sessionMs?: number
  /** Messages under one key, the same at both ends. Default 2^32. */
  readonly rekeyMessages?: number
  readonly clock?: Clock
}

/** An interceptor that opens and closes what contracts say is compressed, sealed or signed. */
export interface CodecPolicy extends Interceptor {
  readonly policy: 'codecs'
  /** Whether it has keys, so that it can seal and sign. */
  readonly protects: boolean
}

/** What both sides work with. */
export interface CodecParts {
  readonly values: Values
  readonly agreement: AgreementOptions | undefined
  readonly sessions: Sessions
  readonly clock: Clock
}

/**
 * Compresses, seals and signs the values of methods that say so in their contract; all others pass untouched. It
 * stands last among the policies of a client, and first among those of `serve`. One serves for a whole process.
 *
 * Calls fail with UNAUTHENTICATED / UNPROTECTED, TAMPERED, KEY_UNKNOWN, KEY_EXPIRED · ABORTED / REPLAYED · DATA_LOSS /
 * CUT_SHORT · FAILED_PRECONDITION / SESSION_UNKNOWN, SESSION_EXPIRED · RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE.
 *
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION
 */
export function codecs(options: CodecOptions): CodecPolicy {
  const {
    primitives,
    keys,
    clock = systemClock,
    sessionMs = SESSION_MS,
    rekeyMessages = REKEY_MESSAGES,
  } = options
  if (keys && !(keys instanceof Keys)) throw bad('keys', 'what keyring() gives')
  positive('sessionMs', sessionMs)
  positive('rekeyMessages', rekeyMessages)
  positive('maxInflatedBytes', options.maxInflatedBytes ?? 1)
  const now = (): number => clock.now()
  const compression = new Compression(primitives.compression, options.maxInflatedBytes)
  const parts: CodecParts = {
    values: new Values(compression),
    agreement: keys && { keys, now, sessionMs, rekeyMessages },
    sessions: new Sessions(now, MAX_SESSIONS, MAX_SESSIONS_OF_PEER),
    clock,
  }
  const interceptor = (next: Next): Next => {
    const calling = new Calling(parts, next)
    return (call) => {
      if (!call.method.codecs) return next(call)
      return call.side === 'caller' ? calling.call(call) : answering(parts, next, call)
    }
  }
  return Object.assign(interceptor, {
    policy: 'codecs' as const,
    protects: keys !== undefined,
    stats: () => ({
      sessions: parts.sessions.size,
      compressed: compression.compressed,
      savedBytes: compression.savedBytes,
    }),
  })
}

function positive(name: string, value: number): void {
  if (!(value >= 1)) throw bad(name, 'a number from 1 on')
}

function bad(name: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `codecs: ${name}: ${text}`, {
    reason: 'BAD_OPTION',
    path: `codecs.${name}`,
  })
}
