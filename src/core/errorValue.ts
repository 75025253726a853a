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
  if (isViaductError(thrown)) {
    return {
      code: thrown.code,
      reason: thrown.reason,
      message: thrown.message,
      ...(thrown.path === undefined ? {} : { path: thrown.path }),
      ...(thrown.data === undefined ? {} : { data: thrown.data }),
      ...(thrown.retryAfterMs === undefined ? {} : { retryAfterMs: thrown.retryAfterMs }),
      ...causeOf(thrown.cause),
      ...(debug && thrown.stack ? { stack: thrown.stack } : {}),
    }
  }
  if (thrown instanceof Error) {
    return {
      code: 'UNKNOWN',
      reason: 'HANDLER_ERROR',
      message: String(thrown.message || thrown.name),
      cause: { name: String(thrown.name), message: String(thrown.message) },
      ...(debug && thrown.stack ? { stack: thrown.stack } : {}),
    }
  }
  return { code: 'UNKNOWN', reason: 'HANDLER_ERROR', message: `handler threw ${describe(thrown)}` }
}

function causeOf(cause: unknown): { cause?: { name: string; message: string } } {
  if (!(cause instanceof Error)) return {}
  return { cause: { name: String(cause.name), message: String(cause.message) } }
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 200))
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  return 'an object that is not an Error'
}

/** The error that a caller sees; anything malformed reads as UNKNOWN. */
export function errorFrom(value: unknown, what: string): ViaductError {
  if (!isObject(value)) {
    return new ViaductError('UNKNOWN', `${what}: the far side failed without saying how`)
  }
  const text = stringOf(value, 'message') ?? 'the far side failed without saying how'
  const name = stringOf(value, 'code')
  const code: Code = name !== undefined && isCode(name) ? name : 'UNKNOWN'
  const path = stringOf(value, 'path')
  const retryAfterMs =
    'retryAfterMs' in value && typeof value.retryAfterMs === 'number' ? value.retryAfterMs : undefined
  const stack = stringOf(value, 'stack')
  const error = new ViaductError(code, text, {
    reason: stringOf(value, 'reason') ?? code,
    ...(path === undefined ? {} : { path }),
    ...('data' in value ? { data: value.data } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...('cause' in value ? { cause: causeFrom(value.cause) } : {}),
  })
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
