import { CODES, type Code, type ErrorDetails, isViaductError, ViaductError } from '../wire/errors.ts'
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

/** Stands for what cannot be read or sent. */
const UNREADABLE: ErrorValue = {
  code: 'UNKNOWN',
  reason: 'HANDLER_ERROR',
  message: 'handler threw something that cannot be read',
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

/**
 * Sends an error: with its declared data, else without, else as one that cannot be read.
 *
 * @param write throws when the value cannot be sent.
 */
export function sendError(thrown: unknown, debug: boolean, write: (value: ErrorValue) => void): void {
  let value = UNREADABLE
  try {
    value = read(thrown, debug)
    write(value)
  } catch {
    try {
      const { code, reason, message } = value
      write({ code, reason, message })
    } catch {
      write(UNREADABLE)
    }
  }
}

type Thrown = ErrorDetails & Pick<ErrorValue, 'code' | 'reason' | 'message'>

function read(thrown: unknown, debug: boolean): ErrorValue {
  const isOurs = isViaductError(thrown)
  const isError = thrown instanceof Error
  const { code, reason, message, path, data, retryAfterMs, cause }: Thrown = isOurs
    ? thrown
    : {
        ...UNREADABLE,
        message: isError
          ? String(thrown.message || thrown.name)
          : `handler threw no Error: ${Object(thrown) === thrown ? typeof thrown : String(thrown).slice(0, 200)}`,
        cause: thrown,
      }
  const details = {
    path,
    data,
    retryAfterMs,
    cause: cause instanceof Error ? { name: String(cause.name), message: String(cause.message) } : undefined,
    // Asked for only then: an engine writes a stack down when it is looked at.
    stack: debug && (isOurs || isError) ? thrown.stack : undefined,
  }
  // What is undefined would travel too.
  const given = Object.entries(details).filter(([, detail]) => detail !== undefined)
  return { code, reason, message, ...Object.fromEntries(given) }
}

/** The error that a caller sees; anything malformed reads as UNKNOWN. */
export function errorFrom(value: unknown, what: string): ViaductError {
  const given: Fields = Object(value)
  const { code, retryAfterMs, cause } = given
  const error = new ViaductError(
    isCode(code) ? code : 'UNKNOWN',
    textOf(given, 'message') ?? `${what}: the far side failed without saying how`,
    {
      reason: textOf(given, 'reason'),
      path: textOf(given, 'path'),
      data: given.data,
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
      cause: isObject(cause)
        ? Object.assign(new Error(textOf(cause, 'message')), { name: textOf(cause, 'name') ?? 'Error' })
        : cause,
    },
  )
  const stack = textOf(given, 'stack')
  if (stack) error.stack = `${stack}\n    --- answered ${what} ---\n${error.stack}`
  return error
}

type Fields = { readonly [K in keyof ErrorValue | 'name']?: unknown }

function textOf(fields: Fields, key: keyof Fields): string | undefined {
  const found = fields[key]
  return typeof found === 'string' ? found : undefined
}

function isCode(name: unknown): name is Code {
  return typeof name === 'string' && Object.hasOwn(CODES, name)
}
