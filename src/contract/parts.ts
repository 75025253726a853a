import { isThenable } from '../core/guards.ts'
import type { Code, Fate } from '../wire/errors.ts'
import type { ContractMethod } from './definition.ts'
import { checked, type Place } from './schema.ts'

/** The values of a method that have a schema each. */
type Part = 'input' | 'output' | 'item' | 'upload' | 'progress'

/** Where a part of a method stands. Its reason is INVALID_INPUT, INVALID_OUTPUT and so on. */
export function placeOf({ name }: ContractMethod, part: Part, code: Code, fate?: Fate): Place {
  return { method: name, part, code, reason: `INVALID_${part.toUpperCase()}`, fate }
}

/** What checks a part: it gives, or promises, what the schema made of a value. */
export function checkOf(method: ContractMethod, part: Part, code: Code = 'INTERNAL', fate?: Fate) {
  const schema = method['~definition'][part]
  const place = placeOf(method, part, code, fate)
  return (value: unknown, index?: number) => checked(schema, value, place, (good) => good, index)
}

/** What tells only progress that fits its schema. */
export function tellOf(method: ContractMethod, tell: (value: unknown) => void, fate?: Fate) {
  const schema = method['~definition'].progress
  if (!schema) return tell
  const place = placeOf(method, 'progress', 'INTERNAL', fate)
  return (value: unknown): void => {
    const told = checked(schema, value, place, tell)
    // A schema that takes time is too late for who tells it: what does not pass is left out.
    if (isThenable(told)) Promise.resolve(told).catch(() => {})
  }
}
