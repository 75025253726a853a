/**
 * Besides `viaduct/browser/full`, what only a hub makes possible: topics, calls to all, who is there. The peers of this
 * entry's `peerOver` have it.
 */

export type {
  Answer,
  BroadcastOptions,
  BroadcastResult,
  CallAllOptions,
  PeerFilter,
  PeerIdentity,
  PeerSelection,
} from './contract/fanOut.ts'
export { Peer } from './contract/peer.ts'
export type { ContractEvent, ContractSubscription, SubscribeOptions, Topic } from './contract/topics.ts'
export { applyChange, type PeerWatch, type WatchOptions } from './contract/watch.ts'
export type { EventGap, Subscription, SubscriptionOptions, TopicEvent } from './core/call.ts'
export { connectPeers, peerOver } from './transports/direct.ts'
