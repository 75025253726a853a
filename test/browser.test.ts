/** The browser entry: what it may import, and how large it is. */
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

/**
 * Measured and 3 %. The aim is 12 kB: the body codec and the contract's schemas stand in the way, and the
 * README says so.
 */
const BUDGET_BYTES = 39_000

const POLICY_BUDGET_BYTES = 4_096

async function bundled(
  source = "export * from './src/browser.ts'",
): Promise<{ text: Uint8Array; inputs: string[] }> {
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

describe('the browser entry', () => {
  it('is made of pure layers alone, so it imports nothing of Node', async () => {
    const { inputs } = await bundled()
    expect(inputs.length).toBeGreaterThan(30)
    expect(inputs.filter((path) => !/^src\/(wire|core|contract|transports|browser\.ts)/.test(path))).toEqual(
      [],
    )
    expect(inputs.filter((path) => path === 'src/transports/socket.ts')).toEqual([])
  })

  it('stays within its budget', async () => {
    const bytes = gzipSync((await bundled()).text, { level: 9 }).length
    process.stdout.write(`browser entry: ${bytes} bytes gzip\n`)
    expect(bytes).toBeLessThanOrEqual(BUDGET_BYTES)
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
