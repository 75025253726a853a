import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import type { FileStatus, Files } from './files.ts'
import type { FolderLayout } from './folderLayout.ts'
import { FolderScan } from './folderScan.ts'
import { eachSecond } from './fullSecond.ts'
import { isMessageId } from './messageFile.ts'
import type { MailboxLog } from './options.ts'
import { Turns } from './turns.ts'
import { removeIfThere } from './wholeFile.ts'

export interface AckWatchOptions {
  readonly files: Files
  readonly layout: FolderLayout
  readonly clock: Clock
  readonly nowMs: () => number
  readonly log: MailboxLog
  readonly owner: number
}

/** @returns whether its file may go: nobody else waits for it */
type Tell = (id: string) => boolean

const MAX_ACK_BYTES = 4096
const SUFFIX = '.ack'

/**
 * Finds acknowledgements in `acks/`. One counts if it is a plain file of our own user with one name; and if its
 * content is JSON with an `id`, that is the id of its name. Files of old programs, with other content, count by name.
 */
export class AckWatch {
  readonly #options: AckWatchOptions
  readonly #scan: FolderScan
  readonly #listeners = new Set<Tell>()
  /** Names that were told, or refused, and are still there. */
  #known = new Map<string, boolean>()
  #running: Promise<void> | undefined
  #again = false
  #stopTimer = () => {}
  #stopWatch = () => {}

  constructor(options: AckWatchOptions) {
    this.#options = options
    this.#scan = new FolderScan(options.files, options.layout.acks, options.clock, options.nowMs)
  }

  listen(tell: Tell): () => void {
    // A new listener hears of those that are there.
    this.#known.clear()
    this.#scan.forget()
    this.#listeners.add(tell)
    if (this.#listeners.size === 1) this.#start()
    else this.#look()
    return () => {
      this.#listeners.delete(tell)
      if (this.#listeners.size === 0) this.close()
    }
  }

  close(): void {
    this.#listeners.clear()
    this.#stopTimer()
    this.#stopWatch()
  }

  #start(): void {
    const look = () => this.#look()
    this.#stopWatch = this.#scan.watch(look)
    this.#stopTimer = eachSecond(this.#options.clock, look)
    look()
  }

  #look(): void {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = this.#read().finally(() => {
      this.#running = undefined
      if (!this.#again || this.#listeners.size === 0) return
      this.#again = false
      this.#look()
    })
  }

  async #read(): Promise<void> {
    const { files, layout, log } = this.#options
    try {
      if (this.#scan.isUnchanged()) return
      const turns = new Turns()
      const there = new Map<string, boolean>()
      for (const name of files.namesNow(layout.acks)) {
        if (turns.over) await turns.next()
        const id = name.slice(0, -SUFFIX.length)
        if (!name.endsWith(SUFFIX) || !isMessageId(id)) continue
        if (this.#known.get(name) || this.#tellOf(name, id)) there.set(name, true)
      }
      this.#known = there
    } catch (error) {
      this.#scan.forget()
      if (errnoOf(error) === 'ENOENT') await layout.make(files).catch(() => {})
      else
        log('warn', 'acknowledgements cannot be read; mend the rights of the folder', {
          error: messageOf(error),
        })
    }
  }

  /** @returns whether the file is still there, and known */
  #tellOf(name: string, id: string): boolean {
    const { files, layout, log, owner } = this.#options
    const path = join(layout.acks, name)
    let refused = ''
    try {
      const { bytes } = files.readNow(path, (status) => {
        refused = refusalOf(status, owner)
        return refused === ''
      })
      if (bytes && !agrees(bytes, id)) refused = 'its content names another id'
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      refused = errnoOf(error) === 'ELOOP' ? 'it is a symbolic link' : messageOf(error)
    }
    if (refused !== '') {
      log('warn', 'an acknowledgement does not count', { file: name, why: refused })
      return true
    }
    let isOwn = false
    for (const tell of [...this.#listeners]) isOwn = tell(id) || isOwn
    if (isOwn) removeIfThere(files, path)
    return !isOwn
  }
}

function refusalOf(status: FileStatus, owner: number): string {
  if (status.kind !== 'file') return 'it is no plain file'
  if (status.links > 1) return 'it has several names'
  if (status.owner !== owner) return 'another user made it'
  return status.size > MAX_ACK_BYTES ? `it is longer than ${MAX_ACK_BYTES} bytes` : ''
}

function agrees(bytes: Uint8Array, id: string): boolean {
  try {
    const said = fieldOf(JSON.parse(new TextDecoder().decode(bytes)), 'id')
    return said === undefined || said === id
  } catch {
    return true
  }
}
