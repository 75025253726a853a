import type { CallContext, Handler } from '../core/call.ts'
import { ContextView } from '../core/contextView.ts'
import { isAsyncIterable, isThenable } from '../core/guards.ts'
import { ViaductError } from '../wire/errors.ts'
import { makeError, rethrow } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import { type ContractCall, type ContractOf, type ErrorOptions, misuse } from './entries.ts'
import { checkedItems } from './items.ts'
import { checkOf, placeOf, tellOf } from './parts.ts'
import { checked } from './schema.ts'

export type Run = (input: unknown, call: HandlerCall) => unknown

/**
 * The functions that serve a contract's methods, looked up once.
 * @throws ViaductError INVALID_ARGUMENT when one is missing, unless `partial`, or not declared.
 */
export function handlersOf(
  contract: ContractOf,
  handlers: object,
  partial = false,
): Map<ContractMethod, Run> {
  const { name, methods } = contract['~contract']
  const served = new Map<ContractMethod, Run>()
  const missing: string[] = []
  for (const [key, method] of methods) {
    if (method.kind === 'topic') continue
    const handler: unknown = Reflect.get(handlers, key)
    if (typeof handler === 'function') {
      served.set(method, handler.bind(handlers))
    } else if (handler !== undefined || !partial) missing.push(key)
  }
  if (missing.length > 0) throw misuse(`${name}: no handler for ${missing.join(', ')}`)
  // An instance of a class may have members of its own; a literal says what it serves and nothing else.
  if (Object.getPrototypeOf(handlers) === Object.prototype) {
    const unknown = Object.keys(handlers).filter((key) => (methods.get(key)?.kind ?? 'topic') === 'topic')
    if (unknown.length > 0) throw misuse(`${name}: no method is called ${unknown.join(', ')}`)
  }
  return served
}

/** A function of a contract as the core's handler. */
export function handlerOf(method: ContractMethod, run: Run, validate: boolean): Handler {
  const tells = validate && method['~definition'].progress !== undefined
  return (input, context) => run(input, new HandlerCall(method, context, tells))
}

/** A handler whose input, output, items both ways and declared errors are checked. */
export function checkedHandler(method: ContractMethod, handler: Handler): Handler {
  const answer = checkedAnswer(method, handler)
  const { input: schema, upload } = method['~definition']
  const place = placeOf(method, 'input', 'INVALID_ARGUMENT', 'not-sent')
  const item = checkOf(method, 'upload', 'INVALID_ARGUMENT')
  return (input, context) => {
    const answered = checked(schema, input, place, (good) =>
      answer(
        good,
        upload ? new ContextView(context, { upload: checkedItems(context.upload, { item }) }) : context,
      ),
    )
    return method.kind === 'stream' && isThenable(answered) ? later(answered) : answered
  }
}

/** The items of a stream whose input takes time to check: the core wants an iterable at once. */
async function* later(answered: PromiseLike<unknown>): AsyncGenerator<unknown, unknown> {
  const items = await answered
  return isAsyncIterable(items) ? yield* items : items
}

function checkedAnswer(method: ContractMethod, handler: Handler): Handler {
  const streams = method.kind === 'stream'
  const output = checkOf(method, 'output')
  const error = (thrown: unknown) => rethrow(method, thrown)
  const checks = { item: checkOf(method, 'item'), output, error }
  return (input, call) => {
    let answer: unknown
    try {
      answer = handler(input, call)
    } catch (thrown) {
      return error(thrown)
    }
    if (!streams) return isThenable(answer) ? Promise.resolve(answer).then(output, error) : output(answer)
    if (isAsyncIterable(answer)) return checkedItems(answer, checks)
    throw new ViaductError('INTERNAL', `${method.name}: the handler must be an async generator`, {
      reason: 'INVALID_OUTPUT',
      path: 'item',
    })
  }
}

/** The context that handlers get: the core's, looked through, because its signal is made when asked for. */
class HandlerCall extends ContextView implements ContractCall<{ readonly [name: string]: null }, unknown> {
  readonly #method: ContractMethod

  constructor(method: ContractMethod, context: CallContext, checksProgress: boolean) {
    super(
      context,
      checksProgress ? { progress: tellOf(method, (value) => context.progress(value)) } : undefined,
    )
    this.#method = method
  }
  error(name: string, data?: unknown, options?: ErrorOptions): ViaductError {
    return makeError(this.#method, name, data, options)
  }
}
