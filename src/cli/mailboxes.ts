/** Mailboxes as their folders show them: nothing here changes one, or needs its store. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { unless } from '../host/errno.ts'
import { isNamedProcessRunning, isProcessName } from '../host/processName.ts'
import { DeadLetters } from '../mailbox/deadLetters.ts'
import { nodeFiles } from '../mailbox/files.ts'
import { Mailbox, type StoreKind } from '../mailbox/index.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { Failure, UsageError } from './failure.ts'
import { near } from './near.ts'
import { visible } from './text.ts'

export const DEFAULT_ROOT = join('data', 'ipc')
const GROUP = /^[a-z0-9_-]{1,64}$/
/** A folder is a mailbox when one of these is in it. */
const PARTS = ['.journal', 'messages', 'errors']
const ABSENT = ['ENOENT', 'ENOTDIR']

export interface MailboxReceiver {
  readonly pid: number
  /** Undefined where it cannot be told: it runs in another container. */
  readonly running: boolean | undefined
}

export interface MailboxState {
  readonly group: string
  readonly store: StoreKind
  /** Messages that nobody has settled, delayed ones too; undefined when the store cannot be opened. */
  readonly ready: number | undefined
  /** A log is not read to count them: by its bytes there are about so many. */
  readonly about: boolean
  readonly dead: number
  readonly receiver?: MailboxReceiver
}

/** The names of the mailboxes under a root. */
export function groupsIn(root: string): string[] {
  const entries = unless(ABSENT, () => readdirSync(root, { withFileTypes: true }))
  if (!entries) {
    throw new Failure(`there is no folder ${visible(root)}`, {
      next: ['name the folder of the mailboxes: viaduct mailbox list ROOT, or --root ROOT'],
    })
  }
  return entries
    .filter((entry) => entry.isDirectory() && GROUP.test(entry.name) && isMailbox(join(root, entry.name)))
    .map(({ name }) => name)
    .sort()
}

function isMailbox(folder: string): boolean {
  return PARTS.some((part) => existsSync(join(folder, part)))
}

/** @throws UsageError when it can be no name */
export function checkGroup(group: string): void {
  if (GROUP.test(group)) return
  throw new UsageError(
    `${JSON.stringify(group)} is no name of a mailbox: 1 to 64 of a-z, 0-9, _ and -`,
    'viaduct mailbox list',
  )
}

/** @throws Failure when there is no such mailbox, with those that there are */
export function findGroup(root: string, group: string): void {
  checkGroup(group)
  if (isMailbox(join(root, group))) return
  const groups = groupsIn(root)
  const likely = near(group, groups).map((name) => `did you mean ${name}?`)
  throw new Failure(`there is no mailbox ${group} in ${visible(root)}`, {
    next: [...likely, `viaduct mailbox list ${visible(root)}`],
  })
}

/** The store of a mailbox; one that S2 made says nothing, and is of folders. */
export function storeOf(root: string, group: string): StoreKind {
  const text = unless(ABSENT, () => readFileSync(join(root, group, '.journal', 'store'), 'utf8'))
  if (text === undefined) return 'folder'
  const store = fieldOf(parsed(text), 'store')
  if (store === 'log' || store === 'folder') return store
  throw new Failure(`${visible(join(root, group, '.journal', 'store'))} names no store`, {
    next: ['it is {"store":"log","version":1} or {"store":"folder","version":1}'],
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export async function stateOf(root: string, group: string): Promise<MailboxState> {
  const store = storeOf(root, group)
  const receiver = receiverOf(join(root, group))
  return {
    group,
    store,
    ready: store === 'folder' ? filesIn(join(root, group, 'messages')) : await storedIn(root, group),
    about: store === 'log',
    dead: await lettersOf(root, group).count(),
    ...(receiver ? { receiver } : {}),
  }
}

function filesIn(folder: string): number {
  const names = unless(ABSENT, () => readdirSync(folder)) ?? []
  return names.filter((name) => name.endsWith('.json')).length
}

async function storedIn(root: string, group: string): Promise<number | undefined> {
  try {
    const mailbox = await Mailbox.open({ root, group, store: 'log' })
    try {
      return (await mailbox.stats()).stored.messages
    } finally {
      await mailbox.close()
    }
  } catch {
    return undefined
  }
}

/** Who holds the lock of the active receiver. */
function receiverOf(folder: string): MailboxReceiver | undefined {
  const names = unless(ABSENT, () => readdirSync(join(folder, '.journal', 'receiver.lock'))) ?? []
  const name = names.find(isProcessName)
  return name === undefined
    ? undefined
    : { pid: Number(name.split('-')[2]), running: isNamedProcessRunning(name) }
}

/** A mailbox's dead letters, to look at and to purge. */
export function lettersOf(root: string, group: string): DeadLetters {
  const store = (): Promise<void> => Promise.reject(new Failure('only an open mailbox redrives'))
  return new DeadLetters({ files: nodeFiles, folder: join(root, group), group, to: { store } })
}
