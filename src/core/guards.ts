import { isObject } from '../wire/guards.ts'

/** Whether a value says later what it is. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && 'then' in value && typeof value.then === 'function'
}

export function isIterable(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  return isObject(value) && (Symbol.asyncIterator in value || Symbol.iterator in value)
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown, unknown> {
  return isObject(value) && Symbol.asyncIterator in value
}
