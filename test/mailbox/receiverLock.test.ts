import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isProcessName, processName } from '../../src/host/processName.ts'
import { ReceiverLock } from '../../src/mailbox/receiverLock.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { bundleFile } from '../host/bundle.ts'
import { Claimant } from '../host/claimant.ts'

const made = (): string => mkdtempSync(join(tmpdir(), 'vl-'))
const STRANGER = '00000001-1-1-1-a'

let scripts: string
let script: string
let folder: string
let path: string
let children: Claimant[] = []

beforeAll(() => {
  scripts = made()
  script = bundleFile(join(import.meta.dirname, 'fixtures', 'receiverLock.mjs'), scripts)
})
afterAll(() => rmSync(scripts, { recursive: true }))
beforeEach(() => {
  folder = made()
  path = join(folder, '.journal', 'receiver.lock')
})
afterEach(async () => {
  await Promise.all(children.map((child) => child.kill()))
  children = []
  rmSync(folder, { recursive: true })
})

const ledger = (): string => join(folder, 'ledger')

async function child(holds: number | 'told'): Promise<Claimant> {
  const started = new Claimant(script, path, ledger(), `${holds}`)
  children.push(started)
  expect(await started.line()).toBe('here')
  return started
}

/** Whoever began ended before the next began, or was killed while it held. */
function checkLedger(killed: ReadonlySet<number> = new Set()): number {
  let holder: number | undefined
  let holds = 0
  for (const line of readFileSync(ledger(), 'utf8').trim().split('\n')) {
    const [what, pid] = line.split(' ')
    if (what === 'begin') {
      if (holder !== undefined) expect(killed).toContain(holder)
      holder = Number(pid)
      holds++
    } else {
      expect(Number(pid)).toBe(holder)
      holder = undefined
    }
  }
  return holds
}

describe('the lock of a mailbox', () => {
  it('is held by one of many processes at a time, while they come and go', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => child(5)))
    for (const one of all) one.go()
    await Promise.all(all.map((one) => one.exit()))
    expect(checkLedger()).toBe(30)
    expect(readdirSync(join(folder, '.journal'))).toEqual([])
  })

  it('is taken over by one of eight that wait, each time its holder is killed', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => child('told')))
    const killed = new Set<number>()
    const waiting = new Map(all.map((one) => [one, one.line().then((line) => ({ one, line }))]))
    for (const one of all) one.go()
    while (waiting.size > 0) {
      const { one, line } = await Promise.race(waiting.values())
      expect(line).toBe('held')
      waiting.delete(one)
      killed.add(one.process.pid ?? 0)
      await one.kill()
    }
    expect(checkLedger(killed)).toBe(8)
  })

  it('is won by one of eight that come to a dead lock at the same instant', async () => {
    for (let round = 0; round < 3; round++) {
      const dead = await child('told')
      dead.go()
      expect(await dead.line()).toBe('held')
      await dead.kill()
      const racers = await Promise.all(Array.from({ length: 8 }, () => child(1)))
      for (const racer of racers) racer.go()
      await Promise.all(racers.map((racer) => racer.exit()))
      expect(checkLedger(new Set([dead.process.pid ?? 0]))).toBe(9)
      rmSync(ledger())
    }
  })

  it('stays with a process of this machine that is stopped', async () => {
    const holder = await child('told')
    holder.go()
    expect(await holder.line()).toBe('held')
    holder.process.kill('SIGSTOP')
    const clock = new VirtualClock()
    const next = new ReceiverLock({ path, clock })
    let acquired = false
    const waiting = next.acquire().then(() => {
      acquired = true
    })
    await clock.advance(120_000)
    expect(acquired).toBe(false)
    holder.process.kill('SIGCONT')
    holder.go()
    expect(await holder.line()).toBe('ended')
    await clock.advance(500)
    await waiting
    next.release()
    expect(checkLedger()).toBe(1)
  })

  it('is checked every half second, in vain until it is free, and no more once that is called off', async () => {
    const clock = new VirtualClock()
    const [first, second] = [new ReceiverLock({ path, clock }), new ReceiverLock({ path, clock })]
    await first.acquire()
    expect(await second.tryAcquire()).toBe(false)
    const cancelled = new AbortController()
    const given = expect(second.acquire(cancelled.signal)).rejects.toMatchObject({ code: 'CANCELLED' })
    await clock.advance(5_000)
    cancelled.abort()
    await given
    await expect(second.acquire(cancelled.signal)).rejects.toMatchObject({ code: 'CANCELLED' })
    const waiting = second.acquire()
    await clock.advance(2_000)
    first.release()
    await clock.advance(500)
    await waiting
    expect(await first.tryAcquire()).toBe(false)
    second.release()
    second.release()
    expect(readdirSync(join(folder, '.journal'))).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('of a process that cannot be seen is held while that touches it, and for 30 s after', async () => {
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, STRANGER), '')
    const clock = new VirtualClock()
    const lock = new ReceiverLock({
      path,
      clock,
      isRunning: (name) => (name === STRANGER ? undefined : true),
    })
    let acquired = false
    const waiting = lock.acquire().then(() => {
      acquired = true
    })
    for (let touch = 1; touch <= 5; touch++) {
      await clock.advance(29_000)
      expect(acquired).toBe(false)
      utimesSync(join(path, STRANGER), touch, touch)
    }
    await clock.advance(29_500)
    expect(acquired).toBe(false)
    await clock.advance(1_500)
    await waiting
    expect(readdirSync(path).every((name) => isProcessName(name) && name !== STRANGER)).toBe(true)
    lock.release()
  })

  it('is touched by its holder every 5 s, who learns when it was lost and leaves it alone then', async () => {
    const clock = new VirtualClock()
    const lock = new ReceiverLock({ path, clock })
    await lock.acquire()
    const [entry = ''] = readdirSync(path)
    for (let touch = 0; touch < 3; touch++) {
      utimesSync(join(path, entry), 1, 1)
      await clock.advance(5_000)
      expect(statSync(join(path, entry)).mtimeMs).toBeGreaterThan(1_000)
    }
    const successor = processName('b')
    renameSync(join(path, entry), join(path, successor))
    expect(lock.lost.aborted).toBe(false)
    await clock.advance(5_000)
    expect(lock.lost.aborted).toBe(true)
    lock.release()
    expect(readdirSync(path)).toEqual([successor])
    expect(clock.pending).toBe(0)
  })

  it('refuses what is foreign in its place, and removes what the dead did not finish', async () => {
    mkdirSync(path, { recursive: true })
    mkdirSync(`${path}.${STRANGER}`)
    mkdirSync(`${path}.mine`)
    writeFileSync(join(path, 'readme'), '')
    const lock = new ReceiverLock({ path })
    await expect(lock.acquire()).rejects.toMatchObject({ reason: 'LOCK_UNREADABLE' })
    rmSync(join(path, 'readme'))
    await lock.acquire()
    lock.release()
    expect(readdirSync(join(folder, '.journal'))).toEqual(['receiver.lock.mine'])
  })
})
