/** The Python package: its own tests, its types, and that it can be installed. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { needs } from '../support/systemPackages.ts'

const run = promisify(execFile)
const PACKAGE = join(import.meta.dirname, '..', '..', 'python')
/** The system's own Python comes with the system's packages; another one first in the path may have none. */
const PYTHONS = [process.env.PYTHON, '/usr/bin/python3', 'python3'].filter((name) => name !== undefined)
const SUITE_MS = 240_000

async function has(python: string): Promise<boolean> {
  const probe = 'import sys, pytest, mypy, hatchling, pip; sys.exit(sys.version_info < (3, 10))'
  return run(python, ['-c', probe]).then(
    () => true,
    () => false,
  )
}

async function findPython(): Promise<string | undefined> {
  for (const python of PYTHONS) if (await has(python)) return python
  return undefined
}

describe('the Python package', () => {
  let python: string | undefined
  beforeAll(async () => {
    const packages = ['python3', 'python3-pip', 'python3-pytest', 'python3-hatchling', 'mypy']
    await needs('Python', packages, async () => (await findPython()) !== undefined)
    python = await findPython()
  }, 600_000)

  /** The last line of what it prints; fails with all of it. */
  async function passes(...args: readonly string[]): Promise<string> {
    const done = await run(python ?? '', [...args], { cwd: PACKAGE, maxBuffer: 16 * 1024 * 1024 }).catch(
      (error: { stdout?: string; stderr?: string }) => {
        throw new Error(`python ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? String(error)}`)
      },
    )
    return done.stdout.trimEnd().split('\n').at(-1) ?? ''
  }

  it('passes its own tests', { timeout: SUITE_MS }, async ({ skip }) => {
    if (python === undefined) return skip()
    const last = await passes('-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests')
    process.stdout.write(`Python: ${last}\n`)
    expect(last).toMatch(/\d{3,} passed/)
  })

  it('is typed throughout', { timeout: SUITE_MS }, async ({ skip }) => {
    if (python === undefined) return skip()
    const last = await passes('-m', 'mypy', '--strict', '--cache-dir=/dev/null', 'src')
    expect(last).toMatch(/^Success: no issues found in \d\d source files$/)
  })

  it('can be installed, and imported from there', { timeout: SUITE_MS }, async ({ skip }) => {
    if (python === undefined) return skip()
    const folder = await mkdtemp(join(tmpdir(), 'viaduct-pip-'))
    try {
      // Offline: the build backend is the system's.
      const pip = ['-m', 'pip', 'install', '--quiet', '--no-build-isolation', '--no-deps', '--no-index']
      await passes(...pip, '--no-cache-dir', '--target', folder, '.')
      expect(await readdir(join(folder, 'viaduct'))).toContain('py.typed')
      const { stdout } = await run(python, ['-c', 'import viaduct; print(viaduct.__file__)'], {
        cwd: folder,
        env: { ...process.env, PYTHONPATH: folder },
      })
      expect(stdout).toContain(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
