import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { client, notify } from '../../src/contract/client.ts'
import { contract, method, stream } from '../../src/contract/contract.ts'
import { isError } from '../../src/contract/declaredErrors.ts'
import type { StandardSchema } from '../../src/contract/schema.ts'
import { type Handlers, type ServeOptions, serve } from '../../src/contract/serve.ts'
import { isViaductError, ViaductError } from '../../src/wire/errors.ts'
import { collect, DirectLink, failure, from } from './directLink.ts'
import { pages, three } from './samples.ts'

type Entries = NonNullable<(typeof pages)['~contract']['~entries']>

const handlers: Handlers<Entries> = {
  analyze: ({ url, tags }) => ({ category: `${url} ${tags.length}`, confidence: 1 }),
  count: (length) => length,
  touch: () => undefined,
  async *lines({ path }) {
    yield `${path}:1`
    yield `${path}:2`
  },
  async *sum() {
    yield 1
    yield 2
    return { total: 3 }
  },
  async put(_, { upload }) {
    let sum = 0
    for await (const { n } of upload) sum += n
    return sum
  },
  async *echo(_, { upload }) {
    for await (const n of upload) yield n * 2
  },
}

function linked(own: Partial<Handlers<Entries>> = {}, options: ServeOptions = {}) {
  const link = new DirectLink()
  serve(link, pages, { ...handlers, ...own }, { ...options, partial: false })
  return { link, api: client(link, pages) }
}

/** A value that the types do not allow, as another program may send it. */
const wrong = (value: unknown) => JSON.parse(JSON.stringify(value))

describe('calls', () => {
  it('go to the handler with what the schema made of the input', async () => {
    const { api } = linked()
    expect(await api.analyze({ url: 'u' })).toEqual({ category: 'u 0', confidence: 1 })
    expect(await api.count('four')).toBe(4)
    expect(await api.touch()).toBe(undefined)
  })

  it('hand on their options untouched', async () => {
    const { api, link } = linked()
    const options = { timeoutMs: 2000 }
    await api.analyze({ url: 'u' }, options)
    expect(link.lastOptions).toBe(options)
  })

  it('see the context of the core, and make its signal only when they look', async () => {
    const { api, link } = linked({
      count(length, call) {
        call.progress(length)
        expect(call).toMatchObject({ timeLeftMs: 5000, deadline: 6000, peer: { id: 'renderer-1' } })
        return length
      },
      touch: (_, call) => expect(call.signal.aborted).toBe(false),
    })
    await api.count('ab')
    expect(link.progress).toEqual([2])
    expect(link.signals).toHaveLength(0)
    await api.touch()
    expect(link.signals).toHaveLength(1)
  })

  it('do not let through what was not declared', async () => {
    const link = new DirectLink()
    const got: unknown[] = []
    serve(link, contract('a', { touch: method({}) }), { touch: (input) => void got.push(input) })
    const handler = link.handlers.get('a.touch')
    await link.call(contract('a', { touch: method({}) }).touch, { smuggled: true })
    expect(handler).toBeDefined()
    expect(got).toEqual([undefined])
    const loud = new DirectLink()
    serve(loud, contract('a', { touch: method({}) }), { touch: () => wrong({ secret: 1 }) })
    expect(await client(loud, contract('a', { touch: method({}) })).touch()).toBe(undefined)
  })

  it('answer without a promise when neither schema nor handler needs one', () => {
    const link = new DirectLink()
    serve(link, pages, handlers)
    const run = vi.fn(link.handlers.get('pages.count') ?? (() => undefined))
    expect(run('four', Object.create(null))).toBe(4)
  })
})

describe('refusals', () => {
  it('name the path of an invalid input; the handler does not run', async () => {
    const analyze = vi.fn(handlers.analyze)
    const { api } = linked({ analyze })
    const error = await failure(() => api.analyze(wrong({ url: 1, tags: [{ name: 'a' }, { name: 2 }] })))
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_INPUT',
      path: 'input.url',
      fate: 'not-sent',
    })
    expect(String(error)).toMatch(/^ViaductError: pages\.analyze: input\.url: .+ \(and 1 more\)$/)
    const second = await failure(() => api.analyze(wrong({ url: '', tags: [{ name: 'a' }, { name: 2 }] })))
    expect(second).toMatchObject({ path: 'input.tags[1].name' })
    expect(await failure(() => api.analyze(wrong(null)))).toMatchObject({ path: 'input' })
    expect(analyze).not.toHaveBeenCalled()
  })

  it.each(['zod', 'valibot', 'arktype'] as const)('have the same path from %s', async (library) => {
    const link = new DirectLink()
    const good = () => 'fine'
    serve(link, three, { zod: good, valibot: good, arktype: good })
    const api = client(link, three)
    expect(await api[library]({ at: [{ x: 1 }] })).toBe('fine')
    const error = await failure(() => api[library](wrong({ at: [{ x: 1 }, { x: 'no' }] })))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT', path: 'input.at[1].x' })
  })

  it('write unusual keys so that they can be read', async () => {
    const link = new DirectLink()
    const made = contract('a', {
      m: method({ input: z.object({ 'a b': z.record(z.string(), z.number()) }) }),
    })
    serve(link, made, { m: () => undefined })
    const error = await failure(() => client(link, made).m(wrong({ 'a b': { '0': 'x' } })))
    expect(error).toMatchObject({ path: 'input["a b"]["0"]' })
  })

  it('are short, however long the keys of the caller are', async () => {
    const link = new DirectLink()
    const made = contract('a', { m: method({ input: z.record(z.string(), z.number()) }) })
    serve(link, made, { m: () => undefined })
    const error = await failure(() => client(link, made).m(wrong({ ['k'.repeat(100_000)]: 'x' })))
    expect(isViaductError(error) && error.path?.length).toBeLessThan(300)
    expect(isViaductError(error) && error.message.length).toBeLessThan(1000)
  })

  it('name the path of an invalid output, from a plain and from an async handler', async () => {
    const bad = { category: 'c', confidence: 3 }
    const expected = { code: 'INTERNAL', reason: 'INVALID_OUTPUT', path: 'output.confidence' }
    expect(await failure(() => linked({ analyze: () => bad }).api.analyze({ url: '' }))).toMatchObject(
      expected,
    )
    const error = await failure(() => linked({ analyze: async () => bad }).api.analyze({ url: '' }))
    expect(error).toMatchObject(expected)
    expect(isViaductError(error) && error.fate).toBe(undefined)
  })

  it('name the index of an invalid item, after the good ones, and end the handler', async () => {
    let ended = false
    const { api } = linked({
      async *lines() {
        try {
          yield 'good'
          yield wrong(7)
          yield 'never'
        } finally {
          ended = true
        }
      },
    })
    const got: string[] = []
    const lines = api.lines({ path: 'p' })
    const error = await failure(async () => {
      for await (const line of lines) got.push(line)
    })
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'INVALID_ITEM', path: 'item[1]' })
    expect(await failure(() => lines.output)).toBe(error)
    expect(got).toEqual(['good'])
    await expect.poll(() => ended).toBe(true)
  })

  it("name an invalid output of a stream, and an invalid input before the handler's first step", async () => {
    const { api } = linked({
      async *sum() {
        yield 1
        return wrong({ total: 'x' })
      },
    })
    const sum = api.sum()
    expect(await failure(() => collect(sum))).toMatchObject({
      reason: 'INVALID_OUTPUT',
      path: 'output.total',
    })
    const error = await failure(() => collect(api.lines(wrong({}))))
    expect(error).toMatchObject({ reason: 'INVALID_INPUT', path: 'input.path', fate: 'not-sent' })
  })

  it('name the index of an invalid upload item, in the handler and to the caller', async () => {
    const seen: unknown[] = []
    const { api } = linked({
      async put(_, { upload }) {
        for await (const { n } of upload) seen.push(n)
        return seen.length
      },
    })
    const error = await failure(() => api.put('f', { upload: from({ n: 1 }, wrong({ n: 'x' }), { n: 3 }) }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_UPLOAD', path: 'upload[1].n' })
    expect(seen).toEqual([1])
  })

  it('come from a stream handler that gives no items', async () => {
    const error = await failure(() => collect(linked({ lines: () => wrong([]) }).api.lines({ path: '' })))
    expect(error).toMatchObject({
      code: 'INTERNAL',
      message: 'pages.lines: the handler must be an async generator',
    })
  })

  it('are left out where validation is off', async () => {
    const { api } = linked({ analyze: (page) => wrong(page) }, { validate: false })
    expect(await api.analyze(wrong('anything'))).toBe('anything')
    expect(
      await collect(linked({ lines: () => from(wrong(1)) }, { validate: false }).api.lines(wrong(0))),
    ).toEqual([1])
  })
})

describe('streams', () => {
  it('give items and then the output', async () => {
    const { api } = linked()
    expect(await collect(api.lines({ path: 'p' }))).toEqual(['p:1', 'p:2'])
    const sum = api.sum()
    expect(await collect(sum)).toEqual([1, 2])
    expect(await sum.output).toEqual({ total: 3 })
  })

  it('take items, one way or both', async () => {
    const { api } = linked()
    expect(await api.put('f', { upload: from({ n: 1 }, { n: 2 }) })).toBe(3)
    expect(await collect(api.echo(undefined, { upload: from(1, wrong('2')) }))).toEqual([2, 4])
  })

  it('end the handler when the reader leaves', async () => {
    let ended = false
    const { api } = linked({
      async *lines() {
        try {
          for (;;) yield 'more'
        } finally {
          ended = true
        }
      },
    })
    for await (const _ of api.lines({ path: '' })) break
    expect(ended).toBe(true)
  })

  it('hand on the end to a source that waits, at once', async () => {
    const link = new DirectLink()
    const made = contract('a', { wait: stream({ item: z.number(), output: z.string() }) })
    let wake: (end: IteratorReturnResult<string>) => void = () => undefined
    serve(link, made, {
      wait: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () =>
            new Promise<IteratorResult<number, string>>((resolve) => {
              wake = resolve
            }),
          return: async () => {
            wake(wrong({ done: true }))
            return wrong({ done: true })
          },
        }),
      }),
    })
    const items: unknown = link.handlers.get('a.wait')?.(undefined, Object.create(null))
    const iterator: AsyncIterator<unknown> = Reflect.apply(
      Reflect.get(Object(items), Symbol.asyncIterator),
      items,
      [],
    )
    const pending = iterator.next()
    await iterator.return?.()
    expect(await pending).toEqual({ done: true, value: undefined })
  })

  it('read nothing ahead', async () => {
    let made = 0
    const { api } = linked({
      async *lines() {
        for (;;) yield `${++made}`
      },
    })
    const lines = api.lines({ path: '' })[Symbol.asyncIterator]()
    await lines.next()
    await lines.next()
    await Promise.resolve()
    expect(made).toBe(2)
  })
})

describe('asynchronous schemas', () => {
  const slow = z
    .string()
    .refine(async (text) => text !== 'bad', 'is bad')
    .transform(async (text) => text.length)
  const made = contract('slow', {
    call: method({ input: slow, output: slow, errors: { Slow: slow } }),
    items: stream({ input: slow, item: slow, upload: slow, output: slow }),
  })
  const link = new DirectLink()
  serve(link, made, {
    call: (length, call) => {
      if (length === 3) throw call.error('Slow', 'bad')
      if (length === 6) throw call.error('Slow', 'four')
      return 'x'.repeat(length)
    },
    async *items(length, { upload }) {
      yield 'x'.repeat(length)
      for await (const more of upload) yield more === 9 ? 'bad' : 'y'.repeat(more)
      return 'end'
    },
  })
  const api = client(link, made)

  it('are waited for', async () => {
    expect(await api.call('four')).toBe(4)
    const items = api.items('a', { upload: from('bb', 'ccc') })
    expect(await collect(items)).toEqual([1, 2, 3])
    expect(await items.output).toBe(3)
  })

  it('refuse with their path', async () => {
    expect(await failure(() => api.call('bad'))).toMatchObject({ reason: 'INVALID_INPUT', path: 'input' })
    expect(await failure(() => api.call('333'))).toMatchObject({ reason: 'INVALID_ERROR', path: 'data' })
    expect(await failure(() => api.call('666666'))).toMatchObject({ reason: 'Slow', data: 4 })
    const upload = from('a', 'bad')
    expect(await failure(() => collect(api.items('a', { upload })))).toMatchObject({ path: 'upload[1]' })
    const nine = from('9'.repeat(9))
    expect(await failure(() => collect(api.items('a', { upload: nine })))).toMatchObject({ path: 'item[1]' })
    expect(await failure(() => collect(api.items('bad', { upload: from('a') })))).toMatchObject({
      path: 'input',
    })
  })
})

describe('schemas that fail', () => {
  const make = (validate: StandardSchema['~standard']['validate']): StandardSchema => ({
    '~standard': { version: 1, vendor: 'test', validate },
  })
  it.each([
    [
      'throws',
      make(() => {
        throw new RangeError('out')
      }),
      'the schema threw: out',
    ],
    [
      'throws no error',
      make(() => {
        throw 'text'
      }),
      'the schema threw: text',
    ],
    ['rejects', make(() => Promise.reject(new Error('later'))), 'the schema threw: later'],
    ['answers with nothing', make(() => wrong(null)), 'neither a value nor issues'],
    ['answers with something else', make(() => wrong({})), 'neither a value nor issues'],
  ])('are told apart from values that do: one that %s', async (_, schema, message) => {
    const link = new DirectLink()
    const made = contract('a', { in: method({ input: schema }), out: method({ output: schema }) })
    const run = vi.fn()
    serve(link, made, { in: run, out: () => 1 })
    const error = await failure(() => client(link, made).in('x'))
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'SCHEMA_ERROR', path: 'input', fate: 'not-sent' })
    expect(String(error)).toContain(message)
    expect(run).not.toHaveBeenCalled()
    const output = await failure(() => client(link, made).out())
    expect(output).toMatchObject({ code: 'INTERNAL', reason: 'SCHEMA_ERROR', path: 'output' })
  })

  it('may have no issue in their list', async () => {
    const link = new DirectLink()
    const made = contract('a', { m: method({ input: make(() => ({ issues: [] })) }) })
    serve(link, made, { m: () => undefined })
    expect(await failure(() => client(link, made).m('x'))).toMatchObject({
      message: 'a.m: input: does not fit the schema',
    })
  })

  it.each([null, 0, 'url'])('may give a path that is no list: %s', async (path) => {
    const link = new DirectLink()
    const issues = wrong([{ message: 'no', path }])
    const made = contract('a', { m: method({ input: make(() => ({ issues })) }) })
    serve(link, made, { m: () => undefined })
    expect(await failure(() => client(link, made).m('x'))).toMatchObject({
      reason: 'INVALID_INPUT',
      fate: 'not-sent',
    })
  })
})

describe('declared errors', () => {
  const failing = linked({
    analyze({ url }, call) {
      switch (url) {
        case 'long':
          throw call.error('TooLong', { max: 10 })
        case 'gone':
          throw call.error('Gone', undefined, {
            code: 'NOT_FOUND',
            message: 'it went',
            cause: new Error('why'),
          })
        case 'bad':
          throw call.error('TooLong', wrong({ max: 'x' }))
        case 'extra':
          throw call.error('TooLong', wrong({ max: 1, secret: 2 }))
        case 'forged':
          throw new ViaductError('ABORTED', 'm', {
            reason: 'TooLong',
            data: { max: 1 },
            retryAfterMs: 5,
            path: 'p',
          })
        case 'link':
          throw new ViaductError('UNAVAILABLE', 'm', { reason: 'TooLong', fate: 'unknown', data: 'raw' })
        default:
          throw new TypeError(url)
      }
    },
    async *sum(_, call) {
      yield 1
      throw call.error('Odd', 3)
    },
  }).api

  it('come with name and data', async () => {
    const error = await failure(() => failing.analyze({ url: 'long' }))
    expect(isError(pages.analyze, error, 'TooLong')).toBe(true)
    expect(isError(pages.analyze, error, 'Gone')).toBe(false)
    expect(isError(pages.analyze, error)).toBe(true)
    expect(isError(pages.sum, error)).toBe(false)
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'TooLong',
      data: { max: 10 },
      message: 'pages.analyze: TooLong',
    })
  })

  it('keep code, message, cause, path, retryAfterMs and stack', async () => {
    const error = await failure(() => failing.analyze({ url: 'gone' }))
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      message: 'it went',
      data: undefined,
      cause: { message: 'why' },
    })
    expect(error instanceof Error && error.stack).toContain('serve.test')
    const forged = await failure(() => failing.analyze({ url: 'forged' }))
    expect(forged).toMatchObject({ code: 'ABORTED', retryAfterMs: 5, path: 'p', data: { max: 1 } })
  })

  it('have their data checked like everything else', async () => {
    const error = await failure(() => failing.analyze({ url: 'bad' }))
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'INVALID_ERROR', path: 'data.max' })
    const extra = await failure(() => failing.analyze({ url: 'extra' }))
    expect(isViaductError(extra) && extra.data).toEqual({ max: 1 })
  })

  it('are not what a link made, whatever its reason, nor what else is thrown', async () => {
    const error = await failure(() => failing.analyze({ url: 'link' }))
    expect(error).toMatchObject({ reason: 'TooLong', data: 'raw' })
    expect(isError(pages.analyze, error, 'TooLong')).toBe(false)
    expect(await failure(() => failing.analyze({ url: 'other' }))).toEqual(new TypeError('other'))
    expect(isError(pages.analyze, new Error('TooLong'))).toBe(false)
    expect(isError(pages.analyze, new ViaductError('ABORTED', '', { reason: 'toString' }))).toBe(false)
  })

  it('are checked where a stream handler throws before its first item', async () => {
    const thrower = (data: unknown) =>
      linked({
        sum: (_, call) => {
          throw call.error('Odd', wrong(data))
        },
      }).api.sum()
    expect(await failure(() => collect(thrower('x')))).toMatchObject({
      reason: 'INVALID_ERROR',
      path: 'data',
    })
    expect(await failure(() => collect(thrower(3)))).toMatchObject({ reason: 'Odd', data: 3 })
  })

  it('are checked where a stream fails under way', async () => {
    const { api } = linked({
      async *sum(_, call) {
        yield 1
        throw call.error('Odd', wrong('x'))
      },
    })
    expect(await failure(() => collect(api.sum()))).toMatchObject({ reason: 'INVALID_ERROR', path: 'data' })
  })

  it('end streams', async () => {
    const sum = failing.sum()
    const error = await failure(() => collect(sum))
    expect(isError(pages.sum, error, 'Odd') && error.data).toBe(3)
    expect(await failure(() => sum.output)).toBe(error)
  })
})

describe('serving', () => {
  it('needs every handler and knows every name', () => {
    const link = new DirectLink()
    const { analyze, lines, ...rest } = handlers
    // @ts-expect-error two are missing
    expect(() => serve(link, pages, rest)).toThrow('pages: no handler for analyze, lines')
    // @ts-expect-error one too many
    expect(() => serve(link, pages, { ...handlers, analyse: analyze })).toThrow('no method is called analyse')
    const more = { ...handlers, opened: () => undefined }
    expect(() => serve(link, pages, more)).toThrow('no method is called opened')
    // @ts-expect-error no function
    expect(() => serve(link, pages, { ...handlers, lines: 'x' })).toThrow('no handler for lines')
    expect(link.handlers.size).toBe(0)
  })

  it('may be partial where that is said', () => {
    const link = new DirectLink()
    serve(link, pages, { touch: () => undefined }, { partial: true })
    expect([...link.handlers.keys()]).toEqual(['pages.touch'])
    // @ts-expect-error no function
    expect(() => serve(link, pages, { count: 'x' }, { partial: true })).toThrow('no handler for count')
  })

  it('is withdrawn by its disposer, once', () => {
    const link = new DirectLink()
    const dispose = serve(link, pages, handlers)
    expect(link.handlers.size).toBe(7)
    dispose()
    expect(link.handlers.size).toBe(0)
    serve(link, pages, handlers)
    dispose()
    expect(link.handlers.size).toBe(7)
  })

  it('serves nothing when the server refuses one', () => {
    const link = new DirectLink()
    link.handle(pages.sum, () => undefined)
    expect(() => serve(link, pages, handlers)).toThrow('pages.sum is served already')
    expect([...link.handlers.keys()]).toEqual(['pages.sum'])
  })

  it('takes an instance of a class', async () => {
    class Counter {
      readonly step = 2
      #count = 0
      next() {
        this.#count += this.step
        return this.#count
      }
    }
    const link = new DirectLink()
    const made = contract('counter', { next: method({ output: z.number() }) })
    serve(link, made, new Counter())
    const api = client(link, made)
    expect([await api.next(), await api.next()]).toEqual([2, 4])
  })
})

describe('a client that checks', () => {
  it('checks output, items and the data of errors', async () => {
    const { link } = linked(
      {
        analyze({ url }, call) {
          if (url === 'error') throw call.error('TooLong', wrong({ max: 'x' }))
          if (url === 'plain') throw new TypeError('plain')
          return wrong({ category: url, confidence: 'x' })
        },
        async *lines() {
          yield 'good'
          yield wrong(1)
        },
        async *sum() {
          yield 1
          return wrong({})
        },
      },
      { validate: false },
    )
    const api = client(link, pages, { validate: true })
    expect(await failure(() => api.analyze({ url: '' }))).toMatchObject({
      code: 'INTERNAL',
      reason: 'INVALID_OUTPUT',
      path: 'output.confidence',
      fate: 'unknown',
    })
    expect(await failure(() => api.analyze({ url: 'error' }))).toMatchObject({
      reason: 'INVALID_ERROR',
      path: 'data.max',
    })
    expect(await failure(() => api.analyze({ url: 'plain' }))).toEqual(new TypeError('plain'))
    const lines = api.lines({ path: '' })
    const error = await failure(() => collect(lines))
    expect(error).toMatchObject({ reason: 'INVALID_ITEM', path: 'item[1]', fate: 'unknown' })
    expect(await failure(() => lines.output)).toBe(error)
    const sum = api.sum()
    expect(await collect(sum)).toEqual([1])
    expect(await failure(() => sum.output)).toMatchObject({ reason: 'INVALID_OUTPUT', path: 'output.total' })
  })

  it('leaves no rejection behind when only the items are read', async () => {
    const { link } = linked({ lines: () => from(wrong(1)) }, { validate: false })
    const unhandled = vi.fn()
    process.once('unhandledRejection', unhandled)
    const lines = client(link, pages, { validate: true }).lines({ path: '' })
    expect(await failure(() => collect(lines))).toMatchObject({ path: 'item[0]' })
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('lets good answers through', async () => {
    const { link } = linked()
    const api = client(link, pages, { validate: true })
    expect(await api.analyze({ url: 'u' })).toEqual({ category: 'u 0', confidence: 1 })
    const sum = api.sum()
    expect(await collect(sum)).toEqual([1, 2])
    expect(await sum.output).toEqual({ total: 3 })
    const lines = api.lines({ path: '' })
    lines.cancel()
    expect(await failure(() => lines.output)).toMatchObject({ code: 'CANCELLED' })
  })
})

describe('notify', () => {
  it('goes one way', () => {
    const link = new DirectLink()
    expect(notify(link, pages.analyze, { url: 'u' })).toBe(true)
    expect(link.notified).toEqual([['pages.analyze', { url: 'u' }]])
  })
})
