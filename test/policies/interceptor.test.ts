import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  ContextView,
  type ContractOf,
  connectPeers,
  contract,
  type Handlers,
  type Interceptor,
  method,
  type ServeOptions,
  stream,
  validate,
} from '../../src/index.ts'

const numbers = contract('numbers', {
  double: method({ input: z.object({ n: z.number().default(1) }), output: z.number() }),
  count: stream({ input: z.number(), item: z.number(), output: z.string() }),
  sum: stream({ input: z.void(), upload: z.number(), output: z.number() }),
})

type Served = typeof numbers extends ContractOf<infer E> ? Handlers<E> : never

const handlers: Served = {
  double: ({ n }) => n * 2,
  async *count(to) {
    for (let n = 1; n <= to; n++) yield n
    return 'done'
  },
  async sum(_, call) {
    let total = 0
    for await (const n of call.upload) total += n
    return total
  },
}

type Policies = NonNullable<ServeOptions['policies']>

function peers(policies: Policies, served: Partial<Served> = {}) {
  const [a, b] = connectPeers()
  b.serve(numbers, { ...handlers, ...served }, { policies })
  return { a, close: () => a.close() }
}

/** Writes down when a call passes, and what became of it. */
function noted(name: string, log: string[]): Interceptor {
  return (next) => async (call) => {
    log.push(`${name} ${call.side} ${call.method.name} ${JSON.stringify(call.input)}`)
    const reply = await next(call)
    if ('items' in reply) {
      reply.done.then(
        (output) => log.push(`${name} done ${output}`),
        (error) => log.push(`${name} failed ${error.code}`),
      )
    } else log.push(`${name} gave ${reply.value}`)
    return reply
  }
}

describe('interceptors', () => {
  it('see a call from first to last, and its reply from last to first, at both sides', async () => {
    const log: string[] = []
    const { a, close } = peers([noted('c', log), noted('d', log)])
    const api = a.client(numbers, undefined, { policies: [noted('a', log), noted('b', log)] })
    expect(await api.double({ n: 4 })).toBe(8)
    expect(log).toEqual([
      'a caller numbers.double {"n":4}',
      'b caller numbers.double {"n":4}',
      'c callee numbers.double {"n":4}',
      'd callee numbers.double {"n":4}',
      'd gave 8',
      'c gave 8',
      'b gave 8',
      'a gave 8',
    ])
    close()
  })

  it('see what came before `validate` in the list, and what the schemas gave behind it', async () => {
    const log: string[] = []
    const { a, close } = peers([noted('raw', log), validate, noted('checked', log)])
    const api = a.client(numbers)
    expect(await api.double({})).toBe(2)
    expect(log.slice(0, 2)).toEqual(['raw callee numbers.double {}', 'checked callee numbers.double {"n":1}'])
    log.length = 0
    // @ts-expect-error: the schema wants a number
    await expect(api.double({ n: 'four' })).rejects.toMatchObject({ reason: 'INVALID_INPUT' })
    expect(log).toEqual(['raw callee numbers.double {"n":"four"}'])
    close()
  })

  it('map the items of a stream, and hear its end once', async () => {
    const log: string[] = []
    const tenfold: Interceptor = (next) => async (call) => {
      const reply = await next(call)
      if (!('items' in reply)) return reply
      const { items, done } = reply
      return {
        items: (async function* () {
          for await (const item of items) yield Number(item) * 10
        })(),
        done: done.then((output) => `${output}!`),
      }
    }
    const { a, close } = peers([noted('callee', log), tenfold])
    const counted = a.client(numbers, undefined, { policies: [noted('caller', log), tenfold] }).count(3)
    const items: number[] = []
    for await (const n of counted) items.push(n)
    expect(items).toEqual([100, 200, 300])
    expect(await counted.output).toBe('done!!')
    expect(log.filter((line) => line.includes('done'))).toEqual(['callee done done!', 'caller done done!!'])
    close()
  })

  it('hear the end of a stream that is left early, and of one that fails', async () => {
    const log: string[] = []
    let cleaned: () => void = () => {}
    const finished = new Promise<void>((resolve) => {
      cleaned = resolve
    })
    const { a, close } = peers([noted('callee', log)], {
      async *count(to) {
        try {
          if (to === 0) throw new Error('nothing to count')
          for (let n = 0; ; n++) yield n
        } finally {
          cleaned()
        }
      },
    })
    const api = a.client(numbers, undefined, { policies: [noted('caller', log)] })
    for await (const _ of api.count(1)) break
    await finished
    await expect.poll(() => log).toContain('callee failed CANCELLED')
    expect(log).toContain('caller failed CANCELLED')
    log.length = 0
    await expect(api.count(0).output).rejects.toMatchObject({ reason: 'HANDLER_ERROR' })
    await expect.poll(() => log.filter((line) => line.includes('failed'))).toHaveLength(2)
    close()
  })

  it('cancel a stream that has not opened yet, by signal and by `cancel`', async () => {
    let passed = 0
    const never: Interceptor = (next) => async (call) => {
      if (call.side === 'caller') {
        await new Promise<void>((resolve) => call.options.signal?.addEventListener('abort', () => resolve()))
        passed++
      }
      return next(call)
    }
    const { a, close } = peers([])
    const api = a.client(numbers, undefined, { policies: [never] })
    const cancelled = api.count(3)
    cancelled.cancel()
    await expect(cancelled.output).rejects.toMatchObject({ code: 'CANCELLED' })
    const controller = new AbortController()
    const aborted = api.count(3, { signal: controller.signal })
    controller.abort()
    await expect(aborted.output).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(passed).toBe(2)
    close()
  })

  it('change what is uploaded', async () => {
    const doubled: Interceptor = (next) => (call) => {
      if (call.side === 'caller') return next(call)
      const { upload } = call.context
      const context = new ContextView(call.context, {
        upload: (async function* () {
          for await (const n of upload) yield Number(n) * 2
        })(),
      })
      return next({ ...call, context })
    }
    const { a, close } = peers([doubled])
    const upload = (async function* () {
      yield 1
      yield 2
    })()
    expect(await a.client(numbers).sum(undefined, { upload })).toBe(6)
    close()
  })

  it('answer in place of the handler, and refuse what is no answer', async () => {
    const { a, close } = peers([])
    const fixed: Interceptor = () => () => ({ value: 7 })
    const api = a.client(numbers, undefined, { policies: [fixed] })
    expect(await api.double({ n: 1 })).toBe(7)
    await expect(api.count(1).output).rejects.toMatchObject({ code: 'INTERNAL', reason: 'BAD_REPLY' })
    close()
  })
})
