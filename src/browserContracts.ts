/** `viaduct/contract` for pages; see `contracts.ts`. */

export { isError } from './contract/declaredErrors.ts'
export type { Contract, ContractCall, ContractOf } from './contract/entries.ts'
export { unchecked } from './contract/schema.ts'
export { contract } from './page/checkedContract.ts'
export { method, stream, topic } from './page/contract.ts'
