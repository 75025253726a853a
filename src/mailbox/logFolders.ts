import { dirname, join } from 'node:path'
import type { Files } from './files.ts'

/** Where a log store keeps what, in the folder of one mailbox. */
export interface LogFolders {
  /** One log for each sending instance, in a folder that has its name. */
  readonly senders: string
  /** What receivers kept of segments that they removed; one log for each of them. */
  readonly survivors: string
  /** The receiver's journal. */
  readonly journal: string
  /** What the receiver counted last. */
  readonly waiting: string
  readonly temporary: string
}

export function logFolders(mailbox: string): LogFolders {
  const base = join(mailbox, '.journal')
  return {
    senders: join(base, 'senders'),
    survivors: join(base, 'survivors'),
    journal: join(base, 'receiver'),
    waiting: join(base, 'waiting'),
    temporary: join(base, 'tmp'),
  }
}

/** Makes a folder, and the two that it is in; their names are on stable storage when it settles. */
export async function makeDurableFolder(files: Files, folder: string): Promise<void> {
  await files.makeFolder(folder)
  const base = dirname(folder)
  for (const path of [base, dirname(base), dirname(dirname(base))]) await files.syncFolder(path)
}

/** Names that a folder of logs may have; others are left alone. */
export const LOG_NAME = /^[A-Za-z0-9._-]{1,128}$/

/** Names in a folder; [] where it is not there. */
export async function namesIn(files: Files, folder: string): Promise<string[]> {
  return (await files.list(folder).catch(() => [])).filter(
    (name) => LOG_NAME.test(name) && !name.startsWith('.'),
  )
}
