import type { CallContext, Handler } from '../core/call.ts'
import type { ContextChanges } from '../core/contextView.ts'
import { isAsyncIterable, isThenable } from '../core/guards.ts'
import { ViaductError } from '../wire/errors.ts'
import type { ContractMethod } from './definition.ts'
import { type Checks, misuse, type Send } from './entries.ts'
import { expectHandlers } from './handlers.ts'
import { checkedItems } from './items.ts'
import { answerChecks, checkOf, tellOf } from './parts.ts'

/** Holds what goes between a client and a handler to the schemas of its method. */
export const checks: Checks = {
  client: checkedClient,
  handler: checkedHandler,
  context: checkedContext,
  expectHandlers,
  expectPlain({ name, '~definition': { sealed, signed, compress, delivery } }) {
    if (sealed || signed || compress || delivery)
      throw misuse(`${name}: needs viaduct/browser/full, or viaduct`, name)
  },
}

function checkedClient(method: ContractMethod, send: Send): Send {
  const checks = answerChecks(method, 'unknown')
  return (input, options) => {
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

function checkedHandler(method: ContractMethod, handler: Handler): Handler {
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

function checkedContext(method: ContractMethod, context: CallContext): ContextChanges {
  const item = checkOf(method, 'upload', undefined, 'INVALID_ARGUMENT')
  return {
    progress: tellOf(method, (value) => context.progress(value)),
    ...(method.upload && { upload: checkedItems(context.upload, { item }) }),
  }
}
