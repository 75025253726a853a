import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
}

/** A private folder under the system's temporary one, and what removes it. */
export function scratch(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'vh-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Makes a fixture that imports our sources into one file that plain Node runs. */
export function bundle(name: string, into: string): string {
  return bundleFile(fixture(name), into)
}

export function bundleFile(path: string, into: string): string {
  const outfile = join(into, basename(path))
  buildSync({
    entryPoints: [path],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  return outfile
}
