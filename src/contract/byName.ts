import { type Method, untyped } from '../core/method.ts'

/** Methods made from names, so that one name is one method on its route. */
const byName = new Map<string, Method>()
const MAX_NAMES = 4096

/** The method of this name, as nobody declared it; one that was declared as it is. */
export function methodOf(method: string | Method, kind: Method['kind']): Method {
  if (typeof method !== 'string') return method
  const key = `${kind} ${method}`
  let known = byName.get(key)
  if (!known) {
    if (byName.size >= MAX_NAMES) byName.clear()
    known = untyped(method, kind)
    byName.set(key, known)
  }
  return known
}
