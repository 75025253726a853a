/** The folder `errors/` and its files: each is written whole or not at all, and read as if anybody had made it. */
import { dirname, join } from 'node:path'
import { errnoOf, messageOf } from '../host/errno.ts'
import { diskFailure } from './appendLog.ts'
import {
  faulty,
  type Letter,
  type LetterName,
  MAX_LETTER_BYTES,
  readLetter,
  readLetterName,
} from './deadLetterFile.ts'
import type { Files, OpenFile } from './files.ts'
import { replaceFile } from './wholeFile.ts'

export class DeadLetterFolder {
  readonly path: string
  readonly #files: Files
  readonly #tmp: string

  constructor(files: Files, mailbox: string) {
    this.#files = files
    this.path = join(mailbox, 'errors')
    this.#tmp = join(mailbox, '.journal', 'tmp')
  }

  async make(): Promise<void> {
    await this.#files.makeFolder(this.path)
    // Letters that are synced in it are nowhere where its own name is lost.
    await this.#files.syncFolder(dirname(this.path))
    await this.#files.makeFolder(this.#tmp)
  }

  /** Settles when names that were made or removed are on stable storage. */
  sync(): Promise<void> {
    return this.#files.syncFolder(this.path)
  }

  /** Letters of these ids, or of all, that died until then; the newest first. */
  async names(ids?: readonly string[], before = Number.POSITIVE_INFINITY): Promise<LetterName[]> {
    const wanted = ids && new Set(ids)
    const files = await this.#files.list(this.path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw diskFailure(this.path, error)
    })
    const names: LetterName[] = []
    for (const file of files) {
      const name = readLetterName(file)
      if (name && name.failedAtMs <= before && wanted?.has(name.id) !== false) names.push(name)
    }
    return names.sort((one, other) => other.failedAtMs - one.failedAtMs || (one.file < other.file ? 1 : -1))
  }

  /** Undefined when it is not there any more. */
  async read(name: LetterName): Promise<Letter | undefined> {
    let file: OpenFile
    try {
      file = await this.#files.openToRead(join(this.path, name.file))
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT') return undefined
      const reason = errno === 'ELOOP' || errno === 'ENXIO' ? 'NOT_A_FILE' : 'DISK_FAILED'
      return faulty(name, 0, {
        reason,
        message: `the dead letter itself cannot be read: ${messageOf(error)}`,
      })
    }
    try {
      const { kind, links, size } = await file.status()
      if (kind !== 'file' || links !== 1) {
        return faulty(name, size, {
          reason: 'NOT_A_FILE',
          message: 'the dead letter itself is no plain file',
        })
      }
      if (size > MAX_LETTER_BYTES) {
        return faulty(name, size, {
          reason: 'TOO_LARGE',
          message: `the dead letter itself has ${size} bytes: ${MAX_LETTER_BYTES} are read at most`,
        })
      }
      const bytes = Buffer.alloc(size)
      return readLetter(name, bytes.subarray(0, await file.read(bytes, 0)))
    } catch (error) {
      return faulty(name, 0, {
        reason: 'DISK_FAILED',
        message: `the dead letter itself cannot be read: ${messageOf(error)}`,
      })
    } finally {
      await file.close()
    }
  }

  /** Settles when it is on stable storage under its name. One at a time for an id. */
  async write({ id, file }: LetterName, bytes: Uint8Array): Promise<void> {
    // One name for one id, so that what a crash leaves there is written over and never piles up.
    await replaceFile(this.#files, join(this.#tmp, `dead-${id}`), join(this.path, file), bytes, 'synced')
    await this.sync()
  }

  /** One that is not there is removed already. */
  async remove({ file }: LetterName): Promise<void> {
    try {
      await this.#files.remove(join(this.path, file))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
}
