/** One hub per app: who holds the folder lock `hub.lock` in the app's runtime folder. */

import { randomBytes } from 'node:crypto'
import { rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { credentialsFolder } from './credentials.ts'
import { errnoOf, unless } from './errno.ts'
import { type FolderLock, removeUnfinishedLocks, takeFolderLock } from './folderLock.ts'
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
/** Where the system does not say when a process started, a holder has so long to begin to listen. */
const START_GRACE_MS = 2_000
const POLL_MS = 25
/** A connection to a local socket is made or refused at once; a pipe of Windows may be busy. */
const CONNECT_TIMEOUT_MS = 1_000
const UNKNOWN_START = '0'

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
  try {
    const lock = await takeFolderLock({
      path: join(folder.path, LOCK),
      entry,
      isEntry: (name) => parse(name) !== undefined,
      isAlive: (name) => isAlive(folder, parse(name)),
      makeParent: () => makeRuntimeFolder(folder),
    })
    if (typeof lock === 'string') throw running(folder, parse(lock)?.pid)
    return await hold(folder, lock)
  } finally {
    removeIfEmpty(folder)
  }
}

async function hold(folder: RuntimeFolder, lock: FolderLock): Promise<SocketClaim> {
  const letGo = () => {
    lock.release()
    removeIfEmpty(folder)
  }
  let address: string
  try {
    // A cleaner of old temporary files may have taken the lock away from a hub that lives.
    if (await answers(folder)) throw running(folder, undefined)
    removeTraces(folder)
    removeUnfinishedLocks(join(folder.path, LOCK), isDead)
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
      if (lock.isHeld()) removeTraces(folder)
      letGo()
    },
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

function parse(entry: string): Holder | undefined {
  const [, pid, start] = /^(\d{1,10})-(\d{1,20})-[0-9a-f]{12}$/.exec(entry) ?? []
  return pid === undefined || start === undefined ? undefined : { pid: Number(pid), start }
}

/** Whether the very process that made the entry still runs, and not another with its pid. */
function isProcess(holder: Holder): boolean {
  return (
    isRunning(holder.pid) &&
    (holder.start === UNKNOWN_START || readProcess(holder.pid)?.start === holder.start)
  )
}

function isDead(entry: string): boolean {
  const claimant = parse(entry)
  return claimant !== undefined && !isProcess(claimant)
}

async function isAlive(folder: RuntimeFolder, holder: Holder | undefined): Promise<boolean> {
  const there = holder !== undefined && isProcess(holder)
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
