import { z } from 'zod'
import { type CodecOptions, type CodecPolicy, codecs, type Keyring, keyring } from '../../src/codecs/index.ts'
import {
  type Client,
  type ContractOf,
  contract,
  type Handlers,
  method,
  nodePrimitives,
  type Peer,
  stream,
} from '../../src/index.ts'
import { type MemoryHub, type MemoryHubOptions, memoryHub } from '../../src/testing/index.ts'

const text = z.string()

function entries(options: { readonly sealed?: boolean; readonly signed?: boolean }) {
  return {
    echo: method({
      input: text,
      output: text,
      errors: { Refused: z.object({ why: text }) },
      progress: text,
      ...options,
    }),
    also: method({ input: text, output: text, ...options }),
    list: stream({ input: text, item: text, output: z.number(), errors: { Refused: null }, ...options }),
    join: stream({ input: z.void(), upload: text, output: text, ...options }),
    both: stream({ input: z.void(), upload: text, item: text, output: z.number(), ...options }),
    bytes: method({ input: z.instanceof(Uint8Array), output: z.instanceof(Uint8Array), ...options }),
  }
}

export const vault = contract('vault', entries({ sealed: true }))
export const notary = contract('notary', entries({ signed: true }))
export const safe = contract('safe', entries({ sealed: true, signed: true }))
export const CONTRACTS = [
  ['sealed', vault],
  ['signed', notary],
  ['sealed and signed', safe],
] as const

export type Entries = typeof vault extends ContractOf<infer E> ? E : never
export type Api = Client<Entries>

export const handlers: Handlers<Entries> = {
  async echo(input, call) {
    call.progress(`at ${input}`)
    call.progress(`done ${input}`)
    if (input === 'refuse') throw call.error('Refused', { why: 'secret reason' })
    return input
  },
  also: (input) => input,
  async *list(input, call) {
    const items = input.split(' ')
    for (const item of items) {
      if (item === 'refuse') throw call.error('Refused')
      yield item
    }
    return items.length
  },
  async join(_, call) {
    const items: string[] = []
    for await (const item of call.upload) items.push(item)
    return items.join(' ')
  },
  async *both(_, call) {
    let count = 0
    for await (const item of call.upload) {
      count++
      yield item.toUpperCase()
    }
    return count
  },
  bytes: (input) => input,
}

export async function* each<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export interface Ends {
  readonly hub: MemoryHub
  readonly main: Peer
  readonly ai: Peer
  readonly mainKeys: Keyring
  readonly aiKeys: Keyring
  readonly mainCodec: CodecPolicy
  readonly aiCodec: CodecPolicy
  /** A client of `main` towards `ai-1`. */
  api(of: (typeof CONTRACTS)[number][1]): Api
  close(): void
}

/** `main` calls, `ai-1` answers, over a hub; each believes what the hub says of the other's key. */
export async function ends(
  options: Omit<CodecOptions, 'primitives' | 'keys'> = {},
  hubOptions: MemoryHubOptions = {},
  served: Partial<Handlers<Entries>> = {},
): Promise<Ends> {
  const hub = memoryHub(hubOptions)
  const main = hub.peer('main')
  const ai = hub.peer('ai-1')
  const primitives = nodePrimitives
  const { clock } = options
  const own = clock ? { clock } : {}
  const mainKeys = keyring({ primitives, peer: main, ...own })
  const aiKeys = keyring({ primitives, peer: ai, ...own })
  const mainCodec = codecs({ primitives, keys: mainKeys, ...options })
  const aiCodec = codecs({ primitives, keys: aiKeys, ...options })
  for (const [, one] of CONTRACTS) ai.serve(one, { ...handlers, ...served }, { policies: [aiCodec] })
  await ai.ready()
  return {
    ...{ hub, main, ai, mainKeys, aiKeys, mainCodec, aiCodec },
    api: (of) => main.client(of, { id: 'ai-1' }, { policies: [mainCodec] }),
    close: () => hub.close(),
  }
}
