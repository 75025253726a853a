import type { Caller } from '../core/call.ts'
import type { ContractMethod } from './definition.ts'
import type { ContractOf, Send } from './entries.ts'

/** A contract's methods and streams by their keys: all but its topics. */
export function callablesOf(contract: ContractOf): Map<string, ContractMethod> {
  return new Map([...contract['~contract'].methods].filter(([, { kind }]) => kind !== 'topic'))
}

/** One function for each method and stream of a contract, under its key. */
export function functionsOf(contract: ContractOf, functionOf: (method: ContractMethod) => unknown): object {
  const api: { [key: string]: unknown } = Object.create(null)
  for (const [key, method] of callablesOf(contract)) api[key] = functionOf(method)
  return Object.freeze(api)
}

/** A method as a function over a caller: what comes back is as the far end sent it. */
export function sending(caller: Caller, method: ContractMethod): Send {
  return (input, options) => caller[method.kind === 'stream' ? 'stream' : 'call'](method, input, options)
}
