import type { Caller, CallOptions } from '../core/call.ts'
import type { ContractMethod } from './definition.ts'
import type { ContractOf } from './entries.ts'
import { checkedItems } from './items.ts'
import { answerChecks, tellOf } from './parts.ts'

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

/**
 * A method as a function over a caller.
 * @param validate checks what comes back.
 */
export function callable(caller: Caller, method: ContractMethod, validate: boolean) {
  const send = (input: unknown, options?: CallOptions) =>
    caller[method.kind === 'stream' ? 'stream' : 'call'](method, input, options)
  if (!validate) return send
  const checks = answerChecks(method, 'unknown')
  return (input: unknown, options?: CallOptions) => {
    const tell = options?.onProgress
    const answer = send(input, tell ? { ...options, onProgress: tellOf(method, tell, 'unknown') } : options)
    let fault: unknown
    if (!('output' in answer)) return answer.then(checks.output, checks.error)
    const output = answer.output.then(checks.output, (thrown) => checks.error(fault ?? thrown))
    // Readers of items alone do not look at the output: its failure is theirs already.
    output.catch(() => {})
    return {
      output,
      cancel: (reason?: unknown) => answer.cancel(reason),
      [Symbol.asyncIterator]: () =>
        checkedItems(answer, {
          item: checks.item,
          error(thrown) {
            // Who stops at an item that does not pass ends the stream with it.
            fault = thrown
            return checks.error(thrown)
          },
        }),
    }
  }
}
