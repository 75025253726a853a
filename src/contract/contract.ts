import { isObject } from '../wire/guards.ts'
import { checks } from './checks.ts'
import { checking } from './declarations.ts'
import * as entries from './entries.ts'
import { ShapedMethod } from './shapedMethod.ts'

/**
 * Declares a call. Without `input` or `output` the value is `undefined` on both sides. With `delivery: 'at-least-once'`
 * it has no output: the caller gets a receipt once the call is on stable storage.
 * @throws ViaductError INVALID_ARGUMENT for an unknown option, for what is no Standard Schema, and for an
 * error that has the name of a link's reason.
 */
export const method: typeof entries.method = /* @__PURE__ */ checking(entries.method)

/**
 * Declares a stream: items to the caller (`item`), from the caller (`upload`), or both. Without `item` the
 * client gets a promise of the output.
 * @throws ViaductError INVALID_ARGUMENT as {@link method} does, and without both `item` and `upload`.
 */
export const stream: typeof entries.stream = /* @__PURE__ */ checking(entries.stream)

/**
 * Declares a topic: events that any number of peers publish and subscribe.
 * @throws ViaductError INVALID_ARGUMENT as {@link method} does, and without `data`.
 */
export const topic: typeof entries.topic = /* @__PURE__ */ checking(entries.topic)

/**
 * Names methods, streams and topics: `pages.analyze`. Both sides import what this returns.
 * @throws ViaductError INVALID_ARGUMENT for a name that cannot be used, such as `then`, which would make
 * the client look like a promise, or a name that every object has.
 */
export function contract<E extends entries.Entries>(name: string, declared: E): entries.Contract<E> {
  checkNames(name, declared)
  return entries.makeContract(
    name,
    declared,
    (full, definition) => new ShapedMethod(full, definition),
    checks,
  )
}

/** Contract names are words joined by dots; `$` in front is the hub's own. */
const CONTRACT_NAME = /^\$?[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$/
const KEY = /^[A-Za-z_][\w-]*$/
/** Longest full name in characters: it stands in routes, rules and logs. */
const NAME_CHARACTERS = 200

/** Refuses what has no compiler, or another one, to refuse it: names, and what method() and its like did not make. */
function checkNames(name: string, declared: object): void {
  const { checkKey, misuse } = entries
  if (!CONTRACT_NAME.test(name)) throw misuse(`contract name "${name}": use words joined by dots`)
  if ((Object.getPrototypeOf(declared) ?? Object.prototype) !== Object.prototype) {
    throw misuse(`${name}: entries must be a plain object, and none may be called __proto__`)
  }
  for (const [key, made] of Object.entries(declared)) {
    const full = `${name}.${key}`
    checkKey(name, key)
    if (!KEY.test(key)) throw misuse(`${name}: "${key}" is no name: use letters, digits, _ and -`)
    if (full.length > NAME_CHARACTERS) throw misuse(`${full}: over ${NAME_CHARACTERS} characters`)
    if (!isObject(made) || !('~definition' in made)) {
      throw misuse(`${full}: use method(), stream() or topic()`)
    }
  }
}
