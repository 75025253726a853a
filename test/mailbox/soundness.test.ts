import { mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Mailbox } from '../../src/mailbox/index.ts'
import { LogInbox } from '../../src/mailbox/logInbox.ts'
import { LogOutbox } from '../../src/mailbox/logOutbox.ts'
import type { MailHandler } from '../../src/mailbox/options.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { bodyOf, drained, outgoing, over } from './logRig.ts'
import { SimulatedDisk } from './simulatedDisk.ts'

let roots: string[] = []
let open: Mailbox[] = []
afterEach(async () => {
  await Promise.all(open.map((mailbox) => mailbox.close()))
  for (const root of roots) rmSync(root, { recursive: true, force: true })
  open = []
  roots = []
})

async function opened(
  store: 'log' | 'folder',
  root = mkdtempSync(join(tmpdir(), 'sound-')),
): Promise<Mailbox> {
  if (!roots.includes(root)) roots.push(root)
  const mailbox = await Mailbox.open({ root, group: 'main', store })
  open.push(mailbox)
  return mailbox
}

const hopeless: MailHandler = () => {
  throw Object.assign(new Error('no'), { recoverable: false })
}

describe('a message that was given up before', () => {
  it('is a dead letter again when it comes again and its letter is gone, in the folder store', async () => {
    const mailbox = await opened('folder')
    const root = join(roots[0] ?? '', 'main')
    let starts = 0
    await mailbox.receive((...of) => {
      starts++
      return hopeless(...of)
    })
    const drop = (): void => writeFileSync(join(root, 'messages', 'one.json'), '{"type":"task","payload":1}')
    const letters = () => mailbox.deadLetters.list()
    drop()
    await expect.poll(letters).toMatchObject([{ id: 'one', reason: 'HANDLER_ERROR' }])
    await expect.poll(() => readdirSync(join(root, 'messages'))).toEqual([])
    await mailbox.deadLetters.purge(['one'])
    drop()
    await expect.poll(letters).toMatchObject([{ id: 'one', reason: 'GIVEN_UP_BEFORE' }])
    await expect.poll(() => readdirSync(join(root, 'messages'))).toEqual([])
    expect(starts).toBe(1)
    // Its letter is there: it stays the only one.
    drop()
    await expect.poll(() => readdirSync(join(root, 'messages'))).toEqual([])
    expect(await letters()).toHaveLength(1)
  })

  it('is handled when it is redriven, and an older copy of it leaves no letter beside it', async () => {
    const mailbox = await opened('log')
    let fail = true
    const handled: number[] = []
    await mailbox.receive((message, ...more) => {
      if (fail) return hopeless(message, ...more)
      handled.push(message.redriven ?? 0)
    })
    const letters = () => mailbox.deadLetters.list()
    await mailbox.send('task', 1, { id: 'one' })
    await expect.poll(letters).toMatchObject([{ id: 'one', redriven: 0 }])
    await mailbox.send('task', 1, { id: 'one', requiresAck: true })
    await expect.poll(() => mailbox.stats()).toMatchObject({ duplicates: 1 })
    expect(await letters()).toMatchObject([{ id: 'one', reason: 'HANDLER_ERROR' }])
    fail = false
    await mailbox.deadLetters.redrive(['one'])
    await mailbox.send('task', 1, { id: 'one' })
    await expect.poll(() => mailbox.stats()).toMatchObject({ duplicates: 2, done: 1 })
    expect(handled).toEqual([1])
    expect(await letters()).toEqual([])
  })
})

describe('the folders of a mailbox', () => {
  // The lock looks at the true disk, where this must be nothing.
  const root = '/no-such-folder/of/programs/ipc'

  it.each([
    ['are new', '/'],
    ['were made by who died before they were synced', `${root}/main/.journal/tmp`],
  ])('survive a loss of power with what was stored and buried, though they %s', async (_, made) => {
    const disk = new SimulatedDisk()
    disk.losesFolders = true
    await disk.makeFolder(made)
    const options = { root, group: 'main', files: disk, allowNetworkFileSystem: true }
    const mailbox = await Mailbox.open({ ...options, clock: new VirtualClock() })
    await mailbox.send('task', 1, { id: 'stored' })
    const idsIn = async (crashed: SimulatedDisk): Promise<string[]> => {
      const inbox = new LogInbox({
        folder: join(root, 'main'),
        name: 'later',
        owner: 0,
        files: crashed,
        clock: new VirtualClock(),
        isRunning: () => false,
      })
      const found = await drained(inbox)
      await inbox.close()
      return found.map(({ id }) => id)
    }
    for (const crashed of disk.crashes()) expect(await idsIn(crashed)).toEqual(['stored'])
    const inbox = new LogInbox({
      folder: join(root, 'main'),
      name: 'now',
      owner: 0,
      files: disk,
      clock: new VirtualClock(),
    })
    const [arrival] = await drained(inbox)
    if (!arrival) throw new Error('nothing was stored')
    await mailbox.deadLetters.add(arrival, await inbox.body(arrival), { reason: 'TEST', message: '' }, 1)
    for (const crashed of disk.crashes()) {
      const names = await crashed.list(join(root, 'main', 'errors'))
      expect(names).toMatchObject([expect.stringMatching(/-stored\.json$/)])
    }
    await inbox.close()
    await mailbox.close()
  })
})

describe('what somebody removes from below a receiver', () => {
  it('harms no other message, and what is read of it already is delivered', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'sound-')), 'main')
    roots.push(dirname(folder))
    const senders = ['a', 'b'].map((sender) => new LogOutbox({ folder, sender, segmentBytes: 1_000 }))
    for (let index = 0; index < 30; index++) {
      for (const sender of senders) await sender.store(outgoing(`${sender.sender}${index}`))
    }
    const log: string[] = []
    const gone: string[] = []
    let isRunning = true
    const receiver = new LogInbox({
      folder,
      name: 'r',
      heldBytes: 1,
      isRunning: () => isRunning,
      onSenderGone: (name) => gone.push(name),
      log: (level, text) => log.push(`${level} ${text}`),
    })
    const logs = join(folder, '.journal/senders')
    const first = await receiver.next(4)
    // Of one sender a segment in the middle and the one that is read, of the other everything.
    const [read = '', second = ''] = readdirSync(join(logs, 'a')).sort()
    for (const segment of [read, second]) unlinkSync(join(logs, 'a', segment))
    rmSync(join(logs, 'b'), { recursive: true })
    const rest = await drained(receiver)
    const all = [...first, ...rest]
    const own = all.filter(({ sender }) => sender === 'a').map(({ sequence }) => sequence)
    expect(own).toEqual([...new Set(own)].sort((one, other) => one - other))
    expect(own.at(-1)).toBe(30)
    expect(all.every(({ fault }) => fault === undefined)).toBe(true)
    for (const arrival of all) {
      const body = Promise.resolve().then(() => receiver.body(arrival))
      const isThere = arrival.sender === 'a' && !arrival.place.includes(read)
      await body.then(
        ({ bytes }) => expect(bytes).toEqual(Buffer.from(bodyOf(arrival.id))),
        (error: unknown) => expect([isThere, error]).toMatchObject([false, { code: 'NOT_FOUND' }]),
      )
    }
    await receiver.settled(over(all))
    isRunning = false
    await expect
      .poll(async () => {
        await receiver.next(1)
        return [...gone].sort()
      })
      .toEqual(['a', 'b'])
    expect(readdirSync(logs)).toEqual([])
    expect(log).toEqual([])
    await receiver.close()
  })
})

describe('an acknowledgement', () => {
  it('comes with its hint, also where the sender was there before any receiver', async () => {
    const sender = await opened('log')
    const receiver = await opened('log', roots[0])
    const { ready } = await receiver.receive(() => {})
    await ready
    const from = performance.now()
    for (let index = 0; index < 10; index++) {
      await sender.waitForAck(await sender.send('task', index, { requiresAck: true }))
    }
    // By looking once a second it would take ten.
    expect(performance.now() - from).toBeLessThan(3_000)
  })
})
