import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Files, nodeFiles } from '../../src/mailbox/files.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { all, FolderMailbox, outgoing, text, until } from './folderMailbox.ts'
import { errno } from './simulatedDisk.ts'

let box: FolderMailbox
beforeEach(() => {
  box = new FolderMailbox()
})
afterEach(() => box.close())

describe('a mailbox in a folder', () => {
  it.each(['power-loss', 'process-crash'] as const)('writes what S2 says, at %s', async (durability) => {
    const outbox = await box.outbox({ durability })
    await outbox.store(outgoing('a-1', { taskId: 123, __proto__x: 1 }, { requiresAck: true }))
    await outbox.store(
      outgoing('a-2', [1], { priority: 'high', notBeforeMs: 1e12, expiresAtMs: 2e12, redriven: 2 }),
    )
    await until(() => existsSync(box.path('messages', 'a-2.json')))
    expect(JSON.parse(readFileSync(box.path('messages', 'a-1.json'), 'utf8'))).toEqual({
      id: 'a-1',
      type: 'task',
      groupFolder: 'main',
      payload: { taskId: 123, __proto__x: 1 },
      timestamp: '2024-01-01T00:00:00.000Z',
      requiresAck: true,
      sender: outbox.sender,
      sequence: 1,
    })
    expect(statSync(box.path('messages', 'a-1.json')).mode & 0o777).toBe(0o600)
    expect(statSync(box.path('messages')).mode & 0o777).toBe(0o700)
    const inbox = await box.inbox()
    const found = await all(inbox)
    expect(found).toMatchObject([
      { id: 'a-1', requiresAck: true, sequence: 1, priority: 'normal', place: 'a-1.json', redriven: 0 },
      {
        id: 'a-2',
        requiresAck: false,
        sequence: 2,
        priority: 'high',
        notBeforeMs: 1e12,
        expiresAtMs: 2e12,
        redriven: 2,
      },
    ])
    expect(await outbox.usage()).toMatchObject({ messages: 2 })
    expect((await outbox.usage()).bytes).toBeGreaterThan(200)
  })

  it('keeps bodies of the wire, __proto__ as plain data, and numbers as they were written', async () => {
    const outbox = await box.outbox({ durability: 'process-crash' })
    const bytes = Uint8Array.from([0, 255, 1, 128])
    await outbox.store(outgoing('w', 0, { format: 'body', body: bytes }))
    const json = '{"__proto__":{"polluted":true},"constructor":1,"big":12345678901234567890}'
    await outbox.store(outgoing('p', 0, { body: new TextEncoder().encode(json) }))
    const inbox = await box.inbox()
    const [wire, plain] = await all(inbox)
    if (!wire || !plain) throw new Error('both are there')
    expect(await inbox.body(wire)).toMatchObject({ format: 'body', bytes: Buffer.from(bytes) })
    expect(text((await inbox.body(plain)).bytes)).toBe(json)
    inbox.release(plain)
    expect(text((await inbox.body(plain)).bytes)).toBe(json)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('refuses what could not be read again, and ids that are no names', async () => {
    const outbox = await box.outbox()
    const deep = JSON.parse(`${'['.repeat(65)}${']'.repeat(65)}`)
    await expect(outbox.store(outgoing('a', deep))).rejects.toMatchObject({
      reason: 'UNSENDABLE',
      path: 'payload',
    })
    await expect(outbox.store(outgoing('a', Array(10_001).fill(0)))).rejects.toMatchObject({
      reason: 'UNSENDABLE',
    })
    for (const id of ['../x', '', '.hidden', 'a/b', 'x'.repeat(129)]) {
      await expect(outbox.store(outgoing(id, 1))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        path: 'id',
      })
    }
    const long = outgoing('long', 'x'.repeat(11 * 1024 * 1024))
    await expect(outbox.store(long)).rejects.toMatchObject({ reason: 'MESSAGE_TOO_LARGE', fate: 'not-sent' })
    await outbox.store(outgoing('last', JSON.parse(`${'['.repeat(64)}${']'.repeat(64)}`)))
    await outbox.close()
    const [only, ...none] = await all(await box.inbox())
    expect(only).toMatchObject({ id: 'last', sequence: 1 })
    expect(only?.fault).toBeUndefined()
    expect(none).toEqual([])
    await expect(outbox.store(outgoing('closed', 1))).rejects.toMatchObject({ reason: 'CLOSED' })
  })

  it('takes what a shell drops in, without id, time or group', async () => {
    const inbox = await box.inbox()
    const hinted = new Promise<void>((resolve) => inbox.watch(resolve))
    const script = `printf '{"type":"command","payload":{"command":"restart"}}' > x.tmp && mv x.tmp messages/from-shell.json`
    execFileSync('sh', ['-c', script], { cwd: box.folder })
    await hinted
    const found = await all(inbox)
    expect(found).toMatchObject([{ id: 'from-shell', type: 'command', sender: '', sequence: 0 }])
    expect(Math.abs((found[0]?.sentAtMs ?? 0) - Date.now())).toBeLessThan(60_000)
    await box.settle(inbox, found)
    expect(readdirSync(box.path('messages'))).toEqual([])
    expect(readdirSync(box.path('acks'))).toEqual([])
  })

  it('orders those without a sender by time, then name; a date ahead neither delays nor loses', async () => {
    const drop = (name: string, timestamp: string) =>
      writeFileSync(
        box.path('messages', `${name}.json`),
        JSON.stringify({ type: 't', payload: 1, timestamp }),
      )
    const inbox = await box.inbox()
    drop('future', '2999-01-01T00:00:00Z')
    drop('b', '2024-01-02T00:00:00.000Z')
    drop('a', '2024-01-02T00:00:00.000Z')
    drop('c', '2024-01-01T01:00:00+00:00')
    expect((await all(inbox)).map(({ id }) => id)).toEqual(['c', 'a', 'b', 'future'])
    expect(box.logged.filter((line) => line.includes('a day ahead'))).toHaveLength(1)
  })

  it('holds back what follows a gap until another scan has ended, and no longer', async () => {
    let hidden = ''
    let lists = 0
    // A folder that is read while it changes may show the later of two and not the earlier.
    const files = {
      ...nodeFiles,
      *namesNow(folder: string) {
        lists++
        for (const name of nodeFiles.namesNow(folder)) if (name !== hidden || lists > 1) yield name
      },
    }
    const outbox = await box.outbox({ durability: 'process-crash' })
    const inbox = await box.inbox({ files })
    for (const id of ['one', 'two', 'three']) await outbox.store(outgoing(id, id))
    hidden = 'two.json'
    expect((await inbox.next(1)).map(({ id }) => id)).toEqual(['one'])
    expect((await all(inbox)).map(({ id }) => id)).toEqual(['two', 'three'])
    // A gap that nothing fills holds nothing back for good.
    await outbox.store(outgoing('four', 4))
    await outbox.store(outgoing('five', 5))
    unlinkSync(box.path('messages', 'four.json'))
    expect((await all(inbox)).map(({ id }) => id)).toEqual(['five'])
  })

  it('lets senders take turns, each in its order', async () => {
    const [one, other] = [await box.outbox(), await box.outbox({ durability: 'process-crash' })]
    const sent = (outbox: typeof one, name: string) =>
      Promise.all(Array.from({ length: 50 }, (_, n) => outbox.store(outgoing(`${name}${n}`, n))))
    await Promise.all([sent(one, 'a'), sent(other, 'b')])
    await one.close()
    const found = await all(await box.inbox())
    for (const { sender } of [one, other]) {
      const sequences = found.filter((arrival) => arrival.sender === sender).map(({ sequence }) => sequence)
      expect(sequences).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
    }
    expect(new Set(found.slice(0, 10).map(({ sender }) => sender)).size).toBe(2)
  })

  it('does not read a folder in which nothing changed', async () => {
    let lists = 0
    const files = {
      ...nodeFiles,
      namesNow(folder: string) {
        lists++
        return nodeFiles.namesNow(folder)
      },
    }
    let nowMs = Date.now()
    const inbox = await box.inbox({ files, nowMs: () => nowMs })
    nowMs += 10_000
    expect(await all(inbox)).toEqual([])
    expect(await all(inbox)).toEqual([])
    const before = lists
    for (let time = 0; time < 10; time++) expect(await all(inbox)).toEqual([])
    expect(lists).toBe(before)
    writeFileSync(box.path('messages', 'x.json'), '{"type":"t","payload":1}')
    expect(await all(inbox)).toMatchObject([{ id: 'x' }])
  })

  it('finds all files of a folder that was swapped or removed while it was watched', async () => {
    const inbox = await box.inbox()
    let hints = 0
    inbox.watch(() => hints++)
    const drop = (folder: string, id: string) =>
      writeFileSync(box.path(folder, `${id}.json`), JSON.stringify({ type: 't', payload: id }))
    drop('messages', 'first')
    expect(await all(inbox)).toMatchObject([{ id: 'first' }])
    mkdirSync(box.path('other'))
    drop('other', 'swapped')
    renameSync(box.path('messages'), box.path('old'))
    renameSync(box.path('other'), box.path('messages'))
    expect(await all(inbox)).toMatchObject([{ id: 'swapped' }])
    // The new folder is watched: a hint comes sooner than the next second's.
    const before = hints
    drop('messages', 'after')
    await until(() => hints > before, 900)
    expect(await all(inbox)).toMatchObject([{ id: 'after' }])
    const hinted = async (change: () => void) => {
      const count = hints
      change()
      await until(() => hints > count, 1500)
      return all(inbox)
    }
    expect(await hinted(() => rmSync(box.path('messages'), { recursive: true }))).toEqual([])
    expect(await hinted(() => drop('messages', 'again'))).toMatchObject([{ id: 'again' }])
    const replace = () => {
      rmSync(box.path('messages'), { recursive: true })
      symlinkSync(box.path('old'), box.path('messages'))
    }
    expect(await hinted(replace)).toEqual([])
    expect(box.logged.filter((line) => line.includes('cannot be read'))).toHaveLength(1)
  })

  it('looks at what a notification names, and at the folder for those that got lost', async () => {
    const clock = new VirtualClock()
    let listed = 0
    let notify: (name?: string) => void = () => {}
    const files: Files = {
      ...nodeFiles,
      watch: (_folder, hint) => {
        notify = hint
        return () => {}
      },
      namesNow: (folder) => {
        if (folder === box.path('messages')) listed++
        return nodeFiles.namesNow(folder)
      },
    }
    const inbox = await box.inbox({ clock, files })
    inbox.watch(() => {})
    const drop = (id: string) => writeFileSync(box.path('messages', `${id}.json`), '{"type":"t","payload":1}')
    notify('nothing.json')
    expect(await all(inbox)).toEqual([])
    const before = listed
    drop('lost')
    drop('named')
    notify('named.json')
    const named = await inbox.next(10)
    expect(named).toMatchObject([{ id: 'named' }])
    expect(await inbox.next(10)).toEqual([])
    expect(listed).toBe(before)
    await clock.advance(1000)
    expect(await inbox.next(10)).toMatchObject([{ id: 'lost' }])
    // Of its own removals it makes nothing; a new file by such a name is one.
    await box.settle(inbox, named)
    drop('named')
    notify('named.json')
    expect(await inbox.next(10)).toEqual([])
    notify('named.json')
    expect(await inbox.next(10)).toMatchObject([{ id: 'named' }])
    expect(listed).toBe(before + 1)
  })

  it('needs no notification: each second it looks by itself', async () => {
    const clock = new VirtualClock()
    const inbox = await box.inbox({ clock, files: { ...nodeFiles, watch: () => () => {} } })
    const found: string[] = []
    inbox.watch(() => void inbox.next(10).then((arrivals) => found.push(...arrivals.map(({ id }) => id))))
    writeFileSync(box.path('messages', 'quiet.json'), '{"type":"t","payload":1}')
    await clock.advance(900)
    expect(found).toEqual([])
    await clock.advance(200)
    await until(() => found.length > 0)
    expect(found).toEqual(['quiet'])
  })

  it('writes small messages into files that are over, and leaves none behind', async () => {
    const outbox = await box.outbox({ durability: 'process-crash' })
    const inbox = await box.inbox()
    const inodeOf = (id: string) => statSync(box.path('messages', `${id}.json`)).ino
    const cycle = async (id: string, payload: unknown) => {
      await outbox.store(outgoing(id, payload))
      const inode = inodeOf(id)
      const found = await all(inbox)
      expect(found).toMatchObject([{ id }])
      for (const arrival of found)
        expect(JSON.parse(text((await inbox.body(arrival)).bytes))).toEqual(payload)
      await box.settle(inbox, found)
      expect(readdirSync(box.path('messages'))).toEqual([])
      return inode
    }
    const inodes: number[] = []
    for (let index = 0; index < 20; index++)
      inodes.push(await cycle(`m${index}`, 'x'.repeat((index % 5) * 100)))
    expect(new Set(inodes).size).toBeLessThan(15)
    const spares = () => readdirSync(box.path('.journal', 'tmp'))
    expect(spares().length).toBeGreaterThan(0)
    // Nobody else is to see through another name what is written.
    const copies = spares().map((_name, index) => box.path(`copy${index}`))
    for (const [index, name] of spares().entries())
      linkSync(box.path('.journal', 'tmp', name), copies[index] ?? '')
    const before = copies.map((copy) => readFileSync(copy, 'utf8'))
    for (let index = 0; index < 70; index++) await cycle(`n${index}`, index)
    expect(copies.map((copy) => readFileSync(copy, 'utf8'))).toEqual(before)
    // One that went away meanwhile is no harm.
    for (const name of spares()) rmSync(box.path('.journal', 'tmp', name))
    for (let index = 0; index < 10; index++) await cycle(`o${index}`, index)
    await cycle('large', 'x'.repeat(5000))
    await outbox.close()
    await inbox.close()
    expect(spares()).toEqual([])
  })

  it('removes spare files that their sender does not take', async () => {
    const clock = new VirtualClock()
    const outbox = await box.outbox({ durability: 'process-crash' })
    for (let index = 0; index < 600; index++) await outbox.store(outgoing(`m${index}`, index))
    const inbox = await box.inbox({ clock })
    inbox.watch(() => {})
    await box.settle(inbox, await all(inbox))
    expect(readdirSync(box.path('messages'))).toEqual([])
    expect(readdirSync(box.path('.journal', 'tmp'))).toHaveLength(512)
    await clock.advance(11_000)
    await until(() => readdirSync(box.path('.journal', 'tmp')).length === 0)
  })

  it('removes no file that has taken the name of one that is settled', async () => {
    const outbox = await box.outbox({ durability: 'process-crash' })
    await outbox.store(outgoing('same', 1))
    const inbox = await box.inbox()
    const [first] = await all(inbox)
    if (!first) throw new Error('it is there')
    await outbox.store(outgoing('same', 2, { redriven: 1 }))
    await box.settle(inbox, [first])
    const [second] = await all(inbox)
    expect(second).toMatchObject({ id: 'same', redriven: 1 })
    await box.settle(inbox, [first])
    expect(readdirSync(box.path('messages'))).toEqual(['same.json'])
  })
})

describe('acknowledgements', () => {
  it('are told within a second without a notification, and their files go', async () => {
    const clock = new VirtualClock()
    const outbox = await box.outbox({ clock, files: { ...nodeFiles, watch: () => () => {} } })
    const told: string[] = []
    const end = outbox.onAcknowledged((id) => told.push(id))
    await outbox.store(outgoing('asked', 1, { requiresAck: true }))
    await outbox.store(outgoing('not-asked', 1))
    const inbox = await box.inbox()
    await until(() => existsSync(box.path('messages', 'not-asked.json')))
    await box.settle(inbox, await all(inbox))
    expect(JSON.parse(readFileSync(box.path('acks', 'asked.ack'), 'utf8'))).toMatchObject({ id: 'asked' })
    expect(readdirSync(box.path('acks'))).toEqual(['asked.ack'])
    await clock.advance(1100)
    expect(told).toEqual(['asked'])
    expect(readdirSync(box.path('acks'))).toEqual([])
    end()
  })

  it('count by name when an old program made them; forged ones do not, and are logged once', async () => {
    const clock = new VirtualClock()
    const outbox = await box.outbox({ clock })
    writeFileSync(box.path('acks', 'empty.ack'), '')
    writeFileSync(box.path('acks', 'words.ack'), 'done\n')
    writeFileSync(box.path('acks', 'other.ack'), '{"id":"somebody-else"}')
    writeFileSync(box.path('acks', 'long.ack'), 'x'.repeat(5000))
    symlinkSync('/etc/hostname', box.path('acks', 'link.ack'))
    linkSync(box.path('acks', 'words.ack'), box.path('acks', 'hard.ack'))
    mkdirSync(box.path('acks', 'folder.ack'))
    execFileSync('mkfifo', [box.path('acks', 'fifo.ack')])
    writeFileSync(box.path('acks', 'no name.ack'), '')
    const told: string[] = []
    outbox.onAcknowledged((id) => told.push(id))
    await clock.advance(5000)
    expect(told).toEqual(['empty'])
    unlinkSync(box.path('acks', 'hard.ack'))
    const refused = box.logged.length
    expect(refused).toBe(7)
    await clock.advance(3000)
    expect(box.logged).toHaveLength(refused)
    const foreign = await box.outbox({ clock, owner: 4242 })
    foreign.onAcknowledged((id) => told.push(`foreign ${id}`))
    await clock.advance(3000)
    expect(told).toEqual(['empty'])
  })

  it('that nobody takes away are removed after a day', async () => {
    const clock = new VirtualClock(1_000_000)
    const inbox = await box.inbox({ clock })
    writeFileSync(box.path('acks', 'old.ack'), '')
    writeFileSync(box.path('acks', 'new.ack'), '')
    const before = new Date(Date.now() - 25 * 3_600_000)
    utimesSync(box.path('acks', 'old.ack'), before, before)
    inbox.watch(() => {})
    await clock.advance(1100)
    await until(() => readdirSync(box.path('acks')).length < 2)
    expect(readdirSync(box.path('acks'))).toEqual(['new.ack'])
  })

  it('an announced message is found again, and written again when it is gone', async () => {
    const outbox = await box.outbox()
    await outbox.store(outgoing('m', 'body', { requiresAck: true }))
    await until(() => existsSync(box.path('messages', 'm.json')))
    utimesSync(box.path('messages', 'm.json'), 1, 1)
    await outbox.announce('m')
    expect(statSync(box.path('messages', 'm.json')).mtimeMs).toBeGreaterThan(1e12)
    unlinkSync(box.path('messages', 'm.json'))
    await outbox.announce('m')
    expect(await all(await box.inbox())).toMatchObject([{ id: 'm', sender: outbox.sender, sequence: 1 }])
    await outbox.announce('unknown')
    await outbox.announce('../../etc/passwd')
  })
})

describe('failures of the disk', () => {
  it('a file that cannot be made is tried again; the send stays resolved, and order holds', async () => {
    const clock = new VirtualClock()
    let full = true
    const files = {
      ...nodeFiles,
      createNow(path: string, bytes: Uint8Array) {
        if (full) throw errno('ENOSPC', path)
        nodeFiles.createNow(path, bytes)
      },
    }
    const outbox = await box.outbox({ files, clock })
    await Promise.all(['a', 'b', 'c'].map((id) => outbox.store(outgoing(id, id))))
    expect(readdirSync(box.path('messages'))).toEqual([])
    full = false
    await clock.advance(200)
    await until(() => readdirSync(box.path('messages')).length === 3)
    expect((await all(await box.inbox())).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(box.logged).toHaveLength(1)
  })

  it.each([false, true])(
    'sends wait while files are slow, and are refused only if they cannot be made: %s',
    async (isBroken) => {
      const clock = new VirtualClock()
      let failures = 0
      const files: Files = {
        ...nodeFiles,
        createNow(path, bytes) {
          if (failures < 2 || isBroken) {
            failures++
            throw errno('ENOSPC', path)
          }
          nodeFiles.createNow(path, bytes)
        },
      }
      const outbox = await box.outbox({ files, clock })
      const ids = Array.from({ length: 100 }, (_, index) => `m${index}`)
      // More than may wait for its files.
      const big = 'x'.repeat(200 * 1024)
      const stored = Promise.allSettled(ids.map((id) => outbox.store(outgoing(id, big))))
      for (let count = 1; count < 3; count++) {
        await until(() => failures >= count)
        await clock.advance(1000)
      }
      const outcomes = await stored
      const refused = outcomes.filter(({ status }) => status === 'rejected')
      if (isBroken) {
        expect(outcomes[0]).toMatchObject({ status: 'fulfilled' })
        expect(refused.length).toBeGreaterThan(10)
        expect(refused[0]).toMatchObject({ reason: { reason: 'MAILBOX_FULL', fate: 'not-sent' } })
      } else {
        expect(refused).toEqual([])
        await until(() => readdirSync(box.path('messages')).length === ids.length)
        expect((await all(await box.inbox())).map(({ id }) => id)).toEqual(ids)
      }
    },
  )

  it('a message whose file was never made is recovered when its sender has ended', async () => {
    const broken = (path: string) => {
      throw errno('EACCES', path)
    }
    const outbox = await box.outbox({ files: { ...nodeFiles, createNow: broken } })
    await outbox.store(outgoing('a', 1))
    await outbox.store(outgoing('b', 2))
    await outbox.close()
    expect(await all(await box.inbox())).toEqual([])
    const inbox = await box.inbox({ isRunning: (name) => name !== outbox.sender })
    const found = await all(inbox)
    expect(found.map(({ id }) => id)).toEqual(['a', 'b'])
    expect(box.gone).toEqual([])
    await box.settle(inbox, found)
    const after = await box.inbox({ isRunning: (name) => name !== outbox.sender })
    expect(await all(after)).toEqual([])
    expect(box.gone).toEqual([outbox.sender])
    expect(readdirSync(box.path('.journal', 'senders'))).toEqual([])
  })

  it.each(['ENOSPC', 'EIO', 'EACCES'])(
    'without a journal a send is refused with a code at %s',
    async (code) => {
      for (const operation of ['createNow', 'renameNow'] as const) {
        let broken = true
        const failing = (path: string, other: never) => {
          if (broken) throw errno(code, path)
          return nodeFiles[operation](path, other)
        }
        const outbox = await box.outbox({
          durability: 'process-crash',
          files: { ...nodeFiles, [operation]: failing },
        })
        await expect(outbox.store(outgoing(`x-${operation}`, 1))).rejects.toMatchObject({
          reason: code === 'ENOSPC' ? 'DISK_FULL' : 'DISK_FAILED',
        })
        broken = false
        await outbox.store(outgoing(`y-${operation}`, 1))
        expect(readdirSync(box.path('messages'))).toContain(`y-${operation}.json`)
        expect(readdirSync(box.path('.journal', 'tmp'))).toEqual([])
      }
    },
  )

  it('one file that cannot be read holds up nobody, is logged once, and comes when it can', async () => {
    let broken = true
    const files = {
      ...nodeFiles,
      readNow(path: string, admits: Parameters<typeof nodeFiles.readNow>[1]) {
        if (broken && path.endsWith('bad.json')) throw errno('EACCES', path)
        return nodeFiles.readNow(path, admits)
      },
    }
    const inbox = await box.inbox({ files })
    for (const id of ['bad', 'good'])
      writeFileSync(box.path('messages', `${id}.json`), '{"type":"t","payload":1}')
    expect(await all(inbox)).toMatchObject([{ id: 'good' }])
    expect(await all(inbox)).toEqual([])
    expect(box.logged).toHaveLength(1)
    broken = false
    expect(await all(inbox)).toMatchObject([{ id: 'bad' }])
  })

  it('what cannot be acknowledged is not removed, until it can', async () => {
    const clock = new VirtualClock()
    let broken = true
    const files = {
      ...nodeFiles,
      createNow(path: string, bytes: Uint8Array) {
        if (broken) throw errno('ENOSPC', path)
        nodeFiles.createNow(path, bytes)
      },
    }
    const outbox = await box.outbox({ durability: 'process-crash' })
    await outbox.store(outgoing('a', 1, { requiresAck: true }))
    const inbox = await box.inbox({ files, clock })
    inbox.watch(() => {})
    await box.settle(inbox, await all(inbox))
    await clock.advance(1100)
    expect(readdirSync(box.path('messages'))).toEqual(['a.json'])
    expect(await all(inbox)).toEqual([])
    broken = false
    await clock.advance(1100)
    await until(() => readdirSync(box.path('messages')).length === 0)
    expect(readdirSync(box.path('acks'))).toEqual(['a.ack'])
    expect(box.logged).toHaveLength(1)
  })

  it('segments of a living sender go when all in them is over', async () => {
    const clock = new VirtualClock()
    const outbox = await box.outbox({ segmentBytes: 1024 })
    for (let n = 0; n < 30; n++) await outbox.store(outgoing(`m${n}`, 'x'.repeat(100)))
    const segments = () => readdirSync(box.path('.journal', 'senders', outbox.sender)).length
    expect(segments()).toBeGreaterThan(3)
    const inbox = await box.inbox({ clock })
    inbox.watch(() => {})
    await until(() => readdirSync(box.path('messages')).length === 30)
    const found = await all(inbox)
    await clock.advance(1100)
    expect(segments()).toBeGreaterThan(3)
    await box.settle(inbox, found)
    await clock.advance(1100)
    await until(() => segments() === 1)
    await outbox.store(outgoing('more', 1))
    await until(async () => (await inbox.next(1)).length === 1)
    expect(box.gone).toEqual([])
  })

  it('removes what a dead process left half written, and nothing of others', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    const pid = child.pid
    await once(child, 'exit')
    const outbox = await box.outbox()
    const dead = outbox.sender.replace(/-\d+-\d+-([0-9a-z]+)$/, `-${pid}-1-$1`)
    for (const owner of [dead, outbox.sender, 'no-name'])
      writeFileSync(box.path('.journal', 'tmp', `${owner}.7`), '{')
    await box.inbox()
    expect(readdirSync(box.path('.journal', 'tmp')).sort()).toEqual(
      [`${outbox.sender}.7`, 'no-name.7'].sort(),
    )
  })
})
