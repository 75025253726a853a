import { CODES, type Code, isViaductError, ViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'

/** What travels in an ERROR's body (PROTOCOL.md, section 8). */
export interface ErrorValue {
  readonly code: Code
  readonly reason: string
  readonly message: string
  readonly path?: string
  readonly data?: unknown
  readonly retryAfterMs?: number
  readonly cause?: { readonly name: string; readonly message: string }
  readonly stack?: string
}

/**
 * The error value of anything that a handler threw, be it hostile to being looked at. Stacks leave the process
 * only when `debug` is set.
 */
export function errorValue(thrown: unknown, debug: boolean): ErrorValue {
  try {
    return read(thrown, debug)
  } catch {
    return UNREADABLE
  }
}

/** Stands for what cannot be read or sent. */
export const UNREADABLE: ErrorValue = {
  code: 'UNKNOWN',
  reason: 'HANDLER_ERROR',
  message: 'handler threw something that cannot be read',
}

/**
 * Sends an error: with its declared data, else without, else as one that cannot be read.
 *
 * @param write throws when the value cannot be sent.
 */
export function sendError(thrown: unknown, debug: boolean, write: (value: ErrorValue) => void): void {
  try {
    write(errorValue(thrown, debug))
  } catch {
    try {
      const { code, reason, message } = errorValue(thrown, false)
      write({ code, reason, message })
    } catch {
      write(UNREADABLE)
    }
  }
}

function read(thrown: unknown, debug: boolean): ErrorValue {
  const isOurs = isViaductError(thrown)
  const { code, reason, message, path, data, retryAfterMs, cause } = isOurs ? thrown : foreign(thrown)
  // Asked for only then: an engine writes a stack down when it is looked at.
  const stack = debug && (isOurs || thrown instanceof Error) && thrown.stack
  return {
    code,
    reason,
    message,
    ...(path !== undefined && { path }),
    ...(data !== undefined && { data }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(cause instanceof Error && { cause: { name: String(cause.name), message: String(cause.message) } }),
    ...(stack && { stack }),
  }
}

/** What is not ours, as an error whose cause it is. */
function foreign(thrown: unknown): Pick<ViaductError, 'code' | 'reason' | 'message'> & Partial<ViaductError> {
  const isError = thrown instanceof Error
  const message = isError ? String(thrown.message || thrown.name) : `handler threw ${describe(thrown)}`
  return { code: 'UNKNOWN', reason: 'HANDLER_ERROR', message, cause: thrown }
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 200))
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  return 'an object that is not an Error'
}

/** The error that a caller sees; anything malformed reads as UNKNOWN. */
export function errorFrom(value: unknown, what: string): ViaductError {
  const given = isObject(value) ? value : {}
  const { data, retryAfterMs, cause }: { [K in 'data' | 'retryAfterMs' | 'cause']?: unknown } = given
  const code = stringOf(given, 'code') ?? ''
  const error = new ViaductError(
    isCode(code) ? code : 'UNKNOWN',
    stringOf(given, 'message') ?? `${what}: the far side failed without saying how`,
    {
      reason: stringOf(given, 'reason'),
      path: stringOf(given, 'path'),
      data,
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
      cause: causeFrom(cause),
    },
  )
  const stack = stringOf(given, 'stack')
  if (stack !== undefined) error.stack = `${stack}\n    --- answered ${what} ---\n${error.stack ?? ''}`
  return error
}

function causeFrom(value: unknown): unknown {
  if (!isObject(value)) return value
  const cause = new Error(stringOf(value, 'message') ?? '')
  cause.name = stringOf(value, 'name') ?? 'Error'
  return cause
}

function stringOf(value: object, key: string): string | undefined {
  const found: unknown = Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
  return typeof found === 'string' ? found : undefined
}

function isCode(name: string): name is Code {
  return Object.hasOwn(CODES, name)
}
