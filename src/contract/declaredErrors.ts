import { isViaductError, ViaductError } from '../wire/errors.ts'
import type { ContractMethod, Definition } from './definition.ts'
import type { Entry, ErrorOptions } from './entries.ts'
import { checked, type OutputOf, type StandardSchema } from './schema.ts'

/** A declared error as the caller gets it: `reason` is its name, `data` what its schema says. */
export type DeclaredError<Name extends string, Data> = ViaductError & {
  readonly reason: Name
  readonly data: Data
}

type DataOf<Schema> = Schema extends StandardSchema ? OutputOf<Schema> : undefined
type Declared<Errors> = {
  [Name in keyof Errors & string]: DeclaredError<Name, DataOf<Errors[Name]>>
}[keyof Errors & string]

/**
 * Whether a call failed with an error that the method declares: the one with this name, or any of them.
 * ```ts
 * if (isError(pages.analyze, error, 'TooLong')) shorten(error.data.max)
 * ```
 * Errors of links and hubs are never declared ones, whatever their reason.
 */
export function isError<Errors, Name extends keyof Errors & string>(
  method: Declaring<Errors>,
  error: unknown,
  name: Name,
): error is DeclaredError<Name, DataOf<Errors[Name]>>
export function isError<Errors>(method: Declaring<Errors>, error: unknown): error is Declared<Errors>
export function isError(method: Entry, error: unknown, name?: string): boolean {
  return isDeclared(method['~definition'], error) && (name === undefined || error.reason === name)
}

interface Declaring<Errors> extends Entry {
  readonly '~errors'?: Errors
}

function isDeclared({ errors = {} }: Definition, error: unknown): error is ViaductError {
  return isViaductError(error) && error.fate === undefined && Object.hasOwn(errors, error.reason)
}

/** Makes a declared error. Its data is checked when it leaves the handler. */
export function makeError(
  method: ContractMethod,
  name: string,
  data: unknown,
  { code = 'FAILED_PRECONDITION', message = `${method.name}: ${name}`, cause }: ErrorOptions = {},
): ViaductError {
  return new ViaductError(code, message, { reason: name, data, cause })
}

/**
 * Throws, or returns a promise that rejects with, what goes on instead of a thrown value: a declared error
 * with its data checked, everything else as it is.
 * @throws ViaductError INTERNAL, reason INVALID_ERROR, when the data is not as declared.
 */
export function rethrow(
  { name, '~definition': definition }: ContractMethod,
  error: unknown,
): never | PromiseLike<never> {
  if (!isDeclared(definition, error)) throw error
  const { code, message, cause, stack, reason } = error
  const schema = definition.errors?.[reason] ?? undefined
  const place = { method: name, part: 'data', code: 'INTERNAL', reason: 'INVALID_ERROR' } as const
  return checked<never>(schema, error.data, place, (data) => {
    throw Object.assign(new ViaductError(code, message, { ...error, data, cause }), stack && { stack })
  })
}
