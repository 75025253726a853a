/** Subscribers in processes of their own whose links break, who are killed, or whose hub is. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { contract, Hub, manifest, topic, unchecked } from '../../src/index.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-resume-'))
const program = fileURLToPath(new URL('fixtures/follower.mjs', import.meta.url))
const ticks = contract('ticks', { tick: topic({ data: unchecked<number>() }) })
const rules = manifest({
  follower: { join: true, zone: 'trusted', subscribe: ['ticks.*'] },
  main: { publish: ['ticks.*'] },
})

interface Line {
  readonly ready?: string
  readonly tick?: number
  readonly id?: string
  readonly gap?: string
}

function isLine(value: unknown): value is Line {
  return typeof value === 'object' && value !== null
}

/** A process that follows the topic: the lines it has said. */
class Follower {
  readonly lines: Line[] = []
  readonly child: ChildProcess
  readonly gone: Promise<void>
  #look: (() => void) | undefined

  constructor(app: string, lastEventId = '') {
    this.child = spawn(process.execPath, [program, app, base, lastEventId], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.gone = new Promise((resolve) => this.child.once('exit', () => resolve()))
    const { stdout } = this.child
    if (!stdout) throw new Error('no stdout')
    createInterface({ input: stdout }).on('line', (text) => {
      const line: unknown = JSON.parse(text)
      if (isLine(line)) this.lines.push(line)
      this.#look?.()
    })
    followers.push(this)
  }

  get ticks(): number[] {
    return this.lines.flatMap(({ tick }) => tick ?? [])
  }

  until(met: (lines: readonly Line[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (met(this.lines)) resolve()
      }
      this.#look()
    })
  }

  breakLink(): void {
    this.child.stdin?.write('break\n')
  }
}

const followers: Follower[] = []
let hub: Hub | undefined
afterEach(async () => {
  for (const { child } of followers) child.kill('SIGKILL')
  await Promise.all(followers.splice(0).map(({ gone }) => gone))
  await hub?.close()
  hub = undefined
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at)
const isReady = (lines: readonly Line[]) => lines.some(({ ready }) => ready !== undefined)

describe('a subscriber in another process', () => {
  it('misses nothing and gets nothing twice while its link breaks again and again', async () => {
    hub = await Hub.listen({ app: 'breaks', base, manifest: rules, replay: { '*': { count: 1000 } } })
    const { peer } = hub
    const follower = new Follower('breaks')
    await follower.until(isReady)
    let published = 0
    const timer = setInterval(() => {
      for (let count = 0; count < 5; count++) peer.publish(ticks.tick, published++)
    }, 2)
    for (let round = 1; round <= 5; round++) {
      const had = follower.ticks.length
      follower.breakLink()
      // Goes on: events of after the break have come.
      await follower.until(() => follower.ticks.length > had + 100)
    }
    clearInterval(timer)
    const last = published
    await follower.until(() => follower.ticks.length >= last)
    expect(follower.ticks).toEqual(numbers(0, last))
    expect(follower.lines.filter(({ gap }) => gap !== undefined)).toEqual([])
  })

  it('that was killed goes on where it was, from the id that it had written down', async () => {
    hub = await Hub.listen({ app: 'killed', base, manifest: rules, replay: { 'ticks.*': { count: 50 } } })
    const first = new Follower('killed')
    await first.until(isReady)
    for (let tick = 0; tick < 20; tick++) hub.publish(ticks.tick, tick)
    await first.until(() => first.ticks.length === 20)
    first.child.kill('SIGKILL')
    await first.gone
    for (let tick = 20; tick < 50; tick++) hub.publish(ticks.tick, tick)
    const id = first.lines.at(-1)?.id
    const second = new Follower('killed', id)
    await second.until(isReady)
    hub.publish(ticks.tick, 50)
    await second.until(() => second.ticks.length === 31)
    expect(second.ticks).toEqual(numbers(20, 51))
    second.child.kill('SIGKILL')
    await second.gone
    // More than is kept: it is told how many.
    for (let tick = 51; tick < 151; tick++) hub.publish(ticks.tick, tick)
    const third = new Follower('killed', second.lines.at(-1)?.id)
    await third.until(() => third.ticks.length === 50)
    expect(third.lines.filter(({ gap }) => gap !== undefined)).toMatchObject([{ gap: '50' }])
    expect(third.ticks).toEqual(numbers(101, 151))
  })

  it('is told a gap of unknown size when the hub is another one', async () => {
    hub = await Hub.listen({ app: 'reborn', base, manifest: rules })
    const follower = new Follower('reborn')
    await follower.until(isReady)
    hub.publish(ticks.tick, 1)
    await follower.until(() => follower.ticks.length === 1)
    await hub.close()
    hub = await Hub.listen({ app: 'reborn', base, manifest: rules })
    // What the new hub has published before it came back is kept for it.
    hub.publish(ticks.tick, 2)
    await follower.until(() => follower.ticks.length === 2)
    const after = follower.lines.slice(2)
    expect(after).toMatchObject([{ gap: 'unknown' }, { tick: 2 }])
    expect(follower.ticks).toEqual([1, 2])
  })
})
