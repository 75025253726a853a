/** Durable methods over real mailboxes on a real disk, in this process and over the deaths of others. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connectPeers, contract, isViaductError, method } from '../../src/index.ts'
import { Mailbox, type Mailboxes, mailboxes } from '../../src/mailbox/index.ts'
import { Talker } from './talker.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-durable-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const journal = contract('journal', {
  append: method({ input: z.object({ row: z.string() }), delivery: 'at-least-once' }),
  count: method({ output: z.number() }),
})
/** The same of other versions. */
const loose = contract('journal', {
  append: method({ input: z.unknown(), delivery: 'at-least-once' }),
  prune: method({ delivery: 'at-least-once' }),
})
const newer = contract('journal', {
  append: method({
    input: z.object({ row: z.string(), by: z.string().default('nobody') }),
    delivery: 'at-least-once',
  }),
})
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const CLI = fileURLToPath(new URL('../../dist/node/cli.js', import.meta.url))
const KEEPER = { id: 'keeper' }

let root = ''
let number = 0
const opened: { close(): Promise<void> }[] = []
beforeEach(() => {
  root = join(base, String(number++))
})
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  await Talker.endAll()
})

async function open(group?: string): Promise<Mailboxes> {
  const receive = { concurrency: 1, retryDelayMs: 10 }
  const made = await mailboxes(group === undefined ? { root } : { root, group, receive })
  opened.push(made)
  return made
}

/** What is given to it, and a promise of the first so many. */
function collector<T>() {
  const all: T[] = []
  let look = (): void => {}
  return {
    all,
    add(value: T): void {
      all.push(value)
      look()
    },
    until(count: number): Promise<T[]> {
      return new Promise((resolve) => {
        look = () => {
          if (all.length >= count) resolve(all)
        }
        look()
      })
    },
  }
}

async function deadLetters(count: number) {
  const mailbox = await Mailbox.open({ root, group: 'keeper' })
  opened.push(mailbox)
  for (;;) {
    const letters = await mailbox.deadLetters.list()
    if (letters.length >= count) return letters
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a durable call', () => {
  it('waits for its server, and is handled once, with its delivery, by a newer contract too', async () => {
    const sender = await open()
    const { append } = sender.client(journal, KEEPER)
    const receipt = await append({ row: 'a' }, { requiresAck: true })
    expect(receipt.id).toMatch(UUID)
    const seen = collector<unknown>()
    const server = await open('keeper')
    server.serve(newer, {
      append(input, { delivery, peer, idempotencyKey, signal, timeLeftMs }) {
        const { id, attempt, sender } = delivery
        seen.add({ input, id, attempt, sender, peer, idempotencyKey, aborted: signal.aborted, timeLeftMs })
      },
    })
    await sender.handled(receipt)
    await append({ row: 'b' }, { requiresAck: true }).then((next) => sender.handled(next))
    expect(seen.all).toEqual([
      {
        input: { row: 'a', by: 'nobody' },
        id: receipt.id,
        attempt: 1,
        sender: expect.stringMatching(/^[0-9a-z-]+$/),
        peer: { id: '', type: '', zone: 'mailbox', session: '' },
        idempotencyKey: receipt.id,
        aborted: false,
        timeLeftMs: Number.POSITIVE_INFINITY,
      },
      expect.objectContaining({ input: { row: 'b', by: 'nobody' } }),
    ])
  })

  it('goes beside the calls of the same contract over a link', async () => {
    const [near, far] = connectPeers()
    const rows = collector<string>()
    const durable = await open('keeper')
    far.serve(journal, { append: ({ row }) => rows.add(row), count: () => rows.all.length }, { durable })
    const api = near.client(journal, KEEPER, { durable: await open() })
    await api.append({ row: 'a' })
    await rows.until(1)
    const direct = near.client(journal)
    expect(await direct.count()).toBe(1)
    await expect(direct.append({ row: 'b' })).rejects.toMatchObject({ reason: 'MAILBOXES_MISSING' })
    near.close()
  })

  it('that the schema refuses is a dead letter at once, and no handler starts', async () => {
    const sender = await open()
    await sender.client(loose, KEEPER).append({ row: 7 })
    await sender.client(journal, KEEPER).append({ row: 'good' })
    const rows = collector<string>()
    const server = await open('keeper')
    server.serve(journal, { append: ({ row }) => rows.add(row) })
    const [letter] = await deadLetters(1)
    expect(letter).toMatchObject({
      type: 'journal.append',
      reason: 'INVALID_INPUT',
      attempts: 1,
      message: expect.stringMatching(/^journal\.append: input\.row: .*string/),
    })
    expect(await rows.until(1)).toEqual(['good'])
  })

  it('that is a dead letter is shown with its input, and handled when it is redriven', async () => {
    const sender = await open()
    await sender.client(loose, KEEPER).append({ row: 7n, at: new Uint8Array(5_000) })
    const server = await open('keeper')
    const serving = server.serve(journal, { append() {} })
    const [letter] = await deadLetters(1)
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...[CLI, 'mailbox', 'show', 'keeper', String(letter?.id), '--root', root, '--json'],
    ])
    expect(JSON.parse(stdout)).toMatchObject({
      message: { type: 'journal.append', format: 'body', payload: { row: '7', at: { bytes: 5_000 } } },
    })
    await serving.withdraw()
    const inputs = collector<unknown>()
    server.serve(loose, { append: (input) => inputs.add(input) })
    const mailbox = await Mailbox.open({ root, group: 'keeper' })
    opened.push(mailbox)
    await mailbox.deadLetters.redrive([String(letter?.id)])
    expect(await inputs.until(1)).toEqual([{ row: 7n, at: new Uint8Array(5_000) }])
  })

  it('of a method that nobody serves there is a dead letter that says so', async () => {
    const sender = await open()
    await sender.client(loose, KEEPER).prune()
    const server = await open('keeper')
    server.serve(journal, { append() {} })
    const [letter] = await deadLetters(1)
    expect(letter).toMatchObject({ reason: 'METHOD_NOT_FOUND', attempts: 4 })
  })

  it('with what cannot be sent is refused with its path, and nothing is kept', async () => {
    const sender = await open()
    const { append } = sender.client(loose, KEEPER)
    await expect(append({ rows: [1, () => {}] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNSENDABLE',
      path: 'input.rows[1]',
      fate: 'not-sent',
    })
    const mailbox = await Mailbox.open({ root, group: 'keeper' })
    opened.push(mailbox)
    expect((await mailbox.stats()).stored.messages).toBe(0)
  })

  it('goes to a mailbox that its target names, and to no other place', async () => {
    const sender = await open()
    for (const target of [{ any: true }, { type: 'Keeper' }, { id: '../keeper' }] as const) {
      await expect(sender.client(journal, target).append({ row: '' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'BAD_ID',
        path: 'target',
      })
    }
    await expect(sender.client(journal, KEEPER).count()).rejects.toMatchObject({ reason: 'NO_LINK' })
    expect(() => sender.serve(journal, { append() {} })).toThrow(
      expect.objectContaining({ reason: 'MAILBOXES_MISSING', path: 'journal.append' }),
    )
  })

  it('may come as JSON of another program', async () => {
    const rows = collector<string>()
    const server = await open('keeper')
    server.serve(journal, { append: ({ row }) => rows.add(row) })
    const mailbox = await Mailbox.open({ root, group: 'keeper' })
    opened.push(mailbox)
    await mailbox.send('journal.append', { row: 'from afar' })
    expect(await rows.until(1)).toEqual(['from afar'])
  })

  it('waits while its method is withdrawn, and what runs then is told', async () => {
    const sender = await open()
    const { append } = sender.client(journal, KEEPER)
    const server = await open('keeper')
    const told = collector<unknown>()
    const began = collector<string>()
    const serving = server.serve(journal, {
      append({ row }, { signal }) {
        began.add(row)
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            told.add(isViaductError(signal.reason) && signal.reason.reason)
            reject(signal.reason)
          })
        })
      },
    })
    expect(() => server.serve(journal, { append() {} })).toThrow(
      expect.objectContaining({ code: 'ALREADY_EXISTS' }),
    )
    await append({ row: 'a' })
    await began.until(1)
    await serving.withdraw({ graceMs: 0 })
    expect(told.all).toEqual(['WITHDRAWN'])
    await append({ row: 'b' })
    const rows = collector<string>()
    server.serve(journal, { append: ({ row }) => rows.add(row) })
    expect([...(await rows.until(2))].sort()).toEqual(['a', 'b'])
    expect(began.all).toEqual(['a'])
  })
})

describe('over the deaths of processes', () => {
  const rowsOf = (talker: Talker) => talker.lines.filter((line) => 'row' in line)

  it('a receipt holds when its sender is killed: a server that comes later handles it once', async () => {
    const appender = new Talker('appender.mjs', root, 'a', 'b', 'c')
    const { ids } = await appender.until((line) => 'ids' in line)
    await appender.kill()
    const keeper = new Talker('keeper.mjs', root)
    await keeper.until((line) => line.row === 'c')
    const after = new Talker('appender.mjs', root, 'd')
    await keeper.until((line) => line.row === 'd')
    expect(rowsOf(keeper).map(({ row, attempt }) => [row, attempt])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
      ['d', 1],
    ])
    expect(
      rowsOf(keeper)
        .slice(0, 3)
        .map(({ id }) => id),
    ).toEqual(ids)
    await after.kill()
  })

  it('a server that is killed in a handler is followed by one that starts it again', async () => {
    const first = new Talker('keeper.mjs', root)
    await first.until((line) => 'serving' in line)
    const sender = await open()
    const { append } = sender.client(journal, KEEPER)
    await sender.handled(await append({ row: 'before' }, { requiresAck: true }))
    const receipt = await append({ row: 'hang' }, { requiresAck: true })
    await first.until((line) => line.row === 'hang')
    await first.kill()
    const second = new Talker('keeper.mjs', root)
    await sender.handled(receipt)
    expect(rowsOf(first).map(({ row, attempt }) => [row, attempt])).toEqual([
      ['before', 1],
      ['hang', 1],
    ])
    expect(rowsOf(second)).toMatchObject([{ row: 'hang', attempt: 2, id: receipt.id }])
  })

  it('two senders are merged, each in its order', async () => {
    const names = (letter: string) => Array.from({ length: 50 }, (_, at) => `${letter}${at}`)
    const [left, right] = [names('l'), names('r')]
    const senders = [new Talker('appender.mjs', root, ...left), new Talker('appender.mjs', root, ...right)]
    const keeper = new Talker('keeper.mjs', root)
    await keeper.until(() => rowsOf(keeper).length === 100)
    const rows = rowsOf(keeper).map(({ row }) => String(row))
    expect(rows.filter((row) => row.startsWith('l'))).toEqual(left)
    expect(rows.filter((row) => row.startsWith('r'))).toEqual(right)
    expect(new Set(rowsOf(keeper).map(({ sender }) => sender)).size).toBe(senders.length)
  })
})
