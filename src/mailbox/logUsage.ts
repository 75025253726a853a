import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { isObject } from '../wire/guards.ts'
import { segmentPath, segmentsIn, usedBytes } from './appendLog.ts'
import type { Files } from './files.ts'
import { type LogFolders, namesIn } from './logFolders.ts'
import type { Usage } from './store.ts'
import { replaceFile } from './wholeFile.ts'

/** What the receiver has counted: of all records that it read and that are still there, and those not settled. */
export interface Waiting {
  readonly bytes: number
  readonly messages: number
  readonly unsettledBytes: number
}

const MAX_BYTES = 1_024

/** No promise rests on it: it is not synced. */
export async function writeWaiting(files: Files, folders: LogFolders, waiting: Waiting): Promise<void> {
  await files.makeFolder(folders.temporary)
  const bytes = Buffer.from(JSON.stringify(waiting))
  await replaceFile(files, join(folders.temporary, 'waiting'), folders.waiting, bytes, 'unsynced')
}

/**
 * What nobody has settled: what the receiver says that it has read and not settled, and all bytes that it has not
 * read. Where no receiver has ever counted, that is all bytes.
 *
 * @param messageBytes what a message takes, about
 */
export async function readUsage(files: Files, folders: LogFolders, messageBytes: number): Promise<Usage> {
  const read = await readWaiting(files, folders)
  const stored = (await storedBytes(files, folders.senders)) + (await storedBytes(files, folders.survivors))
  const unread = Math.max(0, stored - read.bytes)
  return {
    bytes: read.unsettledBytes + unread,
    messages: read.messages + Math.ceil(unread / messageBytes),
  }
}

async function storedBytes(files: Files, parent: string): Promise<number> {
  let bytes = 0
  for (const name of await namesIn(files, parent)) {
    const folder = join(parent, name)
    const segments = await segmentsIn(files, folder).catch(() => [])
    // One that is gone meanwhile takes nothing.
    for (const segment of segments)
      bytes += await usedBytes(files, segmentPath(folder, segment)).catch(() => 0)
  }
  return bytes
}

async function readWaiting(files: Files, folders: LogFolders): Promise<Waiting> {
  try {
    const file = await files.openToRead(folders.waiting)
    try {
      const bytes = Buffer.alloc(MAX_BYTES)
      const waiting: unknown = JSON.parse(bytes.toString('utf8', 0, await file.read(bytes, 0)))
      return isWaiting(waiting) ? waiting : NOTHING
    } finally {
      await file.close()
    }
  } catch {
    return NOTHING
  }
}

const NOTHING: Waiting = { bytes: 0, messages: 0, unsettledBytes: 0 }

function isWaiting(value: unknown): value is Waiting {
  return (
    isObject(value) &&
    ['bytes', 'messages', 'unsettledBytes'].every((name) => isCount(Reflect.get(value, name)))
  )
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
