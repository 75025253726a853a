/**
 * Files that are over are written again by who sent them: a name moves, where otherwise an inode is made for each
 * message and freed. Where a disk looks for inodes that were not freed lately, that takes longer than all else.
 * A receiver gives them to their sender in `.journal/tmp`, where nobody else looks; whatever goes wrong with one, it
 * is removed, and the message gets a new file.
 */
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { isProcessName } from '../host/processName.ts'
import type { FileStatus, Files } from './files.ts'
import type { FolderLayout } from './folderLayout.ts'
import { removeIfThere } from './wholeFile.ts'

/**
 * One block of a disk: after a loss of power that holds what was there or what was written, where a larger file may
 * hold parts of both.
 */
const MAX_SPARE_BYTES = 4096
/** That wait to be taken, of all senders. */
const MAX_GIVEN = 512
/** Then it is not looked for room before so many more are over. */
const PAUSE = 64
/** One that was not taken for so long goes. */
const KEEP_MS = 10_000
/** A list of so many was worth it. */
const MANY = 16
const MAX_BETWEEN = 64

export interface SpareFilesOptions {
  readonly files: Files
  readonly layout: FolderLayout
}

/** The sender's side. */
export class SpareTaker {
  readonly #options: SpareFilesOptions & { readonly sender: string; readonly owner: number }
  readonly #prefix: string
  #names: string[] = []
  /** New files since they were listed, and how many are to be made before they are listed again. */
  #made = 0
  #between = 1

  constructor(options: SpareFilesOptions & { readonly sender: string; readonly owner: number }) {
    this.#options = options
    this.#prefix = spareName(options.sender, '')
  }

  /** Makes a file of a spare one. @returns false where there is none: a new one is to be made */
  place(path: string, bytes: Uint8Array): boolean {
    if (bytes.length > MAX_SPARE_BYTES) return false
    const name = this.#names.pop() ?? this.#listed()
    if (name === undefined) return false
    const { files, layout, owner } = this.#options
    const spare = join(layout.temporary, name)
    // Through another name of it somebody else would read, or write, what is to be written.
    const admits = (status: FileStatus) =>
      status.kind === 'file' && status.links === 1 && status.owner === owner
    try {
      if (files.overwriteNow(spare, bytes, admits)) {
        files.renameNow(spare, path)
        return true
      }
    } catch {
      // It is not there any more, or what is wrong will be said of the new file.
    }
    removeIfThere(files, spare)
    return false
  }

  #listed(): string | undefined {
    if (this.#made++ < this.#between) return undefined
    this.#made = 0
    this.#names = this.#list()
    this.#between = this.#names.length >= MANY ? 1 : Math.min(this.#between * 2, MAX_BETWEEN)
    return this.#names.pop()
  }

  #list(): string[] {
    const { files, layout } = this.#options
    const names: string[] = []
    try {
      for (const name of files.namesNow(layout.temporary)) {
        if (name.startsWith(this.#prefix)) names.push(name)
        if (names.length === MAX_GIVEN) break
      }
    } catch {
      // Without the folder no file can be made, which will say so.
    }
    return names
  }

  close(): void {
    const { files, layout } = this.#options
    for (const name of this.#list()) removeIfThere(files, join(layout.temporary, name))
    this.#names = []
  }
}

/** The receiver's side. */
export class SpareGiver {
  readonly #options: SpareFilesOptions & { readonly receiver: string; readonly clock: Clock }
  /** By name, the oldest first: since when. Some of them are taken already. */
  readonly #given = new Map<string, number>()
  #count = 0
  #pause = 0

  constructor(options: SpareFilesOptions & { readonly receiver: string; readonly clock: Clock }) {
    this.#options = options
  }

  /**
   * Moves a message's file, which is over, to its sender.
   *
   * @returns false where it is to be removed
   * @throws what the system says
   */
  give(path: string, sender: string, bytes: number): boolean {
    if (sender === '' || bytes > MAX_SPARE_BYTES || !isProcessName(sender) || !this.#hasRoom()) return false
    const { files, layout, receiver, clock } = this.#options
    const name = spareName(sender, `${receiver}-${this.#count++}`)
    files.renameNow(path, join(layout.temporary, name))
    this.#given.set(name, clock.now())
    return true
  }

  #hasRoom(): boolean {
    if (this.#given.size < MAX_GIVEN) return true
    if (this.#pause-- > 0) return false
    const { files, layout } = this.#options
    const there = new Set(files.namesNow(layout.temporary))
    for (const name of this.#given.keys()) if (!there.has(name)) this.#given.delete(name)
    if (this.#given.size < MAX_GIVEN - PAUSE) return true
    this.#pause = PAUSE
    return false
  }

  /** Removes those that nobody took for long. */
  tidy(now: number): void {
    for (const [name, since] of this.#given) {
      if (now - since < KEEP_MS) return
      this.#given.delete(name)
      removeIfThere(this.#options.files, join(this.#options.layout.temporary, name))
    }
  }

  close(): void {
    this.tidy(Number.POSITIVE_INFINITY)
  }
}

/** Of the sender's process: what it leaves behind is known by its name. */
function spareName(sender: string, rest: string): string {
  return `${sender}.spare.${rest}`
}
