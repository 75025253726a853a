/** Viaduct in browsers and workers: peers over message ports, with contracts. Imports nothing of Node. */

export { asCallback, type Callbacks } from './contract/callbacks.ts'
export { type Client, type ClientOptions, client } from './contract/client.ts'
export { type Contract, type ContractCall, contract, method, stream, topic } from './contract/contract.ts'
export { isError } from './contract/declaredErrors.ts'
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
export { unchecked } from './contract/schema.ts'
export { type Handlers, type ServeOptions, serve } from './contract/serve.ts'
export type { ContractEvent, ContractSubscription, SubscribeOptions, Topic } from './contract/topics.ts'
export { applyChange, type PeerWatch, type WatchOptions } from './contract/watch.ts'
export type {
  CallContext,
  Caller,
  CallOptions,
  EventGap,
  Handler,
  ItemStream,
  PeerInfo,
  Serving,
  Subscription,
  SubscriptionOptions,
  Target,
  TopicEvent,
  WithdrawOptions,
} from './core/call.ts'
export type { Callback, KeepOptions } from './core/references.ts'
export type { Transport, TransportEvents } from './core/transport.ts'
export { connectPeers, type LinkOptions, peerOver } from './transports/direct.ts'
export { type PortLike, portTransport } from './transports/port.ts'
export { type Code, type Fate, isViaductError, ViaductError } from './wire/errors.ts'
