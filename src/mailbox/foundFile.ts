import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { errnoOf } from '../host/errno.ts'
import type { FileStatus, Files, WholeFile } from './files.ts'
import type { Arrival } from './message.ts'
import { isFault, isMessageId, MAX_FILE_BYTES, readMessageFile } from './messageFile.ts'
import type { Body } from './store.ts'
import { readWhole } from './wholeFile.ts'

/** What stands under a name in `messages/`. */
export type Found =
  | { readonly kind: 'message'; readonly arrival: Arrival; readonly identity: string; readonly body?: Body }
  /** Nothing, any more. */
  | { readonly kind: 'gone' }
  /** It may be that it is being written in place. */
  | { readonly kind: 'unfinished'; readonly modifiedMs: number; readonly size: number; judge(): Found }
  /** The system does not let us look: to be tried again. */
  | { readonly kind: 'unreadable'; readonly error: unknown }

/** What an arrival takes in memory beside its body, about. */
const OVERHEAD_BYTES = 512

/** Reads one file of `messages/`, whatever it is and whoever made it: nothing is followed, nothing waited for. */
export function findFile(files: Files, folder: string, name: string, owner: number): Found | Promise<Found> {
  const path = join(folder, name)
  let refused: string | undefined
  const admits = (status: FileStatus) => {
    refused = refusalOf(status, owner)
    return refused === undefined
  }
  try {
    const whole = readWhole(files, path, admits)
    if (!(whole instanceof Promise)) return judged(name, whole, refused)
    return whole.then(
      (late) => judged(name, late, refused),
      (error) => failure(files, path, name, error),
    )
  } catch (error) {
    return failure(files, path, name, error)
  }
}

function failure(files: Files, path: string, name: string, error: unknown): Found {
  const code = errnoOf(error)
  if (code === 'ENOENT') return { kind: 'gone' }
  // O_NOFOLLOW met a link; a socket cannot be opened.
  if (code !== 'ELOOP' && code !== 'ENXIO' && code !== 'EISDIR') return { kind: 'unreadable', error }
  try {
    const what = code === 'ELOOP' ? 'a symbolic link' : 'no plain file'
    return faulty(name, files.statusNow(path), 'NOT_A_FILE', `it is ${what}`)
  } catch (later) {
    return errnoOf(later) === 'ENOENT' ? { kind: 'gone' } : { kind: 'unreadable', error: later }
  }
}

function refusalOf(status: FileStatus, owner: number): string | undefined {
  if (status.kind !== 'file')
    return `NOT_A_FILE it is ${status.kind === 'folder' ? 'a folder' : 'no plain file'}`
  if (status.links !== 1) return `NOT_A_FILE it has ${status.links} names: another one could change it`
  if (status.owner !== owner)
    return `NOT_A_FILE it belongs to user ${status.owner}, and this program to ${owner}`
  if (status.size > MAX_FILE_BYTES)
    return `TOO_LARGE it has ${status.size} bytes and may have ${MAX_FILE_BYTES}`
  return undefined
}

function judged(name: string, { status, bytes }: WholeFile, refused: string | undefined): Found {
  if (refused !== undefined || bytes === undefined) {
    const [reason = '', ...words] = (refused ?? 'NOT_A_FILE it changed while it was opened').split(' ')
    return faulty(name, status, reason, words.join(' '))
  }
  const stem = name.slice(0, -'.json'.length)
  if (!isMessageId(stem)) {
    return faulty(name, status, 'MALFORMED', 'its name is not 1 to 128 of A-Z a-z 0-9 . _ - and .json')
  }
  const read = readMessageFile(bytes, { stem, modifiedMs: status.modifiedMs })
  const { identity, modifiedMs, size } = status
  if (isFault(read)) {
    const judge = () => faulty(name, status, read.reason, read.message)
    return read.torn ? { kind: 'unfinished', modifiedMs, size, judge } : judge()
  }
  const arrival = { ...read.head, place: name, bytes: size + OVERHEAD_BYTES }
  return { kind: 'message', arrival, identity, body: read.body }
}

/**
 * A file that is no message. Its id is its own, not that of the message which it may have been meant to be: that one
 * can still come and be delivered.
 */
function faulty(name: string, status: FileStatus, reason: string, what: string): Found {
  const { identity, modifiedMs, size } = status
  const mark = createHash('sha256')
    .update(`${name}\0${identity}\0${modifiedMs}\0${size}`)
    .digest('hex')
    .slice(0, 16)
  const stem = name.slice(0, -'.json'.length)
  const arrival: Arrival = {
    id: `${isMessageId(stem) ? stem.slice(0, 100) : 'file'}.${mark}`,
    type: '',
    sentAtMs: Math.max(0, Math.trunc(modifiedMs)),
    requiresAck: false,
    priority: 'normal',
    notBeforeMs: 0,
    expiresAtMs: 0,
    redriven: 0,
    sender: '',
    sequence: 0,
    place: name,
    bytes: OVERHEAD_BYTES,
    fault: { reason, message: `messages/${name}: ${what}` },
  }
  return { kind: 'message', arrival, identity }
}
