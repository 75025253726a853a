import { execFileSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FolderInbox } from '../../src/mailbox/folderInbox.ts'
import type { Arrival } from '../../src/mailbox/message.ts'
import { isFault, MAX_FILE_BYTES, readMessageFile } from '../../src/mailbox/messageFile.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'
import { all, FolderMailbox, text } from './folderMailbox.ts'

const ID = /^(?!\.)[A-Za-z0-9._-]{1,128}$/
const GOOD = '{"type":"t","payload":1}'

let box: FolderMailbox
let clock: VirtualClock
let inbox: FolderInbox
beforeEach(async () => {
  box = new FolderMailbox()
  clock = new VirtualClock()
  inbox = await box.inbox({ clock })
})
afterEach(() => box.close())

/** Drops a file that was left alone for long. */
function drop(name: string, content: string | Uint8Array): string {
  const path = box.path('messages', name)
  writeFileSync(path, content)
  utimesSync(path, 1e9, 1e9)
  return path
}

async function only(): Promise<Arrival> {
  const [first, ...more] = await all(inbox)
  expect(more).toEqual([])
  if (!first) throw new Error('nothing was found')
  expect(first.id).toMatch(ID)
  return first
}

async function gone(arrival: Arrival): Promise<void> {
  await box.settle(inbox, [arrival])
  expect(readdirSync(box.path('messages'))).toEqual([])
  expect(readdirSync(box.path('acks'))).toEqual([])
}

describe('content that is no message', () => {
  it.each<[what: string, content: string | Uint8Array, path: string]>([
    ['nothing', '', ''],
    ['a torn message', '{"id":"x","type":"t","payl', ''],
    ['no JSON', 'hello world', ''],
    ['zeros', new Uint8Array(4096), ''],
    ['no UTF-8', Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), ''],
    ['a number', '12', ''],
    ['null', 'null', ''],
    ['an array', '[{"type":"t","payload":1}]', ''],
    ['a text', '"type"', ''],
    ['no type', '{"payload":1}', 'type'],
    ['a type that is a number', '{"type":1,"payload":1}', 'type'],
    ['an empty type', '{"type":"","payload":1}', 'type'],
    ['a long type', `{"type":"${'x'.repeat(129)}","payload":1}`, 'type'],
    ['no payload', '{"type":"t"}', 'payload'],
    ['an id that climbs', '{"id":"../../etc/x","type":"t","payload":1}', 'id'],
    ['an id of dots', '{"id":"..","type":"t","payload":1}', 'id'],
    ['an id that is hidden', '{"id":".x","type":"t","payload":1}', 'id'],
    ['an id that is a number', '{"id":7,"type":"t","payload":1}', 'id'],
    ['an empty id', '{"id":"","type":"t","payload":1}', 'id'],
    ['an id of 129', `{"id":"${'x'.repeat(129)}","type":"t","payload":1}`, 'id'],
    ['a null byte in an id', '{"id":"a\\u0000b","type":"t","payload":1}', 'id'],
    ['a group that is a list', '{"type":"t","payload":1,"groupFolder":[]}', 'groupFolder'],
    ['a time that is a number', '{"type":"t","payload":1,"timestamp":1700000000000}', 'timestamp'],
    ['a time in words', '{"type":"t","payload":1,"timestamp":"yesterday"}', 'timestamp'],
    ['a time without zone', '{"type":"t","payload":1,"timestamp":"2024-01-01T00:00:00"}', 'timestamp'],
    ['a 13th month', '{"type":"t","payload":1,"timestamp":"2024-13-01T00:00:00Z"}', 'timestamp'],
    ['an asking that is a text', '{"type":"t","payload":1,"requiresAck":"yes"}', 'requiresAck'],
    ['another priority', '{"type":"t","payload":1,"priority":"urgent"}', 'priority'],
    ['a sequence below 0', '{"type":"t","payload":1,"sender":"a","sequence":-1}', 'sequence'],
    ['half a sequence', '{"type":"t","payload":1,"sender":"a","sequence":1.5}', 'sequence'],
    ['a sequence beyond 2^53', '{"type":"t","payload":1,"sender":"a","sequence":1e300}', 'sequence'],
    ['a sender with a slash', '{"type":"t","payload":1,"sender":"../a","sequence":1}', 'sender'],
    ['a redriving in words', '{"type":"t","payload":1,"redriven":"1"}', 'redriven'],
    ['an expiry of null', '{"type":"t","payload":1,"expiresAt":null}', 'expiresAt'],
    ['a body that is no base64', '{"type":"t","format":"body","body":"a b"}', 'body'],
    ['another format', '{"type":"t","format":"zip","body":"aa=="}', 'format'],
    ['too deep', `{"type":"t","payload":${'['.repeat(65)}${']'.repeat(65)}}`, ''],
    ['far too deep', '['.repeat(1_000_000), ''],
    ['too many keys', `{"type":"t","payload":[${'0,'.repeat(10_100)}0]}`, ''],
  ])('%s is a fault that names the field', async (_what, content, path) => {
    drop('some-name.json', content)
    const arrival = await only()
    expect(arrival.fault).toMatchObject({ reason: 'MALFORMED' })
    expect(arrival.fault?.message).toContain(
      path === '' ? 'messages/some-name.json: ' : `some-name.json: ${path}: `,
    )
    expect(arrival.id).toMatch(/^some-name\.[0-9a-f]{16}$/)
    const raw = await inbox.raw(arrival)
    expect(Buffer.from(raw)).toEqual(Buffer.from(content).subarray(0, 64 * 1024))
    await expect(inbox.body(arrival)).rejects.toMatchObject({ reason: 'MALFORMED' })
    await gone(arrival)
  })

  it('the limits themselves are no fault, whatever a string holds', async () => {
    const payload = JSON.stringify([
      JSON.parse(`${'['.repeat(63)}${']'.repeat(63)}`),
      '[{"payload":1}',
      '\\"}]',
      '😀',
    ])
    drop(
      'limits.json',
      `\ufeff{"type":"${'x'.repeat(128)}","payload":0,"pay\\u006coad":${payload},"more":{"payload":2}}`,
    )
    const arrival = await only()
    expect(arrival.fault).toBeUndefined()
    expect(text((await inbox.body(arrival)).bytes)).toBe(payload)
  })

  it('a fault takes nothing from the message that its file was meant to be', async () => {
    drop('id-1.json', '{"id":"id-1","ty')
    const torn = await only()
    await gone(torn)
    drop('id-1.json', '{"id":"id-1","type":"t","payload":1}')
    expect(await only()).toMatchObject({ id: 'id-1' })
    expect(torn.id).not.toBe('id-1')
  })

  it('reads no file differently from JSON.parse', () => {
    let seed = Number(process.env.FUZZ_SEED ?? 1)
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return Math.floor((seed / 0x80000000) * below)
    }
    const parts = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"payload"',
      '"type"',
      '"t"',
      '1',
      '"a\\"b"',
      ' ',
      '"x":{"payload":3}',
    ]
    const base = '{"type":"t","payload":{"a":[1,"}"]},"x":"\\""}'
    let messages = 0
    for (let round = 0; round < 30_000; round++) {
      let json = base
      for (let change = random(3); change >= 0; change--) {
        const at = random(json.length)
        json = json.slice(0, at) + (parts[random(parts.length)] ?? '') + json.slice(at + random(4))
      }
      const read = readMessageFile(new TextEncoder().encode(json), { stem: 'x', modifiedMs: 0 })
      let parsed: unknown
      try {
        parsed = JSON.parse(json)
      } catch {
        parsed = undefined
      }
      if (isFault(read)) continue
      messages++
      expect(JSON.parse(text(read.body.bytes)), json).toEqual(Reflect.get(Object(parsed), 'payload'))
    }
    expect(messages).toBeGreaterThan(500)
  })
})

describe('a file that is being written', () => {
  it('is looked at again, and is a fault once it was left alone', async () => {
    let nowMs = Date.now()
    inbox = await box.inbox({ clock, nowMs: () => nowMs })
    writeFileSync(box.path('messages', 'slow.json'), '{"type":"t",')
    expect(await all(inbox)).toEqual([])
    writeFileSync(box.path('messages', 'slow.json'), GOOD)
    expect(await all(inbox)).toMatchObject([{ id: 'slow' }])
    writeFileSync(box.path('messages', 'never.json'), '{"type":"t",')
    expect(await all(inbox)).toEqual([])
    nowMs += 3000
    expect(await all(inbox)).toMatchObject([{ fault: { reason: 'MALFORMED' } }])
  })

  it('whose time lies ahead is judged by our own clock', async () => {
    writeFileSync(box.path('messages', 'ahead.json'), '{')
    utimesSync(box.path('messages', 'ahead.json'), 4e9, 4e9)
    expect(await all(inbox)).toEqual([])
    await clock.advance(2100)
    expect(await all(inbox)).toMatchObject([{ fault: { reason: 'MALFORMED' } }])
  })
})

describe('what is no file of ours', () => {
  it('a symbolic link is never followed, and only its name goes', async () => {
    const secret = box.path('secret')
    writeFileSync(secret, GOOD)
    symlinkSync(secret, box.path('messages', 'link.json'))
    const arrival = await only()
    expect(arrival.fault).toMatchObject({ reason: 'NOT_A_FILE' })
    expect(await inbox.raw(arrival)).toHaveLength(0)
    await gone(arrival)
    expect(readFileSync(secret, 'utf8')).toBe(GOOD)
    symlinkSync(box.path('nowhere'), box.path('messages', 'dangling.json'))
    await gone(await only())
  })

  it('a FIFO, a socket and a hard link are refused without waiting', async () => {
    execFileSync('mkfifo', [box.path('messages', 'fifo.json')])
    const fifo = await only()
    expect(fifo.fault).toMatchObject({ reason: 'NOT_A_FILE' })
    expect(await inbox.raw(fifo)).toHaveLength(0)
    await gone(fifo)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(box.path('messages', 'socket.json'), resolve))
    const socket = await only()
    expect(socket.fault).toMatchObject({ reason: 'NOT_A_FILE' })
    await gone(socket)
    server.close()
    writeFileSync(box.path('outside'), GOOD)
    linkSync(box.path('outside'), box.path('messages', 'hard.json'))
    const hard = await only()
    expect(hard.fault).toMatchObject({ reason: 'NOT_A_FILE', message: expect.stringContaining('2 names') })
    expect(await inbox.raw(hard)).toHaveLength(0)
    await gone(hard)
    expect(existsSync(box.path('outside'))).toBe(true)
  })

  it('a folder is moved to errors/, with what is in it', async () => {
    mkdirSync(box.path('messages', 'folder.json'))
    writeFileSync(box.path('messages', 'folder.json', 'kept'), 'x')
    const arrival = await only()
    expect(arrival.fault).toMatchObject({ reason: 'NOT_A_FILE' })
    await gone(arrival)
    const [name = ''] = readdirSync(box.path('errors'))
    expect(readFileSync(box.path('errors', name, 'kept'), 'utf8')).toBe('x')
  })

  it.runIf(process.getuid?.() === 0)('a file of another user is refused, also by root', async () => {
    chownSync(drop('foreign.json', GOOD), 12345, 12345)
    const arrival = await only()
    expect(arrival.fault).toMatchObject({ reason: 'NOT_A_FILE' })
    expect(await inbox.raw(arrival)).toHaveLength(0)
    await gone(arrival)
  })

  it('a file that is too long is not read', async () => {
    const path = drop('huge.json', GOOD)
    truncateSync(path, MAX_FILE_BYTES + 1)
    const arrival = await only()
    expect(arrival.fault).toMatchObject({ reason: 'TOO_LARGE' })
    expect(arrival.bytes).toBeLessThan(1024)
    expect(await inbox.raw(arrival)).toHaveLength(64 * 1024)
    await gone(arrival)
  })

  it('names that are none of a message are faults with an id of their own, or nothing', async () => {
    for (const name of ['.hidden.json', 'note.txt', 'x.json.tmp', '.x', 'json']) drop(name, GOOD)
    expect(await all(inbox)).toEqual([])
    for (const name of [
      'with space.json',
      'a⁄..⁄up.json',
      `${'x'.repeat(200)}.json`,
      'ü.json',
      'a\nb.json',
    ]) {
      const path = drop(name, GOOD)
      const arrival = await only()
      expect(arrival.fault).toMatchObject({ reason: 'MALFORMED' })
      expect(arrival).toMatchObject({ place: name, id: expect.stringMatching(/^file\.[0-9a-f]{16}$/) })
      await box.settle(inbox, [arrival])
      expect(existsSync(path)).toBe(false)
    }
  })

  it('two files with one id both arrive, each with its place', async () => {
    for (const name of ['a.json', 'b.json']) drop(name, '{"id":"same","type":"t","payload":1}')
    const found = await all(inbox)
    expect(found).toMatchObject([
      { id: 'same', place: 'a.json' },
      { id: 'same', place: 'b.json' },
    ])
    await box.settle(inbox, found.slice(1))
    expect(readdirSync(box.path('messages'))).toEqual(['a.json'])
    await box.settle(inbox, found)
    expect(readdirSync(box.path('messages'))).toEqual([])
  })

  it('a file that was taken away before it is read is not found', async () => {
    drop('fleeting.json', `{"type":"t","payload":"${'x'.repeat(100)}"}`)
    const arrival = await only()
    inbox.release(arrival)
    execFileSync('rm', [box.path('messages', 'fleeting.json')])
    await expect(inbox.body(arrival)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await gone(arrival)
  })
})
