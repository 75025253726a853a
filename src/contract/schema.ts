import { isThenable } from '../core/guards.ts'
import { type Code, type Fate, ViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'

/**
 * What the contract layer asks of a schema: the shape of Standard Schema v1, so that any library which
 * follows it will do. `In` is what the schema accepts, `Out` what it gives after defaults and transforms.
 */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * A schema that accepts everything: a type for the compiler and no check at run time. For first steps, and
 * for values that need no check; handlers then get whatever a caller sends. `Out` is what they see of it, where
 * that is another type: `unchecked<Input, Callbacks<Input>>()` for functions.
 */
export function unchecked<T = unknown, Out = T>(): StandardSchema<T, Out> {
  return accepting
}

/** Typed as any schema must be to stand for every `T`: it gives back what it was given. */
const accepting: StandardSchema<never> = {
  '~standard': { version: 1, vendor: 'viaduct', validate: (value) => ({ value: value as never }) },
}

/** Stands where a contract declares nothing: the value is `undefined` on both sides. */
export type NoSchema = StandardSchema<void, void>

export type InputOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>['input']
export type OutputOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output']

/** Where a value stands in a method, and what is said when it does not fit. */
export interface Place {
  readonly method: string
  /** `input`, `output`, `item`, `upload`, `data`: the head of the path. */
  readonly part: string
  readonly code: Code
  readonly reason: string
  readonly fate?: Fate | undefined
}

/** The longest path and message that an error about a value carries; the value may be a stranger's. */
const PATH_CHARACTERS = 200
const MESSAGE_CHARACTERS = 500

export function isSchema(value: unknown): value is StandardSchema {
  const { '~standard': standard }: { readonly '~standard'?: unknown } = Object(value)
  const { validate }: { readonly validate?: unknown } = Object(standard)
  return typeof validate === 'function'
}

/**
 * Checks a value and goes on with what the schema made of it; at once when the schema answers at once, so
 * that synchronous schemas cost no promise. Without a schema it goes on with `undefined`: what was not
 * declared does not pass.
 *
 * @throws ViaductError (or rejects with it) with the place's code, reason and fate, and the path to the
 * fault; INTERNAL with reason SCHEMA_ERROR when the schema itself throws.
 */
export function checked<T>(
  schema: StandardSchema | undefined,
  value: unknown,
  place: Place,
  next: (value: unknown) => T | PromiseLike<T>,
  index?: number,
): T | PromiseLike<T> {
  if (schema === undefined) return next(undefined)
  let result: unknown
  try {
    result = schema['~standard'].validate(value)
  } catch (error) {
    throw schemaError(place, index, error)
  }
  if (!isThenable(result)) return next(accepted(result, place, index))
  return Promise.resolve(result).then(
    (settled) => next(accepted(settled, place, index)),
    (error) => {
      throw schemaError(place, index, error)
    },
  )
}

/** The value in a schema's result, or the error that its issues stand for. */
function accepted(result: unknown, place: Place, index: number | undefined): unknown {
  const { issues, value }: { readonly issues?: unknown; readonly value?: unknown } = Object(result)
  if (Array.isArray(issues)) throw refusal(issues, place, index)
  if (!issues && isObject(result) && 'value' in result) return value
  throw schemaError(place, index, new TypeError('it answered with neither a value nor issues'))
}

/** The error that a schema's issues stand for. */
export function refusal(issues: readonly unknown[], place: Place, index: number | undefined): ViaductError {
  const issue: { readonly message?: unknown; readonly path?: unknown } = Object(issues[0])
  const { message = 'does not fit the schema', path } = issue
  const others = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return placed(place, index, pathOf(path), clip(message, MESSAGE_CHARACTERS) + others)
}

function schemaError(place: Place, index: number | undefined, cause: unknown): ViaductError {
  const text = `the schema threw: ${clip(cause instanceof Error ? cause.message : cause, MESSAGE_CHARACTERS)}`
  return placed({ ...place, code: 'INTERNAL', reason: 'SCHEMA_ERROR' }, index, '', text, cause)
}

function placed(place: Place, index: number | undefined, within: string, text: string, cause?: unknown) {
  const { method, part, code, reason, fate } = place
  const path = clip((index === undefined ? part : `${part}[${index}]`) + within, PATH_CHARACTERS)
  return new ViaductError(code, `${method}: ${path}: ${text}`, { reason, path, fate, cause })
}

/** Path of an issue as it is written in TypeScript: `.pages[3].url`, `["a b"]`. */
function pathOf(path: unknown): string {
  if (!Array.isArray(path)) return ''
  let text = ''
  for (const segment of path) {
    const key: unknown = isObject(segment) && 'key' in segment ? segment.key : segment
    const name = typeof key === 'string' ? JSON.stringify(key) : String(key)
    text += /^"[A-Za-z_$][\w$]*"$/.test(name) ? `.${key}` : `[${name}]`
  }
  return text
}

function clip(value: unknown, characters: number): string {
  const text = String(value)
  return text.length > characters ? `${text.slice(0, characters)}…` : text
}
