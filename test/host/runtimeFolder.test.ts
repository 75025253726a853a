import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hubAddress, openRuntimeFolder } from '../../src/host/runtimeFolder.ts'
import { scratch } from './bundle.ts'

const root = process.getuid?.() === 0
if (!root)
  console.warn('SKIPPED: folders of another user can only be made by root; run this suite as root once')
const uid = process.geteuid?.()
const OTHER = 65534
const UNSAFE = { code: 'FAILED_PRECONDITION', reason: 'RUNTIME_FOLDER_UNSAFE' }

let base: string
let remove: () => void
const before = process.env.XDG_RUNTIME_DIR
beforeEach(() => {
  const made = scratch()
  base = made.path
  remove = made.remove
})
afterEach(() => {
  remove()
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR
  else process.env.XDG_RUNTIME_DIR = before
})

function refusal(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it was not refused')
}

describe('a runtime folder', () => {
  it('is made private, below XDG_RUNTIME_DIR', () => {
    process.env.XDG_RUNTIME_DIR = base
    const folder = openRuntimeFolder('reader')
    expect(folder.path).toBe(join(base, 'viaduct', 'reader'))
    expect(hubAddress(folder)).toBe(join(folder.path, 'hub.sock'))
    for (const path of [folder.root, folder.path]) expect(lstatSync(path).mode & 0o777).toBe(0o700)
    expect(openRuntimeFolder('reader')).toEqual(folder)
  })

  it('is made below the folder for temporary files when XDG_RUNTIME_DIR is not set, or not safe', () => {
    const fallback = join(tmpdir(), `viaduct-${uid}`, 'no-such-app')
    const place = () => refusal(() => openRuntimeFolder('no-such-app', { create: false }))
    delete process.env.XDG_RUNTIME_DIR
    expect(place()).toMatchObject({ reason: 'HUB_NOT_RUNNING', message: expect.stringContaining(fallback) })
    process.env.XDG_RUNTIME_DIR = base
    expect(place()).toMatchObject({ message: expect.stringContaining(base) })
    chmodSync(base, 0o755)
    expect(place()).toMatchObject({ message: expect.stringContaining(fallback) })
    process.env.XDG_RUNTIME_DIR = 'relative'
    expect(place()).toMatchObject({ message: expect.stringContaining(fallback) })
  })

  it.each(['', 'Reader', '-x', '../up', 'a/b', 'a.b', 'x'.repeat(65), 'ä'])(
    'refuses the app name %j',
    (app) => {
      expect(refusal(() => openRuntimeFolder(app, { base }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'BAD_APP_NAME',
      })
    },
  )

  it('refuses a socket path that the system would cut, and says what shortens it', () => {
    const long = join(base, 'x'.repeat(120))
    mkdirSync(long, { mode: 0o700 })
    expect(refusal(() => openRuntimeFolder('reader', { base: long }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'SOCKET_PATH_TOO_LONG',
      message: expect.stringContaining('base'),
    })
    process.env.XDG_RUNTIME_DIR = long
    expect(refusal(() => openRuntimeFolder('reader'))).toMatchObject({
      reason: 'SOCKET_PATH_TOO_LONG',
      message: expect.stringContaining('set XDG_RUNTIME_DIR to a shorter one'),
    })
    expect(readdirSync(long)).toEqual([])
  })

  it('takes a path of exactly 103 bytes', () => {
    process.env.XDG_RUNTIME_DIR = base
    const used = Buffer.byteLength(join(base, 'viaduct', 'hub.sock')) + 1
    expect(hubAddress(openRuntimeFolder('a'.repeat(Math.min(64, 103 - used)))).length).toBeLessThanOrEqual(
      103,
    )
    const padding = join(base, 'p'.repeat(103 - used - 3))
    mkdirSync(padding, { mode: 0o700 })
    process.env.XDG_RUNTIME_DIR = padding
    expect(Buffer.byteLength(hubAddress(openRuntimeFolder('aa')))).toBe(103)
    expect(refusal(() => openRuntimeFolder('aaa'))).toMatchObject({ reason: 'SOCKET_PATH_TOO_LONG' })
  })

  it('refuses a symbolic link in its place, also one to a good folder', () => {
    const good = join(base, 'good')
    mkdirSync(good, { mode: 0o700 })
    symlinkSync(good, join(base, `viaduct-${uid}`))
    const error = refusal(() => openRuntimeFolder('reader', { base }))
    expect(error).toMatchObject({ ...UNSAFE, message: expect.stringContaining('symbolic link') })
    expect(readdirSync(good)).toEqual([])
  })

  it('refuses a symbolic link and a file in place of the app', () => {
    mkdirSync(join(base, `viaduct-${uid}`), { mode: 0o700 })
    symlinkSync(base, join(base, `viaduct-${uid}`, 'linked'))
    writeFileSync(join(base, `viaduct-${uid}`, 'file'), '')
    expect(refusal(() => openRuntimeFolder('linked', { base }))).toMatchObject(UNSAFE)
    expect(refusal(() => openRuntimeFolder('file', { base }))).toMatchObject(UNSAFE)
  })

  it.each([0o777, 0o770, 0o701, 0o755, 0o500])(
    'refuses a folder of mode %o and says how to mend it',
    (mode) => {
      const folder = openRuntimeFolder('reader', { base })
      for (const path of [folder.path, folder.root]) {
        chmodSync(path, mode)
        expect(refusal(() => openRuntimeFolder('reader', { base }))).toMatchObject({
          ...UNSAFE,
          message: expect.stringContaining(`chmod 700 ${path}`),
        })
        expect(refusal(() => openRuntimeFolder('reader', { base, create: false }))).toMatchObject(UNSAFE)
        chmodSync(path, 0o700)
      }
      expect(openRuntimeFolder('reader', { base })).toEqual(folder)
    },
  )

  it('refuses a base in which others may rename our folder', () => {
    chmodSync(base, 0o777)
    expect(refusal(() => openRuntimeFolder('reader', { base }))).toMatchObject({
      ...UNSAFE,
      message: expect.stringContaining(`chmod go-w ${base}`),
    })
    const inner = join(base, 'inner')
    mkdirSync(inner, { mode: 0o700 })
    expect(refusal(() => openRuntimeFolder('reader', { base: inner }))).toMatchObject(UNSAFE)
    chmodSync(base, 0o1777)
    expect(openRuntimeFolder('reader', { base: inner }).app).toBe('reader')
  })

  it('refuses a base that is not there', () => {
    expect(refusal(() => openRuntimeFolder('reader', { base: join(base, 'none') }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'RUNTIME_FOLDER_UNUSABLE',
    })
  })

  it.skipIf(!root)('refuses a place that another user has squatted, whatever its mode', () => {
    const squatted = join(base, `viaduct-${uid}`)
    mkdirSync(squatted, { mode: 0o700 })
    chownSync(squatted, OTHER, OTHER)
    const refused = { ...UNSAFE, message: expect.stringContaining(`belongs to user ${OTHER}`) }
    expect(refusal(() => openRuntimeFolder('reader', { base }))).toMatchObject(refused)
    expect(refusal(() => openRuntimeFolder('reader', { base, create: false }))).toMatchObject(refused)
    chownSync(squatted, uid ?? 0, 0)
    mkdirSync(join(squatted, 'reader'), { mode: 0o700 })
    chownSync(join(squatted, 'reader'), OTHER, OTHER)
    expect(refusal(() => openRuntimeFolder('reader', { base }))).toMatchObject(refused)
  })

  it.skipIf(!root)('passes over an XDG_RUNTIME_DIR of another user, and refuses such a base', () => {
    chownSync(base, OTHER, OTHER)
    process.env.XDG_RUNTIME_DIR = base
    expect(refusal(() => openRuntimeFolder('no-such-app', { create: false }))).toMatchObject({
      message: expect.stringContaining(tmpdir()),
    })
    expect(refusal(() => openRuntimeFolder('reader', { base }))).toMatchObject(UNSAFE)
    expect(existsSync(join(base, 'viaduct'))).toBe(false)
  })
})
