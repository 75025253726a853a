/** Not run: compiled by types.test.ts. Each line is a claim about what the editor says. */
import { type } from 'arktype'
import * as v from 'valibot'
import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import { client, notify } from '../../src/contract/client.ts'
import { contract, method, stream, topic } from '../../src/contract/contract.ts'
import { isError } from '../../src/contract/declaredErrors.ts'
import type { DurableSender, Receipt } from '../../src/contract/durable.ts'
import { serve } from '../../src/contract/serve.ts'
import { type ContractSubscription, publish, subscribe, subscribeAll } from '../../src/contract/topics.ts'
import type { Delivery, ItemStream, Server, TopicEvent } from '../../src/core/call.ts'
import type { Method } from '../../src/core/method.ts'
import { DirectLink, from } from './directLink.ts'
import { pages, three } from './samples.ts'

const link = new DirectLink()
const api = client(link, pages)

// Calls: the client has what the schema accepts and gives.
expectTypeOf(api.analyze({ url: '' })).toEqualTypeOf<Promise<{ category: string; confidence: number }>>()
expectTypeOf(api.analyze).parameter(0).toEqualTypeOf<{ url: string; tags?: { name: string }[] | undefined }>()
expectTypeOf(api.count('four', { timeoutMs: 1 })).toEqualTypeOf<Promise<number>>()
expectTypeOf(api.touch()).toEqualTypeOf<Promise<void>>()
// @ts-expect-error the input is not left out
api.analyze()
// @ts-expect-error wrong input
api.analyze({ url: 1 })
// @ts-expect-error an upload that is not declared
api.analyze({ url: '' }, { upload: from(1) })
// @ts-expect-error no such method
api.analyse
// @ts-expect-error topics are not called
api.opened
// @ts-expect-error nor is the contract's own member
api['~contract']

// Streams.
expectTypeOf(api.lines({ path: '' })).toEqualTypeOf<ItemStream<string, void>>()
expectTypeOf(api.sum()).toEqualTypeOf<ItemStream<number, { total: number }>>()
expectTypeOf(api.put('', { upload: from({ n: 1 }), timeoutMs: 1 })).toEqualTypeOf<Promise<number>>()
expectTypeOf(api.echo(undefined, { upload: from('1') })).toEqualTypeOf<ItemStream<number, void>>()
// @ts-expect-error the upload is not left out
api.put('')
// @ts-expect-error wrong items
api.put('', { upload: from({ m: 1 }) })

// Every library.
const all = client(link, three)
expectTypeOf(all.zod).toEqualTypeOf(all.valibot)
expectTypeOf(all.valibot).toEqualTypeOf(all.arktype)
expectTypeOf(all.zod).parameter(0).toEqualTypeOf<{ at: { x: number }[] }>()

const mixed = contract('mixed', {
  valibot: method({ input: v.pipe(v.string(), v.transform(Number)), output: v.optional(v.number(), 1) }),
  arktype: method({ input: type('string.numeric.parse'), errors: { Bad: type({ at: 'number' }) } }),
  maybe: method({ input: z.string().optional() }),
  shout: topic({ data: z.string().transform((text) => text.length) }),
  wide: stream({ item: type({ 'a?': 'string' }), errors: { Bad: v.object({ at: v.number() }) } }),
})
expectTypeOf(client(link, mixed).valibot).parameter(0).toEqualTypeOf<string>()
expectTypeOf(client(link, mixed).valibot('1')).toEqualTypeOf<Promise<number>>()
expectTypeOf(client(link, mixed).maybe).toBeCallableWith()

// Handlers: input as checked, output as the schema accepts it, context with typed upload and errors.
serve(link, mixed, {
  valibot(input) {
    expectTypeOf(input).toEqualTypeOf<number>()
    return undefined
  },
  async arktype(input, call) {
    expectTypeOf(input).toEqualTypeOf<number>()
    throw call.error('Bad', { at: input })
  },
  maybe(input) {
    expectTypeOf(input).toEqualTypeOf<string | undefined>()
  },
  async *wide(_, call) {
    yield { a: '' }
    yield {}
    // @ts-expect-error wrong data
    throw call.error('Bad', { at: '' })
  },
})
serve(
  link,
  pages,
  {
    analyze(page, call) {
      expectTypeOf(page).toEqualTypeOf<{ url: string; tags: { name: string }[] }>()
      expectTypeOf(call.upload).toEqualTypeOf<AsyncIterable<never>>()
      if (call.signal.aborted) throw call.error('Gone')
      // @ts-expect-error data is missing
      call.error('TooLong')
      // @ts-expect-error not declared
      call.error('TooShort', { max: 1 })
      // @ts-expect-error no data is declared
      call.error('Gone', { max: 1 })
      throw call.error('TooLong', { max: 1 }, { code: 'OUT_OF_RANGE' })
    },
    touch(input, call) {
      expectTypeOf(input).toEqualTypeOf<void>()
      // @ts-expect-error declares no error
      call.error('TooLong', { max: 1 })
    },
    put(input, { upload, peer }) {
      expectTypeOf(input).toEqualTypeOf<string>()
      expectTypeOf(upload).toEqualTypeOf<AsyncIterable<{ n: number }>>()
      return peer.id.length
    },
  },
  { partial: true },
)
async function* ones() {
  yield 1
}
// @ts-expect-error wrong output
serve(link, pages, { count: () => 'x' }, { partial: true })
// @ts-expect-error wrong item
serve(link, pages, { lines: ones }, { partial: true })
// @ts-expect-error the output is missing
serve(link, pages, { sum: ones }, { partial: true })
// @ts-expect-error topics are not served
serve(link, pages, { opened() {} }, { partial: true })
// @ts-expect-error nothing is served
serve(link, pages, {})
// @ts-expect-error a partial service says so
serve(link, pages, { touch() {} }, { validate: true })

// Declared errors.
const thrown: unknown = undefined
if (isError(pages.analyze, thrown, 'TooLong')) {
  expectTypeOf(thrown.data).toEqualTypeOf<{ max: number }>()
  expectTypeOf(thrown.reason).toEqualTypeOf<'TooLong'>()
}
if (isError(pages.analyze, thrown)) {
  expectTypeOf(thrown.reason).toEqualTypeOf<'TooLong' | 'Gone'>()
  if (thrown.reason === 'TooLong') expectTypeOf(thrown.data).toEqualTypeOf<{ max: number }>()
}
if (isError(mixed.wide, thrown, 'Bad')) expectTypeOf(thrown.data.at).toEqualTypeOf<number>()
if (isError(mixed.arktype, thrown, 'Bad')) expectTypeOf(thrown.data.at).toEqualTypeOf<number>()
// @ts-expect-error not declared
isError(pages.analyze, thrown, 'TooShort')
// @ts-expect-error declares none
isError(pages.touch, thrown, 'TooLong')

// Topics and notifications.
publish(link, pages.opened, { tabId: 1, url: '' })
expectTypeOf(subscribe(link, pages.opened)).toEqualTypeOf<
  ContractSubscription<{ tabId: number; url: string }>
>()
publish(link, mixed.shout, 'text')
expectTypeOf(subscribe(link, mixed.shout)).toEqualTypeOf<ContractSubscription<number>>()
const board = contract('board', {
  shout: mixed.shout,
  opened: pages.opened,
  call: method({ input: z.string() }),
})
expectTypeOf(subscribeAll(link, board)).toEqualTypeOf<
  ContractSubscription<
    | { readonly key: 'shout'; readonly topic: string; readonly data: number }
    | { readonly key: 'opened'; readonly topic: string; readonly data: { tabId: number; url: string } }
  >
>()
expectTypeOf(subscribeAll(link, 'pages.*')).toEqualTypeOf<ContractSubscription<TopicEvent>>()
// @ts-expect-error a topic is no contract
subscribeAll(link, pages.opened)
// @ts-expect-error wrong data
publish(link, pages.opened, { tabId: '', url: '' })
// @ts-expect-error too much
publish(link, pages.opened, { tabId: 1, url: '', more: 1 })
// @ts-expect-error a method is no topic
publish(link, pages.analyze, { url: '' })
// @ts-expect-error nor is it subscribed
subscribe(link, pages.lines)
notify(link, pages.analyze, { url: '' })
// @ts-expect-error wrong input
notify(link, pages.analyze, { url: 1 })
// @ts-expect-error streams are answered
notify(link, pages.lines, { path: '' })

// Durable methods: a receipt, no output, and nothing that waits for an answer.
const kept = contract('kept', {
  add: method({ input: z.object({ at: z.number().default(1) }), delivery: 'at-least-once' }),
  tick: method({ delivery: 'at-least-once', version: 2 }),
})
const mailboxes: DurableSender & Server = { send: async () => ({ id: '' }), handle: link.handle.bind(link) }
const keptApi = client(link, kept, { durable: mailboxes })
expectTypeOf(keptApi.add({ at: 1 }, { delayMs: 1, priority: 'low', id: '' })).toEqualTypeOf<
  Promise<Receipt>
>()
expectTypeOf(keptApi.tick()).toEqualTypeOf<Promise<Receipt>>()
// @ts-expect-error wrong input
keptApi.add({ at: '' })
// @ts-expect-error nobody waits for it
keptApi.add({ at: 1 }, { timeoutMs: 1 })
serve(
  link,
  kept,
  {
    add(input, call) {
      expectTypeOf(input).toEqualTypeOf<{ at: number }>()
      expectTypeOf(call.delivery).toEqualTypeOf<Delivery>()
      expectTypeOf(call.signal).toEqualTypeOf<AbortSignal>()
      // @ts-expect-error nobody is told
      call.progress(1)
    },
    async tick() {},
  },
  { durable: mailboxes },
)
// @ts-expect-error there is no output
serve(link, kept, { tick: () => 1 }, { partial: true, durable: mailboxes })
// @ts-expect-error it is kept, so it is not sent one way
notify(link, kept.tick, undefined)
// @ts-expect-error an output
method({ output: z.string(), delivery: 'at-least-once' })
// @ts-expect-error an error that nobody gets
method({ errors: { Bad: null }, delivery: 'at-least-once' })
// @ts-expect-error a stream
stream({ item: z.string(), delivery: 'at-least-once' })
// @ts-expect-error no such word
method({ delivery: 'exactly-once' })

// A contract's member is a method of the core.
expectTypeOf(pages.analyze).toExtend<Method>()
expectTypeOf(pages.opened.kind).toEqualTypeOf<'topic'>()
// @ts-expect-error read only
pages.analyze = three.zod
