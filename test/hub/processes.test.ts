/** A hub with real processes: what the kernel says of one that dies. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { Hub } from '../../src/index.ts'
import { refusal } from '../support/hubRig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-hub-'))
const worker = fileURLToPath(new URL('fixtures/worker.mjs', import.meta.url))

afterAll(() => rmSync(base, { recursive: true, force: true }))

describe('a hub with real processes', () => {
  it('settles calls to a killed peer within 250 ms, and the peer comes back', async () => {
    const hub = await Hub.listen({ app: 'killed', base, log: () => {} })
    try {
      await hub.supervise('worker-1', { type: 'worker', run: [process.execPath, worker] })
      const target = { target: { id: 'worker-1' } }
      // It waits for the target to start.
      expect(await hub.peer.call('work.echo', 1, { ...target, timeoutMs: 20_000 })).toBe(1)
      const took: number[] = []
      for (let round = 0; round < 2; round++) {
        const back = new Promise<void>((resolve) => {
          const stop = hub.onChange(({ state }) => {
            if (state !== 'ready') return
            stop()
            resolve()
          })
        })
        await hub.peer.call('work.echo', round, { ...target, timeoutMs: 20_000 })
        const pending = Array.from({ length: 20 }, () => refusal(hub.peer.call('work.hang', 1, target)))
        // All of them have reached it when this one is answered.
        await hub.peer.call('work.echo', 1, target)
        const killedAt = performance.now()
        await hub.kill('worker-1')
        for (const error of await Promise.all(pending))
          expect(error).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
        took.push(performance.now() - killedAt)
        await back
      }
      expect(Math.min(...took)).toBeLessThan(250)
      expect(hub.peer.core.openCalls).toBe(0)
    } finally {
      await hub.close()
    }
  })

  it('is one to an app: the second is refused by name', async () => {
    const first = await Hub.listen({ app: 'single', base, log: () => {} })
    expect(await refusal(Hub.listen({ app: 'single', base }))).toMatchObject({ reason: 'HUB_RUNNING' })
    await first.close()
    const second = await Hub.listen({ app: 'single', base, log: () => {} })
    await second.close()
  })
})
