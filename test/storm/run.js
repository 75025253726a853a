/** Bundles the runner, which is TypeScript, and runs it. */
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))
const outfile = join(root, 'dist/storm/run.js')
await build({
  entryPoints: [join(root, 'test/storm/run.ts')],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
})
await import(pathToFileURL(outfile).href)
