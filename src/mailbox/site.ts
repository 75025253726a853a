import { dirname, join, resolve } from 'node:path'
import { errnoOf } from '../host/errno.ts'
import { processName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'
import { diskFailure } from './appendLog.ts'
import type { DeadLetters } from './deadLetters.ts'
import type { Files } from './files.ts'
import { FolderInbox } from './folderInbox.ts'
import { FolderOutbox } from './folderOutbox.ts'
import { Journal } from './journal.ts'
import { checkLocalDisk } from './localDisk.ts'
import { LogInbox } from './logInbox.ts'
import { LogOutbox } from './logOutbox.ts'
import type { MailboxSettings, ReceiveSettings, StoreKind } from './options.ts'
import { ReceiverLock, receiverPid } from './receiverLock.ts'
import type { Station } from './station.ts'
import type { Inbox, Outbox } from './store.ts'
import { replaceFile } from './wholeFile.ts'

/** One mailbox's folder, and what stands in it. */
export interface Site {
  readonly folder: string
  outbox(): Promise<Outbox>
  receiverPid(): number | undefined
  /** Settles when this is its active receiver; stands by until then, or until the signal is aborted. */
  takeOver(settings: ReceiveSettings, deadLetters: DeadLetters, signal: AbortSignal): Promise<Station>
}

const VERSION = 1
const STORES: Record<StoreKind, (folder: string, settings: MailboxSettings) => Store> = {
  log: (folder, { durability, files, clock, log }) => ({
    outbox: async () =>
      new LogOutbox({ folder, durability, files, clock, ...(log && { log }), sender: newName() }),
    inbox: async (journal, { windowBytes }) =>
      new LogInbox({
        folder,
        durability,
        files,
        clock,
        ...(log && { log }),
        name: newName(),
        heldBytes: windowBytes,
        onSenderGone: (sender) => journal.forgetSender(sender),
      }),
  }),
  folder: (folder, { group, durability, files, clock, nowMs, log }) => ({
    outbox: () =>
      FolderOutbox.open({
        folder,
        group,
        durability,
        files,
        clock,
        nowMs,
        ...(log && { log }),
        sender: newName(),
      }),
    inbox: (journal) =>
      FolderInbox.open({
        folder,
        group,
        files,
        clock,
        nowMs,
        ...(log && { log }),
        name: newName(),
        isOver: (sender, sequence, id, redriven) =>
          journal.known({ id, sender, sequence, redriven }) !== 'open',
        onSenderGone: (sender) => journal.forgetSender(sender),
      }),
  }),
}

interface Store {
  outbox(): Promise<Outbox>
  inbox(journal: Journal, settings: ReceiveSettings): Promise<Inbox>
}

/**
 * Makes the folder of a mailbox where it is not there.
 *
 * @throws ViaductError FAILED_PRECONDITION / STORE_MISMATCH, NETWORK_FILE_SYSTEM · RESOURCE_EXHAUSTED / DISK_FULL ·
 * UNAVAILABLE / DISK_FAILED
 */
export async function openSite(mailbox: MailboxSettings): Promise<Site> {
  const { root, group, files, durability, clock } = mailbox
  const folder = join(root, group)
  const own = join(folder, '.journal')
  try {
    // Whoever watches one of these hears nothing of one that is made later.
    for (const name of ['tmp', 'senders', 'receiver']) await files.makeFolder(join(own, name))
    await files.makeFolder(join(folder, 'errors'))
  } catch (error) {
    throw diskFailure(folder, error)
  }
  if (!mailbox.allowNetworkFileSystem) await checkLocalDisk(folder)
  await markStore(files, join(own, 'store'), mailbox.store, root)
  const lockPath = join(own, 'receiver.lock')
  const store = STORES[mailbox.store](folder, mailbox)
  return {
    folder,
    outbox: store.outbox,
    receiverPid: () => receiverPid(lockPath),
    async takeOver(settings, deadLetters, signal) {
      const lock = new ReceiverLock({ path: lockPath, clock })
      await lock.acquire(signal)
      let journal: Journal | undefined
      try {
        const { windowMessages: concurrency, dedupe } = settings
        journal = await Journal.open({
          files,
          folder: join(own, 'receiver'),
          concurrency,
          dedupe,
          durability,
          clock,
        })
        const inbox = await store.inbox(journal, settings)
        const held = { journal, inbox, lock }
        return { journal, inbox, deadLetters, lost: lock.lost, close: () => leave(held) }
      } catch (error) {
        await journal?.close().catch(() => {})
        lock.release()
        throw error
      }
    },
  }
}

/** The lock goes last, whatever fails. */
async function leave({
  journal,
  inbox,
  lock,
}: {
  journal: Journal
  inbox: Inbox
  lock: ReceiverLock
}): Promise<void> {
  try {
    await inbox.close()
  } finally {
    try {
      await journal.close()
    } finally {
      lock.release()
    }
  }
}

/**
 * A mailbox stays of the kind that it was made as. Where its mark stands, the names of all folders that lead to it
 * are on stable storage: whatever is synced in them is found again.
 */
async function markStore(files: Files, path: string, store: StoreKind, root: string): Promise<void> {
  const mark = JSON.stringify({ store, version: VERSION })
  for (;;) {
    const found = await readMark(files, path)
    if (found === mark) return
    if (found !== undefined && found !== '') {
      const text = `${path} says ${found}: open it as that, or choose another folder; a store cannot be changed`
      throw new ViaductError('FAILED_PRECONDITION', text, { reason: 'STORE_MISMATCH', fate: 'not-sent' })
    }
    const unfinished = join(path, '..', 'tmp', `${newName()}.store`)
    try {
      await syncNames(files, dirname(path), root)
      await replaceFile(files, unfinished, path, Buffer.from(mark), 'synced')
      await files.syncFolder(join(path, '..'))
    } catch (error) {
      throw diskFailure(path, error)
    }
  }
}

/** Of all folders on the way: any of them may be new, made by us or by who died before he could sync it. */
async function syncNames(files: Files, folder: string, root: string): Promise<void> {
  const ours = dirname(resolve(root)).length
  for (let path = resolve(folder), last = ''; path !== last; path = dirname(path)) {
    last = path
    try {
      await files.syncFolder(path)
    } catch (error) {
      // One further up that we may not open is none that we made.
      if (path.length >= ours || !['EACCES', 'EPERM'].includes(errnoOf(error))) throw error
    }
  }
}

/** Undefined when there is none. */
async function readMark(files: Files, path: string): Promise<string | undefined> {
  try {
    const file = await files.openToRead(path)
    try {
      const bytes = Buffer.alloc(256)
      return bytes.toString('utf8', 0, await file.read(bytes, 0))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw diskFailure(path, error)
  }
}

/** A name that no other instance has. */
function newName(): string {
  return processName(crypto.randomUUID().replaceAll('-', ''))
}
