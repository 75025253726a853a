import { describe, expect, it } from 'vitest'
import { AppendLog } from '../../src/mailbox/appendLog.ts'
import type { TellLog } from '../../src/mailbox/followLog.ts'
import { Journal } from '../../src/mailbox/journal.ts'
import { writeEvents } from '../../src/mailbox/journalRecord.ts'
import type { Arrival } from '../../src/mailbox/message.ts'
import { encodeMessage } from '../../src/mailbox/messageRecord.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { bodyOf, drained, FOLDER, inbox, outbox, outgoing, over, rest } from './logRig.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const ids = (arrivals: readonly Arrival[]): string[] => arrivals.map(({ id }) => id)
const sendersFolder = `${FOLDER}/.journal/senders`
const survivorsFolder = `${FOLDER}/.journal/survivors`

describe('a mailbox in logs', () => {
  it('brings messages from a sender in its order, with their bodies, once', async () => {
    const disk = new SimulatedDisk()
    const sender = outbox(disk, 'a')
    const sent = Array.from({ length: 50 }, (_, index) => `m${index}`)
    await Promise.all(sent.map((id) => sender.store(outgoing(id, { requiresAck: true, priority: 'low' }))))
    const receiver = inbox(disk, 'r')
    const found = await drained(receiver)
    expect(ids(found)).toEqual(sent)
    expect(found.map(({ sequence }) => sequence)).toEqual(sent.map((_, index) => index + 1))
    expect(found[7]).toMatchObject({
      id: 'm7',
      sender: 'a',
      priority: 'low',
      requiresAck: true,
      type: 'task',
    })
    for (const arrival of found) {
      expect(await receiver.body(arrival)).toEqual({ format: 'json', bytes: Buffer.from(bodyOf(arrival.id)) })
    }
    await receiver.close()
  })

  it('reads a body again that it let go of, and says when it is not there', async () => {
    const disk = new SimulatedDisk()
    const sender = outbox(disk, 'a')
    await sender.store(outgoing('m1'))
    const receiver = inbox(disk, 'r', { heldBytes: 0 })
    const [arrival] = await receiver.next(1)
    if (!arrival) throw new Error('nothing came')
    receiver.release(arrival)
    expect((await receiver.body(arrival)).bytes).toEqual(Buffer.from(bodyOf('m1')))
    expect(Buffer.from(await receiver.raw(arrival)).includes('m1')).toBe(true)
    await disk.remove(`${sendersFolder}/a/0000000001.log`)
    await expect(receiver.body(arrival)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('gives every sender its turn', async () => {
    const disk = new SimulatedDisk()
    const [busy, quiet] = [outbox(disk, 'busy'), outbox(disk, 'quiet')]
    await Promise.all(Array.from({ length: 2_000 }, (_, index) => busy.store(outgoing(`b${index}`))))
    for (let index = 0; index < 3; index++) await quiet.store(outgoing(`q${index}`))
    const receiver = inbox(disk, 'r')
    const first = ids(await receiver.next(40))
    expect(first.filter((id) => id.startsWith('q'))).toEqual(['q0', 'q1', 'q2'])
    expect(first.filter((id) => id.startsWith('b'))).toEqual(
      Array.from({ length: 37 }, (_, index) => `b${index}`),
    )
  })

  it('finds new senders and messages by looking every second, without any hint', async () => {
    const disk = new SimulatedDisk()
    disk.watch = () => () => {}
    const clock = new VirtualClock()
    const receiver = inbox(disk, 'r', { clock })
    let hints = 0
    receiver.watch(() => hints++)
    expect(await receiver.next(5)).toEqual([])
    const sender = outbox(disk, 'a')
    await sender.store(outgoing('m1'))
    expect(await receiver.next(5)).toEqual([])
    await clock.advance(1_000)
    expect(hints).toBe(1)
    expect(ids(await receiver.next(5))).toEqual(['m1'])
  })

  it('removes a segment when all of it is settled, and a sender that is gone', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    let lives = true
    const gone: string[] = []
    const sender = outbox(disk, 'a', { segmentBytes: 1_000 })
    for (let index = 0; index < 40; index++) await sender.store(outgoing(`m${index}`))
    const segments = (await disk.list(`${sendersFolder}/a`)).length
    expect(segments).toBeGreaterThan(3)
    const receiver = inbox(disk, 'r', {
      clock,
      isRunning: () => lives,
      onSenderGone: (name) => gone.push(name),
    })
    const found = await drained(receiver)
    await receiver.settled(over(found.slice(1)))
    expect(await disk.list(`${sendersFolder}/a`)).toEqual([
      '0000000001.log',
      `${segments}.log`.padStart(14, '0'),
    ])
    await receiver.settled(over(found.slice(0, 1)))
    await receiver.settled(over(found.slice(0, 1)))
    expect(await disk.list(`${sendersFolder}/a`)).toHaveLength(1)
    await clock.advance(1_000)
    await receiver.next(1)
    expect(gone).toEqual([])
    lives = false
    await clock.advance(1_000)
    await receiver.next(1)
    await receiver.settled([])
    await clock.advance(1_000)
    await receiver.next(1)
    expect(gone).toEqual(['a'])
    expect(await disk.list(sendersFolder)).toEqual([])
  })

  it('removes the log of a sender that was closed while its process lives', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const sender = outbox(disk, 'a')
    await sender.store(outgoing('m1'))
    await sender.close()
    await expect(sender.store(outgoing('m2'))).rejects.toMatchObject({ reason: 'CLOSED' })
    const receiver = inbox(disk, 'r', { clock })
    const found = await drained(receiver)
    expect(ids(found)).toEqual(['m1'])
    await receiver.settled(over(found))
    await clock.advance(1_000)
    await receiver.next(1)
    expect(await disk.list(sendersFolder)).toEqual([])
  })

  it('passes over bytes that are no record in an older segment, and tells how many', async () => {
    const disk = new SimulatedDisk()
    const sender = outbox(disk, 'a', { segmentBytes: 1_000 })
    for (let index = 0; index < 20; index++) await sender.store(outgoing(`m${index}`))
    const clean = await drained(inbox(disk, 'r0'))
    const broken = clean[1]
    if (!broken) throw new Error('nothing came')
    const [path = '', offset = ''] = broken.place.split(':')
    const file = await disk.open(path)
    await file.write(Uint8Array.of(0xff), Number(offset) + 30)
    const lines: unknown[] = []
    const log: TellLog = (level, _text, fields) => lines.push({ level, ...fields })
    expect(ids(await drained(inbox(disk, 'r', { log })))).toEqual(ids(clean.filter((one) => one !== broken)))
    const next = clean[2]?.place.split(':')[1]
    expect(lines).toEqual([
      { level: 'warn', file: path, offset: Number(offset), bytes: Number(next) - Number(offset) },
    ])
  })

  it('passes over a record that a live sender will never make whole, once others follow it, in two seconds', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const sender = outbox(disk, 'a')
    await sender.store(outgoing('m1'))
    const path = `${sendersFolder}/a/0000000001.log`
    const at = (await disk.status(path)).size
    await sender.store(outgoing('m2'))
    const file = await disk.open(path)
    await file.write(Buffer.from([0xff]), at + 20)
    const told: string[] = []
    const log: TellLog = (level, text, fields) => told.push(`${level} ${text} ${JSON.stringify(fields)}`)
    const receiver = inbox(disk, 'r', { clock, log })
    const seconds = async (count: number): Promise<string[]> => {
      const found: Arrival[] = []
      for (let second = 0; second < count; second++) {
        await clock.advance(1_000)
        found.push(...(await drained(receiver)))
      }
      return ids(found)
    }
    expect(ids(await drained(receiver))).toEqual(['m1'])
    // Nothing is behind it: it may be on its way.
    expect(await seconds(10)).toEqual([])
    expect(told).toEqual([])
    await sender.store(outgoing('m3'))
    const end = (await disk.status(path)).size
    expect(await seconds(1)).toEqual(['m3'])
    expect(told).toEqual([expect.stringContaining('passed over')])
    // One whose length goes beyond what is there may be on its way too.
    const far = Buffer.alloc(64)
    far.writeUInt32LE(4_000)
    await file.write(far, end)
    expect(await seconds(10)).toEqual([])
    await file.truncate(end)
    await sender.store(outgoing('m4'))
    expect(await seconds(1)).toEqual(['m4'])
    expect(told).toHaveLength(1)
    await receiver.close()
  })

  it('reads no segment that another user made, and one with two names when it has one again', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const sender = outbox(disk, 'a')
    await sender.store(outgoing('m1'))
    const told: string[] = []
    const log: TellLog = (_, text, fields) => told.push(`${text} ${JSON.stringify(fields)}`)
    const receiver = inbox(disk, 'r', { clock, log })
    disk.links = 2
    expect(await drained(receiver)).toEqual([])
    expect(told).toEqual([expect.stringContaining('2 names')])
    disk.links = 1
    await clock.advance(1_000)
    expect(ids(await drained(receiver))).toEqual(['m1'])
    disk.owner = 77
    const other = inbox(disk, 'r', { clock, log })
    expect(await drained(other)).toEqual([])
    expect(told[1]).toContain('no file of ours')
    await receiver.close()
    await other.close()
  })

  it('brings what it cannot understand as a fault, and goes on', async () => {
    const disk = new SimulatedDisk()
    const log = await AppendLog.open({ files: disk, folder: `${sendersFolder}/liar` })
    await log.append(Buffer.from('no message at all'))
    await log.append(encodeMessage(outgoing('forged'), 1, 'another-sender'))
    await log.append(encodeMessage(outgoing('good'), 2))
    const receiver = inbox(disk, 'r')
    const found = await drained(receiver)
    expect(found.map(({ fault }) => fault?.reason)).toEqual(['MALFORMED', 'MALFORMED', undefined])
    expect(found.slice(0, 2).map(({ id, sender, sequence }) => [id, sender, sequence])).toEqual([
      ['liar.1.0', '', 0],
      ['liar.1.32', '', 0],
    ])
    expect(found[2]).toMatchObject({ id: 'good', sender: 'liar' })
    const [fault] = found
    expect(fault && Buffer.from(await receiver.raw(fault)).toString()).toBe('no message at all')
  })

  it.each(['ENOSPC', 'EIO'])(
    'refuses with a code at %s in any operation of a sender, and works afterwards',
    async (code) => {
      let failed = 0
      for (let at = 0; ; at++) {
        const disk = new SimulatedDisk()
        let operation = -1
        disk.before = (_, path) => {
          if (++operation === at) throw errno(code, path)
        }
        const sender = outbox(disk, 'a', { segmentBytes: 300 })
        const stored: string[] = []
        for (let index = 0; index < 6; index++) {
          try {
            await sender.store(outgoing(`m${index}`))
            stored.push(`m${index}`)
          } catch (error) {
            failed++
            expect(error).toMatchObject({ code: code === 'ENOSPC' ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE' })
          }
        }
        disk.before = () => {}
        expect(stored.length).toBeGreaterThanOrEqual(5)
        const found = ids(await drained(inbox(disk, 'r')))
        expect(found.filter((id) => stored.includes(id))).toEqual(stored)
        if (operation < at) break
      }
      expect(failed).toBeGreaterThan(10)
    },
  )

  it('goes on after any operation of a receiver failed', async () => {
    for (let at = 0; ; at++) {
      const disk = new SimulatedDisk()
      const sender = outbox(disk, 'a', { segmentBytes: 300 })
      for (let index = 0; index < 12; index++) await sender.store(outgoing(`m${index}`))
      let operation = -1
      disk.before = (_, path) => {
        if (++operation === at) throw errno('EIO', path)
      }
      const clock = new VirtualClock()
      const receiver = inbox(disk, 'r', { clock })
      const found: Arrival[] = []
      for (let second = 0; second < 4; second++) {
        const some = await drained(receiver)
        found.push(...some)
        await receiver.settled(over(some))
        await clock.advance(1_000)
      }
      disk.before = () => {}
      expect(ids(found)).toEqual(Array.from({ length: 12 }, (_, index) => `m${index}`))
      expect(await disk.list(`${sendersFolder}/a`)).toHaveLength(1)
      if (operation < at) break
      expect(at).toBeLessThan(500)
    }
  })

  it('knows what is unsettled, whether or not a receiver has read it', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const sender = outbox(disk, 'a', { clock })
    expect(await sender.usage()).toEqual({ messages: 0, bytes: 0 })
    for (let index = 0; index < 10; index++) await sender.store(outgoing(`m${index}`))
    const { bytes } = await sender.usage()
    expect(bytes).toBeGreaterThan(800)
    await clock.advance(1_000)
    expect(await sender.usage()).toEqual({ messages: 10, bytes })
    const receiver = inbox(disk, 'r', { clock })
    await receiver.settled(over((await drained(receiver)).slice(0, 6)))
    await clock.advance(1_000)
    await receiver.next(1)
    expect(await sender.usage()).toEqual({ messages: 4, bytes: (bytes * 4) / 10 })
  })

  it('tells of what the journal of the receiver says is done', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const journal = await AppendLog.open({ files: disk, folder: `${FOLDER}/.journal/receiver` })
    const sender = outbox(disk, 'a', { clock })
    const told: string[] = []
    const stop = sender.onAcknowledged((id) => told.push(id))
    const done = (id: string, what: 'done' | 'failed'): Promise<unknown> =>
      journal.append(writeEvents([{ what, id, sender: 'a', sequence: 1, count: 1 }]))
    for (const id of ['m1', 'm2', 'm3']) await sender.store(outgoing(id, { requiresAck: true }))
    await done('m1', 'done')
    await done('m2', 'failed')
    await done('other', 'done')
    await rest()
    expect(told).toEqual(['m1'])
    stop()
    await done('m3', 'done')
    await clock.advance(2_000)
    expect(told).toEqual(['m1'])
    await sender.close()
  })

  it('tells of none whose record a loss of power may take back', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const folder = `${FOLDER}/.journal/receiver`
    const sender = outbox(disk, 'a', { clock })
    const told: string[] = []
    let checks: Promise<void>[] = []
    sender.onAcknowledged((id) => {
      told.push(id)
      for (const crashed of disk.crashes()) {
        checks.push(
          Journal.open({ files: crashed, folder, concurrency: 2 }).then((later) =>
            expect(later.known({ id, sender: 'a', sequence: 0, redriven: 0 })).toBe('done'),
          ),
        )
      }
    })
    const journal = await Journal.open({ files: disk, folder, concurrency: 2 })
    // What the receiver could not sync stands there to be read; and at first the sender cannot sync it either.
    let isBroken = true
    let tried = 0
    disk.before = (operation, path) => {
      if (!['sync', 'truncate'].includes(operation) || !path.startsWith(folder) || !isBroken) return
      tried++
      throw errno('EIO', path)
    }
    for (const [index, id] of ['m1', 'm2', 'm3'].entries()) {
      await sender.store(outgoing(id, { requiresAck: true }))
      const ended = journal.done({ id, sender: 'a', sequence: index + 1, redriven: 0 }).catch(() => {})
      await clock.advance(1_000)
      await rest()
      await ended
      if (isBroken) {
        expect(tried).toBeGreaterThan(2)
        expect(told).toEqual([])
      }
      isBroken = false
    }
    await clock.advance(1_000)
    await rest()
    expect(told).toEqual(['m1', 'm2', 'm3'])
    await Promise.all(checks)
    checks = []
    await sender.close()
    await journal.close()
  })

  it('frees segments that a few messages keep, and brings those to the next receiver in their order', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const sender = outbox(disk, 'a', { segmentBytes: 1_000 })
    for (let index = 0; index < 60; index++) await sender.store(outgoing(`m${index}`))
    const segments = (await disk.list(`${sendersFolder}/a`)).length
    const first = inbox(disk, 'r1', { clock, segmentBytes: 1_000 })
    const kept = (arrival: Arrival): boolean => arrival.sequence % 10 === 1 || arrival.sequence > 58
    const found = await drained(first)
    await first.settled(over(found.filter((arrival) => !kept(arrival))))
    await clock.advance(1_000)
    await first.next(1)
    await clock.advance(11_000)
    await first.next(1)
    await rest()
    expect((await disk.list(`${sendersFolder}/a`)).length).toBe(1)
    expect(segments).toBeGreaterThan(4)
    const moved = found.filter(kept)
    expect(moved[0]?.place).toContain(`${survivorsFolder}/r1.1/`)
    for (const arrival of moved)
      expect((await first.body(arrival)).bytes).toEqual(Buffer.from(bodyOf(arrival.id)))
    const gone: string[] = []
    const later = new VirtualClock()
    const second = inbox(disk, 'r2', {
      clock: later,
      isRunning: () => false,
      onSenderGone: (name) => gone.push(name),
    })
    // What is settled in a segment that is still there comes again: the journal knows it.
    const all = await drained(second)
    await second.settled(over(all.filter((arrival) => !kept(arrival))))
    const again = all.filter(kept)
    expect(ids(again)).toEqual(ids(moved))
    expect(again.map(({ sender: name, sequence }) => [name, sequence])).toEqual(
      moved.map(({ sequence }) => ['a', sequence]),
    )
    for (const arrival of again)
      expect((await second.body(arrival)).bytes).toEqual(Buffer.from(bodyOf(arrival.id)))
    await second.settled(over(again.slice(1)))
    await later.advance(1_000)
    await second.next(1)
    expect(await disk.list(sendersFolder)).toEqual([])
    // A copy of a message of this sender is still there.
    expect(gone).toEqual([])
    await second.settled(over(again.slice(0, 1)))
    await later.advance(1_000)
    await second.next(1)
    expect(gone).toEqual(['a'])
    expect(await disk.list(survivorsFolder)).toEqual([])
  })
})
