/**
 * Viaduct in pages, where bytes of bundle count: peers over message ports, with contracts. Imports nothing of Node. It
 * speaks the same protocol as the whole peer, written once more for size: bodies describe themselves, functions as
 * arguments are refused, rarer kinds of values are a part (`viaduct/browser/values`), and policies stand around a peer
 * (`throughCaller` of `viaduct/policies`), some of which take `viaduct/browser/marks`. Contracts that check come from
 * `viaduct/contract`. The whole peer is `viaduct/browser/full`, under the same names.
 */

export type { Contract, ContractCall } from './contract/entries.ts'
export { unchecked } from './contract/schema.ts'
export type {
  CallContext,
  Caller,
  CallOptions,
  Handler,
  ItemStream,
  PeerInfo,
  Serving,
  WithdrawOptions,
} from './core/call.ts'
export type { Transport, TransportEvents } from './core/transport.ts'
export {
  type Client,
  client,
  contract,
  type Handlers,
  method,
  type PageClientOptions as ClientOptions,
  type PageServeOptions as ServeOptions,
  serve,
  stream,
} from './page/contract.ts'
export { type PageOptions as LinkOptions, type PagePeer, peerOver } from './page/peer.ts'
export { type PortLike, portTransport } from './transports/port.ts'
export { type Code, type Fate, isViaductError, ViaductError } from './wire/errors.ts'
