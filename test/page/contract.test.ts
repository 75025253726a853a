/** The contract layer of pages, over the peers of today, against itself and against the whole one. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as declaring from '../../src/browserContracts.ts'
import { method } from '../../src/browserContracts.ts'
import * as whole from '../../src/index.ts'
import { connectPeers, isError, isViaductError, unchecked } from '../../src/index.ts'
import * as small from '../../src/page/contract.ts'

type Declaring = Pick<typeof whole, 'contract' | 'method' | 'stream' | 'topic'>
type Face = Declaring & Pick<typeof small, 'client' | 'serve'>

/** What a page takes from `viaduct/contract` and from `viaduct/browser`. */
const page = { ...small, ...declaring }

const faces: readonly (readonly [string, Face, Face])[] = [
  ['page and page', page, page],
  ['page and whole', page, whole],
  ['whole and page', whole, page],
]

function declare({ contract, method, stream, topic }: Declaring) {
  return contract('pages', {
    analyze: method({
      input: z.object({ url: z.string(), tags: z.array(z.string()).default([]) }),
      output: z.object({ tags: z.number() }),
      errors: { TooLong: z.object({ max: z.number() }), Gone: null },
      idempotent: true,
    }),
    later: stream({ input: z.number().refine(async (n) => n > 0), item: z.number() }),
    lines: stream({ input: z.number(), item: z.number(), output: z.string(), errors: { Odd: z.number() } }),
    put: stream({ upload: z.number(), output: z.number() }),
    echo: stream({ upload: z.number(), item: z.number() }),
    work: method({ progress: z.number() }),
    free: method({ input: unchecked<string>(), output: unchecked<string>() }),
    opened: topic({ data: z.string() }),
  })
}
type Pages = ReturnType<typeof declare>
type Served = Pages extends whole.ContractOf<infer E> ? whole.Handlers<E> : never

const bad = (value: unknown): never => value as never
const untypedMethod = () => method({ input: unchecked() })

function handlers(pages: Pages): Served {
  return {
    analyze: ({ url, tags }, call) => {
      if (url === 'long') throw call.error('TooLong', { max: 10 })
      if (url === 'gone') throw call.error('Gone')
      if (url === 'wrong') throw call.error('TooLong', bad({ max: 'ten' }))
      if (url === 'odd') return bad({ tags: 'many' })
      return { tags: tags.length }
    },
    async *later(n) {
      yield n
    },
    async *lines(to, call) {
      for (let n = 1; n <= to; n++) {
        if (n === 7) throw call.error('Odd', 7)
        yield n === 5 ? bad('five') : n
      }
      return `${pages.lines.name} done`
    },
    async put(_, call) {
      let total = 0
      for await (const n of call.upload) total += n
      return total
    },
    async *echo(_, call) {
      for await (const n of call.upload) yield n * 2
    },
    work: (_, call) => {
      call.progress(1)
      call.progress(bad('half'))
    },
    free: (text) => text.toUpperCase(),
  }
}

async function* given(...values: readonly unknown[]): AsyncGenerator<never> {
  for (const value of values) yield bad(value)
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const taken: Item[] = []
  for await (const item of items) taken.push(item)
  return taken
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`gave ${String(value)}`),
    (error: unknown) => error,
  )
}

describe.each(faces)('%s', (_, calling, serving) => {
  function joined(options?: small.PageClientOptions, served?: small.PageServeOptions & { partial?: false }) {
    const [here, there] = connectPeers()
    const pages = declare(calling)
    const theirs = declare(serving)
    const end = serving.serve(there, theirs, handlers(theirs), served)
    return { pages, api: calling.client(here.to(), pages, options), end, close: () => here.close() }
  }

  it('calls, with what the schemas make of input and output', async () => {
    const { api, close } = joined()
    expect(await api.analyze({ url: 'x' })).toEqual({ tags: 0 })
    expect(await api.analyze({ url: 'x', tags: ['a', 'b'] })).toEqual({ tags: 2 })
    expect(await api.free('x')).toBe('X')
    close()
  })

  it('streams items and output, takes uploads, and both at once', async () => {
    const { api, close } = joined()
    const lines = api.lines(3)
    expect([await all(lines), await lines.output]).toEqual([[1, 2, 3], 'pages.lines done'])
    expect(await all(api.later(4))).toEqual([4])
    expect(await api.put(undefined, { upload: given(1, 2, 3) })).toBe(6)
    expect(await all(api.echo(undefined, { upload: given(1, 2) }))).toEqual([2, 4])
    close()
  })

  it('gives declared errors with their data', async () => {
    const { api, pages, close } = joined()
    const long = await failure(api.analyze({ url: 'long' }))
    expect(isError(pages.analyze, long, 'TooLong') && long.data.max).toBe(10)
    expect(isError(pages.analyze, long, 'Gone')).toBe(false)
    const gone = await failure(api.analyze({ url: 'gone' }))
    expect(isError(pages.analyze, gone) && gone.reason).toBe('Gone')
    const wrong = await failure(api.analyze({ url: 'wrong' }))
    expect(wrong).toMatchObject({ code: 'INTERNAL', reason: 'INVALID_ERROR', path: 'data.max' })
    const lines = api.lines(9)
    expect(await failure(all(lines))).toMatchObject({ reason: 'INVALID_ITEM', path: 'item[4]' })
    close()
  })

  it('refuses input, uploads, output and items that do not fit, each with its path', async () => {
    const { api, close } = joined()
    const input = await failure(api.analyze({ url: 'x', tags: ['a', bad(1)] }))
    const path = 'input.tags[1]'
    expect(input).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT', path })
    expect(await failure(all(api.later(-1)))).toMatchObject({ reason: 'INVALID_INPUT', path: 'input' })
    const upload = await failure(api.put(undefined, { upload: given(1, 'two') }))
    expect(upload).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_UPLOAD', path: 'upload[1]' })
    const output = await failure(api.analyze({ url: 'odd' }))
    expect(output).toMatchObject({ code: 'INTERNAL', reason: 'INVALID_OUTPUT', path: 'output.tags' })
    const lines = api.lines(6)
    const items = await failure(all(lines))
    expect(items).toMatchObject({ code: 'INTERNAL', reason: 'INVALID_ITEM', path: 'item[4]' })
    expect(await failure(lines.output)).toMatchObject({ reason: 'INVALID_ITEM' })
    close()
  })

  it('checks at the caller with `validate`, where the server does not', async () => {
    const { api, close } = joined({ validate: true }, { validate: false })
    const output = await failure(api.analyze({ url: 'odd', tags: [] }))
    expect(output).toMatchObject({ reason: 'INVALID_OUTPUT', path: 'output.tags', fate: 'unknown' })
    const wrong = await failure(api.analyze({ url: 'wrong', tags: [] }))
    expect(wrong).toMatchObject({ reason: 'INVALID_ERROR', path: 'data.max' })
    const lines = api.lines(6)
    expect(await failure(all(lines))).toMatchObject({
      reason: 'INVALID_ITEM',
      path: 'item[4]',
      fate: 'unknown',
    })
    const told: number[] = []
    await api.work(undefined, { onProgress: (n) => told.push(n) })
    expect(told).toEqual([1])
    close()
  })

  it('refuses progress that is not declared at the handler', async () => {
    const { api, close } = joined()
    const told: number[] = []
    const refused = await failure(api.work(undefined, { onProgress: (n) => told.push(n) }))
    expect(refused).toMatchObject({ reason: 'INVALID_PROGRESS', path: 'progress' })
    expect(told).toEqual([1])
    close()
  })

  it('serves until it is withdrawn', async () => {
    const { api, end, close } = joined()
    await end.withdraw()
    expect(await failure(api.free('x'))).toMatchObject({ reason: 'METHOD_NOT_FOUND', fate: 'not-sent' })
    close()
  })
})

describe("a page's contract", () => {
  const pages = declare(page)

  it('has methods that describe themselves, and has nothing to compare', () => {
    expect(pages.analyze).toMatchObject({
      name: 'pages.analyze',
      kind: 'call',
      fingerprint: '',
      idempotent: true,
    })
    for (const bound of [pages.analyze, pages.lines, pages.opened]) {
      expect([bound.fingerprint, bound.input, bound.output, bound.item, bound.uploadItem]).toEqual([
        '',
        undefined,
        undefined,
        undefined,
        undefined,
      ])
    }
    expect([pages.put.kind, pages.put.upload, pages.opened.kind]).toEqual(['call', true, 'topic'])
    expect(declare(whole).analyze.fingerprint).toMatch(/^[0-9a-f]{16}$/)
  })

  it('lets nothing pass that is not declared, and fails on what is no schema when it is used', async () => {
    const wrong: object = {
      slip: method(bad({ inputs: z.string() })),
      odd: method(bad({ input: { type: 'object' } })),
    }
    const entries: { slip: ReturnType<typeof untypedMethod>; odd: ReturnType<typeof untypedMethod> } =
      bad(wrong)
    const slips = page.contract('slips', entries)
    const [here, there] = connectPeers()
    const seen: unknown[] = []
    page.serve(there, slips, {
      slip: (input) => void seen.push(input),
      odd: (input) => void seen.push(input),
    })
    const api = page.client(here.to(), slips)
    await api.slip('x')
    expect(seen).toEqual([undefined])
    expect(await failure(api.odd('x'))).toMatchObject({
      code: 'INTERNAL',
      reason: 'SCHEMA_ERROR',
      path: 'input',
    })
    expect(seen).toEqual([undefined])
    here.close()
  })

  it.each(['toJSON', 'then', '__proto__', 'constructor'])('refuses the reserved name %s', (name) => {
    expect(() => page.contract('pages', { [name]: method({}) })).toThrow(`the name "${name}" is reserved`)
  })

  it('has functions for methods and streams, not for topics', () => {
    const [here] = connectPeers()
    const api = page.client(here.to(), pages)
    expect(Object.keys(api)).toEqual(['analyze', 'later', 'lines', 'put', 'echo', 'work', 'free'])
    expect([Object.isFrozen(api), Object.getPrototypeOf(api)]).toEqual([true, null])
    here.close()
  })

  it('is served in part when that is said, and refuses what is missing or not declared', async () => {
    const [here, there] = connectPeers()
    const { free, ...rest } = handlers(pages)
    // @ts-expect-error one is missing
    expect(() => page.serve(there, pages, rest)).toThrow('pages: no handler for free')
    const more = { ...rest, free, freed: free }
    expect(() => page.serve(there, pages, more)).toThrow('no method is called freed')
    page.serve(there, pages, { free }, { partial: true })
    expect(await page.client(here.to(), pages).free('x')).toBe('X')
    here.close()
  })
})

describe("the entry's own contract", () => {
  const names = { input: unchecked<string>(), output: unchecked<string>() }

  it('has types alone, and what is declared beside them', async () => {
    const texts = small.contract('texts', {
      upper: method({
        ...names,
        errors: { Gone: unchecked<number>(), Lost: null },
        idempotent: true,
        version: 2,
      }),
      lines: small.stream({ item: unchecked<string>(), upload: unchecked<string>(), lane: 'low' }),
      seen: small.topic({ data: unchecked<string>(), overflow: 'block' }),
    })
    expect(texts.upper).toMatchObject({ name: 'texts.upper', kind: 'call', idempotent: true })
    expect(texts.lines).toMatchObject({ kind: 'stream', upload: true, lane: 'low' })
    expect(texts.seen).toMatchObject({ kind: 'topic', overflow: 'block' })
    const [here, there] = connectPeers()
    small.serve(there, texts, {
      upper: (text, call) => {
        if (text === '') throw call.error('Gone', 7)
        return text.toUpperCase()
      },
      async *lines(_, call) {
        yield* call.upload
      },
    })
    const api = small.client(here.to(), texts, { validate: true })
    expect(await api.upper('x')).toBe('X')
    const gone = await failure(api.upper(''))
    expect(isError(texts.upper, gone, 'Gone') && gone.data).toBe(7)
    expect(await all(api.lines(undefined, { upload: given('a', 'b') }))).toEqual(['a', 'b'])
    here.close()
  })

  const text = z.string()
  const declared: readonly (readonly [string, Parameters<typeof small.contract>[1][string]])[] = [
    ['input', method({ input: text })],
    ['output', method({ output: text })],
    ['progress', method({ progress: text })],
    ['the data of an error', method({ errors: { Lost: null, Gone: text } })],
    ['an input that an error has the name of', method({ input: text, errors: { input: unchecked() } })],
    ['items', small.stream({ item: text })],
    ['an upload', small.stream({ upload: text })],
    ['events', small.topic({ data: text })],
    ['what is no schema', method(bad({ input: {} }))],
    ['sealed', method({ ...names, sealed: true })],
    ['signed', method({ ...names, signed: true })],
    ['compressed', method({ ...names, compress: 'public' })],
    ['durable', method({ input: unchecked<string>(), delivery: 'at-least-once' })],
  ]

  it.each(declared)('refuses what it could not keep to: %s', (_, entry) => {
    expect(() => small.contract('texts', { free: method(names), entry })).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_CONTRACT',
        path: 'texts.entry',
        message: 'texts.entry: has more than unchecked(): needs viaduct/contract',
      }),
    )
  })
})

describe.each<[string, Declaring]>([
  ['page', page],
  ['whole', whole],
])('what a page does not do, of a contract of the %s one', (_, { contract, method }) => {
  const text = z.string()
  const contracts = {
    sealed: contract('vault', { read: method({ input: text, sealed: true }) }),
    signed: contract('vault', { read: method({ input: text, signed: true }) }),
    compressed: contract('vault', { read: method({ input: text, compress: true }) }),
    durable: contract('vault', { read: method({ input: text, delivery: 'at-least-once' }) }),
  }

  it.each(Object.entries(contracts))('%s is refused at once, and says what serves it', (_kind, vault) => {
    const [here, there] = connectPeers()
    const refusal = expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_CONTRACT',
      path: 'vault.read',
      message: expect.stringContaining('viaduct/browser/full'),
    })
    const given: whole.ContractOf = vault
    expect(() => page.client(here.to(), given)).toThrow(refusal)
    const served = { read: () => {} }
    expect(() => page.serve(there, given, served)).toThrow(refusal)
    here.close()
  })

  it('nothing is served then, and what has no handler is nobody’s matter', async () => {
    const mixed = contract('mixed', {
      plain: method({ output: text }),
      secret: method({ output: text, sealed: true }),
    })
    const [here, there] = connectPeers()
    const plain = () => 'x'
    expect(() => page.serve(there, mixed, { plain, secret: plain })).toThrow('mixed.secret')
    const caught = await failure(here.call('mixed.plain', undefined))
    expect(isViaductError(caught) && caught.reason).toBe('METHOD_NOT_FOUND')
    page.serve(there, mixed, { plain }, { partial: true })
    expect(await here.call('mixed.plain', undefined)).toBe('x')
    here.close()
  })
})
