import type { CallContext, CallOptions, Handler, ItemStream } from '../core/call.ts'
import type { ContextChanges } from '../core/contextView.ts'
import type { Lane, Method, Overflow } from '../core/method.ts'
import { type Code, ViaductError } from '../wire/errors.ts'
import type { ContractMethod, Definition } from './definition.ts'
import type { DurableEntry, DurableMethodOptions } from './durable.ts'
import type { InputOf, NoSchema, OutputOf, StandardSchema } from './schema.ts'

/** Declared errors by name: the schema of their data, or null for an error without data. */
export type ErrorSchemas = { readonly [name: string]: StandardSchema | null }
export type NoErrors = Record<never, never>

/** One line of a contract before the contract gives it its name. Members with `~` are not for use. */
export interface Entry {
  readonly '~definition': Definition
}
export type Entries = { readonly [key: string]: Entry }

/** A call that is answered once. The optional members carry types and are not there at run time. */
export interface MethodEntry<
  Input extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors = NoErrors,
  Progress extends StandardSchema = StandardSchema,
> extends Entry {
  readonly kind: 'call'
  readonly '~errors'?: Errors
  readonly '~client'?: Face<
    InputOf<Input>,
    ContractCallOptions<OutputOf<Progress>>,
    Promise<OutputOf<Output>>
  >
  readonly '~handler'?: (
    input: OutputOf<Input>,
    call: ContractCall<Errors, never, InputOf<Progress>>,
  ) => InputOf<Output> | Promise<InputOf<Output>>
}

/** A call that is answered with items. */
export interface StreamEntry<
  Input extends StandardSchema = NoSchema,
  Item extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors = NoErrors,
  Progress extends StandardSchema = StandardSchema,
> extends Entry {
  readonly kind: 'stream'
  readonly '~errors'?: Errors
  readonly '~client'?: Face<
    InputOf<Input>,
    ContractCallOptions<OutputOf<Progress>>,
    ItemStream<OutputOf<Item>, OutputOf<Output>>
  >
  readonly '~handler'?: (
    input: OutputOf<Input>,
    call: ContractCall<Errors, never, InputOf<Progress>>,
  ) => AsyncIterable<InputOf<Item>, InputOf<Output>>
}

/** A stream whose caller sends items too. */
export interface DuplexEntry<
  Input extends StandardSchema = NoSchema,
  Item extends StandardSchema = NoSchema,
  Upload extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors = NoErrors,
  Progress extends StandardSchema = StandardSchema,
> extends Entry {
  readonly kind: 'stream'
  readonly '~errors'?: Errors
  readonly '~client'?: (
    input: InputOf<Input>,
    options: UploadOptions<InputOf<Upload>, OutputOf<Progress>>,
  ) => ItemStream<OutputOf<Item>, OutputOf<Output>>
  readonly '~handler'?: (
    input: OutputOf<Input>,
    call: ContractCall<Errors, OutputOf<Upload>, InputOf<Progress>>,
  ) => AsyncIterable<InputOf<Item>, InputOf<Output>>
}

/** Items of the caller, answered once. */
export interface UploadEntry<
  Input extends StandardSchema = NoSchema,
  Upload extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors = NoErrors,
  Progress extends StandardSchema = StandardSchema,
> extends Entry {
  readonly kind: 'call'
  readonly '~errors'?: Errors
  readonly '~client'?: (
    input: InputOf<Input>,
    options: UploadOptions<InputOf<Upload>, OutputOf<Progress>>,
  ) => Promise<OutputOf<Output>>
  readonly '~handler'?: (
    input: OutputOf<Input>,
    call: ContractCall<Errors, OutputOf<Upload>, InputOf<Progress>>,
  ) => InputOf<Output> | Promise<InputOf<Output>>
}

/** Published and subscribed. Publishers hand over `Sent`, subscribers get `Received`. */
export interface TopicEntry<Sent = unknown, Received = Sent> extends Entry {
  readonly kind: 'topic'
  readonly '~sent'?: Sent
  readonly '~received'?: Received
}

/** A client's method: the input may be left out where the schema accepts `undefined`. */
export type Face<In, Options, Answer> = undefined extends In
  ? (input?: In, options?: Options) => Answer
  : (input: In, options?: Options) => Answer

export interface ContractCallOptions<Progress = unknown> extends Omit<CallOptions, 'upload' | 'onProgress'> {
  /** Told what the handler says of its work. What it throws ends nothing. */
  readonly onProgress?: (value: Progress) => void
}
export interface UploadOptions<Item, Progress = unknown> extends ContractCallOptions<Progress> {
  readonly upload: AsyncIterable<Item>
}

/** What a contract's handler is told of its call: the core's context, with typed upload and errors. */
export interface ContractCall<Errors = NoErrors, Upload = never, Progress = unknown>
  extends Omit<CallContext, 'upload' | 'progress'> {
  /**
   * Tells the caller how far the work is; extends its idle bound. Left out while the outbox is full.
   * @throws ViaductError INTERNAL / INVALID_PROGRESS when it is not as declared.
   */
  progress(value: Progress): void
  /** The caller's items, each checked as it is taken. */
  readonly upload: AsyncIterable<Upload>
  /** Makes a declared error, to be thrown: `throw call.error('TooLong', { max: 10 })`. */
  error<Name extends keyof Errors & string>(name: Name, ...rest: ErrorArguments<Errors[Name]>): ViaductError
}

export interface ErrorOptions {
  /** For people. Default: the method's and the error's name. */
  readonly message?: string
  /** Default FAILED_PRECONDITION. */
  readonly code?: Code
  readonly cause?: unknown
}

export type ErrorArguments<Schema> = Schema extends StandardSchema
  ? [data: InputOf<Schema>, options?: ErrorOptions]
  : [data?: undefined, options?: ErrorOptions]

interface CommonOptions<Errors extends ErrorSchemas, Progress extends StandardSchema> {
  readonly errors?: Errors
  /** What `call.progress` tells the caller's `onProgress`. Without it any value goes, unchecked. */
  readonly progress?: Progress
  /** Changes the fingerprint where the schemas do not show a change. */
  readonly version?: number
  /** Default `normal`. */
  readonly lane?: Lane
  /** Only the two ends can read it: X25519 and AES-256-GCM. Needs `codecs` among the policies of both. */
  readonly sealed?: boolean
  /** Both ends prove who said it: Ed25519. Needs `codecs` among the policies of both. */
  readonly signed?: boolean
  /**
   * Values over 1 KB travel compressed where that pays. Needs `codecs` among the policies of both. What is sealed
   * shows by its length what is in it when it is compressed: `'public'` says that this may be.
   */
  readonly compress?: boolean | 'public'
  /** For calls without an output: see {@link DurableMethodOptions}. */
  readonly delivery?: never
}

export interface MethodOptions<
  Input extends StandardSchema,
  Output extends StandardSchema,
  Errors extends ErrorSchemas,
  Progress extends StandardSchema = StandardSchema,
> extends CommonOptions<Errors, Progress> {
  readonly input?: Input
  readonly output?: Output
  /** A call that failed may be sent again although it may have run. Default false. */
  readonly idempotent?: boolean
}

export interface StreamOptions<
  Input extends StandardSchema,
  Output extends StandardSchema,
  Errors extends ErrorSchemas,
  Progress extends StandardSchema = StandardSchema,
> extends CommonOptions<Errors, Progress> {
  readonly input?: Input
  readonly output?: Output
}

export interface TopicOptions<Data extends StandardSchema> {
  readonly data: Data
  /** What happens to an event when a subscriber's queue is full. Default `drop-oldest`. */
  readonly overflow?: Overflow
  readonly lane?: Lane
  readonly version?: number
}

/**
 * Declares a call. Without `input` or `output` the value is `undefined` on both sides. With `delivery: 'at-least-once'`
 * it has no output: the caller gets a receipt once the call is on stable storage.
 */
export function method<Input extends StandardSchema = NoSchema>(
  options: DurableMethodOptions<Input>,
): DurableEntry<Input>
export function method<
  Input extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors extends ErrorSchemas = NoErrors,
  Progress extends StandardSchema = StandardSchema,
>(options: MethodOptions<Input, Output, Errors, Progress>): MethodEntry<Input, Output, Errors, Progress>
export function method(options: object): Entry {
  return entry('call', options)
}

/**
 * Declares a stream: items to the caller (`item`), from the caller (`upload`), or both. Without `item` the
 * client gets a promise of the output.
 */
export function stream<
  Item extends StandardSchema,
  Input extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors extends ErrorSchemas = NoErrors,
  Progress extends StandardSchema = StandardSchema,
>(
  options: StreamOptions<Input, Output, Errors, Progress> & { readonly item: Item; readonly upload?: never },
): StreamEntry<Input, Item, Output, Errors, Progress>
export function stream<
  Item extends StandardSchema,
  Upload extends StandardSchema,
  Input extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors extends ErrorSchemas = NoErrors,
  Progress extends StandardSchema = StandardSchema,
>(
  options: StreamOptions<Input, Output, Errors, Progress> & { readonly item: Item; readonly upload: Upload },
): DuplexEntry<Input, Item, Upload, Output, Errors, Progress>
export function stream<
  Upload extends StandardSchema,
  Input extends StandardSchema = NoSchema,
  Output extends StandardSchema = NoSchema,
  Errors extends ErrorSchemas = NoErrors,
  Progress extends StandardSchema = StandardSchema,
>(
  options: StreamOptions<Input, Output, Errors, Progress> & {
    readonly item?: never
    readonly upload: Upload
  },
): UploadEntry<Input, Upload, Output, Errors, Progress>
export function stream(options: object): Entry {
  return entry('stream', options)
}

/** Declares a topic: events that any number of peers publish and subscribe. */
export function topic<Data extends StandardSchema>(
  options: TopicOptions<Data>,
): TopicEntry<InputOf<Data>, OutputOf<Data>>
export function topic(options: object): Entry {
  return entry('topic', options)
}

/** A client's function before it has the method's types. */
export type Send = (input: unknown, options?: CallOptions) => Promise<unknown> | ItemStream

/**
 * What holds values to schemas. It comes with the contract, so that a page without schemas loads nothing of it.
 * What it throws, or rejects with: INVALID_INPUT and the like, with the path to the fault.
 */
export interface Checks {
  /** What comes back: output, items, progress, and the data of declared errors. */
  client(method: ContractMethod, send: Send): Send
  /** What a handler is given and what it gives, but for what {@link context} checks. */
  handler(method: ContractMethod, handler: Handler): Handler
  /** @throws ViaductError INVALID_ARGUMENT for what travels otherwise than as it is, where no code for that is. */
  expectPlain(method: ContractMethod): void
  /** @throws ViaductError INVALID_ARGUMENT when one is missing, unless `partial`, or not declared. */
  expectHandlers(contract: ContractOf, handlers: object, partial: boolean | undefined): void
  /** Progress and uploads, in front of a call's own. */
  context(method: ContractMethod, context: CallContext): ContextChanges
}

/** What a contract knows of itself, under a name that no method can have. */
export interface ContractInfo<E = unknown> {
  readonly name: string
  readonly methods: ReadonlyMap<string, ContractMethod>
  /** Absent: its schemas are types alone, `unchecked()`. */
  readonly checks: Checks | undefined
  /** Types only. */
  readonly '~entries'?: E
}

/** Any contract with these entries; `E` is taken from the one member, whatever the contract's size. */
export interface ContractOf<E = unknown> {
  readonly '~contract': ContractInfo<E>
}

/** A contract: its methods and topics by their keys, each a `Method` of the core with types. */
export type Contract<E> = { readonly [K in keyof E]: E[K] & Method } & ContractOf<E>

/** Keys of what can be called: all but topics. */
export type CallableKeys<E> = {
  [K in keyof E]: E[K] extends { readonly kind: 'topic' } ? never : K
}[keyof E]

type MethodOf = (name: string, definition: Definition) => ContractMethod

/**
 * A contract of these entries, each made a method of the core by `methodOf`.
 * @throws ViaductError INVALID_ARGUMENT for a name that is reserved; see {@link checkKey}.
 */
export function makeContract<E extends Entries>(
  name: string,
  entries: E,
  methodOf: MethodOf,
  checks?: Checks,
): Contract<E>
export function makeContract(
  name: string,
  entries: Entries,
  methodOf: MethodOf,
  checks?: Checks,
): ContractOf {
  const methods = new Map<string, ContractMethod>()
  const self: ContractOf & { [key: string]: unknown } = Object.create(null, {
    '~contract': { value: { name, methods, checks } },
  })
  for (const [key, made] of Object.entries(entries)) {
    checkKey(name, key)
    const bound = methodOf(`${name}.${key}`, made['~definition'])
    methods.set(key, bound)
    self[key] = bound
  }
  return Object.freeze(self)
}

/** @throws ViaductError INVALID_ARGUMENT for names that awaiting, printing or comparing a client would call. */
export function checkKey(contract: string, key: string): void {
  if (key in Object.prototype || ['then', 'toJSON', 'prototype'].includes(key)) {
    throw misuse(`${contract}: the name "${key}" is reserved`)
  }
}

function entry(kind: Definition['kind'], options: object): Entry {
  return { '~definition': { ...options, kind } }
}

/** A mistake in the program that wrote the contract, found before anything is sent. */
export function misuse(message: string, path?: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', message, { reason: 'INVALID_CONTRACT', path })
}
