import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { type ChildChange, Hub } from '../../dist/index.js'
import { fixture } from './bundle.ts'

const base = mkdtempSync(join(tmpdir(), 'vl-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

it('a hub in a process of its own is one peer, and tells its launcher why a child hung', async () => {
  const logged: string[] = []
  const hub = await Hub.launch({ app: 'launched', base, log: (text: string) => logged.push(text) })
  try {
    await hub.supervise('loop', {
      type: 'worker',
      run: [process.execPath, fixture('loop.mjs')],
      link: 'stdio',
      stackOnHang: true,
      heartbeat: { everyMs: 300, misses: 2 },
      stdio: { err: 'ignore' },
    })
    await hub.whenReady('loop')
    expect((await hub.who()).map(({ id }) => id).sort()).toEqual(['hub', 'loop', 'main'])
    const lost = new Promise<ChildChange>((resolve) => {
      hub.onChange((change) => {
        if (change.state === 'backoff') resolve(change)
      })
    })
    // The subscription is on its way over the same link as the call.
    await hub.peer.call('loop.spin', undefined, { target: { id: 'loop' } })
    const { evidence, reason } = await lost
    expect(evidence?.stack[0]).toMatchObject({ name: 'spinForever', line: 12 })
    expect(reason).toMatch(/spinForever/)
    expect((await hub.children())[0]?.lastHang).toEqual(evidence)
    expect(logged.join('\n')).toContain(`loop ${reason}`)
  } finally {
    await hub.close()
  }
})
