import { join } from 'node:path'
import { errnoOf, messageOf } from '../host/errno.ts'
import type { Files } from './files.ts'
import type { FolderLayout } from './folderLayout.ts'
import { isMessageId } from './messageFile.ts'
import type { MailboxLog } from './options.ts'
import type { SpareGiver } from './spareFiles.ts'
import { Turns } from './turns.ts'
import { placeFile } from './wholeFile.ts'

export interface FolderSettlerOptions {
  readonly files: Files
  readonly layout: FolderLayout
  readonly spares: SpareGiver
  /** The instance's name, which its unfinished files bear. */
  readonly name: string
  readonly nowMs: () => number
  readonly log: MailboxLog
  readonly ackKeepMs: number
}

/** A file that is over. */
export interface Over {
  /** Its name in `messages/`. */
  readonly name: string
  readonly id: string
  /** Of the file that was found; another one by that name is not removed. */
  readonly identity: string
  /** Whether it is to be acknowledged. */
  readonly asked: boolean
  /** Who sent it; '' where nobody can take its file. */
  readonly sender: string
}

const ACKS_EVERY_MS = 10 * 60 * 1000

/** Acknowledges messages that are over and removes their files. What fails is done again each second. */
export class FolderSettler {
  readonly #options: FolderSettlerOptions
  readonly #left = new Map<string, Over>()
  #acks = 0
  #acksLookedAt = Number.NEGATIVE_INFINITY

  constructor(options: FolderSettlerOptions) {
    this.#options = options
  }

  /** @returns `kept`: it is still there, and tried again. `gone`: somebody else removed it. `replaced`: another file
   * has its name. */
  settle(over: Over): 'removed' | 'gone' | 'replaced' | 'kept' {
    try {
      // First the acknowledgement: when the file is gone, nobody would make it any more.
      if (over.asked) this.#acknowledge(over.id)
      const removed = this.#remove(over)
      this.#left.delete(over.name)
      return removed
    } catch (error) {
      if (!this.#left.has(over.name)) {
        const text = 'a message is over, and its file cannot be acknowledged and removed for now'
        this.#options.log('error', text, { file: over.name, error: messageOf(error) })
      }
      this.#left.set(over.name, over)
      return 'kept'
    }
  }

  /** Tries those again that failed. */
  again(settle: (over: Over) => void): void {
    for (const over of [...this.#left.values()]) settle(over)
  }

  #acknowledge(id: string): void {
    const { files, layout, name, nowMs } = this.#options
    if (!isMessageId(id)) return
    const text = `{"id":"${id}","at":"${new Date(nowMs()).toISOString()}"}`
    void placeFile(files, layout.unfinished(`${name}.ack`, this.#acks++), layout.ack(id), Buffer.from(text))
  }

  #remove({ name, id, identity, sender }: Over): 'removed' | 'gone' | 'replaced' {
    const { files, layout, spares, nowMs } = this.#options
    const path = join(layout.messages, name)
    try {
      const status = files.statusNow(path)
      if (status.identity !== identity) return 'replaced'
      // A name goes, never what it leads to.
      if (status.kind === 'folder') files.renameNow(path, join(layout.errors, `${nowMs()}-${id}`))
      else if (status.kind !== 'file' || !spares.give(path, sender, status.size)) files.removeNow(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      return 'gone'
    }
    return 'removed'
  }

  /** Acknowledgements that nobody took away for long. */
  async removeOldAcks(now: number): Promise<void> {
    if (now - this.#acksLookedAt < ACKS_EVERY_MS) return
    this.#acksLookedAt = now
    const { files, layout, nowMs, ackKeepMs } = this.#options
    const turns = new Turns()
    for (const name of files.namesNow(layout.acks)) {
      if (turns.over) await turns.next()
      const path = join(layout.acks, name)
      try {
        const { kind, modifiedMs } = files.statusNow(path)
        if (kind !== 'folder' && modifiedMs < nowMs() - ackKeepMs) files.removeNow(path)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error
      }
    }
  }
}
