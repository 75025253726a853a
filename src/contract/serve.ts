import type { CallContext, Handler, Server, Serving } from '../core/call.ts'
import { ContextView } from '../core/contextView.ts'
import { type Interceptor, interceptedHandler, type Next } from '../core/interceptor.ts'
import { handleAll } from '../core/serving.ts'
import { Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import { checks } from './checks.ts'
import { checkCodecs, closes } from './codecs.ts'
import { makeError } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import { isDurable, missingMailboxes } from './durable.ts'
import type { CallableKeys, ContractCall, ContractOf, ErrorOptions } from './entries.ts'
import { expectHandlers, handlersOf, type Run } from './handlers.ts'
import { checkedItems } from './items.ts'
import { checkOf, tellOf } from './parts.ts'

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
  options?: ServeOptions,
): Serving {
  return serveHandlers(server, contract, handlers, options)
}

/** The same for those whose own types have said what handlers there have to be. */
export function serveHandlers(
  server: Server,
  contract: ContractOf,
  handlers: object,
  options: ServeOptions = {},
): Serving {
  expectHandlers(contract, handlers, options.partial)
  const served = handlersOf<HandlerCall>(contract, handlers)
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

function contractHandler(method: ContractMethod, run: Run<HandlerCall>, options: ServeOptions): Handler {
  const { policies = [], validate: validates = true } = options
  const place = policies.indexOf(validate)
  const inner = place < 0 ? [] : policies.slice(place + 1)
  const outer = place < 0 ? policies : policies.slice(0, place)
  const handler = interceptedHandler(method, handlerOf(method, run, validates), inner)
  const checking = validates ? checks.handler(method, checkedUpload(method, handler)) : handler
  const opened: Handler = (input, context) => {
    if (input instanceof Envelope) throw unopened(method)
    return checking(input, context)
  }
  return interceptedHandler(method, opened, outer)
}

/** A function of a contract as the core's handler. */
function handlerOf(method: ContractMethod, run: Run<HandlerCall>, validates: boolean): Handler {
  const tells = validates && method['~definition'].progress !== undefined
  return (input, context) => run(input, new HandlerCall(method, context, tells))
}

/** A handler that gets only items that fit of its caller. */
function checkedUpload(method: ContractMethod, handler: Handler): Handler {
  if (!method.upload) return handler
  const item = checkOf(method, 'upload', undefined, 'INVALID_ARGUMENT')
  return (input, context) =>
    handler(input, new ContextView(context, { upload: checkedItems(context.upload, { item }) }))
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

/** What a policy of the caller's put together, and none of ours takes apart. */
function unopened({ name }: ContractMethod): ViaductError {
  return new ViaductError(
    'UNIMPLEMENTED',
    `${name}: its input came in an envelope that nobody opens here: give serve() the policies of client(), as batch()`,
    { reason: 'ENVELOPE_UNKNOWN', fate: 'not-sent' },
  )
}
