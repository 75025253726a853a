/** Functions in the inputs of contracts: what types say of them on both sides, and that schemas let them pass. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  asCallback,
  type Callback,
  type Callbacks,
  contract,
  method,
  type Rules,
  unchecked,
} from '../../src/index.ts'
import { memoryHub } from '../../src/testing/index.ts'

interface Work {
  readonly pages: number
  readonly at: Date
  readonly onStep: (done: number) => void
  readonly on?: { readonly ask: (question: string) => Promise<boolean> }
}
type Step = (done: number) => string

const jobs = contract('jobs', {
  run: method({ input: unchecked<Work, Callbacks<Work>>(), output: z.number() }),
  zod: method({
    input: z.object({ onStep: z.custom<Step>((given) => typeof given === 'function') }),
    output: z.string(),
  }),
  each: method({ input: unchecked<() => number>() }),
})
const RULES: Rules = { main: { call: ['jobs.*'] }, ai: {} }

async function desk() {
  const hub = memoryHub({ manifest: RULES })
  const [main, ai] = [hub.peer('main'), hub.peer('ai-1')]
  ai.serve(jobs, {
    async run({ pages, at, onStep, on }) {
      expectTypeOf(onStep).toEqualTypeOf<Callback<[done: number], void>>()
      expectTypeOf(at).toEqualTypeOf<Date>()
      for (let page = 1; page <= pages; page++) await onStep(page)
      return (await on?.ask('more?')) ? at.getTime() : 0
    },
    zod: async ({ onStep }) => {
      const callback = asCallback(onStep)
      expectTypeOf(callback).toEqualTypeOf<Callback<[done: number], string>>()
      return callback(1)
    },
    each: () => {},
  })
  await main.ready()
  await ai.ready()
  return { hub, api: main.client(jobs, { id: 'ai-1' }), main }
}

describe('functions in the inputs of a contract', () => {
  it('are plain functions for the client and callbacks for the handler', async () => {
    const { hub, api } = await desk()
    const steps: number[] = []
    const input: Work = {
      pages: 3,
      at: new Date(5),
      onStep: (n) => steps.push(n),
      on: { ask: async () => true },
    }
    expect(await api.run(input)).toBe(5)
    expect(steps).toEqual([1, 2, 3])
    expect(await api.run({ pages: 0, at: new Date(5), onStep: () => {} })).toBe(0)
    hub.close()
  })

  it('pass a schema library that says the same on both sides', async () => {
    const { hub, api } = await desk()
    expect(await api.zod({ onStep: (n) => `step ${n}` })).toBe('step 1')
    // @ts-expect-error no function
    await expect(api.zod({ onStep: 1 })).rejects.toMatchObject({
      reason: 'INVALID_INPUT',
      path: 'input.onStep',
    })
    expect(() => asCallback(() => 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    hub.close()
  })

  it('are refused, with their path, where several are called or nobody answers', async () => {
    const { hub, main } = await desk()
    const refused = { code: 'INVALID_ARGUMENT', reason: 'UNSENDABLE', path: 'input' }
    await expect(main.callAll(jobs.each, () => 1, { type: 'ai' })).rejects.toMatchObject(refused)
    await expect(main.broadcast(jobs.each, () => 1, { type: 'ai' })).rejects.toMatchObject({
      reason: 'UNSENDABLE',
    })
    hub.close()
  })
})
