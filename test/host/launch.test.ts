import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChildChange, Hub } from 'viaduct'
import { afterAll, expect, it, vi } from 'vitest'
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

it('says how the hub process ended before it had started, by its code or by its signal', async () => {
  const endings = [
    ['process.exit(3)', 'ended with code 3'],
    ["process.kill(process.pid,'SIGKILL')", 'was killed by SIGKILL'],
  ]
  try {
    for (const [program, how] of endings) {
      vi.stubEnv('NODE_OPTIONS', `--import=data:text/javascript,${program}`)
      await expect(Hub.launch({ app: 'ended', base })).rejects.toMatchObject({
        reason: 'HUB_START_FAILED',
        message: `the hub process ${how} before it had started`,
      })
    }
  } finally {
    vi.unstubAllEnvs()
  }
})

it('refuses a child whose link is of an unknown kind, from another process too', async () => {
  const spec = JSON.parse('{"type":"worker","run":["true"],"link":"pigeon"}')
  const refused = { code: 'INVALID_ARGUMENT', reason: 'BAD_LINK', path: 'link' }
  for (const start of [Hub.launch, Hub.listen]) {
    const hub = await start({ app: 'links', base })
    try {
      await expect(hub.supervise('w', spec)).rejects.toMatchObject(refused)
      expect(await hub.children()).toEqual([])
    } finally {
      await hub.close()
    }
  }
})
