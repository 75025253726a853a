import type { BodyLimits } from '../wire/body.ts'
import {
  MAX_DEPTH,
  MAX_KEYS,
  TRUSTED_MAX_EXCHANGES,
  TRUSTED_MAX_KEYS,
  TRUSTED_MESSAGE_BYTES,
  TRUSTED_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { PeerInfo } from './call.ts'

export interface PeerLimits extends BodyLimits {
  /** Longest message taken in, bytes. */
  readonly messageBytes: number
  /** Longest message sent, bytes. Default: as long as those taken in. */
  readonly sentBytes?: number
  /** Calls open at once in each direction. */
  readonly exchanges: number
  /** Bytes that may wait in the outbox before calls are refused: own ones at half of it, the far end's beyond it. */
  readonly queueBytes: number
}

export const TRUSTED_LIMITS: PeerLimits = {
  messageBytes: TRUSTED_MESSAGE_BYTES,
  maxDepth: MAX_DEPTH,
  maxKeys: TRUSTED_MAX_KEYS,
  exchanges: TRUSTED_MAX_EXCHANGES,
  queueBytes: TRUSTED_QUEUE_BYTES,
}

const UNTRUSTED: BodyLimits = { maxDepth: MAX_DEPTH, maxKeys: MAX_KEYS }
/** Zones, as the hub stamps them, whose bodies are read within the bounds for everybody. */
const BOUNDED: ReadonlySet<string> = new Set(['untrusted', 'remote', 'other'])

/** The bounds within which a body of this peer is read. */
export function boundsFor(peer: PeerInfo | undefined, own: BodyLimits): BodyLimits {
  return peer && BOUNDED.has(peer.zone) ? UNTRUSTED : own
}
