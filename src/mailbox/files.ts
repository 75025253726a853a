import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  opendirSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  watch,
  writeSync,
} from 'node:fs'
import {
  type FileHandle,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rename,
  rmdir,
  unlink,
} from 'node:fs/promises'

/** An open file; whoever opened it closes it. */
export interface OpenFile {
  /** Writes all of it at a position. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Reads until `into` is full or the file ends; tells how many bytes came. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Content and length are on stable storage when it settles. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  status(): Promise<FileStatus>
  /** As `write`, before it returns: for a few bytes that must be with the system before the next line runs. */
  writeNow(bytes: Uint8Array, position: number): void
  /** As `read`, before it returns: for what was written a moment ago and is in memory still. */
  readNow(into: Uint8Array, position: number): number
  close(): Promise<void>
}

export interface FileStatus {
  readonly kind: 'file' | 'folder' | 'other'
  readonly size: number
  readonly modifiedMs: number
  /** Names that it has. */
  readonly links: number
  /** The user that owns it. */
  readonly owner: number
  /** Device and inode: another file by the same name has another identity. */
  readonly identity: string
}

/**
 * What durability rests on, as few operations as it takes: a test records them to try every state that a crash may
 * leave behind, or makes each of them fail.
 */
export interface Files {
  /** A new file; fails with EEXIST where one is. */
  create(path: string): Promise<OpenFile>
  /** One that is there, to read and write; never through a symbolic link, and without waiting for anybody. */
  open(path: string): Promise<OpenFile>
  /** The same, to read only. */
  openToRead(path: string): Promise<OpenFile>
  /** What is there by this name, not what a symbolic link leads to. */
  status(path: string): Promise<FileStatus>
  list(folder: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
  /** An empty one. */
  removeFolder(path: string): Promise<void>
  /** Names that were made, renamed or removed in it are on stable storage when it settles. */
  syncFolder(path: string): Promise<void>
  /** Sets the times of a file to now, so that who watches it hears of it. */
  touch(path: string): Promise<void>
  /**
   * Calls `hint` when something in a folder may have changed, with its name where the system tells it; often, late, or
   * never. Throws nothing.
   */
  watch(folder: string, hint: (name?: string) => void): () => void

  // What follows is done before it returns. For small files that nobody syncs this is two to three times as fast as
  // by a thread; the caller sees to it that others have their turn.

  /** Makes a new file, writes and closes it; fails with EEXIST where one is, and may leave a part of it. */
  createNow(path: string, bytes: Uint8Array): void
  /**
   * Opens as `open`; if `admits` says so of what was opened, writes over its content and cuts it there. It is not
   * emptied before: some systems would then write it to the disk at once.
   */
  overwriteNow(path: string, bytes: Uint8Array, admits: (status: FileStatus) => boolean): boolean
  /** Opens as `openToRead`, and reads all of it if `admits` says so of what was opened. */
  readNow(path: string, admits: (status: FileStatus) => boolean): WholeFile
  statusNow(path: string): FileStatus
  renameNow(from: string, to: string): void
  removeNow(path: string): void
  /** The names in a folder, read while they are asked for. */
  namesNow(folder: string): Iterable<string>
}

export interface WholeFile {
  readonly status: FileStatus
  /** Absent when it was not to be read. */
  readonly bytes?: Uint8Array
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
/** Names that are read from a folder with one call into the system. */
const NAMES_AT_ONCE = 1024
const PRIVATE_FILE = 0o600
const PRIVATE_FOLDER = 0o700

export const nodeFiles: Files = {
  create: async (path) =>
    new NodeFile(await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE)),
  open: async (path) => new NodeFile(await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)),
  openToRead: async (path) => new NodeFile(await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)),
  status: async (path) => statusOf(await lstat(path)),
  list: (folder) => readdir(folder),
  rename,
  remove: unlink,
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: PRIVATE_FOLDER })),
  removeFolder: rmdir,
  async syncFolder(path) {
    const handle = await open(path)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  async touch(path) {
    const now = new Date()
    await lutimes(path, now, now)
  },
  watch(folder, hint) {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => hint(name ?? undefined))
      watcher.on('error', () => watcher.close())
      return () => watcher.close()
    } catch {
      return () => {}
    }
  },
  createNow(path, bytes) {
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE)
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, done)
    } finally {
      closeSync(fd)
    }
  },
  overwriteNow(path, bytes, admits) {
    const fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    try {
      const status = statusOf(fstatSync(fd))
      if (!admits(status)) return false
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, done)
      if (status.size > bytes.length) ftruncateSync(fd, bytes.length)
      return true
    } finally {
      closeSync(fd)
    }
  },
  readNow(path, admits) {
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const status = statusOf(fstatSync(fd))
      if (!admits(status)) return { status }
      const bytes = Buffer.allocUnsafeSlow(status.size)
      let done = 0
      while (done < bytes.length) {
        const count = readSync(fd, bytes, done, bytes.length - done, done)
        if (count === 0) break
        done += count
      }
      return { status, bytes: bytes.subarray(0, done) }
    } finally {
      closeSync(fd)
    }
  },
  statusNow: (path) => statusOf(lstatSync(path)),
  renameNow: renameSync,
  removeNow: unlinkSync,
  *namesNow(path) {
    const folder = opendirSync(path, { bufferSize: NAMES_AT_ONCE })
    try {
      for (let entry = folder.readSync(); entry; entry = folder.readSync()) yield entry.name
    } finally {
      folder.closeSync()
    }
  },
}

function statusOf(stats: Stats): FileStatus {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other',
    size: stats.size,
    modifiedMs: stats.mtimeMs,
    links: stats.nlink,
    owner: stats.uid,
    identity: `${stats.dev}:${stats.ino}`,
  }
}

class NodeFile implements OpenFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done)
      done += bytesWritten
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  async status(): Promise<FileStatus> {
    return statusOf(await this.#handle.stat())
  }

  writeNow(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#handle.fd, bytes, done, bytes.length - done, position + done)
    }
  }

  readNow(into: Uint8Array, position: number): number {
    let done = 0
    while (done < into.length) {
      const count = readSync(this.#handle.fd, into, done, into.length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
