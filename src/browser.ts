/**
 * Viaduct in browsers and workers: peers over message ports, with contracts. Imports nothing of Node. What only a hub
 * makes possible is `viaduct/browser/hub`, so that a page which has none does not load it.
 */

export { asCallback, type Callbacks } from './contract/callbacks.ts'
export { type Client, type ClientOptions, client } from './contract/client.ts'
export { type Contract, type ContractCall, contract, method, stream, topic } from './contract/contract.ts'
export { isError } from './contract/declaredErrors.ts'
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
export type { Callback, KeepOptions } from './core/references.ts'
export type { Transport, TransportEvents } from './core/transport.ts'
export { connectPeers, type LinkOptions, peerOver } from './transports/links.ts'
export { type PortLike, portTransport } from './transports/port.ts'
export { type Code, type Fate, isViaductError, ViaductError } from './wire/errors.ts'
