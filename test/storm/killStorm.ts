import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { DriverReport } from './figures.ts'
import type { Orders } from './programs/driver.ts'
import { judge, SLACK_MS, type Verdict } from './verdict.ts'

/** From here, and from `dist/storm/`, where the long storm's runner is bundled to. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export type StormOptions = Pick<Orders, 'seed' | 'kills' | 'seconds' | 'hubShare'>

export interface Outcome {
  readonly report: DriverReport
  readonly verdict: Verdict
}

/** What the driver needs beyond its time, to start and to stop everybody. */
const AROUND_MS = 180_000

/** Runs a storm from a private folder, and judges it. The folder is kept when there is something to look at. */
export function killStorm(options: StormOptions): Promise<Outcome> {
  return storm(options, async () => {})
}

/** Stops the whole tree for a while in the middle of its work, as a machine that sleeps does. Nobody is killed. */
export async function suspension(seed: number, seconds: number): Promise<Outcome> {
  const orders = { seed, kills: 0, seconds: seconds + WATCHED_MS / 1000, hubShare: 0, calm: true }
  const { report, verdict } = await storm(orders, async (driver, folder) => {
    await once(driver, 'message')
    await sleep(1_000)
    const [hub = 0, ...others] = [...processesIn(folder)]
      .sort((one, other) => one - other)
      .filter((pid) => pid !== driver.pid)
    const all = [driver.pid ?? 0, ...others, hub]
    for (const pid of all) process.kill(pid, 'SIGSTOP')
    await sleep(seconds * 1000)
    // The hub supervises: it runs first, and alone for a moment, as may be after a real suspension.
    for (const pid of all.reverse()) {
      process.kill(pid, 'SIGCONT')
      await sleep(20)
    }
    await sleep(WATCHED_MS)
    driver.send('over')
  })
  const restarts = report.restarts.workers + report.restarts.hubs + report.restarts.outsiders
  const faults =
    restarts === 0 ? verdict.faults : [...verdict.faults, `${restarts} restarts after a suspension`]
  return { report, verdict: { ...verdict, faults } }
}

/** Longer than it takes to find a loop hung. */
const WATCHED_MS = 20_000

async function storm(
  options: Omit<Orders, 'folder' | 'base'>,
  during: (driver: ChildProcess, folder: string) => Promise<void>,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'vstorm-'))
  const base = join(folder, 'run')
  mkdirSync(base)
  await bundle(folder)
  const orders: Orders = { folder, base, ...options }
  const driver = spawn(process.execPath, [join(folder, 'driver.mjs'), JSON.stringify(orders)], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const timer = setTimeout(() => driver.kill('SIGKILL'), options.seconds * 1000 + AROUND_MS)
  const ended = once(driver, 'exit')
  await Promise.race([during(driver, folder), ended])
  const [code, signal] = await ended
  clearTimeout(timer)
  if (code !== 0)
    throw new Error(`the driver ended with ${code ?? signal}; seed ${options.seed}, see ${folder}`)
  const report: DriverReport = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))
  const slept = options.calm ? options.seconds * 1000 : 0
  const verdict = await judge(folder, report, SLACK_MS + slept)
  if (verdict.faults.length === 0) rmSync(folder, { recursive: true, force: true })
  else process.stderr.write(`logs and ledgers: ${folder}\n`)
  return { report, verdict }
}

/** Processes whose working folder that is. */
function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === folder
      } catch {
        return false // It has ended, or is not ours to look at.
      }
    })
}

/** The driver runs on the built package, of which the hub's process is a part; the others are one file each. */
async function bundle(folder: string): Promise<void> {
  const source = { path: join(ROOT, 'src/index.ts') }
  const built = { path: join(ROOT, 'dist/node/index.js'), external: true }
  for (const [name, viaduct] of [
    ['driver', built],
    ['worker', source],
    ['outsider', source],
  ] as const) {
    await build({
      entryPoints: [join(ROOT, `test/storm/programs/${name}.ts`)],
      outfile: join(folder, `${name}.mjs`),
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
      plugins: [
        { name: 'viaduct', setup: ({ onResolve }) => onResolve({ filter: /^viaduct$/ }, () => viaduct) },
      ],
    })
  }
}
