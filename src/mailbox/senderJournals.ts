import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { isNamedProcessRunning, isProcessName } from '../host/processName.ts'
import { AppendLog } from './appendLog.ts'
import type { Files } from './files.ts'
import { type FolderLayout, ownerOf } from './folderLayout.ts'
import { FolderScan } from './folderScan.ts'
import { isFault, readMessageFile, writeMessageFile } from './messageFile.ts'
import { decodeMessage, MAX_MESSAGE_RECORD_BYTES, type StoredMessage } from './messageRecord.ts'
import type { MailboxLog } from './options.ts'
import { Turns } from './turns.ts'
import { placeFile, readWhole, removeIfThere } from './wholeFile.ts'

export interface SenderJournalsOptions {
  readonly files: Files
  readonly layout: FolderLayout
  readonly clock: Clock
  readonly nowMs: () => number
  readonly group: string
  /** The receiving instance's own name, of a process that runs. */
  readonly name: string
  readonly log: MailboxLog
  /** Whether the receiver's journal knows a message as done or dead: it is never to be delivered again. */
  isOver(sender: string, sequence: number, id: string, redriven: number): boolean
  /** The store keeps nothing of this sender any more. */
  onSenderGone(sender: string): void
  isRunning?(name: string): boolean | undefined
}

/** How far a sender's journal is known to be over. */
interface Progress {
  /** Every message of it that was not over has its file: done once, when its process had ended. */
  recovered: boolean
  /** The messages of the oldest segment that are not over, the last first; undefined until it is read. */
  open:
    | { readonly segment: number; readonly messages: { sequence: number; id: string; redriven: number }[] }
    | undefined
}

/** Senders that are looked at in one pass. */
const SENDERS_AT_ONCE = 32

/**
 * The journals of senders, as the receiver sees them. Of one whose process has ended every message that is not over
 * gets its file anew: the sender cannot make it any more, and what a loss of power left of it may be torn. A journal
 * goes when all in it is over; a segment of it too, but for the one that a living sender writes.
 */
export class SenderJournals {
  readonly #options: SenderJournalsOptions
  readonly #progress = new Map<string, Progress>()
  /** When the folder of a journal with one segment at most was last changed. */
  readonly #single = new Map<string, number>()
  readonly #scan: FolderScan
  #names: string[] = []
  #next = 0
  #files = 0

  constructor(options: SenderJournalsOptions) {
    const { files, layout, clock, nowMs } = options
    this.#options = options
    this.#scan = new FolderScan(files, layout.senders, clock, nowMs)
  }

  /** Removes what dead processes left half written. */
  async sweep(): Promise<void> {
    const { files, layout } = this.#options
    for (const name of await files.list(layout.temporary)) {
      const owner = ownerOf(name)
      if (isProcessName(owner) && this.#hasEnded(owner)) removeIfThere(files, join(layout.temporary, name))
    }
  }

  /** @param all every sender, not only some of them in turn. @returns whether files were made */
  async pass(all: boolean): Promise<boolean> {
    const { files, layout, log } = this.#options
    // Listing costs more than all else here, once there is nothing to do.
    if (all || !this.#scan.isUnchanged())
      this.#names = [...files.namesNow(layout.senders)].filter(isProcessName)
    const names = this.#names
    for (const known of [this.#progress, this.#single])
      for (const name of known.keys()) if (!names.includes(name)) known.delete(name)
    const count = all ? names.length : Math.min(names.length, SENDERS_AT_ONCE)
    let made = false
    for (let index = 0; index < count; index++) {
      const name = names[(this.#next + index) % names.length]
      if (name === undefined) break
      try {
        if (await this.#look(name)) made = true
      } catch (error) {
        log('error', 'the journal of a sender cannot be recovered for now', {
          sender: name,
          error: messageOf(error),
        })
      }
    }
    this.#next += count
    return made
  }

  async #look(name: string): Promise<boolean> {
    const { files, layout } = this.#options
    const hasEnded = this.#hasEnded(name)
    // Nothing is over yet of one that lives and writes its first segment.
    const { modifiedMs } = files.statusNow(layout.sender(name))
    if (!hasEnded && this.#single.get(name) === modifiedMs) return false
    const progress = this.#progress.get(name) ?? { recovered: false, open: undefined }
    this.#progress.set(name, progress)
    const journal = await AppendLog.open({
      files,
      folder: layout.sender(name),
      durability: 'process-crash',
      maxPayloadBytes: MAX_MESSAGE_RECORD_BYTES,
    })
    if (journal.segments.length <= 1) this.#single.set(name, modifiedMs)
    else this.#single.delete(name)
    let made = false
    if (hasEnded && !progress.recovered) {
      made = await this.#recover(name, journal)
      progress.recovered = true
    }
    await this.#forget(name, journal, progress, hasEnded)
    return made
  }

  #hasEnded(name: string): boolean {
    return (this.#options.isRunning ?? isNamedProcessRunning)(name) === false
  }

  async #recover(name: string, journal: AppendLog): Promise<boolean> {
    const { isOver, log } = this.#options
    const turns = new Turns()
    let count = 0
    for (const segment of journal.segments) {
      for (const message of await this.#messages(name, journal, segment)) {
        if (turns.over) await turns.next()
        if (isOver(name, message.sequence, message.id, message.redriven))
          await this.#removeRemains(name, message)
        else if (await this.#restore(name, message)) count++
      }
    }
    if (count > 0) log('info', 'messages of a sender that has ended were recovered', { sender: name, count })
    return count > 0
  }

  /** @returns whether its file was not there as it should be */
  async #restore(name: string, message: StoredMessage): Promise<boolean> {
    const { files, layout, group, name: own } = this.#options
    const bytes = writeMessageFile(message, group, name, message.sequence)
    if (!bytes) return false
    const path = layout.message(message.id)
    try {
      const found = await readWhole(files, path, ({ kind, size }) => kind === 'file' && size === bytes.length)
      if (found.bytes && bytes.equals(found.bytes)) return false
    } catch (error) {
      // Whatever else stands there, the message takes its place.
      if (errnoOf(error) === 'EACCES') throw error
    }
    await placeFile(files, layout.unfinished(own, this.#files++), path, bytes)
    return true
  }

  /**
   * Of a message that is over a loss of power may bring its name back, and not its content: a part of it, or of one
   * of the same sender that has its file now. What others wrote by that name stays.
   */
  async #removeRemains(name: string, message: StoredMessage): Promise<void> {
    const { files, layout, group } = this.#options
    const { id } = message
    try {
      const path = layout.message(id)
      const { status, bytes } = await readWhole(files, path, ({ kind }) => kind === 'file')
      if (!bytes) return
      const read = readMessageFile(bytes, { stem: id, modifiedMs: status.modifiedMs })
      const isOwn = isFault(read) ? read.torn : read.head.sender === name
      if (isOwn && !writeMessageFile(message, group, name, message.sequence)?.equals(bytes))
        files.removeNow(path)
    } catch {
      // It is gone, as it should be; or it will be found to be what it is.
    }
  }

  async #messages(name: string, journal: AppendLog, segment: number): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = []
    for (const { payload, offset } of await journal.read(segment)) {
      const message = decodeMessage(Buffer.from(payload.buffer, payload.byteOffset, payload.length))
      if (typeof message !== 'string') messages.push(message)
      else {
        const text = 'a record of a sender’s journal cannot be read'
        this.#options.log('error', text, { sender: name, segment, offset, error: message })
      }
    }
    return messages
  }

  /** Removes segments of which all is over, and the whole journal of one that has ended. */
  async #forget(name: string, journal: AppendLog, progress: Progress, hasEnded: boolean): Promise<void> {
    const { files, layout, isOver, onSenderGone } = this.#options
    const closed = hasEnded ? [...journal.segments] : journal.segments.slice(0, -1)
    for (const segment of closed) {
      if (progress.open?.segment !== segment) {
        const messages = (await this.#messages(name, journal, segment)).reverse()
        progress.open = {
          segment,
          messages: messages.map(({ sequence, id, redriven }) => ({ sequence, id, redriven })),
        }
      }
      const { messages } = progress.open
      for (
        let last = messages.at(-1);
        last && isOver(name, last.sequence, last.id, last.redriven);
        last = messages.at(-1)
      ) {
        messages.pop()
      }
      if (messages.length > 0) return
      // Their files are not to come back when nothing tells any more what they were.
      await files.syncFolder(layout.messages)
      await journal.remove(segment)
      progress.open = undefined
    }
    if (!hasEnded) return
    await files.removeFolder(layout.sender(name))
    this.#progress.delete(name)
    onSenderGone(name)
  }
}
