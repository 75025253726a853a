/**
 * The built package on every runtime that it is said to run on: `npm run test:nodes [-- NAME…]`, where a name
 * is `node`, `node-22`, `bun` or `deno`. Prints a table, and keeps its rows for the README.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { binaryOf, RUNTIMES } from './runtimes.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PROGRAM = join(ROOT, 'test/nodes/smoke/program.mjs')
const RESULTS = join(ROOT, 'test/nodes/results.json')
const ROLE_MS = 120_000
const TESTS_MS = 900_000
/** Our own tests that depend on the runtime; compilers, documents and long searches of seeds do not. */
const TESTS = [
  'test/wire/vectors',
  'test/wire/body',
  'test/core',
  'test/contract/serve',
  'test/hub',
  'test/transports',
  'test/host',
  'test/testing',
  'test/cli',
  'test/examples',
]
/** @type {Record<string, (run: readonly string[]) => Promise<void>>} */
const CHECKS = {
  memory: (run) => role(run, 'memory'),
  'worker port': (run) => role(run, 'port'),
  'transport suite': (run) => role(run, 'suites'),
  'joins a hub in Node': (run) => pair([process.execPath], run),
  'hub for a peer in Node': (run) => pair(run, [process.execPath]),
  'supervises, is a child': (run) => role(run, 'family'),
  'Hub.launch': (run) => role(run, 'launch'),
}

const names = process.argv.slice(2)
const wanted = RUNTIMES.filter(
  ({ name, version }) =>
    names.length === 0 ||
    names.some((asked) => `${name}-${version}.`.startsWith(`${asked}${asked.includes('-') ? '.' : '-'}`)),
)
if (wanted.length === 0) throw new Error(`none of ${names.join(', ')} is a runtime that is tested`)
const results = []
let missing = false
for (const runtime of wanted) {
  const { name, version, args, vitest } = runtime
  let binary
  try {
    binary = binaryOf(runtime)
  } catch (error) {
    missing = true
    say(`${name} ${version}: ${error.message}`)
    say(`  where the npm registry can be reached: npm run test:nodes -- ${name}`)
    continue
  }
  /** @type {Record<string, string>} */
  const checks = {}
  for (const [what, check] of Object.entries(CHECKS)) {
    checks[what] = await check([binary, ...args]).then(
      () => 'yes',
      (error) => error.message,
    )
    say(`${name} ${version}: ${what}: ${checks[what]}`)
  }
  const tests = vitest ? await ownTests(binary) : undefined
  if (tests) say(`${name} ${version}: tests: ${JSON.stringify(tests)}`)
  results.push({ name, version, checks, ...(tests ? { tests } : {}) })
}
console.table(
  Object.fromEntries(
    results.map(({ name, version, checks, tests }) => [
      `${name} ${version}`,
      { ...checks, tests: tests ? `${tests.passed} passed, ${tests.failed.length} failed` : '' },
    ]),
  ),
)
const failed = results.some(
  ({ checks, tests }) =>
    Object.values(checks).some((check) => check !== 'yes') || (tests?.failed.length ?? 0) > 0,
)
if (results.length > 0) keep(results)
// Without a registry there is nothing to say of those that could not be had; where all must run, that is a failure.
process.exitCode = failed || (missing && process.env.CI) ? 1 : 0

/** Puts rows in place of the old ones of the same runtimes; those that are tested no more go. */
function keep(rows) {
  const old = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')).results : []
  const results = RUNTIMES.flatMap(({ name, version }) => {
    const row = [...rows, ...old].find((one) => one.name === name && one.version === version)
    return row ? [row] : []
  })
  const { platform, arch } = process
  const kept = { platform: `${platform} ${arch}`, date: new Date().toISOString().slice(0, 10), results }
  writeFileSync(RESULTS, `${JSON.stringify(kept, null, 2)}\n`)
  say('written: test/nodes/results.json; the README takes it with `node scripts/docs.js`')
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`${text}\n`)
}

/** One program of the smoke tests; rejects with the last line that says why. */
async function role(run, name, rest = ['smoke', temporary()]) {
  const child = start(run, name, rest)
  try {
    await child.ended
  } finally {
    rmSync(rest[1], { recursive: true, force: true })
  }
}

/** A hub in one runtime, a peer that joins it in another. */
async function pair(hubRun, clientRun) {
  const base = temporary()
  const hub = start(hubRun, 'hub', ['smoke', base])
  try {
    await Promise.race([hub.up, hub.ended])
    await role(clientRun, 'client', ['smoke', base])
    hub.process.stdin.end()
    await hub.ended
  } finally {
    hub.process.kill('SIGKILL')
    rmSync(base, { recursive: true, force: true })
  }
}

function start([command, ...args], name, rest) {
  const child = spawn(command, [...args, PROGRAM, name, ...rest], {
    env: { ...process.env, SMOKE_RUN: JSON.stringify([command, ...args]), NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const up = new Promise((resolve) => child.stdout.once('data', resolve))
  const timer = setTimeout(() => {
    errors += `\nError: ${name}: not over after ${ROLE_MS} ms`
    child.kill('SIGKILL')
  }, ROLE_MS)
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(timer)
    if (code === 0) return
    const lines = errors.split('\n').filter((line) => /error/i.test(line))
    throw new Error((lines[0] ?? `ended with ${code ?? signal}`).trim().slice(0, 200))
  })
  ended.catch(() => {})
  return { process: child, up, ended }
}

/** Our own tests, by the vitest that is installed, under that Node. */
async function ownTests(binary) {
  const folder = temporary()
  const output = join(folder, 'tests.json')
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const child = spawn(binary, [vitest, 'run', '--reporter=json', `--outputFile=${output}`, ...TESTS], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: TESTS_MS,
  })
  await once(child, 'close')
  try {
    const { numPassedTests, numPendingTests, testResults } = JSON.parse(readFileSync(output, 'utf8'))
    const failed = testResults.flatMap(({ name, status, message, assertionResults }) => {
      const bad = assertionResults.filter((one) => one.status === 'failed').map((one) => one.fullName)
      return bad.length === 0 && status === 'failed' ? [`${name}: ${message}`.slice(0, 300)] : bad
    })
    return { passed: numPassedTests, skipped: numPendingTests, failed }
  } catch (error) {
    return { passed: 0, skipped: 0, failed: [`vitest did not report: ${error.message}`] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function temporary() {
  return mkdtempSync(join(tmpdir(), 'vn-'))
}
