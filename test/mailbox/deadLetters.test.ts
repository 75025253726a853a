import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_LETTER_BYTES } from '../../src/mailbox/deadLetterFile.ts'
import { DeadLetters } from '../../src/mailbox/deadLetters.ts'
import { type Files, nodeFiles } from '../../src/mailbox/files.ts'
import type { Arrival, Outgoing } from '../../src/mailbox/message.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const BOX = '/box'
const ERRORS = '/box/errors'
const NOW = 1_700_000_000_000
const CAUSE = { reason: 'HANDLER_ERROR', message: 'no such page', stack: 'Error: no such page\n  at handler' }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const json = (value: unknown) => ({ format: 'json', bytes: bytes(JSON.stringify(value)) }) as const

function arrival(id: string, more: Partial<Arrival> = {}): Arrival {
  return {
    ...{ id, type: 'task', sentAtMs: NOW - 60_000, requiresAck: true, priority: 'high' },
    ...{
      notBeforeMs: 0,
      expiresAtMs: 0,
      redriven: 0,
      sender: 'a-1',
      sequence: 7,
      place: `${id}.json`,
      bytes: 9,
    },
    ...more,
  }
}

async function disk(): Promise<SimulatedDisk> {
  const made = new SimulatedDisk()
  for (const folder of [BOX, '/box/.journal', '/box/.journal/tmp', ERRORS, '/box/stored'])
    await made.makeFolder(folder)
  return made
}

type Store = (message: Outgoing) => Promise<void>
const letters = (files: Files, nowMs = () => NOW, store: Store = storeOn(files)): DeadLetters =>
  new DeadLetters({ files, folder: BOX, group: 'main', to: { store }, nowMs })

/** A store whose messages are files, safe when it settles; the same id and redrive is one message. */
function storeOn(files: Files): Store {
  return async ({ id, redriven }) => {
    const file = await files.create(`/box/stored/${id}.${redriven}`).catch((error: unknown) => {
      if (Reflect.get(Object(error), 'code') !== 'EEXIST') throw error
      return files.open(`/box/stored/${id}.${redriven}`)
    })
    await file.sync()
    await file.close()
    await files.syncFolder('/box/stored')
  }
}

/** Checks every disk that power loss may leave, at every operation of `work`. */
async function atEveryCrash(
  on: SimulatedDisk,
  work: () => Promise<unknown>,
  check: (crashed: SimulatedDisk, over: boolean) => Promise<void>,
): Promise<number> {
  const checks: (() => Promise<void>)[] = []
  let over = false
  const keep = (): void => {
    const known = over
    for (const crashed of on.crashes()) checks.push(() => check(crashed, known))
  }
  on.after = keep
  await work()
  over = true
  keep()
  on.after = () => {}
  for (const one of checks) await one()
  return checks.length
}

describe('a dead letter', () => {
  it('has the message as S2 writes it, and why it is dead', async () => {
    const files = await disk()
    await letters(files).add(arrival('m-1', { expiresAtMs: NOW + 5 }), json({ n: [1, 'x'] }), CAUSE, 4)
    expect(await files.list(ERRORS)).toEqual([`${NOW}-m-1.json`])
    const file = await files.open(`${ERRORS}/${NOW}-m-1.json`)
    const content = Buffer.alloc((await file.status()).size)
    await file.read(content, 0)
    expect(JSON.parse(content.toString())).toEqual({
      id: 'm-1',
      type: 'task',
      groupFolder: 'main',
      payload: { n: [1, 'x'] },
      timestamp: new Date(NOW - 60_000).toISOString(),
      requiresAck: true,
      priority: 'high',
      expiresAt: new Date(NOW + 5).toISOString(),
      sender: 'a-1',
      sequence: 7,
      error: { ...CAUSE, attempts: 4, failedAt: new Date(NOW).toISOString() },
    })
  })

  it('is there once it was said to be, once for a death, whole, whatever a crash leaves at any operation', async () => {
    const files = await disk()
    const add = (on: Files) => letters(on).add(arrival('m-1'), json('x'.repeat(100)), CAUSE, 4)
    let found = 0
    const states = await atEveryCrash(
      files,
      () => add(files),
      async (crashed, over) => {
        const left = await letters(crashed).list()
        if (over) expect(left).toHaveLength(1)
        found += left.length
        for (const one of left) expect(one).toMatchObject({ id: 'm-1', redrivable: true, attempts: 4 })
        // No record of the death: the next receiver comes to the same end, at a later time.
        const again = letters(crashed, () => NOW + 1000)
        await again.add(arrival('m-1'), json('x'.repeat(100)), CAUSE, 5)
        for (const safe of crashed.crashes()) expect(await letters(safe).list()).toHaveLength(1)
      },
    )
    expect(states).toBeGreaterThan(50)
    expect(found).toBeGreaterThan(1)
  })

  it('is safe when a second process finds the one whose name was not', async () => {
    const files = await disk()
    files.before = (operation, path) => {
      if (operation === 'syncFolder' && path === ERRORS) throw errno('EIO', path)
    }
    await expect(letters(files).add(arrival('m-1'), json(1), CAUSE, 4)).rejects.toMatchObject({
      reason: 'DISK_FAILED',
    })
    files.before = () => {}
    await letters(files, () => NOW + 9).add(arrival('m-1'), json(1), CAUSE, 4)
    for (const crashed of files.crashes()) expect(await crashed.list(ERRORS)).toEqual([`${NOW}-m-1.json`])
  })

  it('is looked for again by one that was not the active receiver in between', async () => {
    const files = await disk()
    const one = letters(files)
    await one.add(arrival('m-0'), json(1), CAUSE, 4)
    await letters(files, () => NOW - 5).add(arrival('m-1'), json(1), CAUSE, 4)
    one.forget()
    await one.add(arrival('m-1'), json(1), CAUSE, 4)
    expect(await one.count()).toBe(2)
  })

  it.each(['create', 'write', 'sync', 'rename', 'syncFolder', 'makeFolder', 'list'])(
    'is refused with a code when %s fails, and can be kept later',
    async (operation) => {
      for (const code of ['ENOSPC', 'EIO']) {
        const files = await disk()
        const dead = letters(files)
        files.before = (now, path) => {
          if (now === operation) throw errno(code, path)
        }
        await expect(dead.add(arrival('m-1'), json(1), CAUSE, 4)).rejects.toMatchObject({
          reason: code === 'ENOSPC' ? 'DISK_FULL' : 'DISK_FAILED',
        })
        files.before = () => {}
        await Promise.all([
          dead.add(arrival('m-1'), json(1), CAUSE, 4),
          dead.add(arrival('m-1'), json(1), CAUSE, 4),
        ])
        expect(await dead.count()).toBe(1)
        expect(await files.list('/box/.journal/tmp')).toEqual([])
      }
    },
  )

  it('gives way to that of the next death, and no other does', async () => {
    const files = await disk()
    const dead = letters(files)
    await dead.add(arrival('m-1'), json(1), CAUSE, 4)
    await dead.add(arrival('m-2'), json(1), CAUSE, 4)
    await dead.add(arrival('m-1', { redriven: 1 }), json(1), { ...CAUSE, message: 'again' }, 4)
    expect((await dead.list()).map(({ id, redriven, message }) => [id, redriven, message])).toEqual([
      ['m-1', 1, 'again'],
      ['m-2', 0, 'no such page'],
    ])
    // A file of the same name that is dropped twice, with other content, is two.
    await dead.add(arrival('job'), bytes('{"a":'), { reason: 'MALFORMED', message: 'torn' }, 0)
    await dead.add(arrival('job'), bytes('{"b":'), { reason: 'MALFORMED', message: 'torn' }, 0)
    await dead.add(arrival('job'), bytes('{"b":'), { reason: 'MALFORMED', message: 'torn' }, 0)
    expect(await dead.list({ ids: ['job'] })).toHaveLength(2)
  })

  it('keeps whatever the content is', async () => {
    const files = await disk()
    const dead = letters(files)
    const long = bytes(`[${'1e20,'.repeat(600_000)}1]`)
    const deep = bytes(`${'['.repeat(5000)}1${']'.repeat(5000)}`)
    const contents: [string, Parameters<DeadLetters['add']>[1], Uint8Array | undefined][] = [
      ['binary', { format: 'body', bytes: Uint8Array.of(0, 255, 1) }, Uint8Array.of(0, 255, 1)],
      ['long', { format: 'json', bytes: long }, long],
      ['deep', { format: 'json', bytes: deep }, deep],
      ['no-json', { format: 'json', bytes: bytes('{') }, bytes('{')],
      ['raw', bytes('{"id": "raw", '), undefined],
      ['gone', undefined, undefined],
      ['huge', new Uint8Array(10_000_000).fill(0xff), undefined],
    ]
    for (const [id, content, kept] of contents) {
      await dead.add(arrival(id), content, { ...CAUSE, message: 'm'.repeat(100_000) }, 4)
      const letter = await dead.show(id)
      expect(letter.error.reason).toBe('HANDLER_ERROR')
      expect(letter.bytes).toBeLessThan(MAX_LETTER_BYTES)
      expect(letter.message && Buffer.from(letter.message.body.bytes).equals(kept ?? bytes(''))).toBe(
        kept === undefined ? undefined : true,
      )
    }
    expect(await dead.show('raw')).toMatchObject({ raw: '{"id": "raw", ', place: 'raw.json' })
    await dead.add(arrival('../../etc/x'), json(1), CAUSE, 1)
    expect(await files.list(ERRORS)).toContain(`${NOW}-.._.._etc_x.json`)
  })
})

describe('redrive', () => {
  it('loses nothing whatever a crash leaves, and doing it again ends the same', async () => {
    const files = await disk()
    await letters(files).add(arrival('m-1'), json(1), CAUSE, 4)
    const redrive = (on: Files) => letters(on).redrive({})
    let both = 0
    const states = await atEveryCrash(
      files,
      () => redrive(files),
      async (crashed, over) => {
        const stored = await crashed.list('/box/stored')
        const left = await letters(crashed).list()
        expect(stored.length + left.length).toBeGreaterThan(0)
        if (over) expect([stored, left]).toEqual([['m-1.1'], []])
        if (stored.length + left.length > 1) both++
        for (const one of left) expect(one.redrivable).toBe(true)
        await redrive(crashed)
        for (const safe of crashed.crashes()) {
          // The same id with the same count of redrives: a receiver handles it once.
          expect(await safe.list('/box/stored')).toEqual(['m-1.1'])
          expect(await safe.list(ERRORS)).toEqual([])
        }
      },
    )
    expect(states).toBeGreaterThan(20)
    expect(both).toBeGreaterThan(0)
  })

  it('stores the oldest first, as they were, and drops an expiry that has passed', async () => {
    const files = await disk()
    let now = NOW
    const stored: Outgoing[] = []
    const store = async (message: Outgoing): Promise<void> => void stored.push(message)
    const dead = letters(files, () => now, store)
    for (const id of ['c', 'a', 'b']) {
      await dead.add(
        arrival(id, { expiresAtMs: id === 'a' ? NOW + 1 : NOW + 100_000 }),
        json({ id }),
        CAUSE,
        4,
      )
      now += 10
    }
    const selection = { reason: 'HANDLER_ERROR', type: 'task' }
    expect(await dead.redrive(selection, { dryRun: true })).toMatchObject({
      ...{ dryRun: true, matched: 3, done: 3, reasons: { HANDLER_ERROR: 3 }, failed: 0 },
    })
    expect(stored).toEqual([])
    expect(await dead.redrive(selection)).toMatchObject({ matched: 3, done: 3 })
    expect(stored.map(({ id, redriven, expiresAtMs }) => [id, redriven, expiresAtMs])).toEqual([
      ['c', 1, NOW + 100_000],
      ['a', 1, 0],
      ['b', 1, NOW + 100_000],
    ])
    expect(stored[0]).toEqual({
      ...{
        id: 'c',
        type: 'task',
        sentAtMs: NOW - 60_000,
        requiresAck: true,
        priority: 'high',
        notBeforeMs: 0,
      },
      ...{ expiresAtMs: NOW + 100_000, redriven: 1, format: 'json', body: Buffer.from('{"id":"c"}') },
    })
    expect(await dead.count()).toBe(0)
  })

  it('ends when the store takes no more, keeps those letters, and tells', async () => {
    const files = await disk()
    let room = 100
    const store = async (): Promise<void> => {
      if (room-- <= 0) throw errno('ENOSPC', 'store')
    }
    const dead = letters(files, () => NOW, store)
    for (let n = 0; n < 200; n++) await dead.add(arrival(`m-${n}`), json(n), CAUSE, 4)
    const outcome = await dead.redrive({})
    expect(outcome).toMatchObject({ stopped: true, done: 100, failed: 28 })
    expect(await dead.count()).toBe(100)
  })

  it('tells of letters that cannot be redriven, and of ids that are not there', async () => {
    const files = await disk()
    const dead = letters(files)
    await dead.add(arrival('torn'), bytes('{'), { reason: 'MALFORMED', message: 'it is cut' }, 0)
    const outcome = await dead.redrive(['torn', 'nowhere'])
    expect(outcome).toMatchObject({ matched: 1, done: 0, failed: 2 })
    expect(outcome.failures.map(({ id, reason }) => [id, reason])).toEqual([
      ['torn', 'MALFORMED'],
      ['nowhere', 'LETTER_UNKNOWN'],
    ])
    expect(await dead.count()).toBe(1)
    await expect(dead.show('nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'LETTER_UNKNOWN' })
  })
})

describe('purge', () => {
  it('removes what was selected and nothing else, whatever a crash leaves', async () => {
    const files = await disk()
    await letters(files, () => NOW - 10_000).add(arrival('old'), json(1), CAUSE, 4)
    await letters(files).add(arrival('new'), json(1), CAUSE, 4)
    expect(await letters(files).purge({ olderThanMs: 10_001 })).toMatchObject({ matched: 0, done: 0 })
    expect(await letters(files).purge({ olderThanMs: 10_000 }, { dryRun: true })).toMatchObject({ done: 1 })
    await atEveryCrash(
      files,
      () => letters(files).purge({ olderThanMs: 10_000 }),
      async (crashed, over) => {
        const left = (await letters(crashed).list()).map(({ id }) => id)
        expect(over ? [['new']] : [['new'], ['new', 'old']]).toContainEqual(left)
      },
    )
    expect(await letters(files).purge(['new', 'old'])).toMatchObject({
      ...{ matched: 1, done: 1, reasons: { HANDLER_ERROR: 1 }, failed: 1 },
    })
  })
})

describe('what anybody put into errors/', () => {
  let folder: string
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const stored: Outgoing[] = []
  const to = { store: async (message: Outgoing): Promise<void> => void stored.push(message) }
  function box(): { readonly dead: DeadLetters; put(name: string, content: string | Uint8Array): string } {
    folder = mkdtempSync(join(tmpdir(), 'vd-'))
    mkdirSync(join(folder, 'errors'))
    return {
      dead: new DeadLetters({ files: nodeFiles, folder, group: 'main', to }),
      put(name, content) {
        const path = join(folder, 'errors', name)
        writeFileSync(path, content)
        return path
      },
    }
  }

  it('is listed with its fault, hurts nobody and can be purged', async () => {
    const { dead, put } = box()
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    put('1-empty.json', '')
    put('2-list.json', '[]')
    put('3-torn.json', '{"id":"torn","payload":')
    put('4-deep.json', deep)
    put('5-deep-payload.json', `{"id":"x","type":"t","payload":${deep}}`)
    put('6-binary.json', Uint8Array.of(0xff, 0xfe, 0))
    put('7-sparse.json', '')
    execFileSync('truncate', ['-s', '3G', join(folder, 'errors', '7-sparse.json')])
    symlinkSync('/etc/passwd', join(folder, 'errors', '8-link.json'))
    execFileSync('mkfifo', [join(folder, 'errors', '9-fifo.json')])
    linkSync(put('other.txt', '{}'), join(folder, 'errors', '10-hard.json'))
    mkdirSync(join(folder, 'errors', '11-folder.json'))
    put('12-types.json', '{"id":{},"type":5,"payload":1,"error":"text","redriven":-1}')
    put('13-proto.json', '{"__proto__":{"id":"p"},"error":{"reason":[],"attempts":1e99}}')
    put('14-..json', '{"id":"../../x","type":"t","payload":1}')
    put('no letter', 'x')
    const found = await dead.list()
    expect(found.map(({ id, reason, redrivable }) => [id, reason, redrivable])).toEqual([
      ['.', 'UNKNOWN', false],
      ['proto', 'UNKNOWN', false],
      ['types', 'UNKNOWN', false],
      ['folder', 'NOT_A_FILE', false],
      ['hard', 'NOT_A_FILE', false],
      ['fifo', 'NOT_A_FILE', false],
      ['link', 'NOT_A_FILE', false],
      ['sparse', 'TOO_LARGE', false],
      ['binary', 'MALFORMED', false],
      ['deep-payload', 'MALFORMED', false],
      ['deep', 'MALFORMED', false],
      ['torn', 'MALFORMED', false],
      ['list', 'MALFORMED', false],
      ['empty', 'MALFORMED', false],
    ])
    const outcome = await dead.purge({})
    expect(outcome).toMatchObject({ matched: 14, done: 13, failed: 1 })
    expect(outcome.failures[0]).toMatchObject({ id: 'folder', reason: 'DISK_FAILED' })
    expect(readdirSync(join(folder, 'errors')).sort()).toEqual(['11-folder.json', 'no letter', 'other.txt'])
  })

  it('may be of S2, and can be redriven', async () => {
    const { dead, put } = box()
    const id = '3f0c9e4e-5b5c-4c57-9d7d-1d6f2f1d8a11'
    put(
      `1704067200000-${id}.json`,
      JSON.stringify({
        ...{ id, type: 'task', groupFolder: 'main', payload: { taskId: 123 }, requiresAck: true },
        timestamp: '2024-01-01T00:00:00.000Z',
      }),
    )
    expect(await dead.list()).toEqual([
      expect.objectContaining({ id, type: 'task', reason: 'UNKNOWN', attempts: 1, redrivable: true }),
    ])
    await dead.redrive([id])
    expect(stored).toEqual([
      expect.objectContaining({
        id,
        redriven: 1,
        sentAtMs: 1704067200000,
        body: Buffer.from('{"taskId":123}'),
      }),
    ])
    expect(await dead.count()).toBe(0)
  })

  it('is listed, the newest first, with bounded memory, when there are 100,000', {
    timeout: 240_000,
  }, async () => {
    const names = Array.from(
      { length: 100_000 },
      (_, n) => `${1_000_000 + ((n * 7919) % 100_000)}-m-${n}.json`,
    )
    const payload = 'x'.repeat(4000)
    const usage = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
    let open = 0
    let most = 0
    let reads = 0
    let peak = 0
    const many: Files = {
      ...nodeFiles,
      list: async () => [...names],
      openToRead: async (path) => {
        most = Math.max(most, ++open)
        if (++reads % 1000 === 0) peak = Math.max(peak, usage())
        const [, number = ''] = /-m-(\d+)\.json$/.exec(path) ?? []
        const error = { reason: Number(number) % 1000 === 0 ? 'RARE' : 'OFTEN', message: 'm', attempts: 4 }
        const content = Buffer.from(JSON.stringify({ id: `m-${number}`, type: 't', payload, error }))
        const status = { size: content.length, modifiedMs: 0, links: 1, owner: 0, identity: number }
        const no = (): never => {
          throw new Error('only read')
        }
        return {
          ...{ write: no, writeNow: no, readNow: no, sync: no, truncate: no },
          read: async (into) => content.copy(into),
          status: async () => ({ ...status, kind: 'file' }),
          close: async () => void open--,
        }
      },
    }
    const dead = new DeadLetters({ files: many, folder: BOX, group: 'main', to })
    const before = usage()
    const newest = await dead.list({ limit: 3 })
    expect(newest.map(({ failedAtMs }) => failedAtMs)).toEqual([1_099_999, 1_099_998, 1_099_997])
    expect(reads).toBe(3)
    const rare = await dead.list({ reason: 'RARE', limit: 10_000 })
    expect(rare).toHaveLength(100)
    expect(await dead.purge({ reason: 'OFTEN' }, { dryRun: true })).toMatchObject({ matched: 99_900 })
    expect({ reads, most, open }).toEqual({ reads: 200_003, most: 1, open: 0 })
    // All of their content together is 400 MB.
    expect(peak - before).toBeLessThan(150 * 1024 * 1024)
  })
})
