import type { Handler } from '../core/call.ts'
import { isAsyncIterable, isThenable } from '../core/guards.ts'
import { ViaductError } from '../wire/errors.ts'
import { callablesOf } from './callable.ts'
import type { ContractMethod } from './definition.ts'
import { type ContractOf, misuse } from './entries.ts'
import { checkedItems } from './items.ts'
import { answerChecks, checkOf } from './parts.ts'

/** One that serves a contract's method, given what its handlers see of a call. */
export type Run<Call> = (input: unknown, call: Call) => unknown

/**
 * The functions that serve a contract's methods, looked up once.
 * @throws ViaductError INVALID_ARGUMENT when one is missing, unless `partial`, or not declared.
 */
export function handlersOf<Call>(
  contract: ContractOf,
  handlers: object,
  partial = false,
): Map<ContractMethod, Run<Call>> {
  const methods = callablesOf(contract)
  const served = new Map<ContractMethod, Run<Call>>()
  const missing: string[] = []
  for (const [key, method] of methods) {
    const handler: unknown = Reflect.get(handlers, key)
    if (typeof handler === 'function') served.set(method, handler.bind(handlers))
    else if (handler !== undefined || !partial) missing.push(key)
  }
  const refuse = (what: string, names: readonly string[]): void => {
    if (names.length > 0) throw misuse(`${contract['~contract'].name}: no ${what} ${names.join(', ')}`)
  }
  refuse('handler for', missing)
  // An instance of a class may have members of its own; a literal says what it serves and nothing else.
  if (Object.getPrototypeOf(handlers) === Object.prototype) {
    refuse(
      'method is called',
      Object.keys(handlers).filter((key) => !methods.has(key)),
    )
  }
  return served
}

/** A handler whose input, output, items and declared errors are checked. */
export function checkedHandler(method: ContractMethod, handler: Handler): Handler {
  const streams = method.kind === 'stream'
  const input = checkOf(method, 'input', 'not-sent', 'INVALID_ARGUMENT')
  const checks = answerChecks(method)
  const { output, error } = checks
  return (given, context) => {
    const answered = input(given, undefined, (good) => {
      let answer: unknown
      try {
        answer = handler(good, context)
      } catch (thrown) {
        return error(thrown)
      }
      if (!streams) return isThenable(answer) ? Promise.resolve(answer).then(output, error) : output(answer)
      if (isAsyncIterable(answer)) return checkedItems(answer, checks)
      throw new ViaductError('INTERNAL', `${method.name}: the handler must be an async generator`, {
        reason: 'INVALID_OUTPUT',
        path: 'item',
      })
    })
    return streams && isThenable(answered) ? later(answered) : answered
  }
}

/** The items of a stream whose input takes time to check: policies want an iterable at once. */
async function* later(answered: PromiseLike<unknown>): AsyncGenerator<unknown, unknown> {
  const items = await answered
  return isAsyncIterable(items) ? yield* items : items
}
