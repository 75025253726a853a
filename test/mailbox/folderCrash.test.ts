import { describe, expect, it } from 'vitest'
import type { Durability } from '../../src/mailbox/appendLog.ts'
import { FolderInbox } from '../../src/mailbox/folderInbox.ts'
import { FolderOutbox } from '../../src/mailbox/folderOutbox.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { all, outgoing, text } from './folderMailbox.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const FOLDER = '/root/box'
const SENDER = '00000001-1-2-3-abc'
const RECEIVER = '00000001-1-2-4-def'
const NOW = Date.UTC(2024, 5, 1)
const payloadOf = (id: string) => ({ id, text: id.repeat(20) })

const outboxOn = (disk: SimulatedDisk, clock: VirtualClock, durability: Durability = 'power-loss') =>
  FolderOutbox.open({
    folder: FOLDER,
    group: 'main',
    files: disk,
    clock,
    durability,
    sender: SENDER,
    owner: 0,
    nowMs: () => NOW,
    segmentBytes: 700,
  })

const inboxOn = (disk: SimulatedDisk, done: ReadonlySet<number>, clock: VirtualClock, isRunning = true) =>
  FolderInbox.open({
    folder: FOLDER,
    group: 'main',
    files: disk,
    clock,
    name: RECEIVER,
    owner: 0,
    // After a crash all files are old enough to be judged.
    nowMs: () => (isRunning ? NOW : NOW + 100_000),
    isOver: (sender, sequence) => sender === SENDER && done.has(sequence),
    isRunning: (name) => name !== SENDER || isRunning,
  })

interface Book {
  /** Of what was sent: by sequence. */
  readonly ids: readonly string[]
  readonly acknowledged: ReadonlySet<string>
  readonly done: ReadonlySet<number>
}

/** What a receiver finds after the crash is what was sent, whole, in order, and nothing acknowledged is missing. */
async function checkAfter(disk: SimulatedDisk, { ids, acknowledged, done }: Book): Promise<void> {
  // A receiver acknowledges what is done, so these may have files; all others never.
  for (const name of await disk.list(`${FOLDER}/acks`).catch(() => [])) {
    expect(done, 'a false acknowledgement').toContain(ids.indexOf(name.replace(/\.ack$/, '')) + 1)
  }
  const inbox = await inboxOn(disk, done, new VirtualClock(), false)
  const found = await all(inbox)
  for (const arrival of found) {
    expect(arrival.fault, 'a torn delivery').toBeUndefined()
    expect(ids[arrival.sequence - 1]).toBe(arrival.id)
    expect(JSON.parse(text((await inbox.body(arrival)).bytes))).toEqual(payloadOf(arrival.id))
  }
  const open = found.filter(({ sequence }) => !done.has(sequence))
  const sequences = open.map(({ sequence }) => sequence)
  expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other))
  for (const id of acknowledged) {
    if (!done.has(ids.indexOf(id) + 1))
      expect(
        open.map((arrival) => arrival.id),
        'a loss',
      ).toContain(id)
  }
  await inbox.close()
}

describe('a mailbox in a folder, when power is lost', () => {
  it('loses nothing that was acknowledged, tears nothing, acknowledges nothing that is not done', async () => {
    const disk = new SimulatedDisk()
    disk.losesFolders = true
    disk.nowMs = () => NOW
    await disk.makeFolder('/root')
    await disk.syncFolder('/')
    const clock = new VirtualClock()
    const [ids, acknowledged, done] = [[] as string[], new Set<string>(), new Set<number>()]
    let checks: Promise<void>[] = []
    let states = 0
    const outbox = await outboxOn(disk, clock)
    const inbox = await inboxOn(disk, done, clock)
    inbox.watch(() => {})
    disk.after = () => {
      const book = { ids: [...ids], acknowledged: new Set(acknowledged), done: new Set(done) }
      for (const crashed of disk.crashes()) {
        states++
        checks.push(checkAfter(crashed, book))
      }
    }
    for (let round = 0; round < 3; round++) {
      const sending = []
      for (let one = 0; one < 2; one++) {
        const id = `m${round}${one}`
        ids.push(id)
        const message = outgoing(id, payloadOf(id), { requiresAck: one === 0 })
        sending.push(outbox.store(message).then(() => acknowledged.add(id)))
      }
      await Promise.all(sending)
      await clock.settle()
      const found = await all(inbox)
      expect(found).toHaveLength(2)
      for (const { sequence } of found) done.add(sequence)
      await inbox.settled(found.map((arrival) => ({ arrival, acknowledge: true })))
      // Segments that are over go now.
      await clock.advance(1000)
      await Promise.all(checks)
      checks = []
    }
    disk.after = () => {}
    expect(states).toBeGreaterThan(1000)
    await outbox.close()
    await inbox.close()
  })

  it.each(['ENOSPC', 'EIO', 'EACCES'])('at %s in any operation it loses nothing either', async (code) => {
    let failures = 0
    for (let at = 0; ; at++) {
      const disk = new SimulatedDisk()
      disk.nowMs = () => NOW
      const clock = new VirtualClock()
      const [ids, acknowledged, done] = [['a', 'b', 'c'], new Set<string>(), new Set<number>()]
      const outbox = await outboxOn(disk, clock)
      const inbox = await inboxOn(disk, done, clock)
      inbox.watch(() => {})
      let count = 0
      let failed = false
      disk.before = (_operation, path) => {
        // Three in a row, so that trying once more does not help.
        if (count >= at && count < at + 3) {
          failed = true
          count++
          throw errno(code, path)
        }
        count++
      }
      for (const id of ids) {
        const stored = outbox.store(outgoing(id, payloadOf(id), { requiresAck: true })).then(
          () => void acknowledged.add(id),
          (error: unknown) => expect(error).toMatchObject({ reason: expect.stringMatching(/^DISK_/) }),
        )
        await stored
        await clock.settle()
        const found = await all(inbox)
        for (const { sequence } of found) done.add(sequence)
        await inbox.settled(found.map((arrival) => ({ arrival, acknowledge: true })))
        await clock.advance(1500)
      }
      disk.before = () => {}
      await clock.advance(10_000)
      // The one who lives makes all files by itself.
      for (const { sequence } of await all(inbox)) done.add(sequence)
      for (const id of acknowledged) expect(done, `${id}, operation ${at}`).toContain(ids.indexOf(id) + 1)
      await outbox.close()
      await inbox.close()
      await checkAfter(disk, { ids, acknowledged, done })
      if (!failed) break
      failures++
    }
    expect(failures).toBeGreaterThan(40)
  })

  it('without a journal nothing is lost when only the process ends', async () => {
    const disk = new SimulatedDisk()
    const clock = new VirtualClock()
    const [ids, acknowledged] = [['a', 'b', 'c', 'd'], new Set<string>()]
    const outbox = await outboxOn(disk, clock, 'process-crash')
    const checks: Promise<void>[] = []
    disk.after = () => {
      const [kept] = [...disk.crashes()].slice(-1)
      if (kept) checks.push(checkAfter(kept, { ids, acknowledged: new Set(acknowledged), done: new Set() }))
    }
    await Promise.all(
      ids.map((id) => outbox.store(outgoing(id, payloadOf(id))).then(() => acknowledged.add(id))),
    )
    disk.after = () => {}
    await Promise.all(checks)
    expect(checks.length).toBeGreaterThan(8)
    await outbox.close()
  })
})
