/** Metrics, alerts and reports across real processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { AlertChange, MetricsReport } from '../../src/index.ts'
import { refusal } from '../support/hubRig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-metrics-'))
const dist = new URL('../../dist/node/index.js', import.meta.url).href
const counted = fileURLToPath(new URL('fixtures/counted.mjs', import.meta.url))

afterAll(() => rmSync(base, { recursive: true, force: true }))

describe('a hub with real processes', () => {
  it.each(['listen', 'launch'] as const)(
    '%s: tells of windows and alerts, logs them, and shows what a child’s policies count',
    async (how) => {
      const { Hub }: typeof import('../../src/index.ts') = await import(dist)
      const log: string[] = []
      const metrics = { windowMs: 300, sampleMs: 50, alerts: { minMessages: 5 } }
      const hub = await Hub[how]({ app: `metrics-${how}`, base, metrics, log: (text) => log.push(text) })
      try {
        await hub.supervise('worker-1', { type: 'worker', run: [process.execPath, counted] })
        const target = { target: { id: 'worker-1' }, timeoutMs: 20_000 }
        expect(await hub.peer.call('counted.work', 0, target)).toBe('done')
        const reports: MetricsReport[] = []
        const changes: AlertChange[] = []
        let wake = (): void => {}
        const unlisten = [
          hub.onMetrics((report) => {
            reports.push(report)
            wake()
          }),
          hub.onAlert((change) => {
            changes.push(change)
            wake()
          }),
        ]
        const until = async (holds: () => boolean): Promise<void> => {
          while (!holds()) await new Promise<void>((resolve) => (wake = resolve))
        }
        const of = (kind: AlertChange['kind'], name: string) =>
          changes.find(({ kind: is, alert }) => is === kind && alert.name === name)
        let going = true
        const load = (async () => {
          while (going) {
            const some = Array.from({ length: 10 }, () => refusal(hub.peer.call('counted.fail', 150, target)))
            for (const error of await Promise.all(some)) expect(error).toMatchObject({ code: 'NOT_FOUND' })
          }
        })()
        await until(() => of('raised', 'errorRate') !== undefined && of('raised', 'p95Latency') !== undefined)
        going = false
        await load
        expect(of('raised', 'errorRate')?.alert).toMatchObject({
          ...{ level: 'CRITICAL', method: 'counted.fail', value: 100, threshold: 5 },
        })
        expect(of('raised', 'p95Latency')?.alert.value).toBeGreaterThan(145)
        await until(
          () => of('cleared', 'errorRate') !== undefined && of('cleared', 'p95Latency') !== undefined,
        )
        const busy = reports.find(({ pairs }) => pairs.some(({ to }) => to === 'worker-1'))
        expect(busy).toMatchObject({ kind: 'window' })
        expect(busy?.windowMs).toBeGreaterThanOrEqual(299)
        expect(await hub.metrics()).toMatchObject({ kind: 'snapshot', missed: 0 })
        for (const end of unlisten) end()
        const lines = log
          .join('\n')
          .split('\n')
          .filter((line) => line.includes(' name=errorRate '))
        expect(lines.map((line) => /alert (\w+) level=CRITICAL/.exec(line)?.[1])).toEqual([
          'raised',
          'cleared',
        ])
        // Reported a second after the child has served.
        let rows = (await hub.stats()).policies
        for (; rows.length === 0; rows = (await hub.stats()).policies)
          await hub.peer.call('counted.work', 100, target)
        expect(rows).toMatchObject([{ peer: 'worker-1', policy: 'metrics', name: 'counted' }])
        expect(rows[0]?.stats.calls).toBeGreaterThan(10)
      } finally {
        await hub.close()
      }
    },
  )
})
