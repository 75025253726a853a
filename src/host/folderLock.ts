/**
 * A lock that is a folder with one entry named after its holder. A folder, because the system then does the two steps
 * that a lock file cannot do safely:
 * - taking it is renaming a prepared folder onto it, which fails unless the lock is free or empty;
 * - breaking a dead holder's lock is unlinking *that holder's* entry. Whoever is late finds another entry
 *   there, or none, and breaks nothing. With a lock file, two that break it at once can both win.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { errnoOf, unless } from './errno.ts'

const ATTEMPTS = 100
const NOT_REMOVED = ['ENOENT', 'ENOTEMPTY', 'EEXIST']
/** What renaming onto a lock says that is taken; Windows says it of every folder, and the lock is then read. */
const TAKEN = ['ENOTEMPTY', 'EEXIST', 'ENOENT', ...(process.platform === 'win32' ? ['EPERM', 'EACCES'] : [])]

export interface FolderLockOptions {
  readonly path: string
  /** Names this holder; no other ever has the same. */
  readonly entry: string
  /** Whether a name is one that a holder gives itself. */
  isEntry(name: string): boolean
  isAlive(entry: string): boolean | Promise<boolean>
  /** Makes the folder in which the lock lies, when it is not there. */
  makeParent(): void
}

/** A lock that is held until `release`, unless its holder was taken for dead. */
export interface FolderLock {
  isHeld(): boolean
  /** Synchronous, so that it may run while the process exits. Leaves alone what a successor holds. */
  release(): void
}

/**
 * Takes a lock, also from a holder that is dead. Of any number that try at the same instant exactly one succeeds.
 *
 * @returns the lock, or the entry of the one that lives and holds it
 * @throws ViaductError FAILED_PRECONDITION / LOCK_UNREADABLE: something foreign lies in the lock
 */
export async function takeFolderLock(options: FolderLockOptions): Promise<FolderLock | string> {
  const { path, entry } = options
  const prepared = `${path}.${entry}`
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (take(options, prepared)) return held(path, entry)
      const holder = folderLockHolder(options)
      if (holder === undefined) unless(NOT_REMOVED, () => rmdirSync(path))
      else if (!(await options.isAlive(holder))) removeFile(join(path, holder))
      // What was found alive may have been the successor of the holder that we looked at.
      else if (folderLockHolder(options) === holder) return holder
    }
    throw unreadable(path, 'it changes hands faster than it can be read')
  } finally {
    rmSync(prepared, { recursive: true, force: true })
  }
}

/** The entry of the holder, alive or dead; undefined while nobody has the lock. */
export function folderLockHolder({
  path,
  isEntry,
}: Pick<FolderLockOptions, 'path' | 'isEntry'>): string | undefined {
  const [entry] = unless(['ENOENT'], () => readdirSync(path)) ?? []
  if (entry === undefined) return undefined
  if (!isEntry(entry)) throw unreadable(path, `${JSON.stringify(entry)} lies in it`)
  return entry
}

/** Removes what those left behind that died before they could rename it. */
export function removeUnfinishedLocks(path: string, isDead: (entry: string) => boolean): void {
  const prefix = `${basename(path)}.`
  for (const name of readdirSync(dirname(path))) {
    if (name.startsWith(prefix) && isDead(name.slice(prefix.length)))
      rmSync(join(dirname(path), name), { recursive: true, force: true })
  }
}

/** Tries to become the holder; false when somebody else is, or when the folder just went away. */
function take({ path, entry, makeParent }: FolderLockOptions, prepared: string): boolean {
  try {
    makeParent()
    unless(['EEXIST'], () => mkdirSync(prepared, { mode: 0o700 }))
    writeFileSync(join(prepared, entry), '', { mode: 0o600 })
    renameSync(prepared, path)
    return true
  } catch (error) {
    if (TAKEN.includes(errnoOf(error))) return false
    if (errnoOf(error) === 'ENOTDIR') throw unreadable(path, 'it is not a folder')
    throw error
  }
}

function held(path: string, entry: string): FolderLock {
  return {
    isHeld: () => unless(['ENOENT'], () => lstatSync(join(path, entry))) !== undefined,
    release() {
      removeFile(join(path, entry))
      unless(NOT_REMOVED, () => rmdirSync(path))
    },
  }
}

function removeFile(path: string): void {
  unless(['ENOENT'], () => unlinkSync(path))
}

function unreadable(path: string, why: string): ViaductError {
  return new ViaductError('FAILED_PRECONDITION', `the lock ${path} is not ours to read (${why}): remove it`, {
    reason: 'LOCK_UNREADABLE',
  })
}
