import { MAX_DEPTH } from '../wire/limits.ts'
import type { Json } from './fingerprint.ts'
import { type OutputOf, type Place, refusal, type SchemaResult, type StandardSchema } from './schema.ts'

/**
 * Schemas of plain data for the contracts that the package itself ships, because it depends on no schema library. Each
 * is a Standard Schema with its JSON Schema, so fingerprints and dictionaries are made as of any other.
 */
export interface Shape<T> extends StandardSchema<T> {
  readonly '~standard': Omit<StandardSchema<T>['~standard'], 'validate'> & {
    readonly validate: (value: unknown) => SchemaResult<T>
    readonly jsonSchema: { readonly input: () => Json; readonly output: () => Json }
  }
}

/** @throws ViaductError with the place's code and reason, and the path to what does not fit. */
export function readShape<T>(schema: Shape<T>, value: unknown, place: Place): T {
  const result = schema['~standard'].validate(value)
  if (result.issues) throw refusal(result.issues, place, undefined)
  return result.value
}

function shape<T>(json: Json, validate: (value: unknown) => SchemaResult<T>): Shape<T> {
  const convert = (): Json => json
  const jsonSchema = { input: convert, output: convert }
  return { '~standard': { version: 1, vendor: 'viaduct', validate, jsonSchema } }
}

function guarded<T>(json: Json, expects: string, fits: (value: unknown) => value is T): Shape<T> {
  const issues = [{ message: `expected ${expects}` }]
  return shape(json, (value) => (fits(value) ? { value } : { issues }))
}

/** @param form of the whole text. */
export function text(maxLength: number, form?: RegExp): Shape<string> {
  const json = { type: 'string', maxLength, ...(form ? { pattern: form.source } : {}) }
  const expects = `a text of at most ${maxLength} characters${form ? ` of the form ${form.source}` : ''}`
  return guarded(json, expects, (value): value is string => {
    return typeof value === 'string' && value.length <= maxLength && (form?.test(value) ?? true)
  })
}

export function integer(): Shape<number> {
  return guarded({ type: 'integer' }, 'an integer', (value): value is number => Number.isSafeInteger(value))
}

/** A finite number, by default any. */
export function number(minimum?: number, maximum?: number): Shape<number> {
  const least = minimum === undefined ? {} : { minimum }
  const json = { type: 'number', ...least, ...(maximum === undefined ? {} : { maximum }) }
  const expects = `a number${minimum === undefined ? '' : ` from ${minimum}`}${maximum === undefined ? '' : ` to ${maximum}`}`
  return guarded(json, expects, (value): value is number => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return false
    return (minimum === undefined || value >= minimum) && (maximum === undefined || value <= maximum)
  })
}

export function flag(): Shape<boolean> {
  const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
  return guarded({ type: 'boolean' }, 'true or false', isFlag)
}

export function oneOf<const T extends string>(...words: readonly T[]): Shape<T> {
  const known: ReadonlySet<unknown> = new Set(words)
  return guarded({ enum: words }, `one of ${words.join(', ')}`, (value): value is T => known.has(value))
}

/** Any value that can be sent. */
export function anything(): Shape<unknown> {
  return shape({}, (value) => ({ value }))
}

/** What JSON can say, `MAX_DEPTH` deep at most. */
export function json(): Shape<Json> {
  return guarded({}, `JSON, at most ${MAX_DEPTH} deep`, (value): value is Json => isJson(value, MAX_DEPTH))
}

function isJson(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth === 0) return false
  const members: unknown[] = Array.isArray(value)
    ? value
    : isPlain(value)
      ? Object.values(value)
      : [undefined]
  return members.every((member) => isJson(member, depth - 1))
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

export function listOf<T>(item: Shape<T>, maxItems: number): Shape<readonly T[]> {
  const issues = [{ message: `expected a list of at most ${maxItems}` }]
  return shape({ type: 'array', maxItems, items: jsonOf(item) }, (value) => {
    if (!Array.isArray(value) || value.length > maxItems) return { issues }
    const items: T[] = []
    for (const [index, one] of value.entries()) {
      const result = within(item, one, index)
      if (result.issues) return result
      items.push(result.value)
    }
    return { value: items }
  })
}

/** A record by names that are data: any but `__proto__`. */
export function mapOf<T>(member: Shape<T>, maxMembers: number): Shape<{ readonly [name: string]: T }> {
  const issues = [{ message: `expected an object of at most ${maxMembers} members` }]
  return shape({ type: 'object', additionalProperties: jsonOf(member) }, (value) => {
    const members = isPlain(value) ? Object.entries(value) : undefined
    if (!members || members.length > maxMembers) return { issues }
    const copy: { [name: string]: T } = {}
    for (const [name, one] of members) {
      const result = within(member, one, name)
      if (result.issues) return result
      if (name !== '__proto__') copy[name] = result.value
    }
    return { value: copy }
  })
}

type Fields = { readonly [name: string]: Shape<unknown> }
type Values<F extends Fields> = { readonly [K in keyof F]: OutputOf<F[K]> }

/** An object with all of these fields; what else there is of it is left out. */
export function record<F extends Fields>(fields: F): Shape<Values<F>>
export function record(fields: Fields): Shape<object> {
  const lines = Object.entries(fields)
  const properties = Object.fromEntries(lines.map(([name, field]) => [name, jsonOf(field)]))
  const issues = [{ message: `expected an object with ${lines.map(([name]) => name).join(', ')}` }]
  return shape({ type: 'object', required: Object.keys(fields), properties }, (value) => {
    if (!isPlain(value)) return { issues }
    const copy: { [name: string]: unknown } = {}
    for (const [name, field] of lines) {
      const result = within(field, Reflect.get(value, name), name)
      if (result.issues) return result
      copy[name] = result.value
    }
    return { value: copy }
  })
}

function jsonOf(inner: Shape<unknown>): Json {
  return inner['~standard'].jsonSchema.input()
}

function within<T>(inner: Shape<T>, value: unknown, key: string | number): SchemaResult<T> {
  const result = inner['~standard'].validate(value)
  if (!result.issues) return result
  return { issues: result.issues.map((issue) => ({ ...issue, path: [key, ...(issue.path ?? [])] })) }
}
