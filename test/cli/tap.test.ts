import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EmbeddedHub } from '../../src/host/hub.ts'
import { join } from '../../src/host/join.ts'
import { Tap, type TapEvent, Taps } from '../../src/hub/tap.ts'
import { pages } from './hub.ts'
import { Program } from './program.ts'

let program: Program
let hub: EmbeddedHub
beforeAll(async () => {
  program = new Program()
  hub = await EmbeddedHub.open({
    app: 'watched',
    manifest: { main: { call: ['*'], publish: ['*'], subscribe: ['*'] }, ai: {}, bare: {} },
    log: () => {},
  })
  await hub.admit('ai', 'ai')
  const ai = await join({ app: 'watched', id: 'ai', ready: false })
  ai.serve(
    pages,
    {
      echo: (input) => input,
      fail: () => {
        throw new Error('no')
      },
      async *lines({ count }) {
        for (let number = 0; number < count; number++) yield number
        return count
      },
      async *endless(_, call) {
        yield 'first'
        await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()))
      },
    },
    { partial: true },
  )
  await ai.ready()
})
afterAll(async () => {
  await hub.close()
  program.remove()
})

/** One of each kind of message, between `main` and `ai`. */
async function traffic(): Promise<void> {
  const target = { id: 'ai' }
  await hub.peer.call('pages.echo', { some: 'text that nobody should see' }, { target })
  await hub.peer.call('pages.fail', { how: '' }, { target }).catch(() => {})
  await hub.peer.call('pages.nothing', {}, { target }).catch(() => {})
  hub.peer.notify('pages.echo', 1, target)
  for await (const _ of hub.peer.stream('pages.lines', { count: 2 }, { target })) {
    // Only that they come.
  }
  for await (const _ of hub.peer.stream('pages.endless', undefined, { target })) break
  const opened = hub.peer.subscribe(pages.opened)
  await opened.ready
  hub.peer.publish(pages.opened, { n: 1 })
  for await (const _ of opened) break
}

const KINDS = [
  'main→ai call pages.echo',
  'ai→main end pages.echo OK',
  'main→ai call pages.fail',
  'ai→main error pages.fail HANDLER_ERROR',
  'main→ai refused pages.nothing METHOD_NOT_FOUND',
  'main→ai notify pages.echo',
  'main→ai call pages.lines',
  'ai→main item pages.lines',
  'ai→main item pages.lines',
  'ai→main end pages.lines OK',
  'main→ai call pages.endless',
  'ai→main item pages.endless',
  'main→ai cancel pages.endless',
  'main→topics subscribe pages.opened',
  'main→topics publish pages.opened',
  'topics→main event pages.opened',
  'topics→main error pages.opened CANCELLED',
]

function short({ from, to, kind, method, status }: TapEvent): string {
  return `${from}→${to} ${kind} ${method}${status === undefined ? '' : ` ${status}`}`
}

describe('tap', () => {
  it('shows every kind of message, by its numbers alone', async () => {
    const started = program.start(['tap', '--json', '--peer', 'main', '--count', String(KINDS.length + 1)])
    expect(await started.note()).toBe('{"note":"watching the hub of watched; Ctrl-C ends"}')
    await traffic()
    const { code, stdout, stderr } = await started.end()
    expect(code).toBe(0)
    expect(stdout + stderr).not.toContain('nobody should see')
    const events = stdout
      .trim()
      .split('\n')
      .map((line): TapEvent => JSON.parse(line))
    // The end of what was cancelled comes when its handler has ended.
    const shown = events.map(short)
    const answered = shown.findIndex((line) => line.startsWith('ai→main error pages.endless'))
    expect(answered).toBeGreaterThan(0)
    expect(shown.filter((_, at) => at !== answered)).toEqual(KINDS)
    const end = events.find(({ kind }) => kind === 'end')
    expect(end).toMatchObject({ lane: 'normal', bytes: expect.any(Number), ms: expect.any(Number) })
    expect(events.every(({ at }) => Math.abs(at - Date.now()) < 60_000)).toBe(true)
  })

  it('prints lines for people, until it is interrupted', async () => {
    const started = program.start(['tap', '--method', 'pages.e*'])
    expect(await started.note()).toBe('watching the hub of watched; Ctrl-C ends')
    await hub.peer.call('pages.fail', { how: '' }, { target: { id: 'ai' } }).catch(() => {})
    await hub.peer.call('pages.echo', 1, { target: { id: 'ai' } })
    expect(await started.line()).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}main → ai +call +pages\.echo +\d+ B +normal$/,
    )
    expect(await started.line()).toMatch(/ai → main +end +pages\.echo +OK +\d+ B +normal +[\d.]+ ms$/)
    started.process.kill('SIGINT')
    expect(await started.end()).toMatchObject({ code: 130 })
  })

  it('costs nothing when it has ended, and lets other commands in meanwhile', async () => {
    const started = program.start(['tap'])
    await started.note()
    expect(hub.core.switch.tap).toBeDefined()
    const { code, stdout } = await program.run('who --json')
    expect(code).toBe(0)
    const own = JSON.parse(stdout).filter(({ type }: { type: string }) => type === 'cli')
    expect(own.map(({ id }: { id: string }) => id)).toEqual(['cli', 'cli.2'])
    // The other command itself was seen.
    expect(await started.line()).toContain('cli.2 → hub')
    started.process.kill('SIGINT')
    expect((await started.end()).code).toBe(130)
    // The hub answers in the order in which it hears: by now it has heard that the link ended.
    await hub.peer.call('pages.echo', 1, { target: { id: 'ai' } })
    await expect.poll(() => hub.core.switch.tap).toBeUndefined()
    expect(hub.core.topics.tap).toBeUndefined()
  })

  it('ends with an error when the hub goes', async () => {
    const other = await EmbeddedHub.open({ app: 'brief', log: () => {} })
    const started = program.start(['tap', '--app', 'brief', '--json'])
    await started.note()
    await other.close()
    const { code, stderr } = await started.end()
    expect(code).toBe(1)
    expect(JSON.parse(stderr.trim().split('\n')[1] ?? '').error).toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('is for trusted and local peers only, whatever a rule says', async () => {
    const other = await EmbeddedHub.open({
      app: 'strict',
      manifest: { cli: { zone: 'untrusted', call: ['*', '$hub.tap'] } },
      log: () => {},
    })
    const [tap, who, ping] = await Promise.all([
      program.run('tap --app strict'),
      program.run('who --app strict --json'),
      program.run('ping main --app strict'),
    ])
    await other.close()
    expect(tap).toMatchObject({ code: 4, stdout: '' })
    expect(tap.stderr).toMatch(/^error PERMISSION_DENIED/)
    expect(who.code).toBe(4)
    expect(ping.code).toBe(4)
  })

  it('does not let a ping of a peer that goes wait', async () => {
    await hub.admit('bare', 'bare')
    const bare = await join({ app: 'watched', id: 'bare', ready: false })
    bare.core.link.pause()
    const pings = [1, 2].map(() => hub.peer.call('$hub.ping', { id: 'bare' }, { timeoutMs: 0 }))
    await hub.peer.call('$hub.ping')
    bare.close()
    for (const ping of pings) await expect(ping).rejects.toMatchObject({ reason: 'TARGET_UNAVAILABLE' })
  })
})

describe('a tap that is read slowly', () => {
  const emit = (taps: Taps, count: number) => {
    for (let number = 0; number < count; number++) taps.emit('call', 'a', 'b', 'm', 2, number)
  }

  it('drops what comes too fast, and says how much, exactly', async () => {
    let used: Taps | undefined
    const taps = new Taps((using) => {
      used = using
    })
    const tap = new Tap(taps, {})
    expect(used).toBeUndefined()
    expect((await tap.next()).value).toEqual({ events: [], dropped: 0 })
    expect(used).toBe(taps)
    emit(taps, 5000)
    let [events, dropped] = [0, 0]
    while (events + dropped < 5000) {
      const { value } = await tap.next()
      events += value?.events.length ?? 0
      dropped += value?.dropped ?? 0
    }
    expect([events, dropped]).toEqual([2048, 2952])
    await tap.return()
    expect(used).toBeUndefined()
  })

  it('ends while it waits, and never shows itself', async () => {
    const taps = new Taps(() => {})
    const tap = new Tap(taps, { peer: 'b', method: 'm' })
    await tap.next()
    const waiting = tap.next()
    taps.emit('item', 'hub', 'b', '$hub.tap', 2, 1)
    taps.emit('call', 'a', 'c', 'm', 2, 1)
    taps.emit('call', 'a', 'b', 'other', 2, 1)
    await tap.return()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await tap.next()).toEqual({ done: true, value: undefined })
  })
})
