/**
 * Methods with `delivery: 'at-least-once'`: the call settles when its input is on stable storage, and whoever serves the
 * method handles it now, or when it comes. This layer knows no storage: `mailboxes()` of `viaduct/mailbox` is given to
 * the client and to the server.
 */
import type { CallContext, Delivery, Target } from '../core/call.ts'
import type { Lane, Method } from '../core/method.ts'
import { ViaductError } from '../wire/errors.ts'
import type { ContractMethod } from './definition.ts'
import type { Entry, Face } from './entries.ts'
import type { InputOf, NoSchema, OutputOf, StandardSchema } from './schema.ts'

/** What a durable call settles with: its input is on stable storage under this id (UUID v4). */
export interface Receipt {
  readonly id: string
}

export interface DurableOptions {
  /** Handle it no sooner than so many milliseconds from now. Default 0. */
  readonly delayMs?: number
  /** Keep account of it until it is handled, for `handled(receipt)` of the mailboxes. Default false. */
  readonly requiresAck?: boolean
  /** Do not handle it any more so many milliseconds from now: it becomes a dead letter. Default: no end. */
  readonly expiresInMs?: number
  /** Of what is due, the higher is started first. Default `normal`. */
  readonly priority?: Lane
  /** A UUID v4 that the caller has chosen, so that it may send again without a second effect. Default: a new one. */
  readonly id?: string
}

/** Takes the calls of durable methods. */
export interface DurableSender {
  /**
   * Settles when the input is on stable storage.
   *
   * @param target whom the client was made for: its type or id names the mailbox.
   */
  send(method: Method, input: unknown, options: DurableOptions, target: Target | undefined): Promise<Receipt>
}

/** What a handler is told of a durable call. `peer` is nobody: what came through a file has no link to attest it. */
export interface DurableCall extends Omit<CallContext, 'upload' | 'progress' | 'delivery'> {
  readonly delivery: Delivery
}

/** A call that is kept until it is handled, and has no output. */
export interface DurableEntry<Input extends StandardSchema = NoSchema> extends Entry {
  readonly kind: 'call'
  /** It is neither notified nor sent to several. */
  readonly '~durable'?: true
  readonly '~client'?: Face<InputOf<Input>, DurableOptions, Promise<Receipt>>
  readonly '~handler'?: (input: OutputOf<Input>, call: DurableCall) => void | Promise<void>
}

/** Nobody waits for an answer: there is no output, no error, no progress and no deadline to declare. */
export interface DurableMethodOptions<Input extends StandardSchema> {
  readonly delivery: 'at-least-once'
  readonly input?: Input
  /** Changes the fingerprint where the schema does not show a change. */
  readonly version?: number
}

export const DURABLE_OPTIONS: readonly string[] = ['delivery', 'input', 'version']

export function isDurable(method: ContractMethod): boolean {
  return method['~definition'].delivery !== undefined
}

/** What is said of a durable method where nobody keeps its calls. */
export function missingMailboxes({ name }: Method, what: string): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `${name} is delivered at least once, and nothing here keeps its calls: give ${what} ` +
      '{ durable: await mailboxes({ root }) }, of viaduct/mailbox',
    { reason: 'MAILBOXES_MISSING', path: name, fate: 'not-sent' },
  )
}
