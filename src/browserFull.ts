/**
 * The whole peer in browsers and workers: dictionaries, policies, codecs. Imports nothing of Node. Two parts are entries
 * of their own, so that a page which has no use for them does not load them: functions as arguments,
 * `viaduct/browser/callbacks`, and what only a hub makes possible, `viaduct/browser/hub`.
 */

export { type Client, type ClientOptions, client } from './contract/client.ts'
export { contract, method, stream, topic } from './contract/contract.ts'
export { isError } from './contract/declaredErrors.ts'
export type { Contract, ContractCall } from './contract/entries.ts'
export { LinkPeer } from './contract/linkPeer.ts'
export { unchecked } from './contract/schema.ts'
export { type Handlers, type ServeOptions, serve } from './contract/serve.ts'
export type {
  CallContext,
  Caller,
  CallOptions,
  Handler,
  ItemStream,
  PeerInfo,
  Serving,
  Target,
  WithdrawOptions,
} from './core/call.ts'
export type { Transport, TransportEvents } from './core/transport.ts'
export { connectPeers, type LinkOptions, peerOver } from './transports/links.ts'
export { type PortLike, portTransport } from './transports/port.ts'
export { type Code, type Fate, isViaductError, ViaductError } from './wire/errors.ts'
