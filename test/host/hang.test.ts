/** Hubs with real children whose loops stand still: which of them are started again, and what is said of them. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type ChildChange, type ChildSpec, Hub } from '../../src/index.ts'
import { MAX_BUSY_MS } from '../../src/wire/limits.ts'
import { fixture } from './bundle.ts'
import { InspectorClient } from './inspectorClient.ts'

const base = mkdtempSync(join(tmpdir(), 'vg-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const EVERY_MS = 300
/** From the stop of a loop until its process is lost: the heartbeats' bound, the look at it, and a slow machine. */
const BOUND_MS = EVERY_MS * 2.8 + 600
const SLACK_MS = 1_500
const LOOP = { target: { id: 'loop' }, timeoutMs: 15_000 }
const onLinux = it.skipIf(process.platform !== 'linux')

let apps = 0
const exitListeners = process.listenerCount('exit')
let open: Stage[] = []
afterEach(async () => {
  await Promise.all(open.map(({ hub }) => hub.close()))
  open = []
  expect(process.listenerCount('exit')).toBe(exitListeners)
})

class Stage {
  readonly hub: Hub
  readonly app: string
  readonly logged: string[]
  readonly changes: ChildChange[] = []

  private constructor(hub: Hub, app: string, logged: string[]) {
    this.hub = hub
    this.app = app
    this.logged = logged
    hub.onChange((change) => this.changes.push(change))
  }

  static async open(spec: Partial<ChildSpec> = {}, args: string[] = []): Promise<Stage> {
    const app = `hang-${++apps}`
    const logged: string[] = []
    const hub = await Hub.listen({ app, base, log: (text) => logged.push(text) })
    const stage = new Stage(hub, app, logged)
    open.push(stage)
    await hub.supervise('loop', {
      type: 'worker',
      run: [process.execPath, fixture('loop.mjs'), ...args],
      heartbeat: { everyMs: EVERY_MS, misses: 2 },
      restart: { initialDelayMs: 1 },
      stdio: { err: 'ignore', out: 'ignore' },
      ...spec,
    })
    return stage
  }

  call(method: string, input?: unknown): Promise<unknown> {
    return this.hub.peer.call(`loop.${method}`, input, LOOP)
  }

  /** The next change to that state. */
  next(state: string): Promise<ChildChange> {
    return new Promise((resolve) => {
      const stop = this.hub.onChange((change) => {
        if (change.state !== state) return
        stop()
        resolve(change)
      })
    })
  }

  async status() {
    const [status] = await this.hub.children()
    if (!status) throw new Error('no status')
    return status
  }

  /** What it wrote to stderr, once that is there. */
  async wrote(pattern: RegExp): Promise<string> {
    for (;;) {
      const [, found] = pattern.exec((await this.status()).stderrTail) ?? []
      if (found !== undefined) return found
      await delay(5)
    }
  }
}

describe('a loop that hangs', () => {
  onLinux('is started again within its bound, and the evidence names the function that loops', async () => {
    const stage = await Stage.open({ stackOnHang: true })
    await stage.call('echo')
    const files = readdirSync(base, { recursive: true }).length
    const lost = stage.next('backoff')
    await stage.call('spin')
    const spunAt = performance.now()
    const { reason, evidence } = await lost
    expect(performance.now() - spunAt).toBeLessThan(BOUND_MS + SLACK_MS)
    expect(evidence).toMatchObject({ state: 'busy', samples: expect.any(Number) })
    const [frame] = evidence?.stack ?? []
    expect(frame).toMatchObject({ name: 'spinForever', line: 12, file: expect.stringMatching(/loop\.mjs$/) })
    expect(evidence?.samples).toBeGreaterThan(1)
    expect(frame?.samples).toBe(evidence?.samples)
    expect(reason).toMatch(/^hung: no pong for .* busy, .* its loop stood in spinForever \(.*loop\.mjs:12\)/)
    expect(stage.logged.filter((line) => line.includes('spinForever'))).toEqual([`loop ${reason}`])
    expect((await stage.status()).lastHang).toEqual(evidence)
    expect(await stage.call('echo', 'again')).toBe('again')
    expect(readdirSync(base, { recursive: true }).length).toBe(files)
  })

  onLinux('is told from one that is blocked', async () => {
    const stage = await Stage.open({ stackOnHang: true })
    const lost = stage.next('backoff')
    await stage.call('block')
    const { evidence, reason } = await lost
    expect(evidence?.state).toBe('blocked')
    expect(evidence?.stack[0]?.file).toMatch(/loop\.mjs$/)
    expect(evidence?.cpuMs).toBeLessThan(200)
    expect(reason).toMatch(/; blocked, /)
  })

  it('is started again without a stack where none was asked for', async () => {
    const stage = await Stage.open()
    const lost = stage.next('backoff')
    await stage.call('spin')
    expect((await lost).evidence).toMatchObject({ stack: [], samples: 0 })
  })
})

describe('a debugger', () => {
  onLinux(
    'that holds a child at a breakpoint keeps it from being started again; a hang after it does not',
    async () => {
      const stage = await Stage.open()
      const client = await InspectorClient.connect(String(await stage.call('inspect')))
      await client.send('Debugger.enable')
      const paused = client.next('Debugger.paused')
      await client.send('Debugger.pause')
      await paused
      const from = stage.changes.length
      // Nothing announces what must not happen.
      await delay(3 * BOUND_MS)
      expect(stage.changes.slice(from)).toEqual([])
      await client.send('Debugger.resume')
      expect(await stage.call('echo', 1)).toBe(1)
      client.close()
      const lost = stage.next('backoff')
      await stage.call('spin')
      expect((await lost).reason).toMatch(/^hung: /)
    },
  )

  onLinux('may come when the loop hangs already; when it has gone the loop is taken for hung', async () => {
    const stage = await Stage.open({ heartbeat: { everyMs: 1_000, misses: 2 } })
    await stage.call('echo')
    await stage.call('spin')
    await delay(50)
    await stage.hub.kill('loop', 'SIGUSR1')
    const client = await InspectorClient.connect(await stage.wrote(/(ws:\S+)/))
    await delay(5_000)
    expect(stage.changes.map(({ state }) => state)).not.toContain('backoff')
    const lost = stage.next('backoff')
    client.close()
    expect((await lost).reason).toMatch(/^hung: /)
  })
})

describe('a peer that says it is busy', () => {
  it('is not taken for hung until then, and is after it', async () => {
    const stage = await Stage.open()
    await stage.call('echo')
    const forMs = 2.5 * BOUND_MS
    const declaredAt = performance.now()
    const lost = stage.next('backoff')
    await stage.call('busy', { forMs, thenSpin: true })
    const row = (await stage.hub.who()).find(({ id }) => id === 'loop')
    expect(row?.busyMs).toBeGreaterThan(0)
    expect(row?.busyMs).toBeLessThanOrEqual(forMs)
    expect((await lost).reason).toMatch(/^hung: /)
    const tookMs = performance.now() - declaredAt
    expect(tookMs).toBeGreaterThan(forMs)
    expect(tookMs).toBeLessThan(forMs + BOUND_MS + SLACK_MS)
  })

  it('ends it with 0', async () => {
    const stage = await Stage.open()
    await stage.call('busy', { forMs: 60_000 })
    await stage.call('rest')
    expect((await stage.hub.who()).find(({ id }) => id === 'loop')?.busyMs).toBe(0)
    const lost = stage.next('backoff')
    await stage.call('spin')
    expect((await lost).reason).toMatch(/^hung: /)
  })

  it.each([60_000, Number.NaN, Date.now() - 1_000, Date.now() + MAX_BUSY_MS + 60_000, Infinity, -1])(
    'may not say %s',
    async (untilMs) => {
      const { hub } = await Stage.open({ run: ['sleep', '60'], readyTimeoutMs: 60_000 })
      await expect(hub.peer.busy(untilMs)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'BAD_BUSY',
      })
    },
  )

  it.each([undefined, {}, { forMs: '1' }, { forMs: -1 }, { forMs: MAX_BUSY_MS + 1 }, { forMs: Number.NaN }])(
    'is refused by the hub itself with %j',
    async (input) => {
      const { hub } = await Stage.open({ run: ['sleep', '60'], readyTimeoutMs: 60_000 })
      await expect(hub.peer.call('$hub.busy', input)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    },
  )
})

describe('a child whose link is its stdio', () => {
  it('is called over it, and its prints go to stderr', async () => {
    const stage = await Stage.open({ link: 'stdio' })
    await stage.hub.whenReady('loop')
    const bytes = new Uint8Array(300_000).fill(7)
    expect(await stage.call('echo', bytes)).toEqual(bytes)
    expect(await stage.wrote(/(printed on stdout)/)).toBeDefined()
    const pid = (await stage.status()).pid
    const back = stage.next('ready')
    await stage.hub.kill('loop')
    await back
    expect((await stage.status()).pid).not.toBe(pid)
    expect(await stage.call('echo', 2)).toBe(2)
    await stage.hub.stop('loop')
    expect((await stage.status()).lastExit).toMatchObject({ code: 0, signal: null })
  })

  it('is lost with a word of advice when it prints before it joins', async () => {
    const stage = await Stage.open({ link: 'stdio', restart: { max: 0 } }, ['Loading model …'])
    await stage.hub.whenReady('loop').then(
      () => expect.unreachable(),
      () => {},
    )
    expect(stage.logged.join('\n')).toMatch(
      /loop: its stdout is its link, and it printed "Loading model …\\n"/,
    )
    expect(stage.logged.join('\n')).toMatch(/call join\(\) before anything is printed/)
  })

  it('hangs and is started again as any other', async () => {
    const stage = await Stage.open({ link: 'stdio', stackOnHang: true })
    const lost = stage.next('backoff')
    await stage.call('spin')
    expect((await lost).evidence?.stack[0]?.name).toBe('spinForever')
  })
})
