import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Mailbox } from '../../src/mailbox/index.ts'
import type { MailboxOptions } from '../../src/mailbox/options.ts'
import { ANY, bundleProgram, Processes } from './kills/processes.ts'
import type { Task } from './kills/program.ts'

const home = mkdtempSync(join(tmpdir(), 'mailbox-program-'))
let program = ''
let all: Processes[] = []
beforeAll(async () => {
  program = await bundleProgram(home)
})
afterEach(async () => {
  await Promise.all(all.map((processes) => processes.close()))
  all = []
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

function processes(mailbox: Partial<MailboxOptions> & Pick<MailboxOptions, 'store'>): Processes {
  const made = new Processes(program, mailbox)
  all.push(made)
  return made
}

const task = (payload: Task, options: object = {}) => ({ type: 'task', payload, options })
const quick = { retryDelayMs: 50 }

interface Letter {
  readonly id: string
  readonly error: { readonly reason: string; readonly attempts: number }
}
const letters = ({ folder }: Processes): Letter[] => {
  const errors = join(folder, 'ipc/main/errors')
  return readdirSync(errors).map((name): Letter => JSON.parse(readFileSync(join(errors, name), 'utf8')))
}

describe.each(['log', 'folder'] as const)('a mailbox in the %s store', (store) => {
  it('carries messages from one process to another, each sender in its order, and acknowledges', async () => {
    const box = processes({ store })
    const receiver = box.start('receiver', { receive: { concurrency: 1 } })
    const senders = ['a', 'b'].map((name) =>
      box.start(name, { stream: { count: 300, atOnce: 1, from: 0, ackEach: 1 } }),
    )
    await receiver.said({ end: ANY }, 600)
    for (const sender of senders) await sender.said({ streamed: 300 })
    for (const name of ['a', 'b']) {
      senders[name === 'a' ? 0 : 1]?.tell({ waitForAck: `${name}.299`, timeoutMs: 10_000 })
    }
    await Promise.all(senders.map((sender, index) => sender.said({ acked: `${'ab'[index]}.299` })))
    const starts = box.ids('start')
    for (const name of ['a', 'b']) {
      const own = starts.filter((id) => id.startsWith(`${name}.`))
      expect(own).toEqual(Array.from({ length: 300 }, (_, n) => `${name}.${n}`))
    }
    await receiver.stop()
    expect(receiver.stderr).toBe('')
  })

  it('honours delay, priority and expiry', async () => {
    const box = processes({ store })
    const sender = box.start('sender')
    sender.tell({
      send: [
        task({}, { id: 'late', delayMs: 1_500 }),
        task({}, { id: 'stale', expiresInMs: 1 }),
        task({}, { id: 'low', priority: 'low' }),
        task({}, { id: 'normal' }),
        task({}, { id: 'high', priority: 'high' }),
      ],
    })
    await sender.said({ sent: ANY }, 5)
    const receiver = box.start('receiver', { receive: { concurrency: 1 } })
    await receiver.said({ end: 'late' })
    expect(box.ids('start')).toEqual(['high', 'normal', 'low', 'late'])
    const sent = box.ledger().find(({ what, id }) => what === 'sent' && id === 'normal')?.atNs ?? 0n
    const late = box.ledger().find(({ what, id }) => what === 'start' && id === 'late')?.atNs ?? 0n
    expect(Number(late - sent) / 1e6).toBeGreaterThan(1_300)
    await receiver.stop()
    expect(letters(box)).toMatchObject([{ id: 'stale', error: { reason: 'EXPIRED', attempts: 0 } }])
  })

  it('retries, and keeps what failed for good with its reason', async () => {
    const box = processes({ store })
    const receiver = box.start('receiver', { receive: quick })
    const sender = box.start('sender')
    sender.tell({
      send: [
        task({ do: 'fail' }, { id: 'fails' }),
        task({ do: 'fatal' }, { id: 'fatal' }),
        task({ do: 'fail', once: true }, { id: 'recovers', requiresAck: true }),
      ],
    })
    await sender.said({ sent: ANY }, 3)
    sender.tell({ waitForAck: 'recovers', timeoutMs: 10_000 })
    await sender.said({ acked: 'recovers' })
    await receiver.said({ start: 'fails', attempt: 4 })
    await receiver.stop()
    const starts = box.ledger().filter(({ what }) => what === 'start')
    const of = (id: string): number[] => starts.filter((line) => line.id === id).map(({ attempt }) => attempt)
    expect([of('fails'), of('fatal'), of('recovers')]).toEqual([[1, 2, 3, 4], [1], [1, 2]])
    expect(letters(box).sort((one, other) => one.id.localeCompare(other.id))).toMatchObject([
      { id: 'fails', error: { reason: 'HANDLER_ERROR', attempts: 4 } },
      { id: 'fatal', error: { reason: 'HANDLER_ERROR', attempts: 1 } },
    ])
  })

  it('keeps the lease of a long handler, and ends one that is not extended', async () => {
    const box = processes({ store })
    const receiver = box.start('receiver', { receive: { ...quick, leaseMs: 200, heartbeat: false } })
    const sender = box.start('sender')
    sender.tell({
      send: [
        task({ do: 'sleep', ms: 900 }, { id: 'long' }),
        task({ do: 'hang', once: true }, { id: 'hangs' }),
      ],
    })
    await receiver.said({ aborted: 'hangs' })
    await receiver.said({ end: 'hangs', attempt: 2 })
    await receiver.said({ end: 'long' })
    expect(box.ids('start').filter((id) => id === 'long')).toHaveLength(1)
    await receiver.stop()
  })

  it('runs an id once that was sent twice', async () => {
    const box = processes({ store })
    const receiver = box.start('receiver', { receive: {} })
    const sender = box.start('sender')
    for (let time = 1; time <= 2; time++) {
      sender.tell({ send: [task({}, { id: 'same', requiresAck: true })] })
      await sender.said({ sent: 'same' }, time)
      sender.tell({ waitForAck: 'same', timeoutMs: 10_000 })
      await sender.said({ acked: 'same' }, time)
    }
    sender.tell({ send: [task({}, { id: 'after' })] })
    await receiver.said({ end: 'after' })
    expect(box.ids('start')).toEqual(['same', 'after'])
    await receiver.stop()
  })

  it('runs again what a killed receiver was running, and charges no other', async () => {
    const box = processes({ store })
    const first = box.start('first', { receive: { concurrency: 2 } })
    await first.said({ active: true })
    const standby = box.start('standby', { receive: {} })
    const sender = box.start('sender')
    await standby.said({ open: true })
    const names = ['slow1', 'slow2', 'waits1', 'waits2']
    sender.tell({ send: names.map((id) => task({ do: 'sleep', ms: 1_000 }, { id })) })
    await first.said({ start: ANY }, 2)
    await first.kill()
    await standby.said({ active: true })
    for (const id of names) await standby.said({ end: id })
    const attempts = box.ledger().filter(({ what, by }) => what === 'start' && by === 'standby')
    expect(new Map(attempts.map(({ id, attempt }) => [id, attempt]))).toEqual(
      new Map([
        ['slow1', 2],
        ['slow2', 2],
        ['waits1', 1],
        ['waits2', 1],
      ]),
    )
    expect(attempts).toHaveLength(4)
    await standby.stop()
    const last = box.start('last', { receive: {} })
    await last.said({ active: true })
    sender.tell({ send: [task({}, { id: 'after' })] })
    await last.said({ end: 'after' })
    await last.stop()
    expect(box.ids('start')).toHaveLength(7)
  })

  it('delivers what a sender had sent when it was killed', async () => {
    const box = processes({ store })
    const sender = box.start('sender')
    sender.tell({ send: Array.from({ length: 20 }, (_, n) => task({}, { id: `m${n}` })) })
    await sender.said({ sent: ANY }, 20)
    await sender.kill()
    const receiver = box.start('receiver', { receive: {} })
    await receiver.said({ end: ANY }, 20)
    await receiver.stop()
    expect(new Set(box.ids('effect')).size).toBe(20)
  })

  it('stops when those that run have ended', async () => {
    const box = processes({ store })
    const receiver = box.start('receiver', { receive: { concurrency: 1 } })
    const sender = box.start('sender')
    sender.tell({ send: [task({ do: 'sleep', ms: 300 }, { id: 'runs' }), task({}, { id: 'waits' })] })
    await receiver.said({ start: 'runs' })
    await sender.said({ sent: ANY }, 2)
    await receiver.stop()
    expect(box.ids('end')).toEqual(['runs'])
    const next = box.start('next', { receive: {} })
    await next.said({ end: 'waits' })
    expect(box.ids('start')).toEqual(['runs', 'waits'])
    await next.stop()
  })

  it('opens as what it was made as only, and refuses what is over its quota', async () => {
    const { mailbox } = processes({ store })
    const quota = { messages: 3, bytes: 10_000 }
    const opened = await Mailbox.open({ ...mailbox, quota })
    const other = store === 'log' ? 'folder' : 'log'
    await expect(Mailbox.open({ ...mailbox, store: other })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'STORE_MISMATCH',
    })
    for (let count = 0; count < 3; count++) await opened.send('task', {})
    await expect(opened.send('task', {})).rejects.toMatchObject({ reason: 'MAILBOX_FULL', fate: 'not-sent' })
    const receiver = await opened.receive(() => {})
    await expect(opened.receive(() => {})).rejects.toMatchObject({ reason: 'RECEIVING' })
    await receiver.ready
    await expect.poll(() => opened.stats()).toMatchObject({ done: 3 })
    await expect.poll(() => opened.send('task', {}).catch(() => '')).toBeTruthy()
    await opened.close()
    await expect(opened.send('task', {})).rejects.toMatchObject({ reason: 'CLOSED' })
  })
})

describe.each(['log', 'folder'] as const)('a poison message in the %s store', (store) => {
  it('is started four times, whatever it kills, and all others are done', async () => {
    const box = processes({ store, durability: 'process-crash' })
    const count = 10_000
    const sender = box.start('sender', { stream: { count, atOnce: 500, from: 0, ackEach: 1_000_000 } })
    sender.tell({ send: [task({ do: 'abort' }, { id: 'poison' })] })
    await sender.said({ streamed: count })
    await sender.said({ sent: 'poison' })
    let lives = 0
    for (let over = false; !over; lives++) {
      expect(lives).toBeLessThan(20)
      const receiver = box.start('receiver', { receive: { ...quick, concurrency: 16 } })
      for (;;) {
        const first = await Promise.race([
          receiver.exited,
          new Promise((look) => setTimeout(look, 250, 'look')),
        ])
        if (first !== 'look') break
        if (box.effects < count || letters(box).length === 0) continue
        over = true
        await receiver.stop()
        break
      }
    }
    const starts = box.ledger().filter(({ what, id }) => what === 'start' && id === 'poison')
    expect(starts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4])
    expect(letters(box)).toMatchObject([{ id: 'poison', error: { reason: 'HANDLER_CRASHED', attempts: 4 } }])
    expect(box.effects).toBe(count)
    expect(lives).toBe(5)
  })
})
