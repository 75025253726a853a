import { type Contract, type Entries, makeContract } from './entries.ts'
import { ShapedMethod } from './shapedMethod.ts'

export { method, stream, topic } from './entries.ts'

/**
 * Names methods, streams and topics: `pages.analyze`. Both sides import what this returns.
 * @throws ViaductError INVALID_ARGUMENT for a name that cannot be used, such as `then`, which would make
 * the client look like a promise, or a name that every object has.
 */
export function contract<E extends Entries>(name: string, entries: E): Contract<E> {
  return makeContract(name, entries, (fullName, definition) => new ShapedMethod(fullName, definition))
}
