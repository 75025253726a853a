/** Progress in contracts: typed both ways, checked where it is made, a part of the fingerprint. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { client, contract, method, serve, stream } from '../../src/index.ts'
import { joins } from '../support/connects.ts'

const jobs = contract('jobs', {
  run: method({
    input: z.number(),
    output: z.string(),
    progress: z.object({ done: z.number(), note: z.string().default('-') }),
  }),
  list: stream({ item: z.number(), progress: z.number() }),
  plain: method({ output: z.string() }),
})

describe.each(joins)('progress of a contract ($name)', ({ join }) => {
  it('is what its schema makes of it, typed at the handler and at the caller', async () => {
    const { caller, callee, ready, close } = join()
    serve(callee, jobs, {
      run(count, call) {
        expectTypeOf(call.progress).parameter(0).toEqualTypeOf<{ done: number; note?: string | undefined }>()
        for (let done = 1; done <= count; done++) call.progress({ done })
        return 'done'
      },
      async *list(_, call) {
        call.progress(1)
        yield 1
      },
      plain(_, call) {
        call.progress(['anything', 1n])
        return 'plain'
      },
    })
    const api = client(caller, jobs, { validate: true })
    await ready()
    const seen: unknown[] = []
    const answer = await api.run(2, {
      onProgress: (progress) => {
        expectTypeOf(progress).toEqualTypeOf<{ done: number; note: string }>()
        seen.push(progress)
      },
    })
    expect(answer).toBe('done')
    for await (const item of api.list(undefined, { onProgress: (done) => seen.push(done.toFixed(1)) }))
      seen.push(item)
    await api.plain(undefined, { onProgress: (any) => seen.push(any) })
    expect(seen).toEqual([{ done: 1, note: '-' }, { done: 2, note: '-' }, '1.0', 1, ['anything', 1n]])
    close()
  })

  it('that is not as declared fails the handler where it stands, and is not sent', async () => {
    const { caller, callee, ready, close } = join()
    const wrong: unknown = { done: 'half' }
    serve(
      callee,
      jobs,
      { run: (_, call) => Reflect.apply(call.progress, call, [wrong]) ?? 'not reached' },
      { partial: true },
    )
    await ready()
    const seen: unknown[] = []
    const failed = client(caller, jobs).run(1, { onProgress: (value) => seen.push(value) })
    await expect(failed).rejects.toMatchObject({
      code: 'INTERNAL',
      reason: 'INVALID_PROGRESS',
      path: 'progress.done',
    })
    expect(seen).toEqual([])
    close()
  })

  it('of a server that checks nothing reaches no caller that does, and ends no call', async () => {
    const { caller, callee, ready, close } = join()
    const wrong: unknown = { done: 'half' }
    serve(
      callee,
      jobs,
      {
        run(_, call) {
          Reflect.apply(call.progress, call, [wrong])
          return 'done'
        },
      },
      { partial: true, validate: false },
    )
    await ready()
    const seen: unknown[] = []
    const api = client(caller, jobs, { validate: true })
    expect(await api.run(1, { onProgress: (value) => seen.push(value) })).toBe('done')
    expect(seen).toEqual([])
    close()
  })
})

describe('progress that a contract declares', () => {
  it('changes the fingerprint when it is declared, and no other’s', () => {
    const one = contract('jobs', { run: method({ output: z.string() }) })
    const two = contract('jobs', { run: method({ output: z.string(), progress: z.number() }) })
    const three = contract('jobs', { run: method({ output: z.string(), progress: z.string() }) })
    expect(new Set([one, two, three].map(({ run }) => run.fingerprint)).size).toBe(3)
  })
})
