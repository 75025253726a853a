import { isDurable } from '../contract/durable.ts'
import type { CallableKeys, ContractOf } from '../contract/entries.ts'
import { type Handlers, type ServeOptions, serve } from '../contract/serve.ts'
import type { PeerInfo, Server, Serving } from '../core/call.ts'
import { ViaductError } from '../wire/errors.ts'

/** One call that a mock was sent, whatever came of it. */
export interface RecordedCall<Input = unknown> {
  readonly input: Input
  /** Who called. */
  readonly peer: PeerInfo
}

type InputOf<Handler> = Handler extends (input: infer Input, ...rest: never) => unknown ? Input : never
export type RecordedCalls<E> = {
  readonly [K in CallableKeys<E>]: readonly RecordedCall<InputOf<Handlers<E>[K]>>[]
}

/** A stand-in for whoever serves a contract. */
export interface Mock<E> {
  /** The calls of each method, in the order they came; inputs as the schema gave them. */
  readonly calls: RecordedCalls<E>
  /** Answers a method from now on, be it for the first time. */
  on<K extends CallableKeys<E>>(key: K, handler: Handlers<E>[K]): void
  /** Serves the contract at a peer until it is withdrawn; its durable methods if `durable` says what keeps them. */
  serveAt(server: Server | { readonly core: Server }, options?: Pick<ServeOptions, 'durable'>): Serving
  /** Forgets the calls that were recorded; handlers stay. */
  reset(): void
}

/**
 * Serves a contract in a test. Methods without a handler are recorded and refused: UNIMPLEMENTED, reason
 * MOCK_HAS_NO_HANDLER. Inputs, outputs and items are checked as in earnest.
 */
export function mock<E>(contract: ContractOf<E>, handlers?: Partial<Handlers<E>>): Mock<E>
export function mock(contract: ContractOf, given: object = {}): Mock<unknown> {
  const answers = new Map<string, unknown>(Object.entries(given))
  const calls: { [key: string]: RecordedCall[] } = Object.create(null)
  const durable = new Set<string>()
  const handlers: { [key: string]: (input: unknown, call: { readonly peer: PeerInfo }) => unknown } = {}
  for (const [key, method] of contract['~contract'].methods) {
    if (method.kind === 'topic') continue
    if (isDurable(method)) durable.add(key)
    calls[key] = []
    handlers[key] = (input, call) => {
      calls[key]?.push({ input, peer: call.peer })
      const answer = answers.get(key)
      if (typeof answer === 'function') return Reflect.apply(answer, undefined, [input, call])
      throw new ViaductError('UNIMPLEMENTED', `${method.name}: the mock has no handler for it`, {
        reason: 'MOCK_HAS_NO_HANDLER',
      })
    }
  }
  return {
    calls,
    on: (key: string, handler: unknown) => {
      answers.set(key, handler)
    },
    serveAt: (server, options = {}) => {
      const served = Object.entries(handlers).filter(([key]) => options.durable || !durable.has(key))
      const at = 'core' in server ? server.core : server
      return serve(at, contract, Object.fromEntries(served), { ...options, partial: true })
    },
    reset: () => {
      for (const list of Object.values(calls)) list.length = 0
    },
  }
}
