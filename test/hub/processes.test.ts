/** A hub with real processes: what the kernel says of one that dies. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { applyChange, Hub, type PeerRow } from '../../src/index.ts'
import { refusal } from '../support/hubRig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-hub-'))
const worker = fileURLToPath(new URL('fixtures/worker.mjs', import.meta.url))
const dist = new URL('../../dist/node/index.js', import.meta.url).href
const pages = fileURLToPath(new URL('fixtures/pages.mjs', import.meta.url))

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

  it.each(['listen', 'launch'] as const)(
    '%s: calls all, one dies of it, and a watch tells why',
    async (how) => {
      // The process of a launched hub is a program beside the built package.
      const { Hub: Built }: typeof import('../../src/index.ts') = await import(dist)
      const hub = await Built[how]({ app: `all-${how}`, base, log: () => {} })
      try {
        const rows = new Map<string, PeerRow>()
        const told: string[] = []
        let wake = (): void => {}
        const watch = hub.watch()
        const watching = (async () => {
          for await (const change of watch) {
            applyChange(rows, change)
            if (change.kind === 'restart') told.push(`${change.id} ${change.reason ?? ''}`)
            wake()
          }
          return 'ended'
        })()
        const until = async (holds: () => boolean): Promise<void> => {
          while (!holds()) await new Promise<void>((resolve) => (wake = resolve))
        }
        const ids = ['pages-1', 'pages-2', 'pages-3']
        for (const id of ids) await hub.supervise(id, { type: 'worker', run: [process.execPath, pages] })
        await until(() => ids.every((id) => rows.get(id)?.state === 'ready' && rows.get(id)?.methods === 3))
        const answers = await hub.peer.callAll(
          'pages.count',
          'pages-2',
          { type: 'worker' },
          { timeoutMs: 20_000 },
        )
        expect(answers.map(({ peer, ok }) => [peer.id, ok]).sort()).toEqual([
          ['pages-1', true],
          ['pages-2', false],
          ['pages-3', true],
        ])
        const dead = answers.find(({ ok }) => !ok)
        expect(dead).toMatchObject({ error: { reason: 'TARGET_UNAVAILABLE', fate: 'unknown' } })
        await until(() => told.length > 0 && rows.get('pages-2')?.state === 'ready')
        expect(told).toEqual(['pages-2 was killed by SIGKILL'])
        expect(rows.get('pages-2')).toMatchObject({ restarts: 1, zone: 'semi', pid: expect.any(Number) })

        const target = { target: { id: 'pages-1' }, timeoutMs: 20_000 }
        const running = refusal(hub.peer.call('pages.tick', 1, target))
        expect(await hub.peer.call('pages.withdraw', 50, target)).toBe('withdrawn')
        expect(await running).toMatchObject({ code: 'UNAVAILABLE', reason: 'WITHDRAWN' })
        expect(await refusal(hub.peer.call('pages.tick', 1, target))).toMatchObject({
          reason: 'METHOD_NOT_FOUND',
        })
        await until(() => rows.get('pages-1')?.methods === 2)
        const there = await hub.who()
        for (const id of ids) {
          const row = there.find((peer) => peer.id === id)
          const { session, pid, state, methods, zone } = rows.get(id) ?? {}
          expect(row).toMatchObject({ session, pid, state, methods, zone })
        }
        watch.cancel()
        expect(await watching).toBe('ended')
      } finally {
        await hub.close()
      }
    },
  )
})
