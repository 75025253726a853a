import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { writeCredential } from '../../src/host/credentials.ts'
import { hubAddress, openRuntimeFolder, type RuntimeFolder } from '../../src/host/runtimeFolder.ts'
import { claimSocket } from '../../src/host/socketClaim.ts'
import { bundle, scratch } from './bundle.ts'
import { Claimant } from './claimant.ts'

const RACERS = 8
const RUNNING = { code: 'ALREADY_EXISTS', reason: 'HUB_RUNNING' }

let script: string
let removeScript: () => void
let base: string
let remove: () => void
let started: Claimant[] = []

beforeAll(() => {
  const made = scratch()
  removeScript = made.remove
  script = bundle('claimant.mjs', made.path)
})
afterAll(() => removeScript())
beforeEach(() => {
  const made = scratch()
  base = made.path
  remove = made.remove
})
afterEach(async () => {
  await Promise.all(started.map((claimant) => claimant.kill()))
  started = []
  remove()
})

async function claimant(...args: string[]): Promise<Claimant> {
  const made = new Claimant(script, 'reader', base, ...args)
  started.push(made)
  expect(await made.line()).toBe('here')
  return made
}

function open(): RuntimeFolder {
  return openRuntimeFolder('reader', { base })
}

/** Everybody claims at once; returns the one winner, after checking that all others were told its pid. */
async function race(): Promise<Claimant> {
  const racers = await Promise.all(Array.from({ length: RACERS }, () => claimant()))
  for (const racer of racers) racer.go()
  const lines = await Promise.all(racers.map((racer) => racer.line()))
  const [winner, ...others] = racers.filter((_, index) => lines[index] === 'won')
  if (!winner || others.length > 0) throw new Error(`not one winner: ${lines.join(' | ')}`)
  for (const line of lines) {
    if (line !== 'won')
      expect(JSON.parse(line ?? '{}')).toMatchObject({ ...RUNNING, data: { pid: winner.process.pid } })
  }
  return winner
}

async function leave(winner: Claimant): Promise<void> {
  winner.go()
  expect(await winner.line()).toBe('released')
  await winner.exit()
  await Promise.all(started.map((one) => one.exit()))
}

describe('the claim of a hub', () => {
  it('is refused while another hub runs, with its pid, and free when that has released', async () => {
    const claim = await claimSocket(open())
    await expect(claimSocket(open())).rejects.toMatchObject({
      ...RUNNING,
      data: { pid: process.pid },
      message: expect.stringMatching(/reader.*process \d+.*join it, stop it, or choose another app name/),
    })
    claim.release()
    const next = await claimSocket(open())
    claim.release()
    await expect(claimSocket(open())).rejects.toMatchObject(RUNNING)
    next.release()
  })

  it('leaves nothing behind', async () => {
    const folder = open()
    const claim = await claimSocket(folder)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(claim.address, resolve))
    writeCredential(folder, 'cli')
    await new Promise((resolve) => server.close(resolve))
    claim.release()
    expect(readdirSync(base)).toEqual([])
  })

  it('is one to a folder, whatever the socket is called, and clears what another has left', async () => {
    const [own, other] = [open(), openRuntimeFolder('reader', { base, socket: 'ipc-router.sock' })]
    const first = await claimSocket(own)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(first.address, resolve))
    await expect(claimSocket(other)).rejects.toMatchObject(RUNNING)
    // Its lock is gone, as a cleaner of old files may leave it; it is found by its socket.
    rmSync(join(own.path, 'hub.lock'), { recursive: true })
    await expect(claimSocket(other)).rejects.toMatchObject(RUNNING)
    const stale = join(own.path, 'stale')
    renameSync(join(own.path, 'hub.sock'), stale)
    await new Promise((resolve) => server.close(resolve))
    renameSync(stale, join(own.path, 'hub.sock'))
    const second = await claimSocket(other)
    expect(existsSync(join(own.path, 'hub.sock'))).toBe(false)
    expect(second.address).toBe(join(own.path, 'ipc-router.sock'))
    const next = createServer()
    await new Promise<void>((resolve) => next.listen(second.address, resolve))
    // Who joins gives no name.
    expect(hubAddress(openRuntimeFolder('reader', { base, create: false }))).toBe(second.address)
    await new Promise((resolve) => next.close(resolve))
    second.release()
    first.release()
    expect(readdirSync(base)).toEqual([])
  })

  it('leaves other apps alone', async () => {
    const [one, two] = [open(), openRuntimeFolder('other', { base })]
    const [first, second] = [await claimSocket(one), await claimSocket(two)]
    first.release()
    expect(existsSync(one.path)).toBe(false)
    expect(existsSync(two.path)).toBe(true)
    second.release()
    expect(readdirSync(base)).toEqual([])
  })

  it('is won by exactly one of many that start at the same instant', async () => {
    await leave(await race())
    expect(readdirSync(base)).toEqual([])
  })

  it('is taken over from a hub that was killed, by exactly one of many', async () => {
    const dead = await claimant()
    dead.go()
    expect(await dead.line()).toBe('won')
    writeCredential(open(), 'old-key')
    await dead.kill()
    expect(existsSync(join(open().path, 'hub.sock'))).toBe(true)
    const winner = await race()
    expect(existsSync(join(open().path, 'credentials'))).toBe(false)
    await leave(winner)
    expect(readdirSync(base)).toEqual([])
  })

  it('is taken over from a hub that died between claiming and listening', async () => {
    const dead = await claimant('die-before-listening')
    dead.go()
    await dead.exit()
    const claim = await claimSocket(open())
    claim.release()
    expect(readdirSync(base)).toEqual([])
  })

  it('goes on being won by one when many come and go', async () => {
    const folder = open()
    let [holders, wins] = [0, 0]
    const contend = async () => {
      for (let turn = 0; turn < 25; turn++) {
        const claim = await claimSocket(folder).catch((error: unknown) => {
          expect(error).toMatchObject(RUNNING)
        })
        if (!claim) continue
        expect(++holders).toBe(1)
        wins++
        await new Promise(setImmediate)
        holders--
        claim.release()
      }
    }
    await Promise.all(Array.from({ length: 8 }, contend))
    expect(wins).toBeGreaterThan(0)
    expect(readdirSync(base)).toEqual([])
  })

  it('is refused while a stopped hub holds it', async () => {
    const held = await claimant()
    held.go()
    expect(await held.line()).toBe('won')
    held.process.kill('SIGSTOP')
    await expect(claimSocket(open())).rejects.toMatchObject({ ...RUNNING, data: { pid: held.process.pid } })
    held.process.kill('SIGCONT')
    await leave(held)
  })

  it('is refused when a hub answers whose pid we cannot see, or whose lock was cleaned away', async () => {
    const folder = open()
    const claim = await claimSocket(folder)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(claim.address, resolve))
    const lock = join(folder.path, 'hub.lock')
    const [entry = ''] = readdirSync(lock)
    renameSync(join(lock, entry), join(lock, '1999999999-7-0123456789ab'))
    await expect(claimSocket(folder)).rejects.toMatchObject({ ...RUNNING, data: { pid: 1_999_999_999 } })
    renameSync(join(lock, '1999999999-7-0123456789ab'), join(base, 'moved'))
    await expect(claimSocket(folder)).rejects.toMatchObject({ ...RUNNING, data: {} })
    renameSync(join(base, 'moved'), join(base, entry))
    await new Promise((resolve) => server.close(resolve))
  })

  it('is no longer ours to clean up when we were replaced', async () => {
    const folder = open()
    const claim = await claimSocket(folder)
    const lock = join(folder.path, 'hub.lock')
    const [entry = ''] = readdirSync(lock)
    renameSync(join(lock, entry), join(lock, `1-1-0123456789ab`))
    writeFileSync(claim.address, 'the socket of our successor')
    claim.release()
    expect(existsSync(claim.address)).toBe(true)
    expect(readdirSync(lock)).toEqual(['1-1-0123456789ab'])
  })

  it('does not mistake a process with the pid of a dead hub for it', async () => {
    const lock = join(open().path, 'hub.lock')
    mkdirSync(lock)
    writeFileSync(join(lock, `${process.pid}-1-0123456789ab`), '')
    const claim = await claimSocket(open())
    claim.release()
  })

  it('refuses a lock with something foreign in it, and says where', async () => {
    const lock = join(open().path, 'hub.lock')
    mkdirSync(lock)
    writeFileSync(join(lock, 'readme.txt'), '')
    await expect(claimSocket(open())).rejects.toMatchObject({
      reason: 'LOCK_UNREADABLE',
      message: expect.stringContaining(lock),
    })
  })

  it('removes what a claimant left behind that died in the middle', async () => {
    const left = join(open().path, 'hub.lock.1999999999-7-0123456789ab')
    mkdirSync(left)
    const claim = await claimSocket(open())
    expect(existsSync(left)).toBe(false)
    claim.release()
    expect(readdirSync(base)).toEqual([])
  })
})
