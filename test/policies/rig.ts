/** What the tests of policies call, over a link in memory or by hand. */
import { z } from 'zod'
import {
  type Call,
  type ContractOf,
  connectPeers,
  contract,
  type Handlers,
  type Interceptor,
  method,
  type Next,
  type OutgoingCall,
  type Reply,
  type ServeOptions,
  stream,
} from '../../src/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'

export const work = contract('work', {
  /** May run twice. */
  read: method({ input: z.number(), output: z.number(), idempotent: true }),
  write: method({ input: z.number(), output: z.number() }),
  count: stream({ input: z.number(), item: z.number(), output: z.string() }),
  total: stream({ input: z.void(), upload: z.number(), output: z.number() }),
})

export type Work = typeof work extends ContractOf<infer E> ? Handlers<E> : never
export type Policies = NonNullable<ServeOptions['policies']>

export interface Sides {
  readonly caller?: Policies
  readonly callee?: Policies
  readonly clock?: VirtualClock
}

/** A client and what it calls, with policies at both sides, in virtual time. */
export function sides(
  handlers: Partial<Work>,
  { caller = [], callee = [], clock = new VirtualClock() }: Sides = {},
) {
  const [here, there] = connectPeers({ clock })
  there.serve(work, handlers, { policies: callee, partial: true })
  return { api: here.client(work, undefined, { policies: caller }), here, there, clock }
}

/** A call as a policy at the caller sees it. */
export function outgoing(more: Partial<OutgoingCall> = {}): OutgoingCall {
  return {
    side: 'caller',
    method: work.read,
    input: 1,
    oneWay: false,
    options: {},
    target: undefined,
    ...more,
  }
}

/** Ends of the way that keep what reached them. */
export function end(answer: (call: Call, nth: number) => unknown) {
  const seen: Call[] = []
  const next: Next = async (call): Promise<Reply> => ({ value: await answer(call, seen.push(call)) })
  return { next, seen }
}

/** What a promise was refused with. */
export async function refused(promise: unknown): Promise<unknown> {
  try {
    return `gave ${String(await promise)}`
  } catch (error) {
    return error
  }
}

/** A promise that the test settles. */
export function gate<T = void>() {
  let open: (value: T) => void = () => {}
  const passed = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

export function statsOf(policy: Interceptor): object {
  return policy.stats?.() ?? {}
}
