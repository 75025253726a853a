/** Names the messages and responses of S0; on the wire they are inputs and outputs of ordinary calls. */

import type { CallContext } from '../../core/call.ts'
import type { Lane } from '../../core/method.ts'

/** A batch is taken apart where it is sent; a response is what a handler returns. Neither arrives at one. */
export type IPCMessageType = 'request' | 'response' | 'notification' | 'batch'

export interface IPCOptions {
  /** Milliseconds that each try may take. Default 5,000. */
  readonly timeout: number
  /** The lane. Default `normal`. */
  readonly priority: Lane
  /** Default true, of a notification false. Without one, `send` resolves as soon as the message is on its way. */
  readonly requiresResponse: boolean
  /** Further tries where that is safe: the call was never delivered, or its handler is idempotent. Default 0. */
  readonly retryCount: number
}

interface IPCMessageFields {
  /** UUID v4. */
  readonly id: string
  /** The id of the process that sends; another one is refused. */
  readonly source: string
  /** The id of a process. Without it: whoever registered the method, main first, then the least loaded. */
  readonly target?: string
  readonly args: readonly unknown[]
  readonly options?: Partial<IPCOptions>
  /** The router numbers what it sends, from 1 on, unless this says how. */
  readonly sequence?: number
  /** Milliseconds since 1970; the router's clock, unless this says when the message was made. */
  readonly timestamp?: number
  /** The router fills these in, whatever is written. */
  readonly processId?: number
  readonly threadId?: number
}

/** What is sent: the router fills in what is left out. The args of a batch are its items, `{ method, args }`. */
export type IPCMessage =
  | (IPCMessageFields & { readonly type: Exclude<IPCMessageType, 'batch'>; readonly method: string })
  | (IPCMessageFields & { readonly type: 'batch'; readonly method?: string })

/** A message with every field filled, as it arrives. */
export interface CompleteIPCMessage {
  id: string
  sequence: number
  type: IPCMessageType
  source: string
  target?: string
  /** Empty for a batch, whose items have methods of their own. */
  method: string
  args: unknown[]
  options: IPCOptions
  timestamp: number
  processId: number
  threadId: number
}

export interface IPCResponse {
  /** The id of the message. */
  requestId: string
  status: 'ok' | 'error' | 'timeout'
  /** What the handler returned. Of a batch: the responses of its items, in their order, whatever its status. */
  result?: unknown
  error?: IPCError
  /** Milliseconds that the handler took; where none has answered, that `send` took. */
  duration: number
  /** Who answered, of a broadcast, as the hub says. */
  source?: string
}

export interface IPCError {
  /** `TARGET_UNAVAILABLE`, `HANDLER_ERROR`, `PERMISSION_DENIED`, `TIMEOUT`, `INVALID_MESSAGE`, or another reason. */
  code: string
  message: string
  /** In debug mode only. */
  stack?: string
  /** Sending it again may help, and runs nothing twice that may not run twice. */
  retryable?: boolean
}

/** Which processes a broadcast is for. Of the processes that a test sees, those who may ask `$hub.who` see the pid. */
export type ProcessFilter =
  | { readonly type?: string | readonly string[]; readonly ids?: readonly string[] }
  | ((process: { readonly id: string; readonly type: string; readonly pid?: number }) => boolean)

/** What a handler is told besides its arguments: the call, and the message with every field filled. */
export interface HandlerContext extends CallContext {
  readonly message: CompleteIPCMessage
}

/** Arguments of a handler that says nothing of them: they may be anything, and are looked into at its own risk. */
export type UncheckedArgs = [UncheckedArg, ...UncheckedArg[]]
type UncheckedArg = { readonly [key: string]: unknown }

export type Handler<Args extends unknown[] = UncheckedArgs> = (args: Args, context: HandlerContext) => unknown
