import { Peer } from '../contract/peer.ts'
import type { PeerOptions } from '../core/linkCore.ts'
import { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import { memoryTransports } from './memory.ts'

export type LinkOptions = Pick<PeerOptions, 'clock' | 'limits' | 'far' | 'debug'>

/**
 * A peer over a transport, without a hub: whoever holds the other end is the other peer. Use it where the
 * transport itself is the proof of who is there, as a worker's port or a private socket.
 */
export function peerOver(transport: Transport, options: LinkOptions = {}): Peer {
  return new Peer(new PeerCore(transport, options))
}

/** Two peers of one process, joined over memory. */
export function connectPeers(options: LinkOptions = {}): [Peer, Peer] {
  const [left, right] = memoryTransports(options.clock)
  return [peerOver(left, options), peerOver(right, options)]
}
