// Wraps what of this folder needs nothing of Node: a page's bundler finds this behind `viaduct/patterns`.

export { applyElementUpdate as applyUIUpdate, type PageLike } from '../../contract/elementUpdate.ts'
export type { Listening } from '../../contract/listen.ts'
export type { SentRequest } from '../../contract/requests.ts'
export { type RateLimits, s1RateLimits } from '../../core/rates.ts'
export type { Argument, ArgumentList } from './argumentList.ts'
export {
  type AIAnalysisRequest,
  type AIAnalysisResult,
  ai,
  type NavigationComplete,
  type NavigationMessage,
  navigation,
  type SyncMessage,
  sync,
  type UIUpdateMessage,
  ui,
} from './families.ts'
export { type FamilyMessage, familyMessages } from './familyMessages.ts'
export { IPCEventBus, type IPCEventBusOptions } from './ipcEventBus.ts'
export { type IPCLogEntry, IPCMessageLogger, type IPCMessageLoggerOptions } from './ipcMessageLogger.ts'
export { IPCRateLimiter } from './ipcRateLimiter.ts'
export { IPCRequestHandler, type IPCRequestHandlerOptions } from './ipcRequestHandler.ts'
export { IPCStreamHandler, type IPCStreamHandlerOptions } from './ipcStreamHandler.ts'
export { MessageBatcher, type MessageBatcherOptions } from './messageBatcher.ts'
export { type AttachOptions, type MessageHandler, MessageRouter } from './messageRouter.ts'
export { type AllowedMessages, MessageValidator, type MessageValidatorOptions } from './messageValidator.ts'
export { ProcessMessage } from './processMessage.ts'
export { ProcessRouter, ProcessType } from './processRouter.ts'
