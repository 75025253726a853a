import type { Clock } from '../core/clock.ts'
import type { Files } from './files.ts'

/** A change within so long before a scan may have the same time as one after it: clocks of file systems are coarse. */
const COARSE_MS = 2_000
/** However sure we are that nothing changed, it is looked at then. */
const ANYWAY_MS = 60_000

/** Watches one folder by name: tells when it need not be read again, and when another one has taken its place. */
export class FolderScan {
  readonly #files: Files
  readonly #folder: string
  readonly #clock: Clock
  readonly #nowMs: () => number
  #identity = ''
  #modifiedMs = 0
  #beganMs = 0
  #readAt = Number.NEGATIVE_INFINITY
  #hint: ((name: string | undefined) => void) | undefined
  #unwatch = () => {}

  constructor(files: Files, folder: string, clock: Clock, nowMs: () => number) {
    this.#files = files
    this.#folder = folder
    this.#clock = clock
    this.#nowMs = nowMs
  }

  /** The next look reads it, whatever its time says. */
  forget(): void {
    this.#readAt = Number.NEGATIVE_INFINITY
  }

  /**
   * Whether nothing was added or removed since the last look began; when not so, it is to be read now.
   *
   * @throws what the system says of the folder; ENOTDIR where it is none, or a link to one
   */
  isUnchanged(): boolean {
    const beganMs = this.#nowMs()
    const { kind, identity, modifiedMs } = this.#files.statusNow(this.#folder)
    if (kind !== 'folder')
      throw Object.assign(new Error(`ENOTDIR: ${this.#folder} is no folder`), { code: 'ENOTDIR' })
    const isSame = identity === this.#identity && modifiedMs === this.#modifiedMs
    const isOld = modifiedMs > 0 && modifiedMs < this.#beganMs - COARSE_MS
    const isRecent = this.#clock.now() - this.#readAt < ANYWAY_MS
    if (isSame && isOld && isRecent) return true
    if (identity !== this.#identity) this.#rewatch()
    this.#identity = identity
    this.#modifiedMs = modifiedMs
    this.#beganMs = beganMs
    this.#readAt = this.#clock.now()
    return false
  }

  /**
   * Calls `hint` when something in it may have changed, also when it was replaced; it is looked at for that. Where the
   * system tells the name of what changed, `hint` gets it.
   */
  watch(hint: (name: string | undefined) => void): () => void {
    this.#hint = hint
    this.#rewatch()
    return () => {
      this.#hint = undefined
      this.#unwatch()
    }
  }

  #rewatch(): void {
    this.#unwatch()
    this.#unwatch = this.#hint ? this.#files.watch(this.#folder, this.#hint) : () => {}
  }
}
