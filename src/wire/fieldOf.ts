import { isObject } from './guards.ts'

/** One own field of what may be no object at all; undefined when it has none of that name. */
export function fieldOf(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
}
