/** S2's messages, field by field. */

/** The types that S2 has; a type of your own is any other string. */
export const IPCMessageType = {
  TASK: 'task',
  COMMAND: 'command',
  RESPONSE: 'response',
  ERROR: 'error',
  HEARTBEAT: 'heartbeat',
} as const

// `string & {}` admits every string, and still lets an editor propose S2's.
export type IPCMessageType = (typeof IPCMessageType)[keyof typeof IPCMessageType] | (string & {})

/** A message as it lies in `messages/{id}.json` and as handlers get it. A type of your own extends it. */
export interface IPCMessage {
  /** UUID v4 from this package's senders; the same whenever the message is delivered. */
  readonly id: string
  readonly type: IPCMessageType
  /** The group's folder, as `main`. */
  readonly groupFolder: string
  /** What its sender wrote: of a type of your own, check it. */
  readonly payload: unknown
  /** When it was sent, ISO 8601 in UTC. */
  readonly timestamp: string
  readonly requiresAck?: boolean
}

export interface IPCTaskMessage extends IPCMessage {
  readonly type: 'task'
  readonly payload: {
    readonly taskId: number
    readonly prompt: string
    /** As `once`, `cron`. */
    readonly scheduleType: string
  }
}

export interface IPCCommandMessage extends IPCMessage {
  readonly type: 'command'
  readonly payload: { readonly command: string; readonly args: readonly string[] }
}

export interface IPCResponseMessage extends IPCMessage {
  readonly type: 'response'
  readonly payload: {
    /** The id of the message that this answers. */
    readonly requestId: string
    readonly success: boolean
    readonly result?: unknown
  }
}

export interface IPCErrorMessage extends IPCMessage {
  readonly type: 'error'
  readonly payload: { readonly error: string; readonly stack?: string; readonly recoverable: boolean }
}

export interface IPCHeartbeatMessage extends IPCMessage {
  readonly type: 'heartbeat'
  readonly payload: {
    readonly processId: number
    /** As `active`. */
    readonly status: string
  }
}

interface Messages {
  readonly task: IPCTaskMessage
  readonly command: IPCCommandMessage
  readonly response: IPCResponseMessage
  readonly error: IPCErrorMessage
  readonly heartbeat: IPCHeartbeatMessage
}

/** The message of a type: S2's own where it has one. */
export type IPCMessageOf<Type extends IPCMessageType> = Type extends keyof Messages
  ? Messages[Type]
  : IPCMessage & { readonly type: Type }

/** What the message of a type carries. */
export type IPCPayload<Type extends IPCMessageType> = IPCMessageOf<Type>['payload']
