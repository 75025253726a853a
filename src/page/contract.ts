/**
 * The contract layer for pages, over any caller and server: without fingerprints and dictionaries, because bodies
 * describe themselves there, and without policies, codecs and mailboxes.
 */
import { functionsOf, sending } from '../contract/callable.ts'
import type { Client, ClientOptions } from '../contract/client.ts'
import { makeError } from '../contract/declaredErrors.ts'
import { type ContractMethod, type Definition, plainMethod } from '../contract/definition.ts'
import {
  type Checks,
  type Contract,
  type ContractOf,
  type Entries,
  type ErrorOptions,
  makeContract,
  misuse,
} from '../contract/entries.ts'
import { handlersOf, type Run } from '../contract/handlers.ts'
import { unchecked } from '../contract/schema.ts'
import type { Handlers, ServeOptions } from '../contract/serve.ts'
import type { CallContext, Caller, Handler, Server, Serving } from '../core/call.ts'
import { handleAll } from '../core/serving.ts'

export type { Client } from '../contract/client.ts'
/** Their types alone say what they may be. Of a contract that checks, what is not declared does not pass. */
export { method, stream, topic } from '../contract/entries.ts'
export type { Handlers } from '../contract/serve.ts'

export type PageClientOptions = Pick<ClientOptions, 'validate'>
export type PageServeOptions = Pick<ServeOptions, 'validate' | 'partial'>

/**
 * Names methods, streams and topics: `pages.analyze`. Its types are all that it knows: its schemas are `unchecked()`.
 * A contract that checks comes from `viaduct/contract`.
 * @throws ViaductError INVALID_ARGUMENT for any other schema, and what is sealed, signed, compressed or delivered at
 * least once; for `then`, which would make the client look like a promise, and for names that every object has. What
 * else no name may be, the whole peer's `contract` refuses, which the other side has.
 */
export function contract<E extends Entries>(name: string, entries: E): Contract<E> {
  return makeContract(name, entries, typedMethod)
}

function typedMethod(name: string, definition: Definition): ContractMethod {
  const { kind, lane, idempotent, overflow, version, errors, ...parts } = definition
  for (const part of [...Object.values(parts), ...Object.values(errors ?? {})]) {
    if (part && part !== unchecked())
      throw misuse(`${name}: has more than unchecked(): needs viaduct/contract`, name)
  }
  return plainMethod(name, definition)
}

/**
 * Functions that call a contract's methods over a caller. Nothing is checked on the way out: the types did
 * that here, and the server does it there.
 *
 * What the returned functions throw: what the call throws; with `validate` also INTERNAL with reason
 * INVALID_OUTPUT, INVALID_ITEM or INVALID_ERROR and the path to the fault.
 *
 * @throws ViaductError INVALID_ARGUMENT when a method is sealed, signed, compressed or delivered at least once.
 */
export function client<E>(caller: Caller, contract: ContractOf<E>, options?: PageClientOptions): Client<E>
export function client(caller: Caller, contract: ContractOf, options: PageClientOptions = {}): object {
  return functionsOf(contract, (method) => {
    const { checks } = contract['~contract']
    checks?.expectPlain(method)
    const send = sending(caller, method)
    return (options.validate && checks?.client(method, send)) || send
  })
}

/**
 * Serves a contract until it is withdrawn; see {@link Serving}. Handlers are looked up once, here, and are
 * called with `this` being `handlers`, so an instance of a class will do.
 *
 * Callers of a method get, with `validate`, INVALID_ARGUMENT / INVALID_INPUT (not-sent: the handler did not
 * run) or INVALID_ARGUMENT / INVALID_UPLOAD for what they sent, INTERNAL / INVALID_OUTPUT, INVALID_ITEM or
 * INVALID_ERROR or INVALID_PROGRESS for what the handler gave, each with the path to the fault.
 *
 * @throws ViaductError INVALID_ARGUMENT when a handler is missing or not declared, and when a served method is sealed,
 * signed, compressed or delivered at least once; nothing is served then. Of the handlers of a contract that is types
 * alone, those that are functions are served.
 */
export function serve<E>(
  server: Server,
  contract: ContractOf<E>,
  handlers: Handlers<E>,
  options?: PageServeOptions & { readonly partial?: false },
): Serving
export function serve<E>(
  server: Server,
  contract: ContractOf<E>,
  handlers: Partial<Handlers<E>>,
  options: PageServeOptions & { readonly partial: true },
): Serving
export function serve(
  server: Server,
  contract: ContractOf,
  handlers: object,
  options?: PageServeOptions,
): Serving {
  return serveHandlers(server, contract, handlers, options)
}

/** The same for those whose own types have said what handlers there have to be. */
export function serveHandlers(
  server: Server,
  contract: ContractOf,
  handlers: object,
  { validate = true, partial }: PageServeOptions = {},
): Serving {
  const { checks } = contract['~contract']
  const checking = validate ? checks : undefined
  checks?.expectHandlers(contract, handlers, partial)
  return handleAll(
    server,
    [...handlersOf<CallContext>(contract, handlers)].map(([method, run]) => {
      checks?.expectPlain(method)
      const handler = handlerOf(method, run, checking)
      return [method, checking?.handler(method, handler) ?? handler]
    }),
  )
}

/** A function of a contract as the core's handler. It sees the core's context, and in front of it what is made here. */
function handlerOf(method: ContractMethod, run: Run<CallContext>, checks: Checks | undefined): Handler {
  return (input, context) => {
    const own = {
      progress: (value: unknown) => context.progress(value),
      ...checks?.context(method, context),
      error: (name: string, data?: unknown, options?: ErrorOptions) => makeError(method, name, data, options),
    }
    // Not copied: its signal is made when it is asked for. Nor inherited: its members may be private to it.
    return run(input, new Proxy(context, { get: (_, key) => Reflect.get(key in own ? own : context, key) }))
  }
}
