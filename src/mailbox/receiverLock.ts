import { randomBytes } from 'node:crypto'
import { mkdirSync, statSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { errnoOf } from '../host/errno.ts'
import {
  type FolderLock,
  folderLockHolder,
  removeUnfinishedLocks,
  takeFolderLock,
} from '../host/folderLock.ts'
import { isNamedProcessRunning, isProcessName, processName } from '../host/processName.ts'
import { ViaductError } from '../wire/errors.ts'

export interface ReceiverLockOptions {
  /** `.journal/receiver.lock` of a mailbox. */
  readonly path: string
  readonly clock?: Clock
  /** Whether the process of that name runs; undefined where that cannot be told from here. */
  readonly isRunning?: (name: string) => boolean | undefined
}

const CHECK_MS = 500
const TOUCH_MS = 5_000
/** A holder that we cannot see the process of is dead when it has not touched its entry for so long. */
const SILENT_MS = 30_000

/**
 * The right to be the active receiver of a mailbox: one has it, the others stand by. A holder on this machine has it
 * while its process is there, also when that is stopped; one in another container while it touches its entry.
 */
export class ReceiverLock {
  readonly #path: string
  readonly #clock: Clock
  readonly #isRunning: (name: string) => boolean | undefined
  readonly #entry = processName(randomBytes(6).toString('hex'))
  readonly #lost = new AbortController()
  #lock: FolderLock | undefined
  #stopTouching = (): void => {}
  /** What was last seen of a holder whose process we cannot see, and when that changed by our own clock. */
  #seen: { readonly entry: string; readonly touchedMs: number; readonly at: number } | undefined

  constructor(options: ReceiverLockOptions) {
    this.#path = options.path
    this.#clock = options.clock ?? systemClock
    this.#isRunning = options.isRunning ?? isNamedProcessRunning
  }

  /**
   * Aborted when another has become the receiver, because this process was in another container than that and did
   * nothing for so long that it was taken for dead. What runs then must end: it is not alone any more.
   */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /**
   * Settles when this is the active receiver; stands by until then.
   *
   * @throws ViaductError CANCELLED: `signal` was aborted · FAILED_PRECONDITION / LOCK_UNREADABLE; or the system's error
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    for (;;) {
      if (signal?.aborted) throw cancelled(this.#path, signal)
      if (await this.tryAcquire()) return
      await this.#pause(signal)
    }
  }

  /** Lets the next one be the receiver. */
  release(): void {
    this.#stopTouching()
    this.#lock?.release()
    this.#lock = undefined
  }

  /** @returns whether this is the active receiver now; it does not wait */
  async tryAcquire(): Promise<boolean> {
    const options = {
      path: this.#path,
      entry: this.#entry,
      isEntry: isProcessName,
      isAlive: (entry: string) => this.#isAlive(entry),
      makeParent: () => void mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 }),
    }
    // Most often it is another's: then nothing is prepared in vain.
    const holder = folderLockHolder(options)
    if (holder !== undefined && this.#isAlive(holder)) return false
    const lock = await takeFolderLock(options)
    if (typeof lock === 'string') return false
    this.#lock = lock
    removeUnfinishedLocks(this.#path, (entry) => isProcessName(entry) && this.#isRunning(entry) === false)
    this.#stopTouching = this.#clock.after(TOUCH_MS, () => this.#touch())
    return true
  }

  #isAlive(entry: string): boolean {
    const running = this.#isRunning(entry)
    if (running !== undefined) return running
    const touchedMs = touched(join(this.#path, entry))
    const now = this.#clock.now()
    // Not by comparing its time with ours: clocks are set, and machines sleep.
    if (this.#seen?.entry !== entry || this.#seen.touchedMs !== touchedMs)
      this.#seen = { entry, touchedMs, at: now }
    return now - this.#seen.at < SILENT_MS
  }

  #touch(): void {
    try {
      const now = new Date()
      utimesSync(join(this.#path, this.#entry), now, now)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') {
        this.#lost.abort()
        return
      }
      // The next may succeed before we are taken for dead.
    }
    this.#stopTouching = this.#clock.after(TOUCH_MS, () => this.#touch())
  }

  #pause(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        stop()
        signal?.removeEventListener('abort', go)
        resolve()
      }
      const stop = this.#clock.after(CHECK_MS, go)
      signal?.addEventListener('abort', go)
    })
  }
}

/** When an entry was last touched; 0 when it is not there any more. */
function touched(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function cancelled(path: string, signal: AbortSignal): ViaductError {
  return new ViaductError('CANCELLED', `${path}: cancelled while standing by to be the receiver`, {
    fate: 'not-sent',
    cause: signal.reason,
  })
}
