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
  message: 'handler threw what cannot be sent',
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
  const value = errorValue(thrown, debug)
  const { code, reason, message } = value
  try {
    write(value)
  } catch {
    try {
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
  const { code, reason, message, path, data, retryAfterMs, cause, stack }: Fields = Object(value)
  const error = new ViaductError(
    isCode(code) ? code : 'UNKNOWN',
    text(message) ?? `${what}: failed without saying how`,
    {
      reason: text(reason),
      path: text(path),
      data,
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
      cause: isObject(cause) ? causeFrom(cause) : cause,
    },
  )
  if (text(stack)) error.stack = `${stack}\n    --- answered ${what} ---\n${error.stack}`
  return error
}

function causeFrom(cause: object): Error {
  const name = text(Reflect.get(cause, 'name')) ?? 'Error'
  return Object.assign(new Error(text(Reflect.get(cause, 'message'))), { name })
}

type Fields = { readonly [K in keyof ErrorValue | 'name']?: unknown }

function text(found: unknown): string | undefined {
  return typeof found === 'string' ? found : undefined
}

function isCode(name: unknown): name is Code {
  return typeof name === 'string' && Object.hasOwn(CODES, name)
}
