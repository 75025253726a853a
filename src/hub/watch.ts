import type { HubChange, PeerChange } from './answers.ts'
import type { Presence } from './presence.ts'

/** Changes that wait for one reader; past them it is told how things stand instead. */
export const WATCH_CAPACITY = 256

/**
 * One reader's view of who is there: a snapshot, then each change. A reader that falls behind loses no state: what
 * waits for it is replaced by a snapshot that says how many changes it stands for. It watches from the first
 * `next` until `return`; no generator, whose `return` would wait for a change that may never come.
 */
export class Watch implements AsyncIterableIterator<HubChange, undefined> {
  readonly #presence: Presence
  readonly #count: (by: 1 | -1) => void
  #changes: PeerChange[] = []
  /** A snapshot is due. */
  #due = false
  #missed = 0
  #begun = false
  #ended = false
  #unlisten: () => void = () => {}
  #wake: (() => void) | undefined

  /** @param count is told when it begins and ends. */
  constructor(presence: Presence, count: (by: 1 | -1) => void) {
    this.#presence = presence
    this.#count = count
  }

  #push(change: PeerChange): void {
    if (this.#due) this.#missed++
    else if (this.#changes.length < WATCH_CAPACITY) this.#changes.push(change)
    else {
      this.#missed = this.#changes.length + 1
      this.#changes = []
      this.#due = true
    }
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<HubChange, undefined>> {
    if (!this.#begun) {
      this.#begun = true
      this.#due = true
      this.#count(1)
      this.#unlisten = this.#presence.listen((change) => this.#push(change))
    }
    while (!this.#due && this.#changes.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#ended) return { done: true, value: undefined }
    if (this.#due) {
      const missed = this.#missed
      this.#due = false
      this.#missed = 0
      return {
        done: false,
        value: { kind: 'snapshot', at: Date.now(), missed, peers: this.#presence.rows() },
      }
    }
    const [value] = this.#changes.splice(0, 1)
    return value ? { done: false, value } : { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<HubChange, undefined>> {
    if (!this.#ended) {
      this.#ended = true
      this.#changes = []
      this.#unlisten()
      if (this.#begun) this.#count(-1)
      this.#wake?.()
    }
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
