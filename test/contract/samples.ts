import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import { contract, method, stream, topic } from '../../src/contract/contract.ts'

export const Page = z.object({ url: z.string(), tags: z.array(z.object({ name: z.string() })).default([]) })
export const Analysis = z.object({ category: z.string(), confidence: z.number().max(1) })

/** The contract of the first page, and one of each kind besides. */
export const pages = contract('pages', {
  analyze: method({
    input: Page,
    output: Analysis,
    errors: { TooLong: z.object({ max: z.number() }), Gone: null },
    idempotent: true,
  }),
  count: method({ input: z.string().transform((text) => text.length), output: z.number() }),
  touch: method({}),
  lines: stream({ input: z.object({ path: z.string() }), item: z.string() }),
  sum: stream({ item: z.number(), output: z.object({ total: z.number() }), errors: { Odd: z.number() } }),
  put: stream({ input: z.string(), upload: z.object({ n: z.number() }), output: z.number() }),
  echo: stream({ upload: z.coerce.number(), item: z.number() }),
  opened: topic({ data: z.object({ tabId: z.number(), url: z.string() }) }),
})

/** One method in three libraries. */
export const three = contract('three', {
  zod: method({ input: z.object({ at: z.array(z.object({ x: z.number() })) }), output: z.string() }),
  valibot: method({ input: v.object({ at: v.array(v.object({ x: v.number() })) }), output: v.string() }),
  arktype: method({ input: type({ at: type({ x: 'number' }).array() }), output: type('string') }),
})
