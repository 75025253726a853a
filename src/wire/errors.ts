/**
 * The closed set of codes, gRPC's, with gRPC's numbers. Decide by `code`, `reason` and `fate`; never by
 * a message's text.
 */
import { isObject } from './guards.ts'

export const CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

export type Code = keyof typeof CODES

/**
 * Whether the far handler may have run. `not-sent`: it did not and will not. `unknown`: it may have.
 * Set on every error that a hub or a link makes; absent on errors that a handler threw.
 */
export type Fate = 'not-sent' | 'unknown'

export interface ErrorDetails {
  /** A stable word below the code: `TARGET_UNAVAILABLE`, `HANDLER_ERROR`, a declared error's name. */
  readonly reason?: string | undefined
  /** Where in the value the fault lies, as `input.pages[3].url`. */
  readonly path?: string | undefined
  readonly fate?: Fate | undefined
  /** A declared error's data, as its schema types it. */
  readonly data?: unknown
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

const BRAND: unique symbol = Symbol.for('viaduct.error')

/** The one error class. Recognise it with {@link isViaductError}: two copies of the package may meet. */
export class ViaductError extends Error {
  declare readonly code: Code
  declare readonly reason: string
  declare readonly path: string | undefined
  declare readonly fate: Fate | undefined
  declare readonly data: unknown
  declare readonly retryAfterMs: number | undefined

  constructor(
    code: Code,
    message: string,
    { reason = code, path, fate, data, retryAfterMs, cause }: ErrorDetails = {},
  ) {
    super(message, cause === undefined ? {} : { cause })
    Object.assign(this, { name: 'ViaductError', code, reason, path, fate, data, retryAfterMs })
  }

  get [BRAND](): true {
    return true
  }
}

export function isViaductError(value: unknown): value is ViaductError {
  return isObject(value) && BRAND in value
}
