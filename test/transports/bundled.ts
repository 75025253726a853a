import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

interface Hooks {
  beforeAll(run: () => Promise<void>): void
  afterAll(run: () => void): void
}

/** A fixture that imports our sources, made into one file that plain Node runs. */
export function bundled(name: string, { beforeAll, afterAll }: Hooks): () => string {
  const folder = mkdtempSync(join(tmpdir(), 'vt-'))
  const outfile = join(folder, name)
  beforeAll(async () => {
    await build({
      entryPoints: [fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return () => outfile
}
