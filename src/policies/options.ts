import { type Clock, systemClock } from '../core/clock.ts'
import { ViaductError } from '../wire/errors.ts'

/** What one option of a policy may be, and what it is when it is not given. */
export interface Rule<T> {
  readonly fallback: T
  /** Ends the sentence "give …". */
  readonly expects: string
  readonly accepts: (value: unknown) => value is T
}

type Rules = { readonly [name: string]: Rule<unknown> }
type Read<R extends Rules> = { readonly [K in keyof R]: R[K] extends Rule<infer T> ? T : never }

/**
 * Reads a policy's options; `true` and undefined are all of its defaults.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path of the option, as `retry.maxRetries`.
 */
export function readOptions<R extends Rules>(
  policy: string,
  given: object | true | undefined,
  rules: R,
): Read<R>
export function readOptions(policy: string, given: object | true | undefined, rules: Rules): object {
  const source: unknown = given === true || given === undefined ? {} : given
  if (typeof source !== 'object' || source === null) {
    throw bad(policy, `${shown(source)} will not do: give an object of options, or true for its defaults`)
  }
  for (const name of Object.keys(source)) {
    if (Object.hasOwn(rules, name)) continue
    throw badOption(policy, name, `there is no such option; there are ${Object.keys(rules).join(', ')}`)
  }
  const read: { [name: string]: unknown } = {}
  for (const [name, rule] of Object.entries(rules)) {
    const value: unknown = Reflect.get(source, name)
    if (value !== undefined && !rule.accepts(value)) {
      throw badOption(policy, name, `${shown(value)} will not do: give ${rule.expects}`)
    }
    read[name] = value === undefined ? rule.fallback : value
  }
  return read
}

export function badOption(policy: string, name: string, text: string): ViaductError {
  return bad(`${policy}.${name}`, text)
}

function bad(path: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${path}: ${text}`, { reason: 'BAD_OPTION', path })
}

/** An integer. */
export function count(fallback: number, least = 1): Rule<number> {
  const accepts = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= least
  return { fallback, expects: `an integer of at least ${least}`, accepts }
}

/** A number over 0, as of milliseconds or of calls a second. */
export function positive(fallback: number, least?: number): Rule<number> {
  const accepts = (value: unknown): value is number =>
    typeof value === 'number' && Number.isFinite(value) && (least === undefined ? value > 0 : value >= least)
  return { fallback, expects: `a number ${least === undefined ? 'over 0' : `of at least ${least}`}`, accepts }
}

/** A part of the whole: over 0, at most 1. */
export function share(fallback: number): Rule<number> {
  const accepts = (value: unknown): value is number => typeof value === 'number' && value > 0 && value <= 1
  return { fallback, expects: 'a number over 0 and at most 1', accepts }
}

export function flag(fallback: boolean): Rule<boolean> {
  return { fallback, expects: 'true or false', accepts: (value) => typeof value === 'boolean' }
}

/** A function; what it takes and gives is as its type says. */
export function callback<T>(fallback: T): Rule<T> {
  return { fallback, expects: 'a function', accepts: (value): value is T & {} => typeof value === 'function' }
}

/** Time; by default the system's. */
export function time(): Rule<Clock> {
  return { fallback: systemClock, expects: 'a clock: now, after and afterTurn', accepts: isClock }
}

function isClock(value: unknown): value is Clock {
  if (typeof value !== 'object' || value === null) return false
  return ['now', 'after', 'afterTurn'].every((name) => typeof Reflect.get(value, name) === 'function')
}

/** A function, or an object: as its type says; that it is there is all that is checked. */
export function given<T extends object | undefined>(fallback: T, expects: string): Rule<T> {
  const accepts = (value: unknown): value is T =>
    typeof value === 'function' || (typeof value === 'object' && value !== null)
  return { fallback, expects, accepts }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value).slice(0, 40)
}
