import { dirname, join } from 'node:path'
import type { Files } from './files.ts'

/** Where things lie in one mailbox of the folder store. */
export class FolderLayout {
  readonly root: string
  readonly messages: string
  readonly acks: string
  readonly errors: string
  readonly journal: string
  /** Files that are being written, of this disk, so that they can be renamed to where they belong. */
  readonly temporary: string
  readonly senders: string

  constructor(root: string) {
    this.root = root
    this.messages = join(root, 'messages')
    this.acks = join(root, 'acks')
    this.errors = join(root, 'errors')
    this.journal = join(root, '.journal')
    this.temporary = join(this.journal, 'tmp')
    this.senders = join(this.journal, 'senders')
  }

  async make(files: Files): Promise<void> {
    for (const folder of [this.messages, this.acks, this.errors, this.temporary, this.senders]) {
      await files.makeFolder(folder)
    }
  }

  /** The names of its own folders are on stable storage when it settles. */
  async sync(files: Files): Promise<void> {
    for (const folder of [this.senders, this.journal, this.root, dirname(this.root)])
      await files.syncFolder(folder)
  }

  message(id: string): string {
    return join(this.messages, `${id}.json`)
  }

  ack(id: string): string {
    return join(this.acks, `${id}.ack`)
  }

  sender(name: string): string {
    return join(this.senders, name)
  }

  /** A name for a file that a process is writing: what a dead one left can be told by it. */
  unfinished(owner: string, number: number): string {
    return join(this.temporary, `${owner}.${number}`)
  }
}

/** The process whose unfinished file that is: names of processes have no dots. */
export function ownerOf(unfinished: string): string {
  return unfinished.split('.', 1)[0] ?? ''
}
