/** Every fence of code in the documents compiles against the package; those that say so are run. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Fence, pages, ROOT } from './pages.ts'

const run = promisify(execFile)
const CODE = new Set(['ts', 'js', 'mjs'])
const COMPILE_MS = 60_000
const RUN_MS = 30_000

/** Within the repository, so that `viaduct` is this very package, by its own exports. */
const cache = join(ROOT, '.cache')
mkdirSync(cache, { recursive: true })
const folder = mkdtempSync(join(cache, 'docs-'))
/** Short: sockets are made below it. */
const runtime = mkdtempSync(join(tmpdir(), 'vd-'))
afterAll(() => {
  for (const path of [folder, runtime]) rmSync(path, { recursive: true, force: true })
})

interface Placed {
  readonly fence: Fence
  readonly path: string
  /** Lines of the file before the fence's own. */
  readonly before: number
}

/** A fence that names a file is that file, beside the others of its page; others rest on what is given. */
function place(fence: Fence, index: number, given: string): Placed {
  const pageFolder = join(folder, fence.page.replaceAll('/', '_').replace('.md', ''))
  const name = fence.words.find((word) => /\.(ts|js|mjs)$/.test(word))
  const path = join(pageFolder, name ?? `snippet-${index}.ts`)
  // A whole program in one plain file is run as it is; its types are nobody's business.
  const plain = fence.language === 'mjs' ? '// @ts-nocheck\n' : ''
  const head = name === undefined ? `${given}\nexport {}\n` : plain
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, head + fence.code)
  return { fence, path, before: head.split('\n').length - 1 }
}

const placed = pages.flatMap(({ fences, given }) =>
  fences.filter(({ language }) => CODE.has(language)).map((fence, index) => place(fence, index, given)),
)

describe('code in the documents', () => {
  beforeAll(() => {
    const tsconfig = {
      extends: join(ROOT, 'tsconfig.base.json'),
      compilerOptions: {
        ...{ composite: false, declaration: false, declarationMap: false, noEmit: true, rootDir: ROOT },
        ...{ lib: ['es2023'], types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
        ...{ allowJs: true, checkJs: true, noImplicitAny: false, allowImportingTsExtensions: true },
      },
      files: placed.map(({ path }) => path),
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  })

  it('is there', () => {
    expect(placed.length).toBeGreaterThan(15)
    expect(new Set(placed.map(({ path }) => path)).size, 'one file name twice on a page').toBe(placed.length)
  })

  it('compiles against the package as it was built', { timeout: COMPILE_MS }, async () => {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const done = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: ROOT }).catch(
      (error: unknown) => ({ stdout: textOf(error, 'stdout') }),
    )
    const faults = done.stdout
      .split('\n')
      .filter((line) => line.includes('error TS'))
      .map(told)
    expect(faults).toEqual([])
  })

  const runnable = placed.filter(({ fence }) => fence.words.includes('run'))
  it.each(runnable.map((one) => [`${one.fence.page}:${one.fence.line}`, one] as const))(
    'runs: %s',
    { timeout: RUN_MS },
    async (_, { fence, path }) => {
      const base = mkdtempSync(join(runtime, 'r'))
      // What a supervisor of ours may have left in the environment is none of the program's business.
      const { VIADUCT_FD: _fd, VIADUCT_APP: _app, VIADUCT_ID: _id, ...inherited } = process.env
      const env = { ...inherited, TMPDIR: base, XDG_RUNTIME_DIR: '', NO_COLOR: '1' }
      const { stdout, stderr } = await run(process.execPath, [path], { cwd: dirname(path), env })
      expect(stderr).toBe('')
      const page = pages.find((one) => one.path === fence.page)
      const expected = page?.fences.find(
        (next) =>
          next.line > fence.line && next.words.includes('output') && next.words.includes(nameOf(fence)),
      )
      if (expected) expect(stdout).toMatch(patternOf(expected.code))
      else expect(stdout).not.toBe('')
    },
  )

  it('begins with a hello of at most 15 lines, which is examples/hello.mjs', () => {
    const hello = pages[0]?.fences.find(({ words }) => words.includes('hello.mjs'))
    expect(hello?.code).toBe(readFileSync(join(ROOT, 'examples/hello.mjs'), 'utf8'))
    expect(hello?.code.trimEnd().split('\n').length).toBeLessThanOrEqual(15)
  })

  /** Where in a document a fault of the compiler lies. */
  function told(line: string): string {
    const [, file = '', at = '0', rest = ''] = /^(.*?)\((\d+),\d+\): (.*)$/.exec(line) ?? []
    const one = placed.find(({ path }) => path.endsWith(file.replace(/^.*\/docs-[^/]+\//, '')))
    return one ? `${one.fence.page}:${Number(at) - one.before + one.fence.line - 1}: ${rest}` : line
  }
})

function nameOf({ words }: Fence): string {
  return words.find((word) => word.includes('.')) ?? ''
}

/** What a program prints, where `…` stands for anything within a line. */
function patternOf(text: string): RegExp {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[^\\n]*')
  return new RegExp(`^${literal}$`)
}

function textOf(error: unknown, key: string): string {
  return typeof error === 'object' && error !== null
    ? String(Reflect.get(error, key) ?? error)
    : String(error)
}
