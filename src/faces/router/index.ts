/** S0's inter-process framework under its own names; wraps hub, peer and policies. Documents: docs/seeds/s0-router.md. */

export type { IPCMetrics } from '../../core/ipcMetrics.ts'
export type { MetricsReport } from '../../hub/metrics.ts'
export type { MessageQueueOptions } from '../../policies/messageQueue.ts'
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
export { MessageQueue } from './messageQueue.ts'
export { addJitter, defaultRetryPolicy, type IPCSender, type RetryPolicy, sendWithRetry } from './retry.ts'
export { type HandlerOptions, IPCRouter, type RouterOptions } from './router.ts'
export { type ValidationOptions, validateIPCMessage } from './validate.ts'
