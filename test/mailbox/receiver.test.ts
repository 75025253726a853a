import { describe, expect, it } from 'vitest'
import type { DeathCause } from '../../src/mailbox/deathCause.ts'
import { Journal } from '../../src/mailbox/journal.ts'
import type { MailMessage } from '../../src/mailbox/message.ts'
import {
  type Delivery,
  type MailHandler,
  type ReceiveOptions,
  readReceiveOptions,
} from '../../src/mailbox/options.ts'
import { Receiver } from '../../src/mailbox/receiver.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { MemoryInbox } from './memoryInbox.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const START_MS = 1_800_000_000_000

/** A mailbox in memory with a clock that stands; `crash` is the end of the process without a goodbye. */
class Rig {
  readonly clock = new VirtualClock()
  readonly inbox = new MemoryInbox()
  disk = new SimulatedDisk()
  readonly dead: { id: string; cause: DeathCause; attempts: number }[] = []
  readonly log: string[] = []
  deadFailing: Error | undefined

  nowMs = (): number => START_MS + this.clock.now()

  async receive(handler: MailHandler, options: ReceiveOptions = {}): Promise<Receiver> {
    const settings = readReceiveOptions(options)
    const receiver = new Receiver(handler, settings, {
      group: 'main',
      clock: this.clock,
      nowMs: this.nowMs,
      log: (level, text) => this.log.push(`${level} ${text}`),
      takeOver: async () => {
        const journal = await Journal.open({
          files: this.disk,
          folder: '/box/receiver',
          concurrency: settings.windowMessages,
          clock: this.clock,
        })
        const add = async (
          { id }: { id: string },
          _: unknown,
          cause: DeathCause,
          attempts: number,
        ): Promise<void> => {
          if (this.deadFailing && !id.startsWith('well')) throw this.deadFailing
          this.dead.push({ id, cause, attempts })
        }
        return { journal, inbox: this.inbox, deadLetters: { add }, close: () => journal.close() }
      },
    })
    receiver.begin()
    await this.settle()
    return receiver
  }

  /** Until nothing moves without time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await this.clock.settle()
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
    await this.settle()
  }
}

const failing = (more: object = {}): never => {
  throw Object.assign(new Error('no'), more)
}

describe('a receiver', () => {
  it('starts each message once, in order, and settles it when the journal knows', async () => {
    const rig = new Rig()
    const seen: unknown[] = []
    for (let index = 0; index < 2_500; index++)
      rig.inbox.add({ id: `m${index}`, requiresAck: index % 2 === 0 }, index)
    const receiver = await rig.receive(({ payload }) => void seen.push(payload))
    await rig.pass(2_000)
    expect(seen).toEqual(Array.from({ length: 2_500 }, (_, index) => index))
    expect(rig.inbox.stored).toEqual([])
    expect(rig.inbox.acknowledged).toHaveLength(1_250)
    expect(receiver.stats()).toMatchObject({ done: 2_500, ready: 0, leased: 0, dead: 0, bytes: 0 })
    expect(receiver.active).toBe(true)
    await receiver.stop()
    expect(receiver.active).toBe(false)
  })

  it('gives a message as it was sent', async () => {
    const rig = new Rig()
    const seen: MailMessage[] = []
    const expiresAtMs = START_MS + 9_000
    rig.inbox.add(
      { id: 'a', sentAtMs: START_MS, priority: 'high', expiresAtMs, requiresAck: true, redriven: 1 },
      [1],
    )
    const receiver = await rig.receive((message) => void seen.push(message))
    expect(seen).toEqual([
      {
        id: 'a',
        type: 'task',
        groupFolder: 'main',
        payload: [1],
        timestamp: '2027-01-15T08:00:00.000Z',
        requiresAck: true,
        priority: 'high',
        expiresAt: '2027-01-15T08:00:09.000Z',
        sender: 'memory',
        sequence: 1,
        redriven: 1,
      },
    ])
    await receiver.stop()
  })

  it('retries after its delay, and makes a dead letter of what failed 1 + maxRetries times', async () => {
    const rig = new Rig()
    const starts: [number, number][] = []
    rig.inbox.add({ id: 'a', requiresAck: true })
    rig.inbox.add({ id: 'b' })
    const receiver = await rig.receive(
      async ({ id }, { attempt }) => {
        if (id === 'b') return
        starts.push([attempt, rig.clock.now()])
        failing()
      },
      { maxRetries: 2, retryDelayMs: 700 },
    )
    await rig.pass(699)
    expect(starts).toEqual([[1, 0]])
    expect(rig.inbox.stored).toEqual(['a'])
    expect(receiver.stats()).toMatchObject({ delayed: 1, done: 1, retried: 1 })
    await rig.pass(10_000)
    expect(starts.map(([attempt]) => attempt)).toEqual([1, 2, 3])
    expect(starts.map(([, atMs]) => atMs)).toEqual([0, 700, 1_400])
    expect(rig.dead).toMatchObject([
      { id: 'a', attempts: 3, cause: { reason: 'HANDLER_ERROR', message: 'no' } },
    ])
    expect(rig.inbox.stored).toEqual([])
    expect(rig.inbox.acknowledged).toEqual([])
    expect(rig.log).toContain('warn Retrying IPC message')
    await receiver.stop()
  })

  it('gives up at once what its handler calls not recoverable', async () => {
    const rig = new Rig()
    rig.inbox.add({ id: 'a' })
    const receiver = await rig.receive(() => failing({ recoverable: false }))
    await rig.pass(0)
    expect(rig.dead).toMatchObject([{ id: 'a', attempts: 1 }])
    await receiver.stop()
  })

  it('starts nothing before its time, and nothing that has expired', async () => {
    const rig = new Rig()
    const seen: [string, number][] = []
    rig.inbox.add({ id: 'late', notBeforeMs: START_MS + 5_000 })
    rig.inbox.add({ id: 'stale', expiresAtMs: START_MS - 1 })
    rig.inbox.add({ id: 'never', notBeforeMs: START_MS + 5_000, expiresAtMs: START_MS + 3_000 })
    rig.inbox.add({ id: 'now' })
    const receiver = await rig.receive(({ id }) => void seen.push([id, rig.clock.now()]))
    expect(seen).toEqual([['now', 0]])
    expect(rig.dead).toMatchObject([{ id: 'stale', attempts: 0, cause: { reason: 'EXPIRED' } }])
    await rig.pass(3_000)
    expect(rig.dead).toMatchObject([{ id: 'stale' }, { id: 'never', attempts: 0 }])
    await rig.pass(1_999)
    expect(seen).toHaveLength(1)
    await rig.pass(1)
    expect(seen[1]).toEqual(['late', 5_000])
    await receiver.stop()
  })

  it('starts a higher priority first', async () => {
    const rig = new Rig()
    const seen: string[] = []
    for (const priority of ['low', 'normal', 'high', 'normal'] as const)
      rig.inbox.add({ id: `${priority}${seen.length}`, priority }, priority)
    const receiver = await rig.receive(({ priority = '' }) => void seen.push(priority), { concurrency: 1 })
    rig.inbox.hint()
    await rig.pass(1)
    expect(seen[0]).toBe('high')
    expect(seen.at(-1)).toBe('low')
    await receiver.stop()
  })

  it('runs no more handlers than it may, and one id once however often it came', async () => {
    const rig = new Rig()
    const running = new Set<string>()
    const ends: (() => void)[] = []
    let most = 0
    for (let index = 0; index < 10; index++) rig.inbox.add({ id: `m${index}` })
    rig.inbox.add({ id: 'm0', requiresAck: true })
    const receiver = await rig.receive(
      async ({ id }) => {
        expect(running.has(id)).toBe(false)
        running.add(id)
        most = Math.max(most, running.size)
        await new Promise<void>((resolve) => ends.push(resolve))
        running.delete(id)
      },
      { concurrency: 3 },
    )
    let starts = 0
    for (let round = 0; round < 30; round++) {
      starts += ends.length
      for (const end of ends.splice(0)) end()
      await rig.settle()
    }
    expect(starts).toBe(10)
    expect(most).toBe(3)
    expect(rig.inbox.stored).toEqual([])
    expect(rig.inbox.acknowledged).toEqual(['m0'])
    expect(receiver.stats()).toMatchObject({ done: 10, duplicates: 1 })
    await receiver.stop()
  })

  it('writes a dead letter behind ten that cannot be written', async () => {
    const rig = new Rig()
    rig.deadFailing = new Error('not here')
    for (let index = 0; index < 10; index++) rig.inbox.add({ id: `ill${index}` })
    rig.inbox.add({ id: 'well' })
    const receiver = await rig.receive(() => failing({ recoverable: false }))
    expect(rig.dead.map(({ id }) => id)).toEqual(['well'])
    rig.deadFailing = undefined
    await rig.pass(2_000)
    expect(rig.dead.map(({ id }) => id).sort()).toEqual([
      ...Array.from({ length: 10 }, (_, index) => `ill${index}`),
      'well',
    ])
    expect(rig.inbox.stored).toEqual([])
    await receiver.stop()
  })

  it('lets a handler run as long as it lives, unless it is to keep its lease itself', async () => {
    for (const heartbeat of [true, false]) {
      const rig = new Rig()
      const deliveries: Delivery[] = []
      rig.inbox.add({ id: 'a' })
      const receiver = await rig.receive(
        (_, delivery) => {
          deliveries.push(delivery)
          return new Promise(() => {})
        },
        { heartbeat, leaseMs: 1_000, retryDelayMs: 100, graceMs: 0 },
      )
      const [first] = deliveries
      await rig.pass(900)
      first?.extend(5_000)
      await rig.pass(4_999)
      expect(first?.signal.aborted).toBe(false)
      await rig.pass(2)
      expect(first?.signal.aborted).toBe(!heartbeat)
      if (!heartbeat) {
        expect(first?.signal.reason).toMatchObject({ reason: 'LEASE_EXPIRED' })
        expect(() => first?.extend(1)).toThrow(/lease/)
      }
      await rig.pass(200)
      expect(deliveries.map(({ attempt }) => attempt)).toEqual(heartbeat ? [1] : [1, 2])
      const stopped = receiver.stop()
      await rig.pass(1)
      await stopped
    }
  })

  it('charges only the one that killed its process: suspects run alone, before others', async () => {
    const rig = new Rig()
    rig.disk = new SimulatedDisk()
    for (const id of ['good1', 'poison', 'good2', 'other']) rig.inbox.add({ id })
    const starts: string[] = []
    for (let life = 1; ; life++) {
      const running = new Set<string>()
      let isDead = false
      const receiver = await rig.receive(
        ({ id }) => {
          if (isDead) return new Promise(() => {})
          starts.push(id)
          running.add(id)
          if (life > 1 && id !== 'other') expect(running.size, `${id} is alone`).toBe(1)
          // The first life ends while three run; later ones end when the poison is started.
          if (id === 'poison' && life > 1) isDead = true
          if (life === 1 && running.size === 3) isDead = true
          if (life === 1 || isDead) return new Promise(() => {})
          return Promise.resolve().then(() => void running.delete(id))
        },
        { concurrency: life === 1 ? 3 : 16, graceMs: 0 },
      )
      await rig.settle()
      if (!isDead) {
        await receiver.stop()
        break
      }
      expect(life).toBeLessThan(9)
      // No goodbye: the next one opens the journal as it is.
      rig.inbox.again()
    }
    expect(starts.filter((id) => id === 'poison')).toHaveLength(4)
    expect(starts.filter((id) => id.startsWith('good'))).toHaveLength(4)
    expect(rig.dead).toMatchObject([{ id: 'poison', attempts: 4, cause: { reason: 'HANDLER_CRASHED' } }])
    expect(rig.inbox.stored).toEqual([])
  })

  it('makes a dead letter of what a store cannot read, without a start', async () => {
    const rig = new Rig()
    rig.inbox.add({ id: 'x' }, {}, { reason: 'MALFORMED', message: 'no JSON' })
    let starts = 0
    const receiver = await rig.receive(() => void starts++)
    await rig.pass(0)
    expect(starts).toBe(0)
    expect(rig.dead).toMatchObject([{ id: 'x', attempts: 0, cause: { reason: 'MALFORMED' } }])
    await receiver.stop()
  })

  it('loses nothing when the disk fails, and goes on when it works', async () => {
    const rig = new Rig()
    const seen: string[] = []
    rig.inbox.add({ id: 'bad' })
    for (let index = 0; index < 50; index++) rig.inbox.add({ id: `m${index}`, requiresAck: true })
    rig.deadFailing = errno('ENOSPC', '/box/errors')
    rig.inbox.failing = errno('EIO', '/box/messages')
    const receiver = await rig.receive(({ id }) =>
      id === 'bad' ? failing({ recoverable: false }) : void seen.push(id),
    )
    await rig.pass(3_000)
    expect(seen).toHaveLength(50)
    expect(rig.inbox.acknowledged).toEqual([])
    rig.disk.before = (operation, path) => {
      if (operation === 'sync') throw errno('ENOSPC', path)
    }
    rig.inbox.add({ id: 'later', requiresAck: true })
    await rig.pass(3_000)
    expect(seen).toHaveLength(51)
    rig.inbox.failing = undefined
    rig.deadFailing = undefined
    await rig.pass(3_000)
    // What the journal could not write is not acknowledged.
    expect(rig.inbox.acknowledged).toHaveLength(50)
    rig.disk.before = () => {}
    await rig.pass(3_000)
    expect(rig.inbox.acknowledged).toHaveLength(51)
    expect(rig.inbox.stored).toEqual([])
    expect(rig.dead).toMatchObject([{ id: 'bad' }])
    expect(seen).toHaveLength(51)
    await receiver.stop()
  })

  it('finds without a notification within a second, and reads bodies that come late', async () => {
    const rig = new Rig()
    rig.inbox.isSlow = true
    const seen: string[] = []
    const receiver = await rig.receive(({ id }) => void seen.push(id))
    rig.inbox.add({ id: 'quiet' })
    await rig.pass(1_000)
    expect(seen).toEqual(['quiet'])
    rig.inbox.add({ id: 'hinted' })
    rig.inbox.hint()
    await rig.settle()
    expect(seen).toEqual(['quiet', 'hinted'])
    await receiver.stop()
  })

  it('waits for handlers when it stops, and not longer than its grace', async () => {
    const rig = new Rig()
    rig.inbox.add({ id: 'ends' })
    rig.inbox.add({ id: 'hangs' })
    rig.inbox.add({ id: 'waits' })
    let end = (): void => {}
    const signals: AbortSignal[] = []
    const starts: string[] = []
    const receiver = await rig.receive(
      ({ id }, { signal }) => {
        starts.push(id)
        if (id === 'hangs') signals.push(signal)
        return new Promise<void>((resolve) => {
          if (id === 'ends') end = resolve
        })
      },
      { concurrency: 2, graceMs: 3_000 },
    )
    let isStopped = false
    const stopped = receiver.stop().then(() => {
      isStopped = true
    })
    end()
    await rig.pass(2_999)
    expect([isStopped, starts, signals[0]?.aborted]).toEqual([false, ['ends', 'hangs'], false])
    await rig.pass(1)
    await stopped
    expect(signals[0]?.aborted).toBe(true)
    expect(rig.inbox.stored).toEqual(['hangs', 'waits'])
    expect(rig.clock.pending).toBe(0)
    await expect(receiver.ready).resolves.toBeUndefined()
  })
})
