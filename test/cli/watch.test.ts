/** `viaduct who --watch`: who is there, line by line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { join } from '../../src/host/join.ts'
import { applyChange, type HubChange, type Peer, type PeerRow } from '../../src/index.ts'
import { type Desk, HOSTILE_METHOD, HOSTILE_TYPE, openDesk } from './hub.ts'
import { Program } from './program.ts'

let program: Program
let desk: Desk
beforeAll(async () => {
  program = new Program()
  desk = await openDesk('desk')
  await desk.hub.admit('guest', { type: HOSTILE_TYPE })
})
afterAll(async () => {
  await desk.close()
  program.remove()
})

/** A peer that comes, serves, gives it up and goes; each step is told before the next is taken. */
async function visit(told: (kind: string) => Promise<void>): Promise<void> {
  const guest: Peer = await join({ app: 'desk', id: 'guest', ready: false, reconnect: false })
  await told('joined')
  const served = guest.handle(HOSTILE_METHOD, () => 1)
  await told('served')
  await guest.ready()
  await told('state')
  await served.withdraw()
  await told('withdrawn')
  guest.close()
  await told('left')
}

describe('who --watch', () => {
  it('prints a line for each peer, then for each change, and obeys no name', async () => {
    const started = program.start(['who', '--watch'])
    expect(await started.note()).toBe('watching who is on the hub of desk; Ctrl-C ends')
    const first: string[] = []
    // The hub, main, ai-1, odd and the command line itself.
    for (let count = 0; count < 5; count++) first.push(await started.line())
    expect(first.join('\n')).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}ai-1 +ai +ready +\d+ methods +is$/m)
    const lines: string[] = []
    await visit(async (kind) => {
      const line = await started.line()
      lines.push(line)
      expect(line).toMatch(new RegExp(` guest .* ${kind}`))
    })
    expect(lines[1]).toContain('1 methods')
    expect(lines[1]).toContain('pages.\\u001b]0;owned')
    expect(lines[4]).toMatch(/ left +\d methods +left +GOING_AWAY$/)
    started.process.kill('SIGINT')
    const { code, stdout } = await started.end()
    expect(code).toBe(130)
    expect(stdout).not.toMatch(/[^\P{C}\n]/u)
  })

  it('with --json prints the changes themselves, from which the rows can be made', async () => {
    const started = program.start(['who', '--watch', '--json'])
    const rows = new Map<string, PeerRow>()
    const next = async (): Promise<HubChange> => {
      const change: HubChange = JSON.parse(await started.line())
      applyChange(rows, change)
      return change
    }
    expect(await next()).toMatchObject({ kind: 'snapshot', missed: 0 })
    expect([...rows.keys()]).toEqual(expect.arrayContaining(['hub', 'main', 'ai-1', 'odd']))
    await visit(async (kind) => {
      expect((await next()).kind).toBe(kind)
      expect(rows.has('guest')).toBe(kind !== 'left')
    })
    started.process.kill('SIGINT')
    expect((await started.end()).code).toBe(130)
  })

  it('is an option of who alone', async () => {
    const wrong = await program.run('ping --watch')
    expect(wrong).toMatchObject({ code: 2 })
    expect(wrong.stderr).toContain('ping has no option --watch')
  })
})
