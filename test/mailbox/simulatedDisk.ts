/**
 * A disk that can lose power: it knows what was synced and what was not, so that every state that a crash may leave
 * can be tried. Follows POSIX: a file's content is safe after its sync, a name after the sync of its folder.
 */
import { basename, dirname, join } from 'node:path'
import type { FileStatus, Files, OpenFile, WholeFile } from '../../src/mailbox/files.ts'

type Write = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number }

let inodes = 0

class Inode {
  readonly number = ++inodes
  modifiedMs = 0
  durable: Buffer = Buffer.alloc(0)
  pending: Write[] = []

  get content(): Buffer {
    return applied(this.durable, this.pending)
  }
}

type Named = Inode | Folder
type NameChange = { readonly name: string; readonly inode: Named | undefined }

class Folder {
  readonly number = ++inodes
  modifiedMs = 0
  durable = new Map<string, Named>()
  pending: NameChange[] = []

  get names(): Map<string, Named> {
    return named(this.durable, this.pending)
  }
}

function applied(base: Buffer, writes: readonly Write[]): Buffer {
  let content = base
  for (const write of writes) {
    if ('length' in write) {
      const shorter = Buffer.alloc(write.length)
      content.copy(shorter)
      content = shorter
      continue
    }
    const longer = Buffer.alloc(Math.max(content.length, write.at + write.bytes.length))
    content.copy(longer)
    longer.set(write.bytes, write.at)
    content = longer
  }
  return content
}

function named(base: ReadonlyMap<string, Named>, changes: readonly NameChange[]): Map<string, Named> {
  const names = new Map(base)
  for (const { name, inode } of changes) {
    if (inode) names.set(name, inode)
    else names.delete(name)
  }
  return names
}

export class SimulatedDisk implements Files {
  readonly #folders = new Map<string, Folder>([['/', new Folder()]])
  /** Whether a folder that was made is lost until the folder that it is in was synced, as with any name. */
  losesFolders = false
  /** Called before each operation, with its name; may throw what the system would. */
  before: (operation: string, path: string) => void = () => {}
  /** Called after each operation: here a crash may come. */
  after: () => void = () => {}
  operations = 0
  /** What `modifiedMs`, `owner` and `links` say. */
  nowMs: () => number = () => 0
  owner = 0
  links = 1
  readonly #watchers = new Map<string, Set<() => void>>()

  async #step<T>(operation: string, path: string, act: () => T): Promise<T> {
    this.before(operation, path)
    // Others run between two operations, as they do between two system calls.
    await Promise.resolve()
    return this.#done(act)
  }

  #now<T>(operation: string, path: string, act: () => T): T {
    this.before(operation, path)
    return this.#done(act)
  }

  #done<T>(act: () => T): T {
    const result = act()
    this.operations++
    this.after()
    return result
  }

  #folder(path: string): Folder {
    const folder = this.#folders.get(path)
    if (!folder) throw errno('ENOENT', path)
    return folder
  }

  #find(path: string): Inode {
    const inode = this.#folder(dirname(path)).names.get(basename(path))
    if (!inode) throw errno('ENOENT', path)
    if (inode instanceof Folder) throw errno('EISDIR', path)
    return inode
  }

  #name(path: string, inode: Named | undefined): void {
    const folder = dirname(path)
    this.#folder(folder).pending.push({ name: basename(path), inode })
    this.#folder(folder).modifiedMs = this.nowMs()
    this.#changed(folder)
  }

  #changed(folder: string): void {
    for (const hint of this.#watchers.get(folder) ?? []) queueMicrotask(hint)
  }

  watch(folder: string, hint: () => void): () => void {
    const hints = this.#watchers.get(folder) ?? new Set()
    this.#watchers.set(folder, hints.add(hint))
    return () => void hints.delete(hint)
  }

  touch(path: string): Promise<void> {
    return this.#step('touch', path, () => {
      const touched = this.#folders.get(path) ?? this.#find(path)
      touched.modifiedMs = this.nowMs()
      this.#changed(dirname(path))
    })
  }

  status(path: string): Promise<FileStatus> {
    return this.#step('status', path, () => this.#look(path))
  }

  statusNow(path: string): FileStatus {
    return this.#now('status', path, () => this.#look(path))
  }

  #look(path: string): FileStatus {
    const folder = this.#folders.get(path)
    if (folder) return this.#statusOf('folder', folder.number, 0, folder.modifiedMs)
    const inode = this.#find(path)
    return this.#statusOf('file', inode.number, inode.content.length, inode.modifiedMs)
  }

  #statusOf(kind: FileStatus['kind'], number: number, size: number, modifiedMs: number): FileStatus {
    return { kind, size, modifiedMs, links: this.links, owner: this.owner, identity: `${number}` }
  }

  create(path: string): Promise<OpenFile> {
    return this.#step('create', path, () => this.#opened(path, this.#made(path)))
  }

  #made(path: string): Inode {
    const folder = this.#folder(dirname(path))
    if (folder.names.has(basename(path))) throw errno('EEXIST', path)
    const inode = new Inode()
    inode.modifiedMs = this.nowMs()
    this.#name(path, inode)
    return inode
  }

  createNow(path: string, bytes: Uint8Array): void {
    const inode = this.#now('create', path, () => this.#made(path))
    this.#now('write', path, () => this.#written(path, inode, bytes, 0))
  }

  overwriteNow(path: string, bytes: Uint8Array, admits: (status: FileStatus) => boolean): boolean {
    const status = this.#now('open', path, () => this.#look(path))
    if (!admits(status)) return false
    const inode = this.#find(path)
    this.#now('write', path, () => this.#written(path, inode, bytes, 0))
    if (status.size <= bytes.length) return true
    this.#now('truncate', path, () => void inode.pending.push({ length: bytes.length }))
    return true
  }

  readNow(path: string, admits: (status: FileStatus) => boolean): WholeFile {
    const status = this.#now('open', path, () => this.#look(path))
    if (!admits(status)) return { status }
    return this.#now('read', path, () => ({ status, bytes: Uint8Array.from(this.#find(path).content) }))
  }

  openToRead(path: string): Promise<OpenFile> {
    return this.open(path)
  }

  open(path: string): Promise<OpenFile> {
    return this.#step('open', path, () => this.#opened(path, this.#find(path)))
  }

  #opened(path: string, inode: Inode): OpenFile {
    const written = (bytes: Uint8Array, at: number): void => this.#written(path, inode, bytes, at)
    return {
      write: (bytes, at) => this.#step('write', path, () => written(bytes, at)),
      writeNow: (bytes, at) => this.#now('write', path, () => written(bytes, at)),
      read: (into, position) => this.#step('read', path, () => inode.content.copy(into, 0, position)),
      readNow: (into, position) => this.#now('read', path, () => inode.content.copy(into, 0, position)),
      sync: () =>
        this.#step('sync', path, () => {
          inode.durable = inode.content
          inode.pending = []
        }),
      truncate: (length) => this.#step('truncate', path, () => void inode.pending.push({ length })),
      status: () =>
        this.#step('status', path, () =>
          this.#statusOf('file', inode.number, inode.content.length, inode.modifiedMs),
        ),
      close: () => this.#step('close', path, () => {}),
    }
  }

  #written(path: string, inode: Inode, bytes: Uint8Array, at: number): void {
    inode.pending.push({ at, bytes: Uint8Array.from(bytes) })
    inode.modifiedMs = this.nowMs()
    this.#changed(dirname(path))
  }

  *namesNow(folder: string): Iterable<string> {
    yield* this.#now('list', folder, () => [...this.#folder(folder).names.keys()])
  }

  list(folder: string): Promise<string[]> {
    return this.#step('list', folder, () => [...this.#folder(folder).names.keys()])
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step('rename', from, () => this.#renamed(from, to))
  }

  renameNow(from: string, to: string): void {
    this.#now('rename', from, () => this.#renamed(from, to))
  }

  #renamed(from: string, to: string): void {
    const inode = this.#find(from)
    this.#folder(dirname(to))
    this.#name(to, inode)
    this.#name(from, undefined)
  }

  remove(path: string): Promise<void> {
    return this.#step('remove', path, () => this.#removed(path))
  }

  removeNow(path: string): void {
    this.#now('remove', path, () => this.#removed(path))
  }

  #removed(path: string): void {
    this.#find(path)
    this.#name(path, undefined)
  }

  makeFolder(path: string): Promise<void> {
    return this.#step('makeFolder', path, () => this.#makeFolders(path))
  }

  #makeFolders(path: string): void {
    if (this.#folders.has(path)) return
    this.#makeFolders(dirname(path))
    const folder = new Folder()
    this.#folders.set(path, folder)
    this.#name(path, folder)
  }

  removeFolder(path: string): Promise<void> {
    return this.#step('removeFolder', path, () => {
      if (this.#folder(path).names.size > 0) throw errno('ENOTEMPTY', path)
      this.#folders.delete(path)
      this.#name(path, undefined)
    })
  }

  syncFolder(path: string): Promise<void> {
    return this.#step('syncFolder', path, () => {
      const folder = this.#folder(path)
      folder.durable = folder.names
      folder.pending = []
    })
  }

  /**
   * Every disk that may be found after power was lost now: of each file the writes that were not synced are there up
   * to one of them, that one whole, cut in its middle, or only its length; of each folder the changes up to one of
   * them. Each varies by itself while the others lost all or nothing. `isChosen` leaves out some, but never that all or
   * nothing was lost.
   */
  *crashes(isChosen: () => boolean = () => true): Generator<SimulatedDisk> {
    const folders = new Set(this.#folders.values())
    const inodes = new Set([...folders].flatMap((folder) => [...folder.names.values()]))
    for (const rest of ['lost', 'kept'] as const) {
      yield this.#crashed(rest, new Map(), new Map())
      for (const inode of inodes) {
        if (inode instanceof Folder) continue
        for (const content of contents(inode)) {
          if (isChosen()) yield this.#crashed(rest, new Map([[inode, content]]), new Map())
        }
      }
      for (const folder of folders) {
        for (let kept = 0; kept <= folder.pending.length; kept++) {
          if (!isChosen()) continue
          const names = named(folder.durable, folder.pending.slice(0, kept))
          yield this.#crashed(rest, new Map(), new Map([[folder, names]]))
        }
      }
    }
  }

  #crashed(
    rest: 'lost' | 'kept',
    contentOf: ReadonlyMap<Inode, Buffer>,
    namesOf: ReadonlyMap<Folder, ReadonlyMap<string, Named>>,
  ): SimulatedDisk {
    const disk = new SimulatedDisk()
    disk.losesFolders = this.losesFolders
    const copies = new Map<Inode, Inode>()
    const copy = (inode: Inode): Inode => {
      let copied = copies.get(inode)
      if (!copied) {
        copied = new Inode()
        copied.durable = contentOf.get(inode) ?? (rest === 'kept' ? inode.content : inode.durable)
        copies.set(inode, copied)
      }
      return copied
    }
    const copyFolder = (path: string, folder: Folder): Folder => {
      const made = new Folder()
      disk.#folders.set(path, made)
      const names = new Map(namesOf.get(folder) ?? (rest === 'kept' ? folder.names : folder.durable))
      if (!this.losesFolders) {
        for (const [name, inode] of names) if (inode instanceof Folder) names.delete(name)
        for (const [name, inode] of folder.names) if (inode instanceof Folder) names.set(name, inode)
      }
      for (const [name, inode] of names) {
        made.durable.set(name, inode instanceof Folder ? copyFolder(join(path, name), inode) : copy(inode))
      }
      return made
    }
    copyFolder('/', this.#folder('/'))
    return disk
  }
}

function* contents(inode: Inode): Generator<Buffer> {
  for (let kept = 0; kept < inode.pending.length; kept++) {
    const before = applied(inode.durable, inode.pending.slice(0, kept))
    yield before
    const next = inode.pending[kept]
    if (next === undefined || 'length' in next) continue
    const half = next.bytes.subarray(0, next.bytes.length >> 1)
    yield applied(before, [{ at: next.at, bytes: half }])
    // The length came, and only the head of the content.
    yield applied(before, [
      { at: next.at, bytes: new Uint8Array(next.bytes.length) },
      { at: next.at, bytes: half },
    ])
    yield applied(before, [{ at: next.at, bytes: new Uint8Array(next.bytes.length) }])
    // The tail came and the head did not.
    yield applied(before, [{ at: next.at + half.length, bytes: next.bytes.subarray(half.length) }])
  }
  yield inode.content
}

export function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
