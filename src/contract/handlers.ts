import { callablesOf } from './callable.ts'
import type { ContractMethod } from './definition.ts'
import { type ContractOf, misuse } from './entries.ts'

/** One that serves a contract's method, given what its handlers see of a call. */
export type Run<Call> = (input: unknown, call: Call) => unknown

/** The functions that serve a contract's methods, looked up once. */
export function handlersOf<Call>(contract: ContractOf, handlers: object): Map<ContractMethod, Run<Call>> {
  const served = new Map<ContractMethod, Run<Call>>()
  for (const [key, method] of callablesOf(contract)) {
    const handler: unknown = Reflect.get(handlers, key)
    if (typeof handler === 'function') served.set(method, handler.bind(handlers))
  }
  return served
}

/** @throws ViaductError INVALID_ARGUMENT when one is missing, unless `partial`, or not declared. */
export function expectHandlers(contract: ContractOf, handlers: object, partial = false): void {
  const methods = callablesOf(contract)
  const refuse = (what: string, names: readonly string[]): void => {
    if (names.length > 0) throw misuse(`${contract['~contract'].name}: no ${what} ${names.join(', ')}`)
  }
  const isMissing = (key: string): boolean => {
    const handler: unknown = Reflect.get(handlers, key)
    return typeof handler !== 'function' && (handler !== undefined || !partial)
  }
  refuse('handler for', [...methods.keys()].filter(isMissing))
  // An instance of a class may have members of its own; a literal says what it serves and nothing else.
  if (Object.getPrototypeOf(handlers) === Object.prototype) {
    refuse(
      'method is called',
      Object.keys(handlers).filter((key) => !methods.has(key)),
    )
  }
}
