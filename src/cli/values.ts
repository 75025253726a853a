import { isViaductError } from '../wire/errors.ts'
import { visibleJson } from './text.ts'

/**
 * Any value that Viaduct carries, as JSON has it: dates in ISO form, bigints and numbers that JSON lacks as
 * text, maps as objects when all their keys are text and as pairs otherwise, sets as lists, binary data as
 * `{ type, bytes, base64 }`.
 */
function jsonable(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return value.toString()
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'undefined':
      return null
    case 'object':
      return value === null ? null : objectOf(value)
    default:
      return value
  }
}

function objectOf(value: object): unknown {
  if (Array.isArray(value)) return value.map(jsonable)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Map) return mapOf(value)
  if (value instanceof Set) return [...value].map(jsonable)
  const bytes = bytesOf(value)
  if (bytes) {
    return {
      type: value.constructor.name,
      bytes: bytes.length,
      base64: Buffer.from(bytes).toString('base64'),
    }
  }
  const known = Object.entries(value).flatMap(([key, entry]: [string, unknown]) =>
    entry === undefined ? [] : [[key, jsonable(entry)] as const],
  )
  if (!(value instanceof Error)) return Object.fromEntries(known)
  const { name, message, cause } = value
  return {
    name,
    message,
    ...Object.fromEntries(known),
    ...(cause === undefined ? {} : { cause: jsonable(cause) }),
  }
}

function mapOf(map: ReadonlyMap<unknown, unknown>): unknown {
  const pairs = [...map].map(([key, entry]): [unknown, unknown] => [key, jsonable(entry)])
  const named = pairs.filter((pair): pair is [string, unknown] => typeof pair[0] === 'string')
  return named.length === pairs.length
    ? Object.fromEntries(named)
    : pairs.map(([key, entry]) => [jsonable(key), entry])
}

/** The bytes of binary data; undefined for everything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (!ArrayBuffer.isView(value)) return undefined
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

/** A value as JSON that is safe to look at, in one line or indented. */
export function toJson(value: unknown, indent = 0): string {
  return visibleJson(JSON.stringify(jsonable(value), undefined, indent))
}

/** An error as `--json` prints it. */
export function errorJson(error: unknown): Record<string, unknown> {
  if (!isViaductError(error)) {
    return {
      code: 'UNKNOWN',
      reason: 'UNKNOWN',
      message: error instanceof Error ? error.message : String(error),
    }
  }
  const { code, reason, message, path, fate, data, retryAfterMs } = error
  return {
    code,
    reason,
    message,
    ...(path === undefined ? {} : { path }),
    ...(fate === undefined ? {} : { fate }),
    ...(data === undefined ? {} : { data: jsonable(data) }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}
