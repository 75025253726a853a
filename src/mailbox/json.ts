/** Payloads as JSON: what JSON cannot hold is refused before it is stored, and what is too deep before it is handled. */

import { Buffer } from 'node:buffer'
import { ViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'
import { MAX_DEPTH, MAX_KEYS } from '../wire/limits.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const OPEN_ARRAY = 0x5b
const OPEN_OBJECT = 0x7b

/**
 * A payload's bytes. As with JSON.stringify, `toJSON` speaks for an object, and a property that is undefined is absent.
 *
 * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path: it would arrive as something else, or not at all
 */
export function jsonBytes(payload: unknown): Uint8Array {
  const keys = { left: MAX_KEYS }
  check(payload, 'payload', 0, keys)
  let text: string
  try {
    text = JSON.stringify(payload)
  } catch (error) {
    throw unsendable('payload', 'it failed while it was read', error)
  }
  return Buffer.from(text)
}

/**
 * The value that bytes hold.
 * @throws ViaductError INVALID_ARGUMENT / MALFORMED_BODY
 */
export function jsonValue(bytes: Uint8Array): unknown {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch (error) {
    throw malformed(`it is no JSON: ${error instanceof Error ? error.message : 'it cannot be read'}`)
  }
  if (!isHarmless(bytes) && !isWithin(value, 0, { left: MAX_KEYS })) {
    throw malformed(`it is nested deeper than ${MAX_DEPTH}, or has more than ${MAX_KEYS} keys and items`)
  }
  return value
}

function malformed(what: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `payload: ${what}`, {
    reason: 'MALFORMED_BODY',
    path: 'payload',
  })
}

function unsendable(path: string, what: string, cause?: unknown): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${path} cannot be sent as JSON: ${what}`, {
    reason: 'UNSENDABLE',
    path,
    fate: 'not-sent',
    cause,
  })
}

/** A path is made only where something is wrong: `at` tells it from the inside out. */
function check(value: unknown, at: string | Place, depth: number, keys: { left: number }): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (Number.isFinite(value)) return
      throw unsendable(pathOf(at), `JSON has no ${value}`)
    case 'object':
      break
    default:
      throw unsendable(
        pathOf(at),
        value === undefined ? 'JSON has no undefined' : `JSON has no ${typeof value}`,
      )
  }
  if (value === null) return
  if (depth >= MAX_DEPTH) throw unsendable(pathOf(at), `it is nested deeper than ${MAX_DEPTH}, or in itself`)
  if (Array.isArray(value)) {
    take(keys, value.length, at)
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      if (item === null || typeof item === 'string') continue
      check(item, { in: at, key: index }, depth + 1, keys)
    }
    return
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') return
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && isHeldElsewhere(value)) {
    throw unsendable(pathOf(at), `JSON has no ${value.constructor.name}`)
  }
  const names = Object.keys(value)
  take(keys, names.length, at)
  for (const name of names) {
    const item: unknown = Reflect.get(value, name)
    if (item === undefined || item === null || typeof item === 'string') continue
    check(item, { in: at, key: name }, depth + 1, keys)
  }
}

/** Its content is not in properties, so that JSON would keep nothing of it. */
function isHeldElsewhere(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Error ||
    value instanceof RegExp ||
    value instanceof Promise ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  )
}

interface Place {
  readonly in: string | Place
  readonly key: string | number
}

function pathOf(at: string | Place): string {
  if (typeof at === 'string') return at
  const { in: outer, key } = at
  if (typeof key === 'number') return `${pathOf(outer)}[${key}]`
  return `${pathOf(outer)}${IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`}`
}

function take(keys: { left: number }, count: number, at: string | Place): void {
  keys.left -= count
  if (keys.left < 0) throw unsendable(pathOf(at), `it has more than ${MAX_KEYS} keys and items`)
}

/** Whether bytes hold too little to be too deep or to have too many keys, whatever stands in them. */
function isHarmless(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_KEYS) return false
  let openings = 0
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if ((byte === OPEN_OBJECT || byte === OPEN_ARRAY) && ++openings > MAX_DEPTH) return false
  }
  return true
}

function isWithin(value: unknown, depth: number, keys: { left: number }): boolean {
  if (!isObject(value)) return true
  if (depth >= MAX_DEPTH) return false
  const items: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  keys.left -= items.length
  if (keys.left < 0) return false
  return items.every((item) => isWithin(item, depth + 1, keys))
}
