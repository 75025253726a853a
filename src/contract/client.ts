import type { Caller, CallOptions, ItemStream, Target } from '../core/call.ts'
import { isThenable } from '../core/guards.ts'
import { type Interceptor, interceptedCaller } from '../core/interceptor.ts'
import type { Method } from '../core/method.ts'
import { checkCodecs, checkTarget } from './codecs.ts'
import type { CallableKeys, ContractOf } from './contract.ts'
import { rethrow } from './declaredErrors.ts'
import type { ContractMethod } from './definition.ts'
import {
  type DurableOptions,
  type DurableSender,
  isDurable,
  missingMailboxes,
  type Receipt,
} from './durable.ts'
import { CheckedItems } from './items.ts'
import { checked, type Place } from './schema.ts'

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
  const api: { [key: string]: unknown } = Object.create(null)
  const { policies = [] } = options
  const { methods } = contract['~contract']
  checkCodecs(methods.values(), policies, 'last')
  checkTarget(methods.values(), caller.target)
  const through = interceptedCaller(caller, policies)
  for (const [key, method] of methods) {
    if (method.kind === 'topic') continue
    if (isDurable(method)) api[key] = durableCallOf(caller.target, method, options.durable)
    else
      api[key] =
        method.kind === 'stream' ? streamOf(through, method, options) : callOf(through, method, options)
  }
  return Object.freeze(api)
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

function callOf(caller: Caller, method: ContractMethod, { validate = false }: ClientOptions) {
  if (!validate) return (input: unknown, options?: CallOptions) => caller.call(method, input, options)
  const place = received(method, 'output', 'INVALID_OUTPUT')
  const schema = method['~definition'].output
  return (input: unknown, options?: CallOptions) =>
    caller.call(method, input, heard(method, options)).then(
      (output) => checked(schema, output, place, (value) => value),
      (error) => rethrow(method, error),
    )
}

function streamOf(caller: Caller, method: ContractMethod, { validate = false }: ClientOptions) {
  if (!validate) return (input: unknown, options?: CallOptions) => caller.stream(method, input, options)
  return (input: unknown, options?: CallOptions) =>
    checkedStream(method, caller.stream(method, input, heard(method, options)))
}

/** Options whose listener hears only progress that fits its schema: it is advice, and ends no call. */
function heard(method: ContractMethod, options: CallOptions | undefined): CallOptions | undefined {
  const schema = method['~definition'].progress
  const tell = options?.onProgress
  if (!schema || !tell) return options
  const place = received(method, 'progress', 'INVALID_PROGRESS')
  const onProgress = (value: unknown): void => {
    const told = checked(schema, value, place, tell)
    if (isThenable(told)) Promise.resolve(told).catch(() => {})
  }
  return { ...options, onProgress }
}

function checkedStream(method: ContractMethod, stream: ItemStream): ItemStream {
  const { item, output } = method['~definition']
  const itemPlace = received(method, 'item', 'INVALID_ITEM')
  const outputPlace = received(method, 'output', 'INVALID_OUTPUT')
  let fault: { error: unknown } | undefined
  const error = (thrown: unknown) => rethrow(method, thrown)
  const settled = stream.output.then(
    (value) => checked(output, value, outputPlace, (good) => good),
    (thrown) => error(fault ? fault.error : thrown),
  )
  // Readers of items alone do not look at the output: its failure is theirs already.
  settled.then(undefined, () => undefined)
  const checkItem = async (value: unknown, index: number) => {
    try {
      return await checked(item, value, itemPlace, (good) => good, index)
    } catch (thrown) {
      fault = { error: thrown }
      throw thrown
    }
  }
  return {
    output: settled,
    cancel: (reason) => stream.cancel(reason),
    [Symbol.asyncIterator]: () => new CheckedItems(stream, { item: checkItem, error }),
  }
}

function received(method: ContractMethod, part: string, reason: string): Place {
  return { method: method.name, part, code: 'INTERNAL', reason, fate: 'unknown' }
}
