import type { Caller, Server } from '../core/call.ts'
import { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import type { CloseReason } from '../wire/closeReason.ts'

/** What the suite asks of one end of a link: whatever has it can be judged, be it an implementation of its own. */
export interface SuitePeer extends Caller, Server {
  /** Settles with the reason when the link has ended; never rejects. */
  readonly closed: Promise<CloseReason>
  readonly isClosed: boolean
  /** Takes no new calls, finishes those that run, then closes. */
  drain(graceMs?: number): Promise<void>
  /** Ends the link now; without a reason, with GOING_AWAY. */
  close(reason?: CloseReason): void
}

/** Makes a transport's end a peer. */
export type MakeSuitePeer = (transport: Transport) => SuitePeer

/** The peer that the suite uses unless it is given another. */
export const defaultPeer: MakeSuitePeer = (transport) => new PeerCore(transport)
