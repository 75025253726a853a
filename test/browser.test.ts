/** The browser entries: what they may import, and how large they are. */
import { relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { describe, expect, it } from 'vitest'

/** Measured and 3 %: all that an entry exports, bundled and minified. The first has a goal: 12 kB. */
const BUDGET_BYTES = {
  'src/browser.ts': 12_000,
  'src/browserFull.ts': 35_100,
  'src/browserCallbacks.ts': 3_150,
  'src/browserHub.ts': 37_150,
  'src/browserMarks.ts': 970,
  'src/browserValues.ts': 1_100,
  'src/browserContracts.ts': 2_550,
}

const POLICY_BUDGET_BYTES = 4_096

const ENTRY = `${process.cwd()}/entry.ts`

/** What Vite makes of a module with this text, and the files of which something is in it: Rolldown bundles, Oxc minifies. */
async function bundled(text: string): Promise<{ gzipBytes: number; inputs: string[] }> {
  const bundle = await rolldown({
    input: ENTRY,
    platform: 'browser',
    logLevel: 'silent',
    plugins: [
      {
        name: 'the text of the entry',
        resolveId: (id) => (id === ENTRY ? id : undefined),
        load: (id) => (id === ENTRY ? text : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, comments: false })
  await bundle.close()
  const [{ code, imports, moduleIds }] = output
  // The bundler's own begin with a zero byte.
  const own = moduleIds.filter((id) => id !== ENTRY && !id.startsWith('\0'))
  return {
    gzipBytes: gzipSync(code, { level: 9 }).length,
    inputs: [...own.map((id) => relative(process.cwd(), id)), ...imports],
  }
}

describe('the browser entries', () => {
  it.each(Object.entries(BUDGET_BYTES))(
    '%s imports nothing of Node and stays within its budget',
    async (entry, budget) => {
      const { inputs, gzipBytes } = await bundled(`export * from './${entry}'`)
      expect(inputs.length).toBeGreaterThan(1)
      expect(
        inputs.filter(
          (path) =>
            !/^src\/(wire|core|contract|page|transports|browser(Full|Hub|Callbacks|Marks|Values|Contracts)?\.ts)/.test(
              path,
            ),
        ),
      ).toEqual([])
      expect(inputs.filter((path) => path === 'src/transports/socket.ts')).toEqual([])
      process.stdout.write(`${entry}: ${gzipBytes} bytes gzip\n`)
      expect(gzipBytes).toBeGreaterThan(700)
      expect(gzipBytes).toBeLessThanOrEqual(budget)
    },
  )

  it('keeps callbacks, and what only a hub makes possible, out of the whole peer', async () => {
    const { inputs } = await bundled("export * from './src/browserFull.ts'")
    expect(
      inputs.filter((path) =>
        /fanOut|topics|watch|subscription|announcements|publications|callbacks|functions|references/.test(
          path,
        ),
      ),
    ).toEqual([])
  })

  it('has no part of the whole peer in the first', async () => {
    const { inputs } = await bundled("export * from './src/browser.ts'")
    expect(
      inputs.filter((path) =>
        /core\/(link|caller|callee|outbox|interceptor)|wire\/(body|shape|dictionary)|fingerprint|jsonSchema/.test(
          path,
        ),
      ),
    ).toEqual([])
  })
})

describe('the policies in a browser', () => {
  it('import nothing of Node', async () => {
    const { inputs } = await bundled("export * from './src/policies/index.ts'")
    expect(inputs.length).toBeGreaterThan(20)
    expect(inputs.filter((path) => !/^src\/(wire|core|contract|policies)\//.test(path))).toEqual([])
  })

  it.each(['acl', 'breaker', 'concurrency', 'dedupe', 'rateLimit', 'retry', 'timeout', 'trace'])(
    '%s alone is at most 4 KiB',
    async (name) => {
      const { gzipBytes } = await bundled(`export { ${name} } from './src/policies/index.ts'`)
      process.stdout.write(`${name}: ${gzipBytes} bytes gzip\n`)
      expect(gzipBytes).toBeGreaterThan(300)
      expect(gzipBytes).toBeLessThanOrEqual(POLICY_BUDGET_BYTES)
    },
  )
})
