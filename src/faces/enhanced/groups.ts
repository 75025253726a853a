import { join } from 'node:path'
import type { HostClock } from '../../host/clock.ts'
import { errnoOf, messageOf } from '../../host/errno.ts'
import type { Files } from '../../mailbox/files.ts'
import type { MailboxLog } from '../../mailbox/index.ts'

const GROUP = /^[a-z0-9_-]{1,64}$/
const SCAN_MS = 1_000

export interface GroupsOptions {
  readonly root: string
  readonly files: Files
  readonly clock: HostClock
  readonly log: MailboxLog
  /** Told at each look which groups there are; the next look waits for it. It rejects nothing. */
  readonly onGroups: (groups: readonly string[]) => Promise<void>
}

/**
 * Looks which group folders a root has: when something there has changed, and each second anyway. Keeps the process
 * alive until it is stopped, as somebody waits for messages.
 */
export class Groups {
  readonly #options: GroupsOptions
  /** What was told once: names that are no group's, and why the root cannot be read. */
  #told: ReadonlySet<string> = new Set()
  #unwatch: (() => void) | undefined
  #stopped = false
  #hinted = false
  #wake = (): void => {}
  #running: Promise<void> | undefined

  constructor(options: GroupsOptions) {
    this.#options = options
  }

  /** Settles after the first look; rejects when the root can be neither made nor read, and goes on looking. */
  start(): Promise<void> {
    const first = this.#look()
    this.#running = this.#run(first)
    return first
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#hint()
    await this.#running
    this.#unwatch?.()
  }

  async #run(first: Promise<void>): Promise<void> {
    for (let look = first; ; look = this.#look()) {
      await look.catch((error: unknown) => this.#failed(error))
      if (!this.#hinted) await this.#pause()
      if (this.#stopped) return
      this.#hinted = false
    }
  }

  /** Until a hint, or for a second. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(SCAN_MS, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #hint(): void {
    this.#hinted = true
    this.#wake()
  }

  async #look(): Promise<void> {
    const { root, files, onGroups, log } = this.#options
    if (!this.#unwatch) {
      await files.makeFolder(root)
      this.#unwatch = files.watch(root, () => this.#hint())
    }
    const groups: string[] = []
    const ignored = new Set<string>()
    for (const name of files.namesNow(root)) {
      const isGroup = GROUP.test(name) && this.#isFolder(join(root, name))
      if (isGroup) groups.push(name)
      else ignored.add(name)
    }
    for (const name of ignored) {
      if (this.#told.has(name)) continue
      const why = GROUP.test(name) ? 'it is no folder' : `a group is named as ${GROUP.source}`
      log('warn', 'IPC folder ignored', { root, name, why })
    }
    this.#told = ignored
    if (!this.#stopped) await onGroups(groups)
  }

  #isFolder(path: string): boolean {
    try {
      return this.#options.files.statusNow(path).kind === 'folder'
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
  }

  #failed(error: unknown): void {
    const { root, log } = this.#options
    // Watched anew when it is there again.
    this.#unwatch?.()
    this.#unwatch = undefined
    const what = messageOf(error)
    if (!this.#told.has(what)) log('error', 'IPC root cannot be read', { root, error: what })
    this.#told = new Set([what])
  }
}
