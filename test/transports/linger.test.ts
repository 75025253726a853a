/** When a process stays awake for its links: simulated time, and a link that tells what it has heard. */
import { describe, expect, it } from 'vitest'
import { Linger, peerOver } from '../../src/index.ts'
import { type Random, random } from '../storm/random.ts'
import { socketPair } from './socketPair.ts'

/** A turn of the event loop that finds nothing to do. */
const TURN_MS = 0.002

/** A process to which messages come. Time passes by `listen` alone. */
class Loop {
  now = 0
  #due: (() => void)[] = []
  /** How long it was awake for nothing. */
  burntMs = 0
  /** How long its linger was on. */
  lingeredMs = 0
  readonly #linger: Linger
  readonly #random: Random

  constructor(seed: number, cores = 2) {
    this.#random = random(seed)
    this.#linger = new Linger({
      now: () => this.now,
      nextTurn: (callback) => this.#due.push(callback),
      random: () => this.#random.next(),
      cores,
    })
  }

  get isAwake(): boolean {
    return this.#due.length > 0
  }

  /** Hears a message, and another whenever `waitMs` has passed since, for `forMs`. Waits vary by a quarter. */
  listen(forMs: number, waitMs: (lingers: boolean) => number): void {
    const until = this.now + forMs
    while (this.now < until) {
      this.#linger.heard(250)
      const next = this.now + waitMs(this.#linger.lingers) * (0.75 + this.#random.next() / 2)
      if (this.#linger.lingers) this.lingeredMs += next - this.now
      this.#stayAwake(next)
      this.now = next
    }
  }

  /** Lets turns of the loop pass until then, or until it sleeps. */
  #stayAwake(until: number): void {
    while (this.isAwake && this.now < until) {
      const due = this.#due
      this.#due = []
      for (const callback of due) callback()
      this.now += TURN_MS
      this.burntMs += TURN_MS
    }
  }

  rest(ms: number): void {
    const until = this.now + ms
    this.#stayAwake(until)
    this.now = until
  }
}

const SEEDS = [1, 2, 3, 4, 5]

describe('a linger', () => {
  it.each(SEEDS)('begins when answers then come sooner, and goes on, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(300, (lingers) => (lingers ? 0.02 : 0.15))
    loop.lingeredMs = 0
    loop.listen(5_000, (lingers) => (lingers ? 0.02 : 0.15))
    expect(loop.lingeredMs).toBeGreaterThan(0.9 * 5_000)
  })

  it.each(SEEDS)('burns next to nothing where messages come at a pace of their own, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(20_000, () => 0.1)
    expect(loop.burntMs).toBeGreaterThan(0)
    expect(loop.burntMs).toBeLessThan(0.03 * 20_000)
  })

  it.each(SEEDS)('burns next to nothing where it holds others up, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(20_000, (lingers) => (lingers ? 0.3 : 0.15))
    expect(loop.burntMs).toBeGreaterThan(0)
    expect(loop.burntMs).toBeLessThan(0.03 * 20_000)
  })

  it.each(SEEDS)('burns next to nothing where messages are far apart, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(20_000, () => 5)
    expect(loop.burntMs).toBeLessThan(0.005 * 20_000)
  })

  it.each(SEEDS)('burns little where the rate changes all the time, seed %i', (seed) => {
    const loop = new Loop(seed)
    for (let time = 0; time < 20_000; time += 40) {
      loop.listen(20, () => 0.02)
      loop.listen(20, () => 0.3)
    }
    expect(loop.burntMs).toBeGreaterThan(0)
    expect(loop.burntMs).toBeLessThan(0.1 * 20_000)
  })

  it.each(SEEDS)('notices within half a second that it has become useful, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(20_000, () => 0.03) // long enough for the longest hold
    loop.listen(500, (lingers) => (lingers ? 0.02 : 0.15))
    loop.lingeredMs = 0
    loop.listen(100, (lingers) => (lingers ? 0.02 : 0.15))
    expect(loop.lingeredMs).toBeGreaterThan(50)
  })

  it.each(SEEDS)('ends within two seconds once it is useless, seed %i', (seed) => {
    const loop = new Loop(seed)
    loop.listen(10_000, (lingers) => (lingers ? 0.02 : 0.15))
    loop.listen(2_000, () => 0.1)
    loop.burntMs = 0
    loop.listen(10_000, () => 0.1)
    expect(loop.burntMs).toBeLessThan(0.05 * 10_000)
  })

  it('does without on a single core', () => {
    const loop = new Loop(1, 1)
    loop.listen(2_000, (lingers) => (lingers ? 0.02 : 0.15))
    expect(loop.burntMs).toBe(0)
  })

  it('lets the process sleep a fifth of a millisecond after the last message', () => {
    const loop = new Loop(1)
    loop.listen(1_000, (lingers) => (lingers ? 0.02 : 0.15))
    loop.burntMs = 0
    loop.rest(1_000)
    expect(loop.isAwake).toBe(false)
    expect(loop.burntMs).toBeLessThan(0.25)
  })

  it('is told all that a socket reads, however it was made, and may serve several', async () => {
    const heard: number[] = []
    class Told extends Linger {
      override heard(bytes: number): void {
        heard.push(bytes)
        super.heard(bytes)
      }
    }
    const linger = new Told()
    const { near, far, dispose } = await socketPair({ linger })
    const asked = peerOver(near)
    const asking = peerOver(far)
    asked.handle('echo', (input) => input)
    const text = 'x'.repeat(20_000)
    expect(await asking.call('echo', text)).toBe(text)
    // There and back.
    expect(heard.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(2 * text.length)
    asking.close()
    await asked.closed
    dispose()
  })
})
