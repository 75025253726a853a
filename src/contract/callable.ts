import type { Caller, CallOptions, ItemStream } from '../core/call.ts'
import { rethrow } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import type { ContractOf } from './entries.ts'
import { checkedItems } from './items.ts'
import { checkOf, tellOf } from './parts.ts'

/** One function for each method and stream of a contract, under its key. */
export function functionsOf(contract: ContractOf, functionOf: (method: ContractMethod) => unknown): object {
  const api: { [key: string]: unknown } = Object.create(null)
  for (const [key, method] of contract['~contract'].methods) {
    if (method.kind !== 'topic') api[key] = functionOf(method)
  }
  return Object.freeze(api)
}

/**
 * A method as a function over a caller.
 * @param validate checks what comes back.
 */
export function callable(caller: Caller, method: ContractMethod, validate: boolean) {
  const send =
    method.kind === 'stream'
      ? (input: unknown, options?: CallOptions) => caller.stream(method, input, options)
      : (input: unknown, options?: CallOptions) => caller.call(method, input, options)
  if (!validate) return send
  const output = checkOf(method, 'output', 'INTERNAL', 'unknown')
  return (input: unknown, options?: CallOptions) => {
    const tell = options?.onProgress
    const answer = send(input, tell ? { ...options, onProgress: tellOf(method, tell, 'unknown') } : options)
    return 'output' in answer
      ? checkedStream(method, answer, output)
      : answer.then(output, (error) => rethrow(method, error))
  }
}

function checkedStream(
  method: ContractMethod,
  stream: ItemStream,
  finish: (value: unknown) => unknown,
): ItemStream {
  let fault: unknown
  const error = (thrown: unknown) => rethrow(method, thrown)
  // Who stops at an item that does not pass ends the stream with it.
  const output = stream.output.then(finish, (thrown) => error(fault ?? thrown))
  // Readers of items alone do not look at the output: its failure is theirs already.
  output.then(undefined, () => undefined)
  const check = checkOf(method, 'item', 'INTERNAL', 'unknown')
  const item = async (value: unknown, index: number) => {
    try {
      return await check(value, index)
    } catch (thrown) {
      fault = thrown
      throw thrown
    }
  }
  return {
    output,
    cancel: (reason) => stream.cancel(reason),
    [Symbol.asyncIterator]: () => checkedItems(stream, { item, error }),
  }
}
