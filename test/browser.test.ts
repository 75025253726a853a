/** The browser entry: what it may import, and how large it is. */
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

/**
 * Measured and 3 %. The aim is 12 kB: the body codec and the contract's schemas stand in the way, and the
 * README says so.
 */
const BUDGET_BYTES = 40_000

async function bundled(): Promise<{ text: Uint8Array; inputs: string[] }> {
  const { metafile, outputFiles } = await build({
    entryPoints: ['src/browser.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
    logLevel: 'silent',
  })
  return { text: outputFiles[0]?.contents ?? new Uint8Array(), inputs: Object.keys(metafile.inputs) }
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
