/**
 * Where a hub and its peers meet on one machine: a folder that nobody else may enter. Whoever can open the
 * socket in it is the same user; so every part of the way there is checked before a byte is written or read.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import { errnoOf, messageOf, unless } from './errno.ts'

/** Longer socket paths are cut by the system without a word, and may then be somebody else's socket. */
const MAX_SOCKET_PATH_BYTES = 103

const APP = /^[a-z0-9][a-z0-9_-]{0,63}$/
/** What a hub's socket may be called. A hub is one to a folder; its peers find it under any of these. */
const SOCKETS = ['hub.sock', 'ipc-router.sock'] as const
export type SocketName = (typeof SOCKETS)[number]
/** Windows only: the file that holds the name of the pipe, which nobody can guess. */
const PIPE = 'hub.pipe'
const WINDOWS = process.platform === 'win32'
/** How often a folder is made again that a leaving hub removed under our feet. */
const ATTEMPTS = 20

export interface RuntimeFolder {
  readonly app: string
  /** `<root>/<app>`: holds the hub's socket, its lock, and `credentials/`. */
  readonly path: string
  /** The folder of all our apps, made when missing. */
  readonly root: string
  /** The name of the socket that is listened on; unset: whichever is there, `hub.sock` for a new one. */
  readonly socket?: SocketName | undefined
}

export interface RuntimeFolderOptions {
  /** Stands in for the system's folder for temporary files. Default: XDG_RUNTIME_DIR, else that folder. */
  readonly base?: string
  /** Make what is missing (the hub's side, the default), or fail when it is (a peer's side). */
  readonly create?: boolean
  readonly socket?: SocketName | undefined
}

/**
 * The folder of one app: `$XDG_RUNTIME_DIR/viaduct/<app>` when that variable names a private folder of ours,
 * else `<tmp>/viaduct-<uid>/<app>`. On Windows `<tmp>\viaduct\<app>`, private by the user's own access list.
 *
 * @throws ViaductError INVALID_ARGUMENT / BAD_APP_NAME · FAILED_PRECONDITION / RUNTIME_FOLDER_UNSAFE: others
 * can enter, own or replace a part of it · / SOCKET_PATH_TOO_LONG · / RUNTIME_FOLDER_UNUSABLE: cannot be made ·
 * UNAVAILABLE / HUB_NOT_RUNNING: without `create`, and it is not there
 */
export function openRuntimeFolder(app: string, options: RuntimeFolderOptions = {}): RuntimeFolder {
  if (!APP.test(app)) {
    throw new ViaductError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(app)} is no app name: use 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit`,
      { reason: 'BAD_APP_NAME' },
    )
  }
  const { root, shorten } = chooseRoot(options.base)
  const folder = { app, root, path: join(root, app), socket: options.socket }
  const socket = join(folder.path, options.socket ?? SOCKETS[0])
  const bytes = Buffer.byteLength(socket)
  if (!WINDOWS && bytes > MAX_SOCKET_PATH_BYTES) {
    throw new ViaductError(
      'FAILED_PRECONDITION',
      `the socket path ${socket} has ${bytes} bytes and the system takes ` +
        `${MAX_SOCKET_PATH_BYTES}: ${shorten}`,
      { reason: 'SOCKET_PATH_TOO_LONG' },
    )
  }
  if (options.create ?? true) makeRuntimeFolder(folder)
  else for (const path of [root, folder.path]) if (!checkPrivate(path)) throw notRunning(folder)
  return folder
}

/** Makes what is missing of the folder and checks all of it. Throws as {@link openRuntimeFolder} does. */
export function makeRuntimeFolder(folder: RuntimeFolder): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (makePrivate(folder.root) && makePrivate(folder.path)) return
  }
  throw unusable(folder.path, 'it is removed again and again')
}

/** Removes the folder, and the one of all our apps, if nothing is left in them. */
export function removeIfEmpty(folder: RuntimeFolder): void {
  for (const path of [folder.path, folder.root]) {
    const removed = unless(['ENOTEMPTY', 'EEXIST', 'EBUSY', 'EPERM', 'ENOENT'], () => {
      rmdirSync(path)
      return true
    })
    if (!removed) return
  }
}

/**
 * Makes one folder that only we may enter. False when its parent is not there (any more).
 *
 * @throws ViaductError FAILED_PRECONDITION / RUNTIME_FOLDER_UNSAFE, / RUNTIME_FOLDER_UNUSABLE
 */
export function makePrivate(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    if (errnoOf(error) !== 'EEXIST') throw unusable(path, messageOf(error), error)
  }
  return checkPrivate(path)
}

/** What `listen` and `connect` take: the socket's path, or the pipe's name from its file. */
export function hubAddress(folder: RuntimeFolder): string {
  if (!WINDOWS) {
    const found = folder.socket ?? SOCKETS.find((name) => existsSync(join(folder.path, name)))
    return join(folder.path, found ?? SOCKETS[0])
  }
  const name = unless(['ENOENT'], () => readFileSync(pipeFile(folder), 'utf8').trim())
  if (!name) throw notRunning(folder)
  return name
}

/** Every path at which a hub of this folder may have listened. */
export function socketPaths(folder: RuntimeFolder): string[] {
  return WINDOWS ? [] : SOCKETS.map((name) => join(folder.path, name))
}

/** Where the pipe's name stands; the file is there on Windows only. */
export function pipeFile(folder: RuntimeFolder): string {
  return join(folder.path, PIPE)
}

/** False when nothing is there. Throws when what is there is not a folder that we alone may enter. */
function checkPrivate(path: string): boolean {
  const fault = privateFault(path)
  if (fault) throw unsafe(fault)
  return fault !== undefined
}

/** What keeps a folder from being ours alone: '' nothing, undefined it is not there. Follows no link. */
function privateFault(path: string): string | undefined {
  const found = unless(['ENOENT'], () => lstatSync(path))
  if (!found) return undefined
  if (found.isSymbolicLink()) return `${path} is a symbolic link: remove it`
  if (!found.isDirectory()) return `${path} is not a folder: remove it`
  if (WINDOWS) return ''
  if (found.uid !== userId()) {
    return `${path} belongs to user ${found.uid}, not to us (${userId()}): have it removed, or set XDG_RUNTIME_DIR to a folder of your own with mode 0700`
  }
  const mode = found.mode & 0o777
  if ((mode & 0o077) !== 0 || (mode & 0o700) !== 0o700) {
    return `${path} has mode 0${mode.toString(8)}, so others may have been in it: look at what it holds, then \`chmod 700 ${path}\``
  }
  return ''
}

/** What lets others replace the folder or a folder above it; '' if nothing does. `path` is a real path. */
function ancestorFault(path: string): string {
  const found = lstatSync(path)
  if (found.uid !== userId() && found.uid !== 0) {
    return `${path} belongs to user ${found.uid}, who could replace what we keep below it: set XDG_RUNTIME_DIR to a folder of your own with mode 0700`
  }
  if ((found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0) {
    return `others may rename what lies in ${path}: \`chmod go-w ${path}\`, or set XDG_RUNTIME_DIR to a folder of your own with mode 0700`
  }
  return dirname(path) === path ? '' : ancestorFault(dirname(path))
}

/** The folder that holds the runtime folders of all apps; it need not be there. */
export function runtimeRoot(base?: string): string {
  return chooseRoot(base).root
}

function chooseRoot(base: string | undefined): { root: string; shorten: string } {
  const xdg = base === undefined && !WINDOWS ? safeXdg() : undefined
  if (xdg) {
    return {
      root: join(xdg, 'viaduct'),
      shorten: 'set XDG_RUNTIME_DIR to a shorter one, or shorten the app name',
    }
  }
  const given = base ?? tmpdir()
  let real: string
  try {
    real = realpathSync(given)
  } catch (error) {
    throw unusable(given, messageOf(error), error)
  }
  if (WINDOWS) return { root: join(real, 'viaduct'), shorten: '' }
  const fault = ancestorFault(real)
  if (fault) throw unsafe(fault)
  return {
    root: join(real, `viaduct-${userId()}`),
    shorten:
      base === undefined
        ? 'set XDG_RUNTIME_DIR or TMPDIR to a shorter one, or shorten the app name'
        : 'give a shorter `base`, or leave it out and set XDG_RUNTIME_DIR',
  }
}

/** The real path of XDG_RUNTIME_DIR; one that is no private folder of ours (after `sudo`, say) is passed over. */
function safeXdg(): string | undefined {
  const given = process.env.XDG_RUNTIME_DIR
  if (!given || !isAbsolute(given)) return undefined
  const real = unless(['ENOENT', 'EACCES', 'ENOTDIR'], () => realpathSync(given))
  if (real === undefined || privateFault(given) !== '' || ancestorFault(real) !== '') return undefined
  return real
}

function userId(): number {
  return process.geteuid?.() ?? -1
}

function unsafe(fault: string): ViaductError {
  return new ViaductError('FAILED_PRECONDITION', `the runtime folder is not safe: ${fault}`, {
    reason: 'RUNTIME_FOLDER_UNSAFE',
  })
}

function unusable(path: string, why: string, cause?: unknown): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `the runtime folder ${path} cannot be used (${why}): set XDG_RUNTIME_DIR to a folder of your own with mode 0700`,
    { reason: 'RUNTIME_FOLDER_UNUSABLE', cause },
  )
}

function notRunning(folder: RuntimeFolder): ViaductError {
  return new ViaductError(
    'UNAVAILABLE',
    `no hub of app ${folder.app} runs here (nothing at ${folder.path}): start it first, as the same user and with the same XDG_RUNTIME_DIR`,
    { reason: 'HUB_NOT_RUNNING', fate: 'not-sent' },
  )
}
