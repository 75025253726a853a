import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { processName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'
import { diskFailure } from './appendLog.ts'
import { type Files, nodeFiles } from './files.ts'
import { type Entry, FolderIndex } from './folderIndex.ts'
import { FolderLayout } from './folderLayout.ts'
import { FolderScan } from './folderScan.ts'
import { FolderSettler, type Over } from './folderSettler.ts'
import { type Found, findFile } from './foundFile.ts'
import type { Arrival } from './message.ts'
import type { MailboxLog } from './options.ts'
import { SenderJournals } from './senderJournals.ts'
import type { Body, Inbox, Settled } from './store.ts'
import { Turns } from './turns.ts'

export interface FolderInboxOptions {
  /** The mailbox's folder, `<root>/<group>`. */
  readonly folder: string
  readonly group: string
  /** Whether the receiver's journal knows a message as done or dead: it is never to be delivered again. */
  isOver(sender: string, sequence: number, id: string, redriven: number): boolean
  /** The store keeps nothing of this sender any more. */
  onSenderGone?(sender: string): void
  /** This instance's name, of a process that runs: `processName`. */
  readonly name?: string
  readonly files?: Files
  readonly clock?: Clock
  readonly nowMs?: () => number
  /** The user whose files are messages; this process's own. */
  readonly owner?: number
  readonly log?: MailboxLog
  /** An acknowledgement that nobody took away is removed after this; default 24 h. */
  readonly ackKeepMs?: number
  isRunning?(name: string): boolean | undefined
}

const UPKEEP_MS = 1_000
/** A file that is no JSON may be one that a program is writing in place, until it was left alone for so long. */
const UNFINISHED_MS = 2_000
/** One that was taken away meanwhile is forgotten then. */
const FORGET_UNFINISHED_MS = 60_000
const MAX_HELD_BYTES = 16 * 1024 * 1024
const RAW_BYTES = 64 * 1024
const ACK_KEEP_MS = 24 * 60 * 60 * 1000
const FUTURE_MS = 24 * 60 * 60 * 1000
/** Scans that one `next` waits for: one that was under way, and two for what a gap holds back. */
const SCANS = 3

/** Finds messages as files in a folder; what the folder holds is the truth, notifications only say when to look. */
export class FolderInbox implements Inbox {
  readonly #options: FolderInboxOptions
  readonly #files: Files
  readonly #clock: Clock
  readonly #nowMs: () => number
  readonly #owner: number
  readonly #layout: FolderLayout
  readonly #scan: FolderScan
  readonly #journals: SenderJournals
  readonly #settler: FolderSettler
  readonly #index = new FolderIndex()
  /** By file name: what was found and is not settled. */
  readonly #entries = new Map<string, Entry>()
  /** Files that are no JSON yet: since when they look as they do. */
  readonly #unfinished = new Map<string, { readonly mark: string; readonly since: number }>()
  readonly #hints = new Set<() => void>()
  /** What was logged, so that it is not logged again each second. */
  readonly #told = new Set<string>()
  #heldBytes = 0
  #scans = 0
  #scanBegan = Number.NEGATIVE_INFINITY
  #scanning: Promise<void> | undefined
  #upkeep: Promise<void> | undefined
  #stopTimer = () => {}
  #stopWatch = () => {}
  #closed = false

  private constructor(options: FolderInboxOptions) {
    const { files = nodeFiles, clock = systemClock, nowMs = Date.now, log = () => {}, group } = options
    const { name = processName(nonce()), isRunning, isOver, onSenderGone } = options
    this.#options = options
    this.#files = files
    this.#clock = clock
    this.#nowMs = nowMs
    this.#owner = options.owner ?? process.getuid?.() ?? 0
    this.#layout = new FolderLayout(options.folder)
    this.#scan = new FolderScan(files, this.#layout.messages, clock, nowMs)
    const ackKeepMs = options.ackKeepMs ?? ACK_KEEP_MS
    this.#settler = new FolderSettler({ files, layout: this.#layout, name, nowMs, log, ackKeepMs })
    this.#journals = new SenderJournals({
      files,
      layout: this.#layout,
      group,
      name,
      log,
      isOver: (sender, sequence, id, redriven) => isOver(sender, sequence, id, redriven),
      onSenderGone: (sender) => {
        this.#index.forget(sender)
        onSenderGone?.(sender)
      },
      ...(isRunning ? { isRunning } : {}),
    })
  }

  /**
   * For the active receiver only, its journal open. Recovers what senders that have ended left in their journals.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED
   */
  static async open(options: FolderInboxOptions): Promise<FolderInbox> {
    const inbox = new FolderInbox(options)
    try {
      await inbox.#layout.make(inbox.#files)
      await inbox.#journals.sweep()
      await inbox.#journals.pass(true)
    } catch (error) {
      throw diskFailure(options.folder, error)
    }
    return inbox
  }

  async next(max: number): Promise<readonly Arrival[]> {
    for (let scans = 0; ; scans++) {
      const taken = this.#index.take(max)
      if (taken.length > 0) {
        if (this.#clock.now() - this.#scanBegan >= UPKEEP_MS) void this.#look()
        return taken
      }
      if (this.#closed || scans === SCANS || (scans > 1 && !this.#index.isHeld)) return []
      // One that is under way may have passed the place where a file was put since.
      if (!this.#scanning && scans === 0) scans++
      await this.#look()
    }
  }

  #look(): Promise<void> {
    this.#scanning ??= this.#read().finally(() => {
      this.#scanning = undefined
    })
    return this.#scanning
  }

  async #read(): Promise<void> {
    const scan = ++this.#scans
    this.#scanBegan = this.#clock.now()
    try {
      if (!this.#scan.isUnchanged()) await this.#readFolder(scan)
      this.#index.ended(scan)
      this.#told.delete('folder')
    } catch (error) {
      this.#scan.forget()
      if (errnoOf(error) === 'ENOENT') await this.#layout.make(this.#files).catch(() => {})
      else
        this.#tell('folder', 'messages/ cannot be read; it must be a folder that this user may read', error)
    }
  }

  async #readFolder(scan: number): Promise<void> {
    const turns = new Turns()
    for (const name of this.#files.namesNow(this.#layout.messages)) {
      if (turns.over) await turns.next()
      if (this.#closed) return
      const entry = this.#entries.get(name)
      if (entry) {
        entry.seenBy = scan
        continue
      }
      if (!name.endsWith('.json') || name.startsWith('.')) continue
      const found = findFile(this.#files, this.#layout.messages, name, this.#owner)
      this.#found(name, found instanceof Promise ? await found : found, scan)
    }
    for (const [name, entry] of this.#entries) {
      if (turns.over) await turns.next()
      // Somebody took it away.
      if (entry.state === 'waiting' && entry.seenBy < scan) this.#drop(name, entry)
    }
    for (const [name, { since }] of this.#unfinished) {
      if (this.#scanBegan - since > FORGET_UNFINISHED_MS) this.#unfinished.delete(name)
    }
  }

  #found(name: string, found: Found, scan: number): void {
    if (found.kind === 'unreadable') {
      this.#scan.forget()
      return this.#tell(name, 'a file in messages/ cannot be read for now; mend its rights', found.error)
    }
    if (found.kind === 'unfinished') {
      if (!this.#isAbandoned(name, found.modifiedMs, found.size)) return this.#scan.forget()
      return this.#found(name, found.judge(), scan)
    }
    this.#unfinished.delete(name)
    if (found.kind === 'gone') return
    const { arrival, identity, body } = found
    const nowMs = this.#nowMs()
    if (arrival.sentAtMs > nowMs + FUTURE_MS) {
      const fields = { file: name, timestamp: new Date(arrival.sentAtMs).toISOString() }
      this.#options.log?.(
        'warn',
        'a message is dated more than a day ahead; it is delivered all the same',
        fields,
      )
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
  }

  /** Whether a file that is no JSON has stayed as it is for long enough, by its own time or by ours. */
  #isAbandoned(name: string, modifiedMs: number, size: number): boolean {
    const age = this.#nowMs() - modifiedMs
    if (age >= UNFINISHED_MS) return true
    const mark = `${modifiedMs} ${size}`
    const before = this.#unfinished.get(name)
    if (before?.mark === mark) return this.#clock.now() - before.since >= UNFINISHED_MS
    this.#unfinished.set(name, { mark, since: this.#clock.now() })
    return false
  }

  #drop(name: string, entry: Entry): void {
    entry.state = 'dropped'
    this.#letGo(entry)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
  }

  #letGo(entry: Entry): void {
    this.#heldBytes -= entry.body?.bytes.length ?? 0
    entry.body = undefined
  }

  body(arrival: Arrival): Body | Promise<Body> {
    return this.#entryOf(arrival)?.body ?? this.#readBody(arrival)
  }

  async #readBody(arrival: Arrival): Promise<Body> {
    const name = arrival.place
    const found = await findFile(this.#files, this.#layout.messages, name, this.#owner)
    if (found.kind === 'unreadable') throw diskFailure(join(this.#layout.messages, name), found.error)
    const now = found.kind === 'unfinished' ? found.judge() : found
    if (now.kind !== 'message' || now.identity !== this.#entryOf(arrival)?.identity) {
      // Another file by that name is another message, which the next scan finds once this one is settled.
      throw new ViaductError('NOT_FOUND', `messages/${name}: it was taken away before it was read`)
    }
    const { fault } = now.arrival
    if (fault) throw new ViaductError('DATA_LOSS', fault.message, { reason: fault.reason })
    if (!now.body || now.arrival.id !== arrival.id) {
      throw new ViaductError('DATA_LOSS', `messages/${name}: it was changed into another message`)
    }
    return now.body
  }

  async raw(arrival: Arrival): Promise<Uint8Array> {
    const path = join(this.#layout.messages, arrival.place)
    try {
      const { kind, owner, links } = this.#files.statusNow(path)
      if (kind !== 'file' || owner !== this.#owner || links !== 1) return new Uint8Array(0)
      const file = await this.#files.openToRead(path)
      try {
        const bytes = new Uint8Array(RAW_BYTES)
        return bytes.slice(0, await file.read(bytes, 0))
      } finally {
        await file.close()
      }
    } catch {
      return new Uint8Array(0)
    }
  }

  release(arrival: Arrival): void {
    const entry = this.#entryOf(arrival)
    if (entry) this.#letGo(entry)
  }

  #entryOf({ place }: Arrival): Entry | undefined {
    return this.#entries.get(place)
  }

  async settled(settled: readonly Settled[]): Promise<void> {
    const turns = new Turns()
    for (const { arrival, acknowledge } of settled) {
      if (turns.over) await turns.next()
      const entry = this.#entryOf(arrival)
      // Settled before: another file may have its name by now.
      if (entry?.arrival !== arrival) continue
      const asked = acknowledge && arrival.requiresAck
      this.#finish({ name: arrival.place, id: arrival.id, identity: entry.identity, asked })
    }
  }

  #finish(work: Over): void {
    const outcome = this.#settler.settle(work)
    const entry = this.#entries.get(work.name)
    if (entry) this.#letGo(entry)
    if (outcome === 'kept') return
    if (entry) this.#drop(work.name, entry)
    // Another file has taken the name: it is to be found.
    if (outcome === 'replaced') this.#scan.forget()
  }

  watch(hint: () => void): () => void {
    this.#hints.add(hint)
    if (this.#hints.size === 1) this.#start()
    return () => {
      this.#hints.delete(hint)
      if (this.#hints.size === 0) this.#stop()
    }
  }

  #start(): void {
    const hint = () => {
      for (const one of [...this.#hints]) one()
    }
    const tick = () => {
      this.#upkeep ??= this.#keepUp().finally(() => {
        this.#upkeep = undefined
      })
      hint()
      this.#stopTimer = this.#clock.after(UPKEEP_MS, tick)
    }
    this.#stopWatch = this.#scan.watch(hint)
    this.#stopTimer = this.#clock.after(UPKEEP_MS, tick)
  }

  #stop(): void {
    this.#stopTimer()
    this.#stopWatch()
  }

  async #keepUp(): Promise<void> {
    try {
      this.#settler.again((work) => this.#finish(work))
      if (await this.#journals.pass(false)) this.#scan.forget()
      await this.#settler.removeOldAcks(this.#clock.now())
      this.#told.delete('upkeep')
    } catch (error) {
      this.#tell('upkeep', 'the mailbox cannot be kept in order for now', error)
    }
  }

  #tell(what: string, text: string, error: unknown): void {
    if (this.#told.has(what)) return
    if (this.#told.size > 1000) this.#told.clear()
    this.#told.add(what)
    this.#options.log?.('error', text, { what, folder: this.#layout.root, error: messageOf(error) })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#hints.clear()
    this.#stop()
    await this.#scanning
    await this.#upkeep
  }
}

function nonce(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 12)
}
