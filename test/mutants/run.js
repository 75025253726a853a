/**
 * Breaks the code on purpose, one fault at a time, in a copy, and asks that the suite finds each: a test that cannot
 * fail proves nothing. `node test/mutants/run.js [words of a file or name…]`; takes a few minutes.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mutants } from './mutants.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LEFT_OUT = ['.git', 'node_modules']
const wanted = process.argv.slice(2)
const chosen = mutants.filter(({ name, file }) => wanted.every((word) => `${file} ${name}`.includes(word)))

const copy = mkdtempSync(join(tmpdir(), 'vm-'))
let survivors = 0
try {
  cpSync(root, copy, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  build()
  for (const mutant of chosen) {
    const verdict = tried(mutant)
    if (verdict !== 'found') survivors++
    process.stdout.write(`${verdict.padEnd(12)} ${mutant.name}\n`)
  }
  process.stdout.write(`${chosen.length - survivors} of ${chosen.length} faults found\n`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = survivors > 0 || chosen.length === 0 ? 1 : 0

function build() {
  execFileSync('npx', ['tsc', '-b'], { cwd: copy, stdio: 'inherit' })
}

/** @returns 'found', 'survived', 'not there' (the text to replace), or 'no program' (it does not compile). */
function tried({ file, from, to, tests }) {
  const path = join(copy, file)
  const original = readFileSync(path, 'utf8')
  if (original.split(from).length !== 2) return 'not there'
  writeFileSync(
    path,
    original.replace(from, () => to),
  )
  try {
    try {
      build()
    } catch {
      return 'no program'
    }
    return failedTests(tests) > 0 ? 'found' : 'survived'
  } finally {
    writeFileSync(path, original)
    build()
  }
}

/** How many tests fail: a suite that cannot even start has found nothing. */
function failedTests(tests) {
  const { stdout } = spawnSync('npx', ['vitest', 'run', '--bail=1', '--reporter=json', ...tests], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  return JSON.parse(stdout.slice(stdout.indexOf('{'))).numFailedTests
}
