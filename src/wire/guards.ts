/** What is known of a value that anybody may have made. */

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && 'then' in value && typeof value.then === 'function'
}
