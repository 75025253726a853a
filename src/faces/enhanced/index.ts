/** The durable mailbox, and S2's names over its folder store. Documents: docs/seeds/s2-mailbox.md. */

export * from '../../mailbox/index.ts'
export { stderrLog } from '../../mailbox/log.ts'
export { getIPCSystem, startEnhancedIPC, startIpcWatcher } from './enhanced.ts'
export type { LiveProcess } from './liveness.ts'
export {
  type IPCCommandMessage,
  type IPCErrorMessage,
  type IPCHeartbeatMessage,
  type IPCMessage,
  type IPCMessageOf,
  IPCMessageType,
  type IPCPayload,
  type IPCResponseMessage,
  type IPCTaskMessage,
} from './message.ts'
export type { EnhancedIPCOptions, HeartbeatOptions } from './options.ts'
export type { IPCCallback, IPCHandler, IPCSystem } from './system.ts'
