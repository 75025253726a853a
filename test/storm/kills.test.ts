/** A hundred kills of what `npm run test:storm` does by the ten thousand. */
import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { killStorm } from './killStorm.ts'
import { table } from './verdict.ts'

it.skipIf(!existsSync('/proc/self/fd'))(
  'a hundred kills under load: every call settles, and says truly whether it may have run',
  async () => {
    const seed = Number(process.env.VIADUCT_SEED ?? Math.floor(Math.random() * 2 ** 32))
    const { report, verdict } = await killStorm({ seed, kills: 100, seconds: 60, hubShare: 8 })
    const { kills, restarts, steady } = report
    process.stdout.write(`${table(report, verdict)}\n`)
    expect(verdict.faults, `seed ${seed}`).toEqual([])
    // What was to be shown has happened.
    expect(kills.workers, 'kills of children').toBeGreaterThan(20)
    expect(kills.hubs, 'kills of the hub').toBeGreaterThan(0)
    expect(restarts.workers, 'restarts').toBeGreaterThan(20)
    expect(steady.every(({ reconnects }) => reconnects > 0)).toBe(true)
    const fates = [...verdict.outcomes.keys()]
    expect(fates.some((outcome) => outcome.endsWith('/not-sent'))).toBe(true)
    expect(fates.some((outcome) => outcome.endsWith('/unknown'))).toBe(true)
    expect(verdict.outcomes.get('ok')).toBeGreaterThan(500)
  },
)
