import type { Caller, Target } from '../core/call.ts'
import { type Interceptor, interceptedCaller } from '../core/interceptor.ts'
import type { Method } from '../core/method.ts'
import { functionsOf, sending } from './callable.ts'
import { checks } from './checks.ts'
import { checkCodecs, checkTarget } from './codecs.ts'
import type { ContractMethod } from './definition.ts'
import {
  type DurableOptions,
  type DurableSender,
  isDurable,
  missingMailboxes,
  type Receipt,
} from './durable.ts'
import type { CallableKeys, ContractOf } from './entries.ts'

/** A contract's methods as functions. Topics are not here: they are published and subscribed. */
export type Client<E, K extends keyof E = CallableKeys<E>> = { readonly [P in K]: ClientMethod<E[P]> }
type ClientMethod<T> = NonNullable<T['~client' & keyof T]>

export interface ClientOptions {
  /**
   * Check what comes back: output, each item, progress, the data of declared errors. Default false: the server has
   * checked it. With it, output schemas must accept what they give.
   */
  readonly validate?: boolean
  /** What shapes each call on its way out; the first sees it first. Default: nothing. */
  readonly policies?: readonly Interceptor[]
  /**
   * What keeps the calls of methods with `delivery: 'at-least-once'`: `mailboxes()` of `viaduct/mailbox`. Policies do
   * not see those calls. Without it they reject with FAILED_PRECONDITION / MAILBOXES_MISSING.
   */
  readonly durable?: DurableSender
}

/**
 * Functions that call a contract's methods over a caller. Nothing is checked on the way out: the types did
 * that here, and the server does it there.
 *
 * What the returned functions throw: what the call throws; with `validate` also INTERNAL with reason
 * INVALID_OUTPUT, INVALID_ITEM or INVALID_ERROR and the path to the fault.
 *
 * @throws ViaductError INVALID_ARGUMENT / CODEC_MISSING, CODEC_TARGET for methods that are compressed, sealed or
 * signed, when nobody here does that, or when it would be for more than one peer.
 */
export function client<E>(caller: Caller, contract: ContractOf<E>, options?: ClientOptions): Client<E>
export function client(caller: Caller, contract: ContractOf, options: ClientOptions = {}): object {
  const { policies = [], validate = false, durable } = options
  const { methods } = contract['~contract']
  checkCodecs(methods.values(), policies, 'last')
  checkTarget(methods.values(), caller.target)
  const through = interceptedCaller(caller, policies)
  return functionsOf(contract, (method) => {
    if (isDurable(method)) return durableCallOf(caller.target, method, durable)
    const send = sending(through, method)
    return validate ? checks.client(method, send) : send
  })
}

/**
 * Sends one way: nobody answers, and nobody hears of a failure.
 * @returns false when the outbox is full and the message was not taken.
 */
export function notify<M extends Notified>(caller: Caller, method: M, input: NotifiedInput<M>): boolean {
  return caller.notify(method, input)
}

type Notified = Method & {
  readonly kind: 'call'
  readonly '~client'?: (input: never, options: never) => unknown
  readonly '~durable'?: never
}
type NotifiedInput<M extends Notified> = Parameters<NonNullable<M['~client']>>[0]

function durableCallOf(
  target: Target | undefined,
  method: ContractMethod,
  sender: DurableSender | undefined,
) {
  return async (input: unknown, options: DurableOptions = {}): Promise<Receipt> => {
    if (!sender) throw missingMailboxes(method, 'client()')
    return sender.send(method, input, options, target)
  }
}
