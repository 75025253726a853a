import type { Callback } from '../../src/core/references.ts'

export function isCallback(value: unknown): value is Callback {
  return typeof value === 'function' && 'keep' in value
}

/** The function that a handler's input is. */
export function only(input: unknown): Callback {
  if (isCallback(input)) return input
  throw new TypeError('the input is no function')
}
