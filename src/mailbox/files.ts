import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'

/** An open file; whoever opened it closes it. */
export interface OpenFile {
  /** Writes all of it at a position. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Reads until `into` is full or the file ends; tells how many bytes came. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Content and length are on stable storage when it settles. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/**
 * What durability rests on, as few operations as it takes: a test records them to try every state that a crash may
 * leave behind, or makes each of them fail.
 */
export interface Files {
  /** A new file; fails with EEXIST where one is. */
  create(path: string): Promise<OpenFile>
  /** One that is there, to read and write; never through a symbolic link. */
  open(path: string): Promise<OpenFile>
  list(folder: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
  /** Names that were made, renamed or removed in it are on stable storage when it settles. */
  syncFolder(path: string): Promise<void>
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants
const PRIVATE_FILE = 0o600
const PRIVATE_FOLDER = 0o700

export const nodeFiles: Files = {
  create: async (path) =>
    new NodeFile(await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE)),
  open: async (path) => new NodeFile(await open(path, O_RDWR | O_NOFOLLOW)),
  list: (folder) => readdir(folder),
  rename,
  remove: unlink,
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: PRIVATE_FOLDER })),
  async syncFolder(path) {
    const handle = await open(path)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
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

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
