import { describe, expect, it } from 'vitest'
import { patientTimeout } from '../../src/host/clock.ts'
import { HEARTBEAT_DEFAULTS, type HeartbeatLimits, startHeartbeat } from '../../src/host/heartbeat.ts'
import { VirtualTime } from './virtualTime.ts'

/** A child that answers after `answerMs`, or never when that is undefined. */
function watched(limits: HeartbeatLimits = HEARTBEAT_DEFAULTS) {
  const time = new VirtualTime()
  const child = {
    time,
    pings: 0,
    answerMs: 1 as number | undefined,
    resting: false,
    hung: [] as { at: number; evidence: string }[],
    stop: () => {},
  }
  child.stop = startHeartbeat({
    clock: time,
    limits,
    pid: process.pid,
    ping: () => {
      child.pings++
      return new Promise((resolve) => {
        if (child.answerMs !== undefined) time.after(child.answerMs, resolve)
      })
    },
    resting: () => child.resting,
    onHung: (evidence) => child.hung.push({ at: time.now(), evidence }),
  })
  return child
}

describe('the heartbeat', () => {
  it('pings each 5 s and leaves one alone that answers, however late within its time', async () => {
    const child = watched()
    child.answerMs = 3_900
    await child.time.pass(60_000)
    expect(child.pings).toBe(12)
    expect(child.hung).toEqual([])
  })

  it('finds a loop hung within 15 s, wherever between two pings it stopped', async () => {
    for (const healthyMs of [0, 1, 4_999, 5_000, 5_002, 7_300, 9_999]) {
      const child = watched()
      await child.time.pass(healthyMs)
      child.answerMs = undefined
      await child.time.pass(14_002)
      expect(child.hung.length, `stopped at ${healthyMs}`).toBe(1)
    }
  })

  it('says how long it was silent and what the process did', async () => {
    const child = watched()
    await child.time.pass(5_100)
    child.answerMs = undefined
    await child.time.pass(60_000)
    expect(child.hung).toEqual([
      { at: 19_000, evidence: expect.stringMatching(/^no pong for 13999 ms, 2 heartbeats missed/) },
    ])
    if (process.platform === 'linux')
      expect(child.hung[0]?.evidence).toMatch(/the process is .+ ms of processor time/)
    expect(child.time.pending).toBe(0)
  })

  it('does not hold one late answer against it', async () => {
    const child = watched()
    child.answerMs = 4_500
    await child.time.pass(60_000)
    expect(child.hung).toEqual([])
  })

  it('does not count time in which we did not run', async () => {
    const child = watched()
    await child.time.pass(5_000)
    child.answerMs = undefined
    await child.time.sleep(3_600_000)
    child.answerMs = 1
    await child.time.pass(30_000)
    expect(child.hung).toEqual([])
  })

  it('forgets misses from before a suspension', async () => {
    const child = watched()
    await child.time.pass(5_100)
    child.answerMs = undefined
    await child.time.pass(9_000)
    await child.time.sleep(60_000)
    await child.time.pass(6_000)
    expect(child.hung).toEqual([])
    await child.time.pass(15_000)
    expect(child.hung.length).toBe(1)
  })

  it('reads an answer that is there already before it decides', async () => {
    const time = new VirtualTime()
    const hung: string[] = []
    let pings = 0
    startHeartbeat({
      clock: time,
      limits: HEARTBEAT_DEFAULTS,
      pid: process.pid,
      ping: async () => {
        // The third is answered when the second miss in a row is counted, right after it.
        if (++pings < 2) return
        await Promise.resolve()
        await new Promise<void>((resolve) => time.after(pings === 3 ? 4_000 : 3_600_000, resolve))
      },
      resting: () => false,
      onHung: (evidence) => hung.push(evidence),
    })
    await time.pass(19_001)
    expect([pings, hung]).toEqual([4, []])
  })

  it('rests while silence means nothing, and goes on after it', async () => {
    const child = watched()
    child.answerMs = undefined
    child.resting = true
    await child.time.pass(600_000)
    expect(child.hung).toEqual([])
    child.resting = false
    await child.time.pass(15_000)
    expect(child.hung.length).toBe(1)
  })

  it('takes a failed ping for no answer', async () => {
    const time = new VirtualTime()
    const hung: string[] = []
    startHeartbeat({
      clock: time,
      limits: { everyMs: 50, misses: 2 },
      pid: process.pid,
      ping: () => Promise.reject(new Error('no link')),
      resting: () => false,
      onHung: (evidence) => hung.push(evidence),
    })
    await time.pass(150)
    expect(hung.length).toBe(1)
  })

  it('is still after it was ended, and never begins with an infinite interval', async () => {
    const [child, never] = [watched(), watched({ everyMs: Number.POSITIVE_INFINITY, misses: 2 })]
    child.answerMs = undefined
    child.stop()
    await child.time.pass(60_000)
    await never.time.pass(60_000)
    expect([child.pings, child.hung.length, never.pings]).toEqual([0, 0, 0])
  })
})

describe('a patient timer', () => {
  it('begins again when it fires late', async () => {
    const time = new VirtualTime()
    const fired: number[] = []
    patientTimeout(time, 100, 20, () => fired.push(time.now()))
    await time.pass(50)
    await time.sleep(1_000)
    expect(fired).toEqual([])
    await time.pass(100)
    expect(fired).toEqual([1_150])
  })

  it('can be cancelled at any time', async () => {
    const time = new VirtualTime()
    const cancel = patientTimeout(time, 100, 20, () => expect.unreachable())
    await time.sleep(1_000)
    cancel()
    await time.pass(1_000)
    expect(time.pending).toBe(0)
  })
})
