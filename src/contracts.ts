/**
 * What a module declares that both sides of a boundary import. A page's bundler gets `browserContracts.ts` under the
 * same name, which leaves out what only the whole peer uses: fingerprints, dictionaries, and checks of what is declared.
 */

export { contract, method, stream, topic } from './contract/contract.ts'
export { isError } from './contract/declaredErrors.ts'
export type { Contract, ContractCall, ContractOf } from './contract/entries.ts'
export { unchecked } from './contract/schema.ts'
