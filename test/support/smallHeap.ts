import { execFileSync } from 'node:child_process'
import { buildSync } from 'esbuild'

/**
 * Runs a program, which may import our sources relative to `test/support/`, in a process of its own that has a small
 * young generation and no reason for a full collection but what is kept outside of the heap.
 *
 * @returns the JSON that it prints
 */
export function inSmallHeap(program: string) {
  const stdin = { contents: program, resolveDir: import.meta.dirname, loader: 'ts' as const }
  const { outputFiles } = buildSync({ stdin, bundle: true, platform: 'node', format: 'esm', write: false })
  const flags = ['--max-semi-space-size=1', '--initial-old-space-size=1000', '--input-type=module', '-']
  const input = outputFiles[0]?.text ?? ''
  return JSON.parse(execFileSync(process.execPath, flags, { input, encoding: 'utf8' }))
}
