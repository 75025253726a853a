/** Words the outcome of a call as S0's response; wraps Viaduct's errors. */

import { isViaductError, ViaductError } from '../../wire/errors.ts'
import type { IPCError, IPCResponse } from './message.ts'

/** S0's word for a reason, where it has one of its own. In S0 main is the router: with the link to it goes the target. */
const CODES: readonly (readonly [reason: string, code: string])[] = [
  ['DEADLINE_EXCEEDED', 'TIMEOUT'],
  ['LINK_LOST', 'TARGET_UNAVAILABLE'],
]
const TIMEOUT = 'TIMEOUT'

export interface Failure {
  readonly requestId: string
  readonly error: unknown
  readonly duration: number
  readonly debug: boolean
  readonly retryable: boolean
}

export function ok(requestId: string, result: unknown, duration: number): IPCResponse {
  return { requestId, status: 'ok', result, duration }
}

export function failed({ requestId, error: thrown, duration, debug, retryable }: Failure): IPCResponse {
  const error = isViaductError(thrown)
    ? thrown
    : new ViaductError('INTERNAL', String(thrown), { cause: thrown })
  const code = CODES.find(([reason]) => reason === error.reason)?.[1] ?? error.reason
  const told: IPCError = {
    code,
    message: error.message,
    ...(debug && error.stack !== undefined ? { stack: error.stack } : {}),
    retryable,
  }
  return { requestId, status: code === TIMEOUT ? 'timeout' : 'error', error: told, duration }
}

/** The response of a batch: ok when all of its items are; it may be sent again when every one of them may. */
export function ofBatch(requestId: string, items: readonly IPCResponse[], duration: number): IPCResponse {
  const faults = items.filter(({ status }) => status !== 'ok')
  const [first] = faults
  if (!first?.error) return ok(requestId, items, duration)
  const message = `${faults.length} of ${items.length} failed, the first: ${first.error.message}`
  const retryable = items.every(({ error }) => error?.retryable === true)
  return {
    requestId,
    status: first.status,
    result: items,
    error: { ...first.error, message, retryable },
    duration,
  }
}
