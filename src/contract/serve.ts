import type { CallContext, Handler, Server, Serving } from '../core/call.ts'
import { ContextView } from '../core/contextView.ts'
import { isAsyncIterable, isThenable } from '../core/guards.ts'
import { type Interceptor, interceptedHandler, type Next } from '../core/interceptor.ts'
import { handleAll } from '../core/serving.ts'
import { Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import { checkCodecs, closes } from './codecs.ts'
import {
  type CallableKeys,
  type ContractCall,
  type ContractOf,
  type ErrorOptions,
  misuse,
} from './contract.ts'
import { makeError, rethrow } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import { isDurable, missingMailboxes } from './durable.ts'
import { CheckedItems } from './items.ts'
import { checked, type Place, type StandardSchema } from './schema.ts'

/** One function for each method and stream of a contract. A stream's is an async generator. */
export type Handlers<E, K extends keyof E = CallableKeys<E>> = { readonly [P in K]: HandlerOf<E[P]> }
type HandlerOf<T> = NonNullable<T['~handler' & keyof T]>

export interface ServeOptions {
  /** Check input, output, items both ways and the data of declared errors. Default true. */
  readonly validate?: boolean
  /** Serve only the methods that have a handler. Default false: a missing one is refused. */
  readonly partial?: boolean
  /**
   * What shapes each call on its way to its handler; the first sees it first. Those behind {@link validate} see what
   * the schemas gave; without it in the list, all of them see what came. Default: nothing.
   */
  readonly policies?: readonly Interceptor[]
  /** What has kept the calls of methods with `delivery: 'at-least-once'`: `mailboxes()` of `viaduct/mailbox`. */
  readonly durable?: Server
}

/** Marks in a list of policies where input and output are checked; does nothing by itself. */
export const validate: Interceptor = Object.assign((next: Next): Next => next, { policy: 'validate' })

/**
 * Serves a contract until it is withdrawn; see {@link Serving}. Handlers are looked up once, here, and are
 * called with `this` being `handlers`, so an instance of a class will do.
 *
 * Callers of a method get, with `validate`, INVALID_ARGUMENT / INVALID_INPUT (not-sent: the handler did not
 * run) or INVALID_ARGUMENT / INVALID_UPLOAD for what they sent, INTERNAL / INVALID_OUTPUT, INVALID_ITEM or
 * INVALID_ERROR or INVALID_PROGRESS for what the handler gave, each with the path to the fault.
 *
 * @throws ViaductError INVALID_ARGUMENT when a handler is missing or not declared, and with CODEC_MISSING for methods
 * that are compressed, sealed or signed when nobody here does that; FAILED_PRECONDITION / MAILBOXES_MISSING for durable
 * methods without `durable`; nothing is served then.
 */
export function serve<E>(
  server: Server,
  contract: ContractOf<E>,
  handlers: Handlers<E>,
  options?: ServeOptions & { readonly partial?: false },
): Serving
export function serve<E>(
  server: Server,
  contract: ContractOf<E>,
  handlers: Partial<Handlers<E>>,
  options: ServeOptions & { readonly partial: true },
): Serving
export function serve(
  server: Server,
  contract: ContractOf,
  handlers: object,
  options: ServeOptions = {},
): Serving {
  const served = handlersOf(contract, handlers, options.partial ?? false)
  checkCodecs(served.keys(), options.policies ?? [], 'first')
  return handleAll(
    server,
    [...served].map(([method, run]) => {
      const handler = closes(method, contractHandler(method, run, options))
      return isDurable(method) ? [method, handler, keptBy(method, options)] : [method, handler]
    }),
  )
}

function keptBy(method: ContractMethod, { durable }: ServeOptions): Server {
  if (!durable) throw missingMailboxes(method, 'serve()')
  return durable
}

type Run = (input: unknown, call: HandlerCall) => unknown

function handlersOf(contract: ContractOf, handlers: object, partial: boolean): Map<ContractMethod, Run> {
  const { name, methods } = contract['~contract']
  const served = new Map<ContractMethod, Run>()
  const missing: string[] = []
  for (const [key, method] of methods) {
    if (method.kind === 'topic') continue
    const handler: unknown = Reflect.get(handlers, key)
    if (typeof handler === 'function') {
      served.set(method, (input, call) => Reflect.apply(handler, handlers, [input, call]))
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

function contractHandler(method: ContractMethod, run: Run, options: ServeOptions): Handler {
  const { policies = [] } = options
  const place = policies.indexOf(validate)
  const inner = place < 0 ? [] : policies.slice(place + 1)
  const outer = place < 0 ? policies : policies.slice(0, place)
  const progress = options.validate === false ? undefined : method['~definition'].progress
  const handler = interceptedHandler(
    method,
    (input, context) => run(input, new HandlerCall(method, context, progress)),
    inner,
  )
  const checking = options.validate === false ? handler : checkedHandler(method, handler)
  const opened: Handler = (input, context) => {
    if (input instanceof Envelope) throw unopened(method)
    return checking(input, context)
  }
  return interceptedHandler(method, opened, outer)
}

/** What a policy of the caller's put together, and none of ours takes apart. */
function unopened({ name }: ContractMethod): ViaductError {
  return new ViaductError(
    'UNIMPLEMENTED',
    `${name}: its input came in an envelope that nobody opens here: give serve() the policies of client(), as batch()`,
    { reason: 'ENVELOPE_UNKNOWN', fate: 'not-sent' },
  )
}

function checkedHandler(method: ContractMethod, handler: Handler): Handler {
  const answer = method.kind === 'stream' ? streamAnswer(method, handler) : callAnswer(method, handler)
  const { input: schema, upload } = method['~definition']
  const refused = { method: method.name, code: 'INVALID_ARGUMENT' } as const
  const inputPlace: Place = { ...refused, part: 'input', reason: 'INVALID_INPUT', fate: 'not-sent' }
  const uploadPlace: Place = { ...refused, part: 'upload', reason: 'INVALID_UPLOAD' }
  const checkUpload = (value: unknown, index: number) =>
    checked(upload, value, uploadPlace, (good) => good, index)
  return (input, context) => {
    const answered = checked(schema, input, inputPlace, (good) => {
      if (!upload) return answer(good, context)
      return answer(
        good,
        new ContextView(context, { upload: new CheckedItems(context.upload, { item: checkUpload }) }),
      )
    })
    return method.kind === 'stream' && isThenable(answered) ? later(answered) : answered
  }
}

/** The items of a stream whose input takes time to check: the core wants an iterable at once. */
async function* later(answered: PromiseLike<unknown>): AsyncGenerator<unknown, unknown> {
  const items = await answered
  return isAsyncIterable(items) ? yield* items : items
}

function callAnswer(method: ContractMethod, run: Handler): Handler {
  const schema = method['~definition'].output
  const place = made(method, 'output', 'INVALID_OUTPUT')
  const finish = (output: unknown) => checked(schema, output, place, (good) => good)
  const refuse = (error: unknown) => rethrow(method, error)
  return (input, call) => {
    let output: unknown
    try {
      output = run(input, call)
    } catch (error) {
      return refuse(error)
    }
    return isThenable(output) ? Promise.resolve(output).then(finish, refuse) : finish(output)
  }
}

function streamAnswer(method: ContractMethod, run: Handler): Handler {
  const { item, output } = method['~definition']
  const itemPlace = made(method, 'item', 'INVALID_ITEM')
  const outputPlace = made(method, 'output', 'INVALID_OUTPUT')
  const checks = {
    item: (value: unknown, index: number) => checked(item, value, itemPlace, (good) => good, index),
    output: (value: unknown) => checked(output, value, outputPlace, (good) => good),
    error: (error: unknown) => rethrow(method, error),
  }
  return (input, call) => {
    let items: unknown
    try {
      items = run(input, call)
    } catch (error) {
      return rethrow(method, error)
    }
    if (isAsyncIterable(items)) return new CheckedItems(items, checks)
    throw new ViaductError('INTERNAL', `${method.name}: the handler must be an async generator`, {
      reason: 'INVALID_OUTPUT',
      path: 'item',
    })
  }
}

function made(method: ContractMethod, part: string, reason: string): Place {
  return { method: method.name, part, code: 'INTERNAL', reason }
}

/** The context that handlers get: the core's, looked through, because its signal is made when asked for. */
class HandlerCall extends ContextView implements ContractCall<{ readonly [name: string]: null }, unknown> {
  readonly #method: ContractMethod
  readonly #progress: StandardSchema | undefined

  constructor(method: ContractMethod, context: CallContext, progress: StandardSchema | undefined) {
    super(context)
    this.#method = method
    this.#progress = progress
  }
  override progress(value: unknown): void {
    if (!this.#progress) return super.progress(value)
    const place = made(this.#method, 'progress', 'INVALID_PROGRESS')
    const told = checked(this.#progress, value, place, (good) => super.progress(good))
    // A schema that takes time is too late for the handler: what does not pass is left out.
    if (isThenable(told)) Promise.resolve(told).catch(() => {})
  }
  error(name: string, data?: unknown, options?: ErrorOptions): ViaductError {
    return makeError(this.#method, name, data, options)
  }
}
