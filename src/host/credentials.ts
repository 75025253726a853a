/**
 * The keys of peers that no supervisor started: one file each, which only our own user can read. The key is
 * never sent: both sides of a link prove with an HMAC over what was said that they have it. All calls are
 * synchronous: a key is 32 bytes, read and written when a peer is admitted or joins, never per message.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { errnoOf, unless } from './errno.ts'
import { makePrivate } from './runtimeFolder.ts'

const KEY_BYTES = 32
const ID = /^[a-z0-9_-]{1,64}$/
/** Windows has neither; there the folder's access list protects. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0
const NON_BLOCK = constants.O_NONBLOCK ?? 0

/** The part of a runtime folder that this file needs. */
export interface CredentialPlace {
  readonly path: string
}

export function credentialsFolder(folder: CredentialPlace): string {
  return join(folder.path, 'credentials')
}

/**
 * @returns `id`, if it may name a peer: 1 to 64 of a-z, 0-9, _ and -
 * @throws ViaductError INVALID_ARGUMENT / BAD_ID
 */
export function checkId(id: string): string {
  if (ID.test(id)) return id
  throw new ViaductError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(id)} is no peer id: use 1 to 64 of a-z, 0-9, _ and -`,
    { reason: 'BAD_ID' },
  )
}

/**
 * Makes a new key for `id` and writes it to `credentials/<id>`, whole or not at all; an older key is replaced.
 *
 * @returns the key, 32 bytes, owned by the caller
 * @throws ViaductError INVALID_ARGUMENT / BAD_ID · FAILED_PRECONDITION / RUNTIME_FOLDER_UNSAFE, / RUNTIME_FOLDER_UNUSABLE
 */
export function writeCredential(folder: CredentialPlace, id: string): Uint8Array {
  const path = join(credentialsFolder(folder), checkId(id))
  if (!makePrivate(credentialsFolder(folder))) {
    throw new ViaductError(
      'FAILED_PRECONDITION',
      `the runtime folder ${folder.path} is gone: claim it again`,
      {
        reason: 'RUNTIME_FOLDER_UNUSABLE',
      },
    )
  }
  const key = randomBytes(KEY_BYTES)
  // No id has a dot, so this name is nobody's credential.
  const written = `${path}.${randomBytes(8).toString('hex')}`
  try {
    const file = openSync(
      written,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW,
      0o600,
    )
    try {
      writeSync(file, key)
    } finally {
      closeSync(file)
    }
    renameSync(written, path)
  } catch (error) {
    unless(['ENOENT'], () => unlinkSync(written))
    throw error
  }
  return key
}

/**
 * Reads the key of `id`, from a regular file that belongs to us and that nobody else may read.
 *
 * @returns the key, 32 bytes, owned by the caller
 * @throws ViaductError INVALID_ARGUMENT / BAD_ID · NOT_FOUND / CREDENTIAL_MISSING · FAILED_PRECONDITION / CREDENTIAL_UNSAFE
 */
export function readCredential(folder: CredentialPlace, id: string): Uint8Array {
  const path = join(credentialsFolder(folder), checkId(id))
  const file = open(path, id)
  try {
    const fault = faultOf(file)
    if (fault) throw unsafe(path, fault)
    const key = new Uint8Array(KEY_BYTES)
    if (readSync(file, key) !== KEY_BYTES) throw unsafe(path, 'became shorter while it was read')
    return key
  } finally {
    closeSync(file)
  }
}

/** Removes the key of `id`, if there is one. It admits nobody from then on; open links stay open. */
export function removeCredential(folder: CredentialPlace, id: string): void {
  const path = join(credentialsFolder(folder), checkId(id))
  unless(['ENOENT'], () => unlinkSync(path))
}

/** HMAC-SHA-256 over the parts one after the other; strings as UTF-8. 32 bytes. */
export function hmac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/** Whether two MACs are equal, in a time that says nothing of where they differ. */
export function macEquals(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other)
}

function open(path: string, id: string): number {
  try {
    // Without O_NONBLOCK a FIFO in this place would hold us for ever.
    return openSync(path, constants.O_RDONLY | NO_FOLLOW | NON_BLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw new ViaductError(
        'NOT_FOUND',
        `there is no credential for ${id} at ${path}: start the hub, and name ${id} in its manifest or call hub.admit`,
        { reason: 'CREDENTIAL_MISSING', cause: error },
      )
    }
    throw unsafe(
      path,
      errnoOf(error) === 'ELOOP' ? 'is a symbolic link' : `cannot be opened (${errnoOf(error)})`,
    )
  }
}

function faultOf(file: number): string {
  const found = fstatSync(file)
  if (!found.isFile()) return 'is not a regular file'
  if (process.geteuid && found.uid !== process.geteuid()) return `belongs to user ${found.uid}`
  if (process.geteuid && (found.mode & 0o077) !== 0) return 'can be read by others'
  if (found.nlink > 1) return 'has a second name somewhere else'
  return found.size === KEY_BYTES ? '' : `has ${found.size} bytes, not ${KEY_BYTES}`
}

function unsafe(path: string, fault: string): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `the credential ${path} ${fault}: remove it and have the hub write a new one`,
    { reason: 'CREDENTIAL_UNSAFE' },
  )
}
