import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  credentialsFolder,
  hmac,
  macEquals,
  readCredential,
  removeCredential,
  writeCredential,
} from '../../src/host/credentials.ts'
import { scratch } from './bundle.ts'

const root = process.getuid?.() === 0
if (!root)
  console.warn('SKIPPED: files of another user can only be made by root; run this suite as root once')

let folder: { path: string; remove: () => void }
beforeEach(() => {
  folder = scratch()
})
afterEach(() => folder.remove())

const UNSAFE = { code: 'FAILED_PRECONDITION', reason: 'CREDENTIAL_UNSAFE' }

function refusal(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it was not refused')
}

function fileOf(id: string): string {
  return join(credentialsFolder(folder), id)
}

describe('a credential', () => {
  it('is 32 random bytes that only we can read', () => {
    const key = writeCredential(folder, 'cli')
    expect(key.byteLength).toBe(32)
    expect(lstatSync(credentialsFolder(folder)).mode & 0o777).toBe(0o700)
    expect(lstatSync(fileOf('cli')).mode & 0o777).toBe(0o600)
    expect(new Uint8Array(readFileSync(fileOf('cli')))).toEqual(new Uint8Array(key))
    expect(readCredential(folder, 'cli')).toEqual(new Uint8Array(key))
    expect(readdirSync(credentialsFolder(folder))).toEqual(['cli'])
    expect(writeCredential(folder, 'other')).not.toEqual(key)
  })

  it('replaces an older one whole, and does not write through a link in its place', () => {
    const outside = join(folder.path, 'outside')
    writeFileSync(outside, 'untouched')
    const old = writeCredential(folder, 'cli')
    unlinkSync(fileOf('cli'))
    symlinkSync(outside, fileOf('cli'))
    const key = writeCredential(folder, 'cli')
    expect(key).not.toEqual(old)
    expect(readCredential(folder, 'cli')).toEqual(new Uint8Array(key))
    expect(readFileSync(outside, 'utf8')).toBe('untouched')
  })

  it('is gone when removed; removing it again does nothing', () => {
    writeCredential(folder, 'cli')
    removeCredential(folder, 'cli')
    removeCredential(folder, 'cli')
    expect(refusal(() => readCredential(folder, 'cli'))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'CREDENTIAL_MISSING',
      message: expect.stringMatching(/cli.*manifest/),
    })
  })

  it.each(['', '.', '..', '../x', 'a/b', 'a.b', 'A', 'x'.repeat(65), 'a\0b', 'a\n'])(
    'refuses the id %j',
    (id) => {
      const refused = { code: 'INVALID_ARGUMENT', reason: 'BAD_ID' }
      expect(refusal(() => writeCredential(folder, id))).toMatchObject(refused)
      expect(refusal(() => readCredential(folder, id))).toMatchObject(refused)
      expect(refusal(() => removeCredential(folder, id))).toMatchObject(refused)
    },
  )

  it('is refused as a symbolic link, hard link, folder, FIFO, or of another length or mode', () => {
    writeCredential(folder, 'good')
    const refused = () => expect(refusal(() => readCredential(folder, 'bad'))).toMatchObject(UNSAFE)
    const path = fileOf('bad')
    symlinkSync(fileOf('good'), path)
    refused()
    unlinkSync(path)
    linkSync(fileOf('good'), path)
    refused()
    unlinkSync(path)
    mkdirSync(path)
    refused()
    renameSync(path, join(folder.path, 'folder'))
    execFileSync('mkfifo', ['-m', '600', path])
    refused()
    unlinkSync(path)
    for (const length of [0, 31, 33]) {
      writeFileSync(path, Buffer.alloc(length), { mode: 0o600 })
      refused()
    }
    writeFileSync(path, Buffer.alloc(32))
    expect(readCredential(folder, 'bad').byteLength).toBe(32)
    for (const mode of [0o640, 0o604, 0o660, 0o601]) {
      chmodSync(path, mode)
      refused()
    }
  })

  it('is not written into a folder that others can enter', () => {
    mkdirSync(credentialsFolder(folder), { mode: 0o755 })
    expect(refusal(() => writeCredential(folder, 'cli'))).toMatchObject({ reason: 'RUNTIME_FOLDER_UNSAFE' })
  })

  it.skipIf(!root)('is refused when it belongs to another user', () => {
    writeCredential(folder, 'cli')
    chownSync(fileOf('cli'), 65534, 65534)
    expect(refusal(() => readCredential(folder, 'cli'))).toMatchObject({
      ...UNSAFE,
      message: expect.stringContaining('belongs to user 65534'),
    })
  })
})

describe('hmac', () => {
  it('is HMAC-SHA-256 over the parts joined (RFC 4231, case 2)', () => {
    const mac = hmac(Buffer.from('Jefe'), 'what do ya want ', Buffer.from('for nothing?'))
    expect(Buffer.from(mac).toString('hex')).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
  })

  it('is compared whole', () => {
    const mac = hmac(Buffer.from('key'), 'text')
    expect(macEquals(mac, hmac(Buffer.from('key'), 'te', 'xt'))).toBe(true)
    expect(macEquals(mac, hmac(Buffer.from('key'), 'texT'))).toBe(false)
    expect(macEquals(mac, mac.subarray(0, 31))).toBe(false)
    expect(macEquals(mac, new Uint8Array(0))).toBe(false)
  })
})
