import { whenSettled } from '../core/settled.ts'
import type { Code, Fate } from '../wire/errors.ts'
import { rethrow } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import { checked } from './schema.ts'

/** The values of a method that have a schema each. */
type Part = 'input' | 'output' | 'item' | 'upload' | 'progress'

/** Gives what `next` makes of what the schema made of a value, by default as it is; or promises it, or throws. */
export type Check = (value: unknown, index?: number, next?: (good: unknown) => unknown) => unknown

/** What checks a part. The reason of its errors is INVALID_INPUT, INVALID_OUTPUT and so on. */
export function checkOf(
  { name, '~definition': definition }: ContractMethod,
  part: Part,
  fate?: Fate,
  code: Code = 'INTERNAL',
): Check {
  const schema = definition[part]
  const place = { method: name, part, code, reason: `INVALID_${part.toUpperCase()}`, fate }
  return (value, index, next = same) => checked(schema, value, place, next, index)
}

/** The checks of what answers a method: its items, its output, and the declared errors that it fails with. */
export function answerChecks(method: ContractMethod, fate?: Fate) {
  return {
    item: checkOf(method, 'item', fate),
    output: checkOf(method, 'output', fate),
    error: (thrown: unknown) => rethrow(method, thrown),
  }
}

/** What tells only progress that fits its schema. */
export function tellOf(method: ContractMethod, tell: (value: unknown) => void, fate?: Fate) {
  if (!method['~definition'].progress) return tell
  const check = checkOf(method, 'progress', fate)
  return (value: unknown): void => {
    // A schema that takes time is too late for who tells it: what does not pass is left out.
    whenSettled(check(value, undefined, tell), same, same)
  }
}

function same(value: unknown): unknown {
  return value
}
