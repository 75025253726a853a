/** Functions called back between real processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Hub } from '../../src/index.ts'
import { refusal } from '../support/hubRig.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-backs-'))
const backs = fileURLToPath(new URL('fixtures/backs.mjs', import.meta.url))
const TIMES = 10_000

describe('callbacks between processes', () => {
  let hub: Hub
  beforeAll(async () => {
    const rules = {
      worker: { zone: 'semi', call: [{ method: 'backs.*', to: 'worker' }] },
      main: { call: ['*'] },
    } as const
    hub = await Hub.listen({ app: 'backs', base, manifest: rules, log: () => {} })
    for (const id of ['one', 'two']) {
      await hub.supervise(id, { type: 'worker', run: [process.execPath, backs] })
      await hub.whenReady(id)
    }
  })
  afterAll(async () => {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  })
  const to = (id: string, timeoutMs = 20_000) => ({ target: { id }, timeoutMs })

  it(`a child calls back ${TIMES} times, in order`, async () => {
    let seen = 0
    const onStep = (n: unknown): void => {
      if (n !== seen) throw new Error(`${String(n)} came for ${seen}`)
      seen++
    }
    expect(await hub.peer.call('backs.count', { times: TIMES, onStep }, to('one', 60_000))).toBe(TIMES)
    expect(seen).toBe(TIMES)
    expect(hub.peer.core.openCalls).toBe(0)
  })

  it('what is kept works, is released or ends with its lease, and leaves nothing', {
    timeout: 240_000,
  }, async () => {
    let runs = 0
    const callback = () => ++runs
    const named = (name: string) => hub.peer.call('backs.use', { name }, to('one'))
    await hub.peer.call('backs.keep', { name: 'a', callback, leaseMs: 60_000 }, to('one'))
    await hub.peer.call('backs.keep', { name: 'b', callback, leaseMs: 1 }, to('one'))
    expect([await named('a'), await named('a')]).toEqual([1, 2])
    await hub.peer.call('backs.release', { name: 'a' }, to('one'))
    expect(await refusal(named('a'))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'LEASE_ENDED' })
    // However long its timers take: each use in time would begin the lease anew.
    let reason: unknown
    do {
      await new Promise((resolve) => setTimeout(resolve, 20))
      reason = await hub.peer.call('backs.reason', { name: 'b' }, to('one'))
    } while (reason !== 'LEASE_ENDED')
    const row = (await hub.who()).find(({ id }) => id === 'one')
    expect(row?.open).toBe(0)
    expect(hub.peer.core.openCalls).toBe(0)
  })

  it('one that throws and is not waited for ends no process', async () => {
    const seen: unknown[] = []
    const onStep = (what: unknown): void => {
      seen.push(what)
      if (seen.length % 2 === 1) throw new Error('nobody hears of this')
    }
    const first = await hub.peer.call('backs.careless', { onStep }, to('two'))
    expect(await hub.peer.call('backs.careless', { onStep }, to('two'))).toBe(first)
    expect(seen.length).toBe(4)
    expect((await hub.who()).find(({ id }) => id === 'two')?.pid).toBe(first)
  })

  it('the callee is killed while it holds a function: its call fails, nothing is left', {
    timeout: 240_000,
  }, async () => {
    const pids: unknown[] = []
    const died = refusal(hub.peer.call('backs.die', { onStep: (pid: unknown) => pids.push(pid) }, to('one')))
    expect(await died).toMatchObject({ reason: 'TARGET_UNAVAILABLE', fate: 'unknown' })
    expect(pids).toEqual([expect.any(Number)])
    expect(hub.peer.core.openCalls).toBe(0)
  })

  it('the caller is killed: what was kept of it rejects', async () => {
    await hub.whenReady('one')
    await hub.peer.call('backs.lend', { to: 'two', name: 'lent' }, to('one'))
    const under = hub.peer.call('backs.reason', { name: 'lent' }, to('two'))
    await hub.peer.call('backs.count', { times: 1, onStep: () => {} }, to('two'))
    await hub.kill('one')
    expect(await under).toBe('CANCELLED')
    expect(await hub.peer.call('backs.reason', { name: 'lent' }, to('two'))).toBe('CANCELLED')
  })
})
