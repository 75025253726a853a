/**
 * Finds out why a value could not be sent, and where. The encoder only notices that it cannot; this walk
 * goes over the value again, so that the path costs nothing as long as all is well.
 */

import { binaryBytes, dateTime, errorFields, kindOf, mapEntries, setValues } from './bodyKinds.ts'
import { BIGINT_BYTES, binaryType } from './bodyTags.ts'
import { Envelope } from './envelope.ts'
import { ViaductError } from './errors.ts'
import { isObject } from './guards.ts'
import { MAX_DEPTH, MAX_REFERENCES } from './limits.ts'
import { stepOf } from './path.ts'

/** Thrown inside the encoder, where neither path nor cause is known; made once, since stacks are dear. */
export const UNSENDABLE = new Error('unsendable')

interface Fault {
  readonly path: string
  readonly what: string
}

/**
 * The error for a value that the encoder gave up on. `cause` is what was thrown.
 *
 * @param functions whether functions may be sent.
 */
export function refusal(value: unknown, cause: unknown, functions = false): ViaductError {
  const fault = search(value, functions)
  const path = fault?.path ?? 'value'
  const what = fault?.what ?? 'it has too many keys and items, or it failed or changed while it was read'
  const details = { reason: 'UNSENDABLE', path }
  return new ViaductError(
    'INVALID_ARGUMENT',
    `${path} cannot be sent: ${what}`,
    cause === UNSENDABLE ? details : { ...details, cause },
  )
}

function search(value: unknown, functions: boolean): Fault | undefined {
  try {
    return new Search(functions).visit(value, 'value', 0)
  } catch {
    return undefined
  }
}

class Search {
  readonly #open = new Set<object>()
  readonly #met: Set<unknown> | undefined

  constructor(functions: boolean) {
    if (functions) this.#met = new Set()
  }

  /** The greatest depth at which a value was found to be in order. */
  readonly #passed = new Map<object, number>()

  visit(value: unknown, path: string, depth: number): Fault | undefined {
    switch (typeof value) {
      case 'function':
        return this.#callable(value, path)
      case 'symbol':
        return { path, what: 'it is a symbol' }
      case 'bigint':
        return bigintFits(value) ? undefined : { path, what: `it is a bigint over ${BIGINT_BYTES} bytes` }
      case 'object':
        return value === null ? undefined : this.#enter(value, path, depth)
      default:
        return undefined
    }
  }

  #callable(value: unknown, path: string): Fault | undefined {
    if (!this.#met) {
      return {
        path,
        what: 'it is a function, which only the input of a call to one peer may hold, where callbacks are used',
      }
    }
    const fits = this.#met.add(value).size <= MAX_REFERENCES
    return fits ? undefined : { path, what: `it is one of more than ${MAX_REFERENCES} functions` }
  }

  #enter(value: object, path: string, depth: number): Fault | undefined {
    if (this.#open.has(value)) return { path, what: 'it contains itself' }
    const passed = this.#passed.get(value)
    if (passed !== undefined && passed >= depth) return undefined
    this.#open.add(value)
    let fault: Fault | undefined
    try {
      fault = this.#inspect(value, path, depth)
    } catch {
      fault = { path, what: 'it failed while it was read' }
    }
    this.#open.delete(value)
    this.#passed.set(value, depth)
    return fault
  }

  #inspect(value: object, path: string, depth: number): Fault | undefined {
    if (value instanceof Envelope) return undefined
    const kind = isPlain(value) ? 'Object' : kindOf(value)
    if (kind === undefined) return { path, what: `it is an instance of ${className(value)}` }
    if (kind === 'Date') {
      dateTime.call(value)
      return undefined
    }
    if (binaryType(kind) >= 0) {
      binaryBytes(value)
      return undefined
    }
    if (depth >= MAX_DEPTH) return { path, what: `it is nested deeper than ${MAX_DEPTH}` }
    if (kind === 'Map') return this.#map(value, path, depth + 1)
    if (kind === 'Set') return this.#items([...setValues.call(value)], `${path}.values`, depth + 1)
    if (kind === 'Array' && Array.isArray(value)) return this.#items(value, path, depth + 1)
    return this.#fields(kind === 'Error' ? errorFields(value) : value, path, depth + 1)
  }

  #map(value: object, path: string, depth: number): Fault | undefined {
    let index = 0
    for (const [key, item] of mapEntries.call(value)) {
      const fault =
        this.visit(key, `${path}.keys[${index}]`, depth) ??
        this.visit(
          item,
          typeof key === 'string' ? `${path}.get(${JSON.stringify(key)})` : `${path}.values[${index}]`,
          depth,
        )
      if (fault !== undefined) return fault
      index += 1
    }
    return undefined
  }

  #items(items: readonly unknown[], path: string, depth: number): Fault | undefined {
    for (let index = 0; index < items.length; index += 1) {
      const at = `${path}[${index}]`
      if (!(index in items)) return { path: at, what: 'it is a hole in an array' }
      const fault = this.visit(items[index], at, depth)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #fields(object: object, path: string, depth: number): Fault | undefined {
    const symbol = Object.getOwnPropertySymbols(object)[0]
    if (symbol !== undefined) return { path: `${path}[${String(symbol)}]`, what: 'its key is a symbol' }
    for (const key of Object.keys(object)) {
      const at = path + stepOf(key)
      const property = Object.getOwnPropertyDescriptor(object, key)
      if (property === undefined || property.get !== undefined || property.set !== undefined) {
        return { path: at, what: 'it is an accessor' }
      }
      const fault = this.visit(property.value, at, depth)
      if (fault !== undefined) return fault
    }
    return undefined
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function bigintFits(value: bigint): boolean {
  return (value < 0n ? -value : value).toString(16).length <= 2 * BIGINT_BYTES
}

function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  const made: unknown = isObject(prototype) ? Reflect.get(prototype, 'constructor') : undefined
  return typeof made === 'function' && made.name !== '' ? made.name : 'a class'
}
