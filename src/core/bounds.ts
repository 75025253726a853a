import type { BodyLimits } from '../wire/body.ts'
import { MAX_DEPTH, MAX_KEYS } from '../wire/limits.ts'
import type { PeerInfo } from './call.ts'

const UNTRUSTED: BodyLimits = { maxDepth: MAX_DEPTH, maxKeys: MAX_KEYS }
/** Zones, as the hub stamps them, whose bodies are read within the bounds for everybody. */
const BOUNDED: ReadonlySet<string> = new Set(['untrusted', 'remote', 'other'])

/** The bounds within which a body of this peer is read. */
export function boundsFor(peer: PeerInfo | undefined, own: BodyLimits): BodyLimits {
  return peer && BOUNDED.has(peer.zone) ? UNTRUSTED : own
}
