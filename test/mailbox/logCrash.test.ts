import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogInbox } from '../../src/mailbox/logInbox.ts'
import type { Arrival } from '../../src/mailbox/message.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { random } from '../storm/random.ts'
import { bodyOf, drained, FOLDER, inbox, outbox, outgoing, over, rest } from './logRig.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

/** What the books say of a mailbox when the power goes. */
interface Books {
  readonly offered: Set<string>
  readonly stored: Set<string>
  /** What a durable journal would know. */
  readonly done: Set<string>
}

/** One in so many, always the same. */
const chance = random(1)
const chosen = (oneIn: number): boolean => chance.next() < 1 / oneIn

const keyOf = ({ sender, sequence }: Arrival): string => `${sender}/${sequence}`

/** What a receiver finds on a disk where all others are dead: nothing lost, torn, doubled or out of order. */
async function check(disk: SimulatedDisk, { offered, stored, done }: Books): Promise<void> {
  const gone: string[] = []
  const receiver = inbox(disk, 'later', { isRunning: () => false, onSenderGone: (name) => gone.push(name) })
  const found = (await drained(receiver)).filter(({ id }) => !done.has(id))
  const ids = found.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(new Set(found.map(keyOf)).size).toBe(ids.length)
  for (const id of stored) if (!done.has(id)) expect(ids).toContain(id)
  const last = new Map<string, number>()
  for (const arrival of found) {
    expect(offered).toContain(arrival.id)
    expect(arrival.fault).toBeUndefined()
    expect((await receiver.body(arrival)).bytes).toEqual(Buffer.from(bodyOf(arrival.id)))
    expect(arrival.sequence).toBeGreaterThan(last.get(arrival.sender) ?? 0)
    last.set(arrival.sender, arrival.sequence)
  }
  await receiver.close()
}

describe('a mailbox in logs, when the power goes', () => {
  it('loses, tears and doubles nothing at any operation of storing, settling, compacting and taking over', async () => {
    const disk = new SimulatedDisk()
    disk.losesFolders = true
    await disk.makeFolder(dirname(FOLDER))
    await disk.syncFolder('/')
    const books: Books = { offered: new Set(), stored: new Set(), done: new Set() }
    let checks: Promise<void>[] = []
    let states = 0
    let compacted = false
    disk.after = () => {
      const then = {
        offered: new Set(books.offered),
        stored: new Set(books.stored),
        done: new Set(books.done),
      }
      // All of them are ten thousand.
      for (const crashed of disk.crashes(() => chosen(20))) {
        states++
        checks.push(check(crashed, then))
      }
    }
    const checked = async (): Promise<void> => {
      await Promise.all(checks)
      checks = []
    }
    const clock = new VirtualClock()
    const senders = ['a', 'b'].map((name) => outbox(disk, name, { segmentBytes: 800, clock }))
    const send = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index += 3) {
        await Promise.all(
          senders.flatMap((sender) =>
            [0, 1, 2].map(async (more) => {
              const id = `${sender.sender}${index + more}`
              books.offered.add(id)
              await sender.store(outgoing(id))
              books.stored.add(id)
            }),
          ),
        )
        await checked()
      }
    }
    const settle = async (receiver: LogInbox, arrivals: readonly Arrival[]): Promise<void> => {
      for (const { id } of arrivals) books.done.add(id)
      await receiver.settled(over(arrivals))
      await checked()
    }
    const seconds = async (receiver: LogInbox, ms: number): Promise<void> => {
      await clock.advance(ms)
      await receiver.next(1)
      await rest()
      await checked()
    }
    await send(0, 18)
    const first = inbox(disk, 'r1', { clock, segmentBytes: 800 })
    const early = await drained(first)
    await settle(
      first,
      early.filter(({ sequence }) => sequence % 8 !== 2),
    )
    await seconds(first, 1_000)
    await seconds(first, 11_000)
    compacted ||= early.some(({ place }) => place.includes('/survivors/r1.1/'))
    // The first receiver is killed, and another, whose name comes before, compacts what it had compacted, and more.
    const second = inbox(disk, 'q2', { clock, segmentBytes: 800, isRunning: () => true })
    await send(18, 24)
    const found = await drained(second)
    // As a receiver does with what its journal knows.
    await second.settled(over(found.filter(({ id }) => books.done.has(id))))
    const late = found.filter(({ id }) => !books.done.has(id))
    await settle(
      second,
      late.filter(({ sequence }) => sequence % 8 !== 2),
    )
    await seconds(second, 1_000)
    await seconds(second, 11_000)
    expect(late.some(({ place }) => place.includes('/survivors/q2.1/'))).toBe(true)
    await settle(second, late)
    await seconds(second, 1_000)
    expect(compacted).toBe(true)
    expect(states).toBeGreaterThan(700)
    expect(books.stored).toEqual(books.offered)
  })

  it('loses and doubles nothing when messages are settled in the middle of any operation of compacting', async () => {
    let settledInside = 0
    for (let at = 0; ; at++) {
      const disk = new SimulatedDisk()
      const clock = new VirtualClock()
      const senders = ['a', 'b'].map((name) => outbox(disk, name, { segmentBytes: 800, clock }))
      const books: Books = { offered: new Set(), stored: new Set(), done: new Set() }
      for (let index = 0; index < 20; index++) {
        for (const sender of senders) {
          books.offered.add(`${sender.sender}${index}`)
          await sender.store(outgoing(`${sender.sender}${index}`))
          books.stored.add(`${sender.sender}${index}`)
        }
      }
      const receiver = inbox(disk, 'r1', { clock, segmentBytes: 800, heldBytes: 1 })
      const found = await drained(receiver)
      const settle = (some: readonly Arrival[]): Promise<void> => {
        for (const { id } of some) books.done.add(id)
        return receiver.settled(over(some))
      }
      const kept = found.filter(({ sequence }) => sequence % 8 === 2)
      await settle(found.filter((arrival) => !kept.includes(arrival)))
      await clock.advance(1_000)
      await receiver.next(1)
      let operation = -1
      const settling: Promise<void>[] = []
      disk.after = () => {
        if (++operation !== at) return
        settledInside++
        settling.push(settle(kept.filter(() => chosen(2))))
      }
      for (const ms of [11_000, 11_000]) {
        await clock.advance(ms)
        await receiver.next(1)
        await rest()
      }
      disk.after = () => {}
      await Promise.all(settling)
      for (const arrival of kept.filter(({ id }) => !books.done.has(id))) {
        expect((await receiver.body(arrival)).bytes).toEqual(Buffer.from(bodyOf(arrival.id)))
      }
      for (const crashed of disk.crashes(() => chosen(4))) await check(crashed, books)
      // All of it over: nothing may be left behind.
      await settle(kept.filter(({ id }) => !books.done.has(id)))
      await clock.advance(11_000)
      await receiver.next(1)
      await rest()
      await clock.advance(1_000)
      await receiver.next(1)
      expect(await disk.list(`${FOLDER}/.journal/survivors`).catch(() => [])).toEqual([])
      await receiver.close()
      if (operation < at) break
    }
    expect(settledInside).toBeGreaterThan(20)
  })

  it.each(['ENOSPC', 'EIO'])(
    'compacts later when %s comes in any operation of it, and loses nothing',
    async (code) => {
      let failures = 0
      for (let at = 0; ; at++) {
        const disk = new SimulatedDisk()
        const clock = new VirtualClock()
        const sender = outbox(disk, 'a', { segmentBytes: 800, clock })
        const books: Books = { offered: new Set(), stored: new Set(), done: new Set() }
        for (let index = 0; index < 20; index++) {
          books.offered.add(`m${index}`)
          await sender.store(outgoing(`m${index}`))
          books.stored.add(`m${index}`)
        }
        const receiver = inbox(disk, 'r1', { clock, segmentBytes: 800 })
        const found = await drained(receiver)
        const settled = found.filter(({ sequence }) => sequence % 8 !== 2)
        for (const { id } of settled) books.done.add(id)
        await receiver.settled(over(settled))
        await clock.advance(1_000)
        await receiver.next(1)
        let operation = -1
        disk.before = (_, path) => {
          if (++operation !== at) return
          failures++
          throw errno(code, path)
        }
        for (const ms of [11_000, 11_000, 11_000]) {
          await clock.advance(ms)
          expect(await receiver.next(1)).toEqual([])
          await rest()
        }
        disk.before = () => {}
        expect(found.some(({ place }) => place.includes('/survivors/r1.'))).toBe(true)
        for (const arrival of found.filter(({ id }) => !books.done.has(id))) {
          expect((await receiver.body(arrival)).bytes).toEqual(Buffer.from(bodyOf(arrival.id)))
        }
        for (const crashed of disk.crashes(() => chosen(3))) await check(crashed, books)
        if (operation < at) break
      }
      expect(failures).toBeGreaterThan(20)
    },
  )
})
