import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { EVIDENCE_MS } from '../../src/host/evidence.ts'
import { isRunning } from '../../src/host/processInfo.ts'
import type {
  ChangeDetails,
  ChildSpec,
  ChildState,
  StartedChild,
  SupervisedLink,
} from '../../src/host/supervision.ts'
import { Supervisor } from '../../src/host/supervisor.ts'
import { fixture } from './bundle.ts'
import { LineLink } from './lineLink.ts'

const NODE = process.execPath
const CHILD = fixture('child.mjs')
/** Starts of Node take up to a second on a busy machine. */
const READY_MS = 10_000

interface Change extends ChangeDetails {
  readonly id: string
  readonly state: ChildState
}

/** A supervisor whose changes can be awaited and whose links can be spoken to. */
class Stage {
  readonly changes: Change[] = []
  readonly links = new Map<string, LineLink>()
  readonly pids: number[] = []
  readonly #watchers = new Set<() => void>()
  readonly supervisor: Supervisor

  constructor(attach?: (child: StartedChild) => SupervisedLink) {
    this.supervisor = new Supervisor({
      app: 'test',
      attach: (child) => {
        this.pids.push(child.pid)
        if (attach) return attach(child)
        const link = new LineLink(child)
        this.links.set(child.id, link)
        return link
      },
      onChange: (id, state, details) => {
        this.changes.push({ id, state, ...details })
        for (const watcher of this.#watchers) watcher()
      },
    })
  }

  start(id: string, mode = 'good', spec: Partial<ChildSpec> = {}): Promise<Change> {
    this.supervisor.supervise(id, {
      type: 'worker',
      run: [NODE, CHILD, mode],
      readyTimeoutMs: READY_MS,
      stopTimeoutMs: 2_000,
      restart: { initialDelayMs: 5, maxDelayMs: 20 },
      stdio: { err: 'ignore' },
      ...spec,
    })
    return this.next(id, 'ready')
  }

  /** The first change of that id to that state, from the `since`th change on. */
  next(id: string, state: ChildState, since = 0): Promise<Change> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.changes.slice(since).find((change) => change.id === id && change.state === state)
        if (!found) return
        this.#watchers.delete(look)
        resolve(found)
      }
      this.#watchers.add(look)
      look()
    })
  }

  states(id: string): ChildState[] {
    return this.changes.filter((change) => change.id === id).map((change) => change.state)
  }

  link(id: string): LineLink {
    const link = this.links.get(id)
    if (!link) throw new Error(`no link ${id}`)
    return link
  }

  status(id: string) {
    const status = this.supervisor.status().find((child) => child.id === id)
    if (!status) throw new Error(`no status ${id}`)
    return status
  }
}

let stages: Stage[] = []
const exitListeners = process.listenerCount('exit')

function stage(attach?: (child: StartedChild) => SupervisedLink): Stage {
  const made = new Stage(attach)
  stages.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(stages.map((made) => made.supervisor.stop()))
  const left = stages.flatMap((made) => made.pids).filter(isRunning)
  stages = []
  expect(left, 'no process is left').toEqual([])
  expect(process.listenerCount('exit')).toBe(exitListeners)
})

describe('starting', () => {
  it('gives the child a link and tells it who it is, and nothing secret', async () => {
    const set = stage()
    await set.start('ai-1', 'good', { env: { EXTRA: 'yes', PATH: undefined } })
    const link = set.link('ai-1')
    link.say('env')
    const env = JSON.parse(await link.heard('env'))
    expect(env).toMatchObject({ VIADUCT_FD: '3', VIADUCT_APP: 'test', VIADUCT_ID: 'ai-1', EXTRA: 'yes' })
    expect(env.PATH).toBeUndefined()
    expect(Object.keys(env).filter((name) => name.startsWith('VIADUCT_')).length).toBe(3)
    expect(set.supervisor.status()).toEqual([
      {
        id: 'ai-1',
        type: 'worker',
        state: 'ready',
        pid: link.child.pid,
        restarts: 0,
        startedAt: expect.any(Number),
        lastExit: undefined,
        lastLoss: undefined,
        stderrTail: '',
      },
    ])
    expect(set.changes.map(({ state, pid }) => [state, pid])).toEqual([
      ['starting', link.child.pid],
      ['ready', link.child.pid],
    ])
  })

  it('says when it is ready, at once, later, or not at all', async () => {
    const { supervisor } = stage()
    supervisor.supervise('a', { type: 'worker', run: [NODE, CHILD] })
    await supervisor.whenReady('a')
    await supervisor.whenReady('a')
    await supervisor.stop('a')
    await expect(supervisor.whenReady('a')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CHILD_STOPPED',
    })
    await expect(supervisor.whenReady('b')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'CHILD_UNKNOWN',
    })
  })

  it('fails at once, by name, when the command is not there', async () => {
    const set = stage()
    set.supervisor.supervise('ai-1', { type: 'ai', run: ['no-such-command-of-ours', '--x'] })
    const refused = {
      code: 'NOT_FOUND',
      reason: 'COMMAND_NOT_FOUND',
      message: expect.stringMatching(/ai-1.*"no-such-command-of-ours" was not found.*PATH/),
    }
    await expect(set.supervisor.whenReady('ai-1')).rejects.toMatchObject(refused)
    expect(set.states('ai-1')).toEqual(['starting', 'failed'])
    expect(set.changes.at(-1)?.error).toMatchObject(refused)
    await expect(set.supervisor.whenReady('ai-1')).rejects.toMatchObject(refused)
  })

  it('names a working folder that is not there, a file that is no program, and an argument that no system takes', async () => {
    const { supervisor } = stage()
    supervisor.supervise('a', { type: 'ai', run: [NODE], cwd: '/no/such/folder' })
    await expect(supervisor.whenReady('a')).rejects.toMatchObject({
      message: expect.stringContaining('/no/such/folder'),
    })
    supervisor.supervise('b', { type: 'ai', run: [CHILD] })
    await expect(supervisor.whenReady('b')).rejects.toMatchObject({
      message: expect.stringContaining('EACCES'),
    })
    supervisor.supervise('c', { type: 'ai', run: [NODE, 'a\0b'] })
    await expect(supervisor.whenReady('c')).rejects.toMatchObject({ reason: 'COMMAND_NOT_FOUND' })
  })

  it('refuses bad ids, ids in use, bad limits, and anything after the end', async () => {
    const { supervisor } = stage()
    const spec: ChildSpec = { type: 'worker', run: [NODE, CHILD] }
    expect(() => supervisor.supervise('../x', spec)).toThrow(expect.objectContaining({ reason: 'BAD_ID' }))
    const bad: [string, Partial<ChildSpec>][] = [
      ['restart.max', { restart: { max: -1 } }],
      ['heartbeat.everyMs', { heartbeat: { everyMs: 0 } }],
      ['heartbeat.misses', { heartbeat: { misses: Number.NaN } }],
      ['readyTimeoutMs', { readyTimeoutMs: -1 }],
      ['stopTimeoutMs', { stopTimeoutMs: Number.NaN }],
    ]
    for (const [path, limits] of bad) {
      expect(() => supervisor.supervise('a', { ...spec, ...limits })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'BAD_LIMIT', path }),
      )
    }
    supervisor.supervise('a', spec)
    expect(() => supervisor.supervise('a', spec)).toThrow(expect.objectContaining({ reason: 'CHILD_EXISTS' }))
    await supervisor.stop()
    expect(() => supervisor.supervise('b', spec)).toThrow(
      expect.objectContaining({ reason: 'SUPERVISOR_STOPPED' }),
    )
  })

  it('takes an id again once its child has stopped', async () => {
    const set = stage()
    const first = await set.start('a')
    await set.supervisor.stop('a')
    const again = set.changes.length
    set.start('a')
    const second = await set.next('a', 'ready', again)
    expect(second.pid).not.toBe(first.pid)
    expect(isRunning(first.pid ?? 0)).toBe(false)
  })

  it('takes one that does not become ready for lost, and kills it', async () => {
    const set = stage()
    set.start('a', 'never-ready', { readyTimeoutMs: 100, restart: { max: 0 } })
    const failed = await set.next('a', 'failed')
    expect(failed.reason).toBe('was not ready within 100 ms')
    expect(set.link('a').closedWith).toBe('ADMISSION_TIMEOUT')
  })

  it('takes one for lost that cannot be attached', async () => {
    const set = stage(() => {
      throw new Error('the hub is full')
    })
    set.start('a', 'good', { restart: { max: 0 } })
    expect((await set.next('a', 'failed')).reason).toBe('could not be attached: the hub is full')
  })

  it('counts a crash during the start like any other, and keeps its last words', async () => {
    const set = stage()
    set.start('a', 'crash-at-start')
    const failed = await set.next('a', 'failed')
    expect(set.states('a')).toEqual([
      ...['starting', 'backoff', 'starting', 'backoff', 'starting', 'backoff'],
      ...['starting', 'failed'],
    ])
    expect(failed.error).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CHILD_FAILED',
      message: expect.stringContaining('3 restarts within 60000 ms'),
    })
    await set.supervisor.stop('a')
    expect(set.status('a')).toMatchObject({
      state: 'failed',
      pid: undefined,
      restarts: 3,
      lastExit: { code: 3, signal: null, at: expect.any(Number) },
      stderrTail: 'cannot find my settings\n'.repeat(4),
    })
  })
})

describe('losing a child', () => {
  it('restarts one that was killed, and leaves its siblings alone', async () => {
    const set = stage()
    const [first, sibling] = await Promise.all([set.start('a'), set.start('b')])
    const since = set.changes.length
    expect(set.supervisor.kill('a')).toBe(true)
    const lost = await set.next('a', 'backoff', since)
    expect(lost.delayMs).toBeLessThanOrEqual(5)
    const second = await set.next('a', 'ready', since)
    expect(second.pid).not.toBe(first.pid)
    expect(set.status('a')).toMatchObject({
      restarts: 1,
      pid: second.pid,
      lastExit: { code: null, signal: 'SIGKILL' },
    })
    expect(set.states('b')).toEqual(['starting', 'ready'])
    expect(set.status('b')).toMatchObject({ restarts: 0, pid: sibling.pid })
  })

  it('takes an exit with code 0 for a loss', async () => {
    const set = stage()
    await set.start('a')
    const since = set.changes.length
    set.link('a').say('exit 0')
    await set.next('a', 'ready', since)
    expect(set.status('a')).toMatchObject({ restarts: 1, lastExit: { code: 0 } })
  })

  it('takes the end of the link for the loss, also when the process stays, which is then ended', async () => {
    const set = stage()
    const first = await set.start('a', 'stubborn')
    const since = set.changes.length
    set.link('a').say('close')
    const lost = await set.next('a', 'backoff', since)
    expect(lost.reason).toBe('ended its link (TRANSPORT_CLOSED)')
    expect(isRunning(first.pid ?? 0)).toBe(true)
    await set.next('a', 'starting', since)
    expect(isRunning(first.pid ?? 0)).toBe(false)
    await set.next('a', 'ready', since)
  })

  it('gives up after the limit', async () => {
    const set = stage()
    await set.start('a', 'good', { restart: { max: 1, initialDelayMs: 1 } })
    set.supervisor.kill('a')
    await set.next('a', 'ready', set.changes.length)
    set.supervisor.kill('a')
    const failed = await set.next('a', 'failed')
    expect(failed).toMatchObject({ reason: 'was killed by SIGKILL', exit: { signal: 'SIGKILL' } })
    await expect(set.supervisor.whenReady('a')).rejects.toMatchObject({ reason: 'CHILD_FAILED' })
    expect(set.supervisor.kill('a')).toBe(false)
  })

  it('restarts a hung loop, with the evidence', async () => {
    const set = stage()
    const first = await set.start('a', 'good', { heartbeat: { everyMs: 100, misses: 2 } })
    await once(set.link('a'), 'pong')
    const since = set.changes.length
    set.link('a').say('hang')
    const lost = await set.next('a', 'backoff', since)
    expect(lost.reason).toMatch(/^hung: no pong for \d+ ms, 2 heartbeats missed/)
    if (process.platform === 'linux')
      expect(lost.reason).toMatch(/the process is running, \d+ ms of processor time/)
    expect(set.link('a').closedWith).toBe('HEARTBEAT_LOST')
    const second = await set.next('a', 'ready', since)
    expect(second.pid).not.toBe(first.pid)
    expect(isRunning(first.pid ?? 0)).toBe(false)
    expect(set.status('a')).toMatchObject({ lastExit: { signal: 'SIGKILL' }, lastLoss: lost.reason })
  })

  it.each([true, false])(
    'sends SIGUSR2 to one that prints its stacks then, and to no other (%s)',
    async (prints) => {
      const set = stage()
      await set.start('a', 'good', { heartbeat: { everyMs: 100, misses: 2 } })
      set.link('a').prints = prints
      set.link('a').say('mute')
      const { reason, evidence } = await set.next('a', 'backoff')
      expect(reason).toMatch(/^hung: /)
      expect(evidence?.stderr).toBe(prints ? 'File "job.py", line 7 in grind\n' : '')
      if (process.platform === 'linux') expect(evidence?.state).toBe('blocked')
    },
  )

  it('can be stopped while it is looked at', async () => {
    const set = stage()
    await set.start('a', 'good', { heartbeat: { everyMs: 100, misses: 2 } })
    set.link('a').prints = true
    set.link('a').say('mute')
    while (set.status('a').stderrTail === '') await delay(1)
    await set.supervisor.stop('a')
    // Until the look would have been over.
    await delay(EVIDENCE_MS)
    expect(set.states('a')).toEqual(['starting', 'ready', 'stopping', 'stopped'])
    expect(set.status('a').lastHang).toBeUndefined()
  })

  it('kills what the lost process has started', async () => {
    const set = stage()
    await set.start('a', 'parent', { restart: { max: 0 } })
    const pid = Number(await set.link('a').heard('grandchild'))
    expect(isRunning(pid)).toBe(true)
    set.supervisor.kill('a')
    await set.next('a', 'failed')
    await set.supervisor.stop('a')
    await gone(pid)
  })

  it('keeps the last 4 KiB of stderr, cut between characters', async () => {
    const set = stage()
    await set.start('a')
    const link = set.link('a')
    for (const count of ['1', '5000']) {
      const shouted = once(link, 'shouted')
      link.say(`shout ${count}`)
      await shouted
    }
    await set.supervisor.stop('a')
    expect(set.status('a').stderrTail).toBe('é'.repeat(2048))
  })
})

describe('stopping', () => {
  it('drains, ends the link, and lets the process exit by itself', async () => {
    const set = stage()
    const { pid = 0 } = await set.start('a')
    await set.supervisor.stop('a')
    expect(set.link('a')).toMatchObject({ drains: 1, closedWith: 'GOING_AWAY' })
    expect(set.states('a')).toEqual(['starting', 'ready', 'stopping', 'stopped'])
    expect(set.status('a')).toMatchObject({
      state: 'stopped',
      pid: undefined,
      lastExit: { code: 0, signal: null },
    })
    expect(isRunning(pid)).toBe(false)
  })

  it('kills one that neither drains nor heeds SIGTERM, when its time is over', async () => {
    const set = stage()
    const { pid = 0 } = await set.start('a', 'stubborn', { stopTimeoutMs: 200 })
    await set.supervisor.stop()
    expect(set.status('a')).toMatchObject({ state: 'stopped', lastExit: { signal: 'SIGKILL' } })
    expect(isRunning(pid)).toBe(false)
  })

  it('stops a stopped process too', async () => {
    const set = stage()
    const { pid = 0 } = await set.start('a', 'good', { stopTimeoutMs: 200 })
    process.kill(pid, 'SIGSTOP')
    await set.supervisor.stop()
    expect(isRunning(pid)).toBe(false)
  })

  it('stops from start and from backoff, and restarts nothing after it', async () => {
    const set = stage()
    set.start('starting', 'never-ready')
    await set.start('waiting', 'good', { restart: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 } })
    set.supervisor.kill('waiting')
    await set.next('waiting', 'backoff')
    const ready = expect(set.supervisor.whenReady('waiting')).rejects.toMatchObject({
      reason: 'CHILD_STOPPED',
    })
    await set.supervisor.stop()
    await ready
    expect(set.states('starting')).toEqual(['starting', 'stopping', 'stopped'])
    expect(set.states('waiting').slice(2)).toEqual(['backoff', 'stopping', 'stopped'])
    expect(set.supervisor.status().map(({ pid }) => pid)).toEqual([undefined, undefined])
  })

  it('waits for the process of a child that had the id before', async () => {
    const set = stage()
    const { pid = 0 } = await set.start('a', 'stubborn', { restart: { max: 0 } })
    set.link('a').say('close')
    await set.next('a', 'failed')
    expect(isRunning(pid)).toBe(true)
    set.start('a')
    await set.supervisor.stop('a')
    expect(isRunning(pid)).toBe(false)
    expect(set.states('a').slice(2)).toEqual(['failed', 'stopping', 'stopped'])
  })

  it('is done once however often it is asked', async () => {
    const set = stage()
    await set.start('a')
    await Promise.all([set.supervisor.stop('a'), set.supervisor.stop(), set.supervisor.stop()])
    expect(set.link('a').drains).toBe(1)
  })

  it('stops several at the same time', async () => {
    const set = stage()
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => set.start(id, 'stubborn', { stopTimeoutMs: 300 })))
    const since = set.changes.length
    await set.supervisor.stop()
    const states = set.changes.slice(since).map(({ state }) => state)
    expect(states).toEqual([...Array(4).fill('stopping'), ...Array(4).fill('stopped')])
  })
})

/** Settles when the process has gone, looking at each turn of the loop. */
async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 1))
}
