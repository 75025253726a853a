import { type Clock, systemClock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { processName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'
import { MAX_DEPTH, MAX_KEYS } from '../wire/limits.ts'
import { AckWatch } from './ackWatch.ts'
import { AppendLog, type Durability, diskFailure } from './appendLog.ts'
import { Fifo } from './fifo.ts'
import { type Files, nodeFiles } from './files.ts'
import { FolderLayout } from './folderLayout.ts'
import { FolderUsage } from './folderUsage.ts'
import { FolderWriter, type Job } from './folderWriter.ts'
import type { Outgoing } from './message.ts'
import { isMessageId, MAX_FILE_BYTES, writeMessageFile } from './messageFile.ts'
import { encodeMessage, MAX_MESSAGE_RECORD_BYTES } from './messageRecord.ts'
import type { MailboxLog } from './options.ts'
import { SpareTaker } from './spareFiles.ts'
import type { Outbox, Usage } from './store.ts'

export interface FolderOutboxOptions {
  /** The mailbox's folder, `<root>/<group>`. */
  readonly folder: string
  readonly group: string
  readonly durability?: Durability
  /** This instance's name, of a process that runs: `processName`. */
  readonly sender?: string
  readonly files?: Files
  readonly clock?: Clock
  readonly nowMs?: () => number
  /** The user whose acknowledgements count. */
  readonly owner?: number
  readonly log?: MailboxLog
  /** A file of the journal is begun anew beyond this; default 8 MiB. */
  readonly segmentBytes?: number
}

/** Messages that wait until their files are made hold this much; more of them wait at the entrance. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** What is kept so that a message that wants an acknowledgement can be written again. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024
const SEGMENT_BYTES = 8 * 1024 * 1024
const OVERHEAD_BYTES = 512

interface Waiting {
  readonly message: Outgoing
  readonly bytes: Buffer
  readonly sequence: number
  resolve(): void
  reject(error: unknown): void
}

/** Sends messages as files; durable by a journal of its own, from which the receiver recovers what a crash took. */
export class FolderOutbox implements Outbox {
  readonly sender: string
  readonly #group: string
  readonly #files: Files
  readonly #layout: FolderLayout
  readonly #writer: FolderWriter
  readonly #spares: SpareTaker
  readonly #journal: AppendLog | undefined
  readonly #acks: AckWatch
  readonly #usage: FolderUsage
  /** Files of messages that wait for an acknowledgement, the oldest first. */
  readonly #kept = new Map<string, Uint8Array>()
  #keptBytes = 0
  /** Those that there is no room for yet. */
  readonly #entrance = new Fifo<Waiting>()
  #waitingBytes = 0
  #sequence = 0
  #closed = false

  private constructor(
    options: FolderOutboxOptions,
    layout: FolderLayout,
    journal: AppendLog | undefined,
    sender: string,
  ) {
    const { files = nodeFiles, clock = systemClock, nowMs = Date.now, log = () => {} } = options
    this.sender = sender
    this.#group = options.group
    this.#files = files
    this.#layout = layout
    this.#journal = journal
    const owner = options.owner ?? process.getuid?.() ?? 0
    this.#spares = new SpareTaker({ files, layout, sender, owner })
    this.#writer = new FolderWriter({
      files,
      layout,
      spares: this.#spares,
      owner: sender,
      clock,
      log,
      onFailure: () => this.#admit(),
    })
    this.#acks = new AckWatch({ files, layout, clock, nowMs, log, owner })
    this.#usage = new FolderUsage(files, layout.messages, clock)
  }

  /** @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED */
  static async open(options: FolderOutboxOptions): Promise<FolderOutbox> {
    const { files = nodeFiles, durability = 'power-loss', sender = processName(nonce()) } = options
    const layout = new FolderLayout(options.folder)
    try {
      await layout.make(files)
      if (durability === 'process-crash') return new FolderOutbox(options, layout, undefined, sender)
      const journal = await AppendLog.open({
        files,
        folder: layout.sender(sender),
        durability,
        segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
        maxPayloadBytes: MAX_MESSAGE_RECORD_BYTES,
      })
      // The journal's folder must be found again: so must those that it is in.
      await layout.sync(files)
      return new FolderOutbox(options, layout, journal, sender)
    } catch (error) {
      throw diskFailure(options.folder, error)
    }
  }

  store(message: Outgoing): Promise<void> {
    try {
      const bytes = this.#checked(message)
      return new Promise((resolve, reject) => {
        this.#entrance.push({ message, bytes, sequence: ++this.#sequence, resolve, reject })
        this.#admit()
      })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #checked(message: Outgoing): Buffer {
    if (this.#closed) throw refused('UNAVAILABLE', 'CLOSED', `${this.#layout.root}: the mailbox is closed`)
    if (!isMessageId(message.id)) {
      const text = `id: it names a file: 1 to 128 of A-Z a-z 0-9 . _ - and no dot first`
      throw new ViaductError('INVALID_ARGUMENT', text, { path: 'id', fate: 'not-sent' })
    }
    const bytes = writeMessageFile(message, this.#group, this.sender, this.#sequence + 1)
    if (!bytes) {
      const text = `payload: it is nested deeper than ${MAX_DEPTH}, or has more than ${MAX_KEYS} keys and items`
      throw new ViaductError('INVALID_ARGUMENT', text, {
        reason: 'UNSENDABLE',
        path: 'payload',
        fate: 'not-sent',
      })
    }
    if (bytes.length > MAX_FILE_BYTES) {
      const text = `payload: the message's file has ${bytes.length} bytes and may have ${MAX_FILE_BYTES}`
      throw refused('INVALID_ARGUMENT', 'MESSAGE_TOO_LARGE', text)
    }
    return bytes
  }

  /** Lets in what there is room for, in order. */
  #admit(): void {
    while (this.#waitingBytes <= MAX_WAITING_BYTES) {
      const waiting = this.#entrance.shift()
      if (!waiting) return
      this.#waitingBytes += sizeOf(waiting)
      if (this.#journal) this.#journalled(this.#journal, waiting)
      else this.#write(waiting, waiting.resolve, waiting.reject)
    }
    if (this.#entrance.size > 0 && this.#writer.stuckBy !== undefined) this.#refuseAll()
  }

  #journalled(journal: AppendLog, waiting: Waiting): void {
    journal.append(encodeMessage(waiting.message, waiting.sequence)).then(
      () => {
        waiting.resolve()
        this.#write(waiting, () => {})
      },
      (error: unknown) => {
        this.#waitingBytes -= sizeOf(waiting)
        waiting.reject(error)
        this.#admit()
      },
    )
  }

  #write(waiting: Waiting, resolve: () => void, reject?: (error: unknown) => void): void {
    const { message, bytes, sequence } = waiting
    const size = sizeOf(waiting)
    const job: Job = {
      id: message.id,
      sequence,
      bytes: () => bytes,
      made: () => {
        this.#waitingBytes -= size
        this.#usage.added(bytes.length)
        if (message.requiresAck) this.#keep(message.id, bytes)
        resolve()
        this.#admit()
      },
    }
    if (!reject) return this.#writer.add(job)
    const failedOnce = (error: unknown) => {
      this.#waitingBytes -= size
      reject(diskFailure(this.#layout.messages, error))
      this.#admit()
    }
    this.#writer.add({ ...job, failed: failedOnce })
  }

  /** Files cannot be made, and as much waits as may wait. */
  #refuseAll(): void {
    const why = messageOf(this.#writer.stuckBy)
    const text = `${this.#layout.messages}: too many messages wait for their files, which cannot be made: ${why}`
    this.#rejectAll(() => refused('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', text))
  }

  #rejectAll(error: () => ViaductError): void {
    for (let waiting = this.#entrance.shift(); waiting; waiting = this.#entrance.shift())
      waiting.reject(error())
  }

  #keep(id: string, bytes: Uint8Array): void {
    this.#forget(id)
    this.#kept.set(id, bytes)
    this.#keptBytes += bytes.length
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= MAX_KEPT_BYTES) break
      this.#forget(oldest)
    }
  }

  #forget(id: string): void {
    this.#keptBytes -= this.#kept.get(id)?.length ?? 0
    this.#kept.delete(id)
  }

  async announce(id: string): Promise<void> {
    if (!isMessageId(id)) return
    const { messages } = this.#layout
    try {
      await this.#files.touch(this.#layout.message(id))
      // A folder in which nothing changed is not read again.
      await this.#files.touch(messages)
    } catch (error) {
      const bytes = this.#kept.get(id)
      if (errnoOf(error) !== 'ENOENT') throw diskFailure(messages, error)
      if (bytes === undefined || this.#closed) return
      await new Promise<void>((resolve, reject) => {
        const failedOnce = (cause: unknown) => reject(diskFailure(messages, cause))
        // Its name is not one of those that a sequence has.
        this.#writer.add({ id, sequence: 0, bytes: () => bytes, made: resolve, failed: failedOnce })
      })
    }
  }

  usage(): Promise<Usage> {
    return this.#usage.read()
  }

  onAcknowledged(tell: (id: string) => void): () => void {
    return this.#acks.listen((id) => {
      const own = this.#kept.has(id)
      this.#forget(id)
      tell(id)
      return own
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#acks.close()
    await this.#journal?.close()
    await this.#writer.close()
    this.#spares.close()
    const text = `${this.#layout.root}: the mailbox was closed`
    this.#rejectAll(() => refused('UNAVAILABLE', 'CLOSED', text))
  }
}

function sizeOf({ bytes }: Waiting): number {
  return bytes.length + OVERHEAD_BYTES
}

function refused(
  code: 'UNAVAILABLE' | 'INVALID_ARGUMENT' | 'RESOURCE_EXHAUSTED',
  reason: string,
  text: string,
) {
  return new ViaductError(code, text, { reason, fate: 'not-sent' })
}

function nonce(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 12)
}
