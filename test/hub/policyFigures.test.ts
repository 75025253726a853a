import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { memoryStore } from '../../src/host/cacheStores.ts'
import { contract, Hub, join, manifest, method } from '../../src/index.ts'
import { calleePolicies, callerPolicies } from '../../src/policies/index.ts'

const pages = contract('pages', {
  read: method({ input: z.number(), output: z.number(), idempotent: true }),
  write: method({ input: z.number(), output: z.number() }),
})

it('the hub shows the hit rate of a cache, the state of a breaker and what a limiter refused', async () => {
  const base = mkdtempSync(pathOf(tmpdir(), 'vf-'))
  const rules = manifest({
    main: { zone: 'trusted', call: ['*'] },
    worker: { zone: 'trusted', join: true },
    reader: { zone: 'trusted', call: ['pages.*'], join: true },
  })
  const hub = await Hub.listen({ app: 'figures', base, manifest: rules, log: () => {} })
  try {
    const worker = await join({ app: 'figures', id: 'worker', base })
    worker.serve(
      pages,
      { read: (n) => n, write: (n) => n },
      { policies: calleePolicies({ rateLimit: { limits: { 'pages.write': 1 } } }) },
    )
    const reader = await join({ app: 'figures', id: 'reader', base })
    const policies = callerPolicies({
      cache: { methods: ['pages.read'], stores: [memoryStore()] },
      breaker: { threshold: 2 },
    })
    const api = reader.client(pages, { id: 'worker' }, { policies })
    for (let n = 0; n < 4; n++) expect(await api.read(1)).toBe(1)
    expect(await api.write(1)).toBe(1)
    await expect(api.write(2)).rejects.toMatchObject({ reason: 'RATE_LIMITED' })
    const gone = reader.client(pages, { id: 'nobody' }, { policies })
    for (let n = 0; n < 2; n++) await expect(gone.write(n)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(gone.write(3)).rejects.toMatchObject({ reason: 'BREAKER_OPEN' })
    const figures = async () => {
      const answer = z
        .object({ policies: z.array(z.object({ peer: z.string(), policy: z.string(), stats: z.any() })) })
        .parse(await hub.peer.call('$hub.stats'))
      return new Map(answer.policies.map(({ peer, policy, stats }) => [`${peer} ${policy}`, stats]))
    }
    await expect
      .poll(async () => (await figures()).get('reader cache'))
      .toMatchObject({ hits: 3, misses: 1, hitRate: 0.75 })
    await expect
      .poll(async () => (await figures()).get('reader breaker'))
      .toMatchObject({ opened: 1, refused: 1, state: expect.stringContaining('open') })
    await expect.poll(async () => (await figures()).get('worker rateLimit')).toMatchObject({ refused: 1 })
    reader.close()
    worker.close()
  } finally {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  }
})
