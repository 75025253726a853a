import type { Clock } from '../core/clock.ts'
import { errnoOf } from '../host/errno.ts'
import type { Files } from './files.ts'
import { type Entry, FolderIndex } from './folderIndex.ts'
import { FolderScan } from './folderScan.ts'
import { type Found, findFile } from './foundFile.ts'
import type { Arrival } from './message.ts'
import { NamedFiles } from './namedFiles.ts'
import type { MailboxLog } from './options.ts'
import { Turns } from './turns.ts'
import { UnfinishedFiles } from './unfinishedFiles.ts'

export interface FolderFinderOptions {
  readonly files: Files
  /** `messages/`. */
  readonly folder: string
  readonly owner: number
  readonly clock: Clock
  readonly nowMs: () => number
  readonly log: MailboxLog
  /** Told of what cannot be read for now; undefined when the folder could be read. */
  tell(what: string, text: string, error: unknown): void
  /** The folder was read; it is well. */
  isWell(): void
  /** The folder is not there. */
  isGone(): Promise<void>
}

const MAX_HELD_BYTES = 16 * 1024 * 1024
const FUTURE_MS = 24 * 60 * 60 * 1000
/** So often the folder is read though notifications name each file: some may get lost. */
const SCAN_MS = 1_000
/** While there is enough to do reading it takes no more than one part in so many of the time. */
const SHARE = 10
/**
 * Finds the files of `messages/`. What the folder holds is the truth, and reading it takes time for each file that
 * waits there; so what a notification names is looked at by itself, and the folder is read once a second, or when
 * names were lost.
 */
export class FolderFinder {
  readonly #options: FolderFinderOptions
  readonly #scan: FolderScan
  readonly #index = new FolderIndex()
  /** By file name: what was found and is not settled. */
  readonly #entries = new Map<string, Entry>()
  readonly #unfinished: UnfinishedFiles
  readonly #named = new NamedFiles()
  #isDue = true
  /** A large file that a notification named; those after it wait. */
  #late: Promise<void> | undefined
  #hint: () => void = () => {}
  #heldBytes = 0
  #scans = 0
  #scanBegan = Number.NEGATIVE_INFINITY
  #scanMs = 0
  #scanning: Promise<void> | undefined
  #closed = false

  constructor(options: FolderFinderOptions) {
    const { files, folder, clock, nowMs } = options
    this.#options = options
    this.#unfinished = new UnfinishedFiles(clock, nowMs)
    this.#scan = new FolderScan(files, folder, clock, nowMs)
  }

  /** What was found and not taken before, in order; without a look at the folder. */
  take(max: number): Arrival[] {
    const taken = this.#index.take(max)
    if (taken.length > 0 || !this.#readNamed(max)) return taken
    return this.#index.take(max)
  }

  get isScanning(): boolean {
    return this.#scanning !== undefined
  }

  /** Whether something waits for nothing but another scan. */
  get isHeld(): boolean {
    return this.#index.isHeld
  }

  /** Whether the folder is to be read now that there is nothing to take. */
  get isToScan(): boolean {
    return !this.#named.hears || this.#isDue || this.isHeld || this.#sinceScanMs >= SCAN_MS
  }

  /** The same while there is enough to do. */
  get isToScanBeside(): boolean {
    return this.#sinceScanMs >= Math.max(SCAN_MS, this.#scanMs * SHARE)
  }

  get #sinceScanMs(): number {
    return this.#options.clock.now() - this.#scanBegan
  }

  entry(name: string): Entry | undefined {
    return this.#entries.get(name)
  }

  /** Reads the folder. */
  look(): Promise<void> {
    this.#scanning ??= this.#read().finally(() => {
      this.#scanning = undefined
    })
    return this.#scanning
  }

  /** Notifications may have got lost. */
  expire(): void {
    this.#isDue = true
  }

  /** The next look reads the folder, whatever its time says. */
  forget(): void {
    this.#isDue = true
    this.#scan.forget()
  }

  forgetSender(sender: string): void {
    this.#index.forget(sender)
  }

  /** It is over, and its file is not there any more. @param byUs a notification will name it */
  removed(name: string, byUs: boolean): void {
    const entry = this.#entries.get(name)
    if (entry) this.#drop(name, entry)
    if (byUs) this.#named.removed(name)
  }

  /** Another file has the name of one that is over. */
  replaced(name: string): void {
    this.removed(name, false)
    this.#name(name)
    this.#scan.forget()
  }

  /** Calls `hint` when something may have come. */
  watch(hint: () => void): () => void {
    this.#hint = hint
    const stop = this.#scan.watch((name) => {
      // What happens to the folder itself bears its own name.
      if (name === undefined || !isMessageName(name)) this.#isDue = true
      else {
        if (!this.#named.heard(name) || this.#entries.has(name)) return
        this.#name(name)
      }
      hint()
    })
    return () => {
      this.#hint = () => {}
      this.#named.stop()
      stop()
    }
  }

  letGo(entry: Entry): void {
    this.#heldBytes -= entry.body?.bytes.length ?? 0
    entry.body = undefined
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#scanning
    await this.#late
  }

  #name(name: string): void {
    if (!this.#named.add(name)) this.#isDue = true
  }

  /** @returns whether something was found */
  #readNamed(max: number): boolean {
    if (this.#late || this.#named.isEmpty) return false
    const turns = new Turns()
    let found = 0
    while (found < max && !turns.over) {
      const name = this.#named.take()
      if (name === undefined) break
      if (this.#entries.has(name)) continue
      const what = findFile(this.#options.files, this.#options.folder, name, this.#options.owner)
      if (what instanceof Promise) {
        this.#late = this.#await(name, what)
        break
      }
      if (this.#found(name, what, this.#scans)) found++
    }
    return found > 0
  }

  async #await(name: string, reading: Promise<Found>): Promise<void> {
    const found = await reading
    this.#late = undefined
    this.#found(name, found, this.#scans)
    this.#hint()
  }

  async #read(): Promise<void> {
    const { clock, tell, isWell, isGone } = this.#options
    const scan = ++this.#scans
    this.#scanBegan = clock.now()
    this.#isDue = false
    try {
      if (!this.#scan.isUnchanged()) await this.#readFolder(scan)
      this.#index.ended(scan)
      isWell()
    } catch (error) {
      this.forget()
      if (errnoOf(error) === 'ENOENT') await isGone()
      else tell('folder', 'messages/ cannot be read; it must be a folder that this user may read', error)
    }
    this.#scanMs = clock.now() - this.#scanBegan
  }

  async #readFolder(scan: number): Promise<void> {
    const { files, folder, owner } = this.#options
    const turns = new Turns()
    for (const name of files.namesNow(folder)) {
      if (turns.over) await turns.next()
      if (this.#closed) return
      const entry = this.#entries.get(name)
      if (entry) {
        entry.seenBy = scan
        continue
      }
      if (!isMessageName(name)) continue
      const found = findFile(files, folder, name, owner)
      this.#found(name, found instanceof Promise ? await found : found, scan)
    }
    for (const [name, entry] of this.#entries) {
      if (turns.over) await turns.next()
      // Somebody took it away.
      if (entry.state === 'waiting' && entry.seenBy < scan) this.#drop(name, entry)
    }
    this.#unfinished.tidy()
  }

  /** @returns whether it is something to take */
  #found(name: string, found: Found, scan: number): boolean {
    if (found.kind === 'unreadable') {
      this.#scan.forget()
      this.#options.tell(name, 'a file in messages/ cannot be read for now; mend its rights', found.error)
      return false
    }
    if (found.kind === 'unfinished') {
      if (this.#unfinished.isAbandoned(name, found.modifiedMs, found.size))
        return this.#found(name, found.judge(), scan)
      this.#scan.forget()
      return false
    }
    this.#unfinished.forget(name)
    if (found.kind === 'gone') return false
    // While a thread read it, a notification may have named it.
    if (this.#entries.has(name)) return false
    const { arrival, identity, body } = found
    const nowMs = this.#options.nowMs()
    if (arrival.sentAtMs > nowMs + FUTURE_MS) {
      const fields = { file: name, timestamp: new Date(arrival.sentAtMs).toISOString() }
      const text = 'a message is dated more than a day ahead; it is delivered all the same'
      this.#options.log('warn', text, fields)
    }
    const size = body?.bytes.length ?? 0
    const isKept = this.#heldBytes + size <= MAX_HELD_BYTES
    if (isKept) this.#heldBytes += size
    const entry: Entry = {
      arrival,
      identity,
      foundBy: scan,
      orderMs: Math.min(arrival.sentAtMs, nowMs),
      seenBy: scan,
      body: isKept ? body : undefined,
      state: 'waiting',
    }
    this.#entries.set(name, entry)
    this.#index.add(entry)
    return true
  }

  #drop(name: string, entry: Entry): void {
    entry.state = 'dropped'
    this.letGo(entry)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
  }
}

function isMessageName(name: string): boolean {
  return name.endsWith('.json') && !name.startsWith('.')
}
