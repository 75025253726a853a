/** S0's inter-process framework under its own names; wraps hub, peer and policies. Documents: docs/seeds/s0-router.md. */

export type {
  CompleteIPCMessage,
  Handler,
  HandlerContext,
  IPCError,
  IPCMessage,
  IPCMessageType,
  IPCOptions,
  IPCResponse,
  ProcessFilter,
} from './message.ts'
export { addJitter, defaultRetryPolicy, type IPCSender, type RetryPolicy, sendWithRetry } from './retry.ts'
export { type HandlerOptions, IPCRouter, type RouterOptions } from './router.ts'
export { type ValidationOptions, validateIPCMessage } from './validate.ts'
