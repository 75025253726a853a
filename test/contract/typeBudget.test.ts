import { describe, expect, it } from 'vitest'
import { compile, HERE, project } from './compiler.ts'

/**
 * Instantiations of the compiler, measured + 10 %, for a contract whose every method is called by a client
 * and served by a handler. `types` has schemas that are types alone: what the contract layer costs by
 * itself. `zod` is what a program pays.
 */
const BUDGETS = {
  types: { 500: 159_600, 2000: 626_500 },
  zod: { 500: 574_200, 2000: 2_283_600 },
} as const
/** 2,000 methods may cost so many times what 500 do: nothing grows with the square. */
const GROWTH = 4.4
const TIMEOUT_MS = 240_000

const schemas = {
  types: {
    head: `import type { StandardSchema } from '${HERE}/src/contract/schema.ts'
declare function schema<T>(): StandardSchema<T>
`,
    of: (i: number) => `schema<{ a${i}: string; n: number }>()`,
  },
  zod: {
    head: `import { z } from '${HERE}/node_modules/zod/index.js'\n`,
    of: (i: number) => `z.object({ a${i}: z.string(), n: z.number() })`,
  },
}

function program(methods: number, { head, of }: (typeof schemas)['zod']): string {
  const lines = (line: (i: number) => string) => Array.from({ length: methods }, (_, i) => line(i)).join('\n')
  return `import { contract, method } from '${HERE}/src/contract/contract.ts'
import { client } from '${HERE}/src/contract/client.ts'
import { serve } from '${HERE}/src/contract/serve.ts'
import type { Caller, Server } from '${HERE}/src/core/call.ts'
${head}
export const big = contract('big', {
${lines((i) => `  m${i}: method({ input: ${of(i)}, output: ${of(i)} }),`)}
})
declare const caller: Caller
declare const server: Server
export const api = client(caller, big)
${lines((i) => `export const r${i} = api.m${i}({ a${i}: 'x', n: 1 }).then((result) => result.a${i})`)}
serve(server, big, {
${lines((i) => `  m${i}: ({ a${i}, n }) => ({ a${i}, n }),`)}
})
`
}

async function instantiations(methods: number, library: keyof typeof schemas): Promise<number> {
  // The compiler writes types with the paths of their modules, up to a length: the clone's folder may not count.
  const files = { 'big.ts': program(methods, schemas[library]) }
  const { folder, dispose } = project(files, { preserveSymlinks: true })
  const output = await compile(folder, '--extendedDiagnostics', '--singleThreaded')
  dispose()
  expect(output).not.toContain('error TS')
  return Number(/^Instantiations:\s+(\d+)$/m.exec(output)?.[1])
}

describe('the type budget', () => {
  it.each(['types', 'zod'] as const)('holds for schemas of %s', { timeout: TIMEOUT_MS }, async (library) => {
    const small = await instantiations(500, library)
    const large = await instantiations(2000, library)
    console.info(`instantiations, ${library}: ${small} for 500 methods, ${large} for 2,000`)
    expect(small).toBeGreaterThan(500)
    expect(small).toBeLessThanOrEqual(BUDGETS[library][500])
    expect(large).toBeLessThanOrEqual(BUDGETS[library][2000])
    expect(large).toBeLessThanOrEqual(GROWTH * small)
  })
})
