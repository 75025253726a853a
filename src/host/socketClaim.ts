/**
 * One hub per app. The lock is a folder, `hub.lock`, with one entry named after its holder. A folder, because
 * the system then does the two steps that a lock file cannot do safely:
 * - taking it is renaming a prepared folder onto it, which fails unless the lock is free or empty;
 * - breaking a dead holder's lock is unlinking *that holder's* entry. Whoever is late finds another entry
 *   there, or none, and breaks nothing. With a lock file, two that break it at once can both win.
 */

import { randomBytes } from 'node:crypto'
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
import { connect } from 'node:net'
import { join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { credentialsFolder } from './credentials.ts'
import { errnoOf, unless } from './errno.ts'
import { isRunning, readProcess } from './processInfo.ts'
import {
  hubAddress,
  makeRuntimeFolder,
  pipeFile,
  type RuntimeFolder,
  removeIfEmpty,
  socketPaths,
} from './runtimeFolder.ts'

const LOCK = 'hub.lock'
const ATTEMPTS = 100
/** Where the system does not say when a process started, a holder has so long to begin to listen. */
const START_GRACE_MS = 2_000
const POLL_MS = 25
/** A connection to a local socket is made or refused at once; a pipe of Windows may be busy. */
const CONNECT_TIMEOUT_MS = 1_000
const UNKNOWN_START = '0'
const NOT_REMOVED = ['ENOENT', 'ENOTEMPTY', 'EEXIST']
/** What renaming onto a lock says that is taken; Windows says it of every folder, and the lock is then read. */
const TAKEN = ['ENOTEMPTY', 'EEXIST', 'ENOENT', ...(process.platform === 'win32' ? ['EPERM', 'EACCES'] : [])]

/** The right to be the hub of an app. The holder listens on `address` until it calls `release`. */
export interface SocketClaim {
  /** What `server.listen` takes. Nothing is there yet. */
  readonly address: string
  /**
   * Removes socket, credentials, lock and, if nothing is left in it, the folder. Synchronous, so that it may
   * run while the process exits; close the server first. Calling it again does nothing.
   */
  release(): void
}

interface Holder {
  readonly entry: string
  readonly pid: number
  readonly start: string
}

/**
 * Makes this process the app's hub. What a dead hub left behind is removed. Of any number of processes that
 * claim at the same instant exactly one succeeds. A holder lives while its process does, or while its socket
 * accepts connections (it may be in a container of its own, where its pid means nothing to us).
 *
 * @throws ViaductError ALREADY_EXISTS / HUB_RUNNING (with the pid) · FAILED_PRECONDITION / LOCK_UNREADABLE:
 * something foreign lies in the lock · those of {@link makeRuntimeFolder}
 */
export async function claimSocket(folder: RuntimeFolder): Promise<SocketClaim> {
  const start = readProcess(process.pid)?.start ?? UNKNOWN_START
  const entry = `${process.pid}-${start}-${randomBytes(6).toString('hex')}`
  const prepared = join(folder.path, `${LOCK}.${entry}`)
  const lock = join(folder.path, LOCK)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (take(folder, prepared, lock, entry)) return await hold(folder, lock, entry)
      const holder = readHolder(lock)
      if (!holder) unless(NOT_REMOVED, () => rmdirSync(lock))
      else if (!(await isAlive(folder, holder))) removeFile(join(lock, holder.entry))
      // What answered may have been the successor of the holder that we looked at.
      else if (readHolder(lock)?.entry === holder.entry) throw running(folder, holder.pid)
    }
    throw unreadable(lock, 'it changes hands faster than it can be read')
  } finally {
    rmSync(prepared, { recursive: true, force: true })
    removeIfEmpty(folder)
  }
}

/** Tries to become the holder; false when somebody else is, or when the folder just went away. */
function take(folder: RuntimeFolder, prepared: string, lock: string, entry: string): boolean {
  try {
    makeRuntimeFolder(folder)
    unless(['EEXIST'], () => mkdirSync(prepared, { mode: 0o700 }))
    writeFileSync(join(prepared, entry), '', { mode: 0o600 })
    renameSync(prepared, lock)
    return true
  } catch (error) {
    if (TAKEN.includes(errnoOf(error))) return false
    if (errnoOf(error) === 'ENOTDIR') throw unreadable(lock, 'it is not a folder')
    throw error
  }
}

async function hold(folder: RuntimeFolder, lock: string, entry: string): Promise<SocketClaim> {
  const letGo = () => {
    removeFile(join(lock, entry))
    unless(NOT_REMOVED, () => rmdirSync(lock))
    removeIfEmpty(folder)
  }
  let address: string
  try {
    // A cleaner of old temporary files may have taken the lock away from a hub that lives.
    if (await answers(folder)) throw running(folder, undefined)
    removeTraces(folder)
    removeUnfinished(folder)
    address = newAddress(folder)
  } catch (error) {
    letGo()
    throw error
  }
  let held = true
  return {
    address,
    release() {
      if (!held) return
      held = false
      // If we were taken for dead and replaced, what lies there is our successor's.
      if (unless(['ENOENT'], () => lstatSync(join(lock, entry)))) removeTraces(folder)
      letGo()
    },
  }
}

/** Removes what claimants left behind that died before they could rename it. */
function removeUnfinished(folder: RuntimeFolder): void {
  for (const name of readdirSync(folder.path)) {
    const claimant = name.startsWith(`${LOCK}.`) ? parse(name.slice(LOCK.length + 1)) : undefined
    if (claimant && !isProcess(claimant)) rmSync(join(folder.path, name), { recursive: true, force: true })
  }
}

function newAddress(folder: RuntimeFolder): string {
  if (process.platform === 'win32') {
    const name = `\\\\.\\pipe\\viaduct-${folder.app}-${randomBytes(16).toString('hex')}`
    writeFileSync(pipeFile(folder), name, { flag: 'wx', mode: 0o600 })
  }
  return hubAddress(folder)
}

function removeTraces(folder: RuntimeFolder): void {
  for (const path of socketPaths(folder)) removeFile(path)
  removeFile(pipeFile(folder))
  rmSync(credentialsFolder(folder), { recursive: true, force: true })
}

function removeFile(path: string): void {
  unless(['ENOENT'], () => unlinkSync(path))
}

function readHolder(lock: string): Holder | undefined {
  const [entry] = unless(['ENOENT'], () => readdirSync(lock)) ?? []
  if (entry === undefined) return undefined
  const holder = parse(entry)
  if (!holder) throw unreadable(lock, `${JSON.stringify(entry)} lies in it`)
  return holder
}

function parse(entry: string): Holder | undefined {
  const [, pid, start] = /^(\d{1,10})-(\d{1,20})-[0-9a-f]{12}$/.exec(entry) ?? []
  return pid === undefined || start === undefined ? undefined : { entry, pid: Number(pid), start }
}

/** Whether the very process that made the entry still runs, and not another with its pid. */
function isProcess(holder: Holder): boolean {
  return (
    isRunning(holder.pid) &&
    (holder.start === UNKNOWN_START || readProcess(holder.pid)?.start === holder.start)
  )
}

async function isAlive(folder: RuntimeFolder, holder: Holder): Promise<boolean> {
  const there = isProcess(holder)
  if (there && holder.start !== UNKNOWN_START) return true
  const until = performance.now() + (there ? START_GRACE_MS : 0)
  for (;;) {
    if (await answers(folder)) return true
    if (performance.now() >= until) return false
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Whether somebody accepts connections at a hub's address, whatever its socket is called. */
function answers(folder: RuntimeFolder): Promise<boolean> {
  const address = unlessNotRunning({ ...folder, socket: undefined })
  if (address === undefined) return Promise.resolve(false)
  return new Promise((resolve) => {
    const socket = connect(address)
    const settle = (alive: boolean) => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    // A full queue (EAGAIN) is a hub that is busy; these three are nobody.
    socket.on('error', (error) => settle(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(error))))
  })
}

function unlessNotRunning(folder: RuntimeFolder): string | undefined {
  try {
    return hubAddress(folder)
  } catch {
    return undefined
  }
}

function running(folder: RuntimeFolder, pid: number | undefined): ViaductError {
  const who = pid === undefined ? 'a process that has lost its lock' : `process ${pid}`
  return new ViaductError(
    'ALREADY_EXISTS',
    `a hub of app ${folder.app} runs already (${who}, in ${folder.path}): join it, stop it, or choose another app name`,
    { reason: 'HUB_RUNNING', data: pid === undefined ? {} : { pid } },
  )
}

function unreadable(lock: string, why: string): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `the hub's lock ${lock} is not ours to read (${why}): remove it`,
    {
      reason: 'LOCK_UNREADABLE',
    },
  )
}
