/** The browser entries: what they may import, and how large they are. */
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

/** Measured and 3 %: all that an entry exports, bundled and minified. The aim for the first is 12 kB. */
const BUDGET_BYTES = {
  'src/browser.ts': 15_300,
  'src/browserFull.ts': 35_700,
  'src/browserCallbacks.ts': 3_200,
  'src/browserHub.ts': 37_750,
  'src/browserMarks.ts': 970,
}

const POLICY_BUDGET_BYTES = 4_096

async function bundled(source: string): Promise<{ text: Uint8Array; inputs: string[] }> {
  const { metafile, outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), sourcefile: 'entry.ts' },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
    logLevel: 'silent',
  })
  return {
    text: outputFiles[0]?.contents ?? new Uint8Array(),
    inputs: Object.keys(metafile.inputs).filter((path) => path !== 'entry.ts'),
  }
}

describe('the browser entries', () => {
  it.each(Object.entries(BUDGET_BYTES))(
    '%s imports nothing of Node and stays within its budget',
    async (entry, budget) => {
      const { inputs, text } = await bundled(`export * from './${entry}'`)
      expect(inputs.length).toBeGreaterThan(5)
      expect(
        inputs.filter(
          (path) =>
            !/^src\/(wire|core|contract|page|transports|browser(Full|Hub|Callbacks|Marks)?\.ts)/.test(path),
        ),
      ).toEqual([])
      expect(inputs.filter((path) => path === 'src/transports/socket.ts')).toEqual([])
      const bytes = gzipSync(text, { level: 9 }).length
      process.stdout.write(`${entry}: ${bytes} bytes gzip\n`)
      expect(bytes).toBeLessThanOrEqual(budget)
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
      const { text } = await bundled(`export { ${name} } from './src/policies/index.ts'`)
      const bytes = gzipSync(text, { level: 9 }).length
      process.stdout.write(`${name}: ${bytes} bytes gzip\n`)
      expect(bytes).toBeGreaterThan(300)
      expect(bytes).toBeLessThanOrEqual(POLICY_BUDGET_BYTES)
    },
  )
})
