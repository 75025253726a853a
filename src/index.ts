/** Viaduct: one typed way across every process boundary. This is the whole public surface for Node. */

export { asCallback, type Callbacks } from './contract/callbacks.ts'
export { type Client, type ClientOptions, client } from './contract/client.ts'
export { type Compatibility, compareContract } from './contract/compatibility.ts'
export { contract, method, stream, topic } from './contract/contract.ts'
export { isError } from './contract/declaredErrors.ts'
export type { DurableCall, DurableOptions, DurableSender, Receipt } from './contract/durable.ts'
export type { Contract, ContractCall, ContractCallOptions, ContractOf } from './contract/entries.ts'
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
export { type Handlers, type ServeOptions, serve, validate } from './contract/serve.ts'
export type { ContractEvent, ContractSubscription, SubscribeOptions, Topic } from './contract/topics.ts'
export { applyChange, type PeerWatch, type WatchOptions } from './contract/watch.ts'
export { type PeerLimits, TRUSTED_LIMITS } from './core/bounds.ts'
export type {
  CallContext,
  Caller,
  CallOptions,
  Delivery,
  EventGap,
  EventInfo,
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
export { ContextView } from './core/contextView.ts'
export type {
  Call,
  IncomingCall,
  Interceptor,
  ItemsReply,
  Next,
  OutgoingCall,
  PolicyStats,
  Reply,
  ValueReply,
} from './core/interceptor.ts'
export type { IPCMetrics } from './core/ipcMetrics.ts'
export type { PeerOptions } from './core/linkCore.ts'
export type { Lane, Method, Overflow } from './core/method.ts'
export type { Callback, KeepOptions } from './core/references.ts'
export type { Transport, TransportEvents } from './core/transport.ts'
export { nodePrimitives } from './host/crypto.ts'
export type { HangEvidence, StackFrame } from './host/evidence.ts'
export { type ChildChange, Hub, type ListenOptions } from './host/hub.ts'
export { type JoinOptions, join } from './host/join.ts'
export { onShutdown } from './host/signals.ts'
export type { ChildSpec, ChildStatus } from './host/supervision.ts'
export type {
  Alert,
  AlertChange,
  AlertName,
  AlertNews,
  AlertOptions,
  AlertSnapshot,
} from './hub/alerts.ts'
export type {
  Description,
  HubChange,
  HubStats,
  PeerChange,
  PeerRow,
  PeerState,
  PeerStatus,
  Snapshot,
  TrafficRow,
} from './hub/answers.ts'
export type { MetricsOptions } from './hub/core.ts'
export { type CallRule, manifest, type PeerRules, type Rules, type Zone } from './hub/manifest.ts'
export type { MethodMetrics, MetricsReport, PairMetrics } from './hub/metrics.ts'
export type { PolicyReport, PolicyRow } from './hub/policyReports.ts'
export type { ReplayBounds, ReplayRules } from './hub/replayRules.ts'
export { connectPeers, type LinkOptions, peerOver } from './transports/direct.ts'
export { Linger, type LingerHost } from './transports/linger.ts'
export { memoryTransports } from './transports/memory.ts'
export { type PortLike, portTransport } from './transports/port.ts'
export { openSocket, type SocketOptions, socketTransport } from './transports/socket.ts'
export { openStdio, type StdioOptions, stdioTransport } from './transports/stdio.ts'
export { CODES, type Code, type Fate, isViaductError, ViaductError } from './wire/errors.ts'
