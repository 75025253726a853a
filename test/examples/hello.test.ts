import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FILE = join(ROOT, 'examples', 'hello.mjs')

let folder: string
let packed: string[]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hello-'))
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [made] = JSON.parse((await run('npm', pack, { cwd: ROOT })).stdout)
  packed = made.files.map(({ path }: { path: string }) => path)
  // What a fresh clone's `npm ci` has fetched is in the cache, but not what a registry says of it.
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${made.filename}`]
  await run('npm', install, { cwd: folder })
  await copyFile(FILE, join(folder, 'hello.mjs'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('is one file of at most 15 lines that runs where the packed package is installed', async () => {
  expect((await readFile(FILE, 'utf8')).trimEnd().split('\n').length).toBeLessThanOrEqual(15)
  const env = { ...process.env, TMPDIR: folder, XDG_RUNTIME_DIR: '' }
  const { stdout, stderr } = await run(process.execPath, ['hello.mjs'], { cwd: folder, env })
  expect(stdout).toMatch(/^Hello Ada, process \d+ speaking\.\n$/)
  expect(stderr).toBe('')
  expect(Number(/\d+/.exec(stdout)?.[0])).not.toBe(process.pid)
})

it('comes in a package without the examples', () => {
  expect(packed).toContain('dist/index.js')
  expect(packed.filter((path) => /(^|\/)examples\/|tsbuildinfo|^test\//.test(path))).toEqual([])
})
