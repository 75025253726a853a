import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { messageOf } from '../host/errno.ts'
import { processName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'
import { diskFailure } from './appendLog.ts'
import { type Files, nodeFiles } from './files.ts'
import { FolderFinder } from './folderFinder.ts'
import { FolderLayout } from './folderLayout.ts'
import { FolderSettler, type Over } from './folderSettler.ts'
import { findFile } from './foundFile.ts'
import { eachSecond } from './fullSecond.ts'
import type { Arrival } from './message.ts'
import type { MailboxLog } from './options.ts'
import { SenderJournals } from './senderJournals.ts'
import { SpareGiver } from './spareFiles.ts'
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

const RAW_BYTES = 64 * 1024
const ACK_KEEP_MS = 24 * 60 * 60 * 1000
/** Scans that one `next` waits for: one that was under way, and two for what a gap holds back. */
const SCANS = 3

/** The receiver's side of a folder of files: hands out what is found there, and removes what is over. */
export class FolderInbox implements Inbox {
  readonly #options: FolderInboxOptions
  readonly #files: Files
  readonly #clock: Clock
  readonly #owner: number
  readonly #layout: FolderLayout
  readonly #finder: FolderFinder
  readonly #journals: SenderJournals
  readonly #settler: FolderSettler
  readonly #spares: SpareGiver
  readonly #hints = new Set<() => void>()
  /** What was logged, so that it is not logged again each second. */
  readonly #told = new Set<string>()
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
    this.#owner = options.owner ?? process.getuid?.() ?? 0
    this.#layout = new FolderLayout(options.folder)
    this.#finder = new FolderFinder({
      files,
      folder: this.#layout.messages,
      owner: this.#owner,
      clock,
      nowMs,
      log,
      tell: (what, text, error) => this.#tell(what, text, error),
      isWell: () => this.#told.delete('folder'),
      isGone: () => this.#layout.make(files).catch(() => {}),
    })
    const ackKeepMs = options.ackKeepMs ?? ACK_KEEP_MS
    this.#spares = new SpareGiver({ files, layout: this.#layout, receiver: name, clock })
    this.#settler = new FolderSettler({
      files,
      layout: this.#layout,
      spares: this.#spares,
      name,
      nowMs,
      log,
      ackKeepMs,
    })
    this.#journals = new SenderJournals({
      files,
      layout: this.#layout,
      clock,
      nowMs,
      group,
      name,
      log,
      isOver: (sender, sequence, id, redriven) => isOver(sender, sequence, id, redriven),
      onSenderGone: (sender) => {
        this.#finder.forgetSender(sender)
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
      const taken = this.#finder.take(max)
      if (taken.length > 0) {
        if (this.#finder.isToScanBeside) void this.#finder.look()
        return taken
      }
      if (this.#closed || scans === SCANS || (scans > 1 && !this.#finder.isHeld)) return []
      if (scans === 0) {
        if (!this.#finder.isToScan) return []
        // One that is under way may have passed the place where a file was put since.
        if (!this.#finder.isScanning) scans++
      }
      await this.#finder.look()
    }
  }

  body(arrival: Arrival): Body | Promise<Body> {
    return this.#finder.entry(arrival.place)?.body ?? this.#readBody(arrival)
  }

  async #readBody(arrival: Arrival): Promise<Body> {
    const name = arrival.place
    const found = await findFile(this.#files, this.#layout.messages, name, this.#owner)
    if (found.kind === 'unreadable') throw diskFailure(join(this.#layout.messages, name), found.error)
    const now = found.kind === 'unfinished' ? found.judge() : found
    if (now.kind !== 'message' || now.identity !== this.#finder.entry(arrival.place)?.identity) {
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
    const entry = this.#finder.entry(arrival.place)
    if (entry) this.#finder.letGo(entry)
  }

  async settled(settled: readonly Settled[]): Promise<void> {
    const turns = new Turns()
    for (const { arrival, acknowledge } of settled) {
      if (turns.over) await turns.next()
      const entry = this.#finder.entry(arrival.place)
      // Settled before: another file may have its name by now.
      if (entry?.arrival !== arrival) continue
      const asked = acknowledge && arrival.requiresAck
      const { id, place: name, sender } = arrival
      this.#finish({ name, id, identity: entry.identity, asked, sender })
    }
  }

  #finish(work: Over): void {
    const outcome = this.#settler.settle(work)
    const entry = this.#finder.entry(work.name)
    if (entry) this.#finder.letGo(entry)
    if (outcome === 'replaced') this.#finder.replaced(work.name)
    else if (outcome !== 'kept') this.#finder.removed(work.name, outcome === 'removed')
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
    this.#stopWatch = this.#finder.watch(hint)
    this.#stopTimer = eachSecond(this.#clock, () => {
      this.#upkeep ??= this.#keepUp().finally(() => {
        this.#upkeep = undefined
      })
      this.#finder.expire()
      hint()
    })
  }

  #stop(): void {
    this.#stopTimer()
    this.#stopWatch()
  }

  async #keepUp(): Promise<void> {
    try {
      this.#spares.tidy(this.#clock.now())
      this.#settler.again((work) => this.#finish(work))
      if (await this.#journals.pass(false)) this.#finder.forget()
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
    await this.#finder.close()
    await this.#upkeep
    this.#spares.close()
  }
}

function nonce(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 12)
}
