import { isThenable } from '../core/guards.ts'
import { type Code, type Fate, ViaductError } from '../wire/errors.ts'
import { stepOf } from '../wire/path.ts'

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
    return schemaError(place, index, error)
  }
  if (!isThenable(result)) return next(accepted(result, place, index))
  return Promise.resolve(result).then(
    (settled) => next(accepted(settled, place, index)),
    (error) => schemaError(place, index, error),
  )
}

/** The value in a schema's result, or the error that its issues stand for. */
function accepted(result: unknown, place: Place, index: number | undefined): unknown {
  const answer: { readonly issues?: unknown; readonly value?: unknown } = Object(result)
  if (Array.isArray(answer.issues)) throw refusal(answer.issues, place, index)
  if (!answer.issues && 'value' in answer) return answer.value
  return schemaError(place, index, 'it gave neither a value nor issues')
}

/** The error that a schema's issues stand for, with the path to the first: `input.pages[3].url`, `input["a b"]`. */
export function refusal(
  issues: readonly unknown[],
  { method, part, code, reason, fate }: Place,
  index: number | undefined,
  cause?: unknown,
): ViaductError {
  const { message = 'does not fit the schema', path }: Partial<SchemaIssue> = Object(issues[0])
  let where = part
  // Not every library gives a list, or nothing.
  for (const segment of [index ?? [], path ?? []].flat()) {
    where += stepOf(Object(segment).key ?? segment)
  }
  where = where.slice(0, PATH_CHARACTERS)
  const others = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const text = `${method}: ${where}: ${String(message).slice(0, MESSAGE_CHARACTERS)}${others}`
  return new ViaductError(code, text, { reason, path: where, fate, cause })
}

function schemaError(place: Place, index: number | undefined, cause: unknown): never {
  const { message = cause }: { readonly message?: unknown } = Object(cause)
  const issue = { message: `the schema threw: ${message}` }
  throw refusal([issue], { ...place, code: 'INTERNAL', reason: 'SCHEMA_ERROR' }, index, cause)
}
