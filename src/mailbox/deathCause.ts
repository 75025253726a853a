import { messageOf } from '../host/errno.ts'
import { isViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'

/** Why a message is a dead letter. */
export interface DeathCause {
  /** `HANDLER_ERROR`, `EXPIRED`, `MALFORMED` … */
  readonly reason: string
  readonly message: string
  readonly stack?: string
}

/** Of a message whose handler threw that. */
export function causeOf(error: unknown): DeathCause {
  const reason = isViaductError(error) ? error.reason : 'HANDLER_ERROR'
  const stack = error instanceof Error ? error.stack : undefined
  return { reason, message: messageOf(error), ...(stack !== undefined && { stack }) }
}

/** Whether a handler said of its error that another attempt would end the same. */
export function isHopeless(error: unknown): boolean {
  return isObject(error) && 'recoverable' in error && error.recoverable === false
}
