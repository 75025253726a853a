import { checks } from '../contract/checks.ts'
import { plainMethod } from '../contract/definition.ts'
import { type Contract, type Entries, makeContract } from '../contract/entries.ts'

/**
 * Names methods, streams and topics: `pages.analyze`. Both sides import what this returns. It brings what checks values
 * against its schemas.
 * @throws ViaductError INVALID_ARGUMENT for `then`, which would make the client look like a promise, and for names that
 * every object has. What else no name may be, the whole peer's `contract` refuses, which the other side has.
 */
export function contract<E extends Entries>(name: string, entries: E): Contract<E> {
  return makeContract(name, entries, plainMethod, checks)
}
