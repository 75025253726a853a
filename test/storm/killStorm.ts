import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { DriverReport } from './figures.ts'
import type { Orders } from './programs/driver.ts'
import { judge, type Verdict } from './verdict.ts'

/** From here, and from `dist/storm/`, where the long storm's runner is bundled to. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export type StormOptions = Pick<Orders, 'seed' | 'kills' | 'seconds' | 'hubShare'>

/** Runs a storm from a private folder, and judges it. The folder is kept when there is something to look at. */
export async function killStorm(options: StormOptions): Promise<{ report: DriverReport; verdict: Verdict }> {
  const folder = mkdtempSync(join(tmpdir(), 'vstorm-'))
  const base = join(folder, 'run')
  mkdirSync(base)
  await bundle(folder)
  const orders: Orders = { folder, base, ...options }
  const driver = spawn(process.execPath, [join(folder, 'driver.mjs'), JSON.stringify(orders)], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code, signal] = await once(driver, 'exit')
  if (code !== 0)
    throw new Error(`the driver ended with ${code ?? signal}; seed ${options.seed}, see ${folder}`)
  const report: DriverReport = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))
  const verdict = await judge(folder, report)
  if (verdict.faults.length === 0) rmSync(folder, { recursive: true, force: true })
  else process.stderr.write(`logs and ledgers: ${folder}\n`)
  return { report, verdict }
}

/** The driver runs on the built package, of which the hub's process is a part; the others are one file each. */
async function bundle(folder: string): Promise<void> {
  const source = { path: join(ROOT, 'src/index.ts') }
  const built = { path: join(ROOT, 'dist/index.js'), external: true }
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
