import { DueHeap } from './dueHeap.ts'
import { Fifo } from './fifo.ts'
import type { Priority } from './priority.ts'

export interface Scheduled {
  readonly priority: Priority
}

/**
 * Which message is started next. Of those whose time has come, the one of the highest priority that became ready
 * first. A suspect, which may have killed the last receiver, comes before all others and runs alone: it is started
 * when nothing else is under way, and nothing else is started until it is over.
 */
export class Schedule<T extends Scheduled> {
  readonly #ready = { high: new Fifo<T>(), normal: new Fifo<T>(), low: new Fifo<T>() } satisfies Record<
    Priority,
    Fifo<T>
  >
  readonly #delayed = new DueHeap<T>()
  #suspects = new Fifo<T>()
  #alone: T | undefined

  get ready(): number {
    return this.#ready.high.size + this.#ready.normal.size + this.#ready.low.size + this.#suspects.size
  }

  get delayed(): number {
    return this.#delayed.size
  }

  /** Whether anything waits for a suspect, or is one that waits. */
  get isHeldUp(): boolean {
    return this.#alone !== undefined || this.#suspects.size > 0
  }

  /** When the next of the delayed is due; Infinity without any. */
  get dueMs(): number {
    return this.#delayed.dueMs
  }

  /** What is due now is ready; the rest waits. */
  add(item: T, dueMs: number, nowMs: number): void {
    this.mature(nowMs)
    if (dueMs > nowMs) this.#delayed.add(item, dueMs)
    else this.#ready[item.priority].push(item)
  }

  addSuspect(item: T): void {
    this.#suspects.push(item)
  }

  /** Makes ready what has become due. @returns how many */
  mature(nowMs: number): number {
    let count = 0
    while (this.#delayed.dueMs <= nowMs) {
      const item = this.#delayed.take(nowMs)
      if (item === undefined) break
      this.#ready[item.priority].push(item)
      count++
    }
    return count
  }

  /** Takes the one to start now. `underWay`: how many were started and are not over. */
  next(nowMs: number, underWay: number): T | undefined {
    if (this.#alone !== undefined) return undefined
    if (this.#suspects.size > 0) {
      if (underWay > 0) return undefined
      this.#alone = this.#suspects.shift()
      return this.#alone
    }
    this.mature(nowMs)
    return this.#ready.high.shift() ?? this.#ready.normal.shift() ?? this.#ready.low.shift()
  }

  /** It is over, or has run alone for long enough: others may be started again. */
  acquit(item: T): void {
    if (this.#alone === item) this.#alone = undefined
  }

  /** Suspects need not be alone any more: what they wait for takes too long for all others. */
  acquitAll(): void {
    this.#alone = undefined
    for (let item = this.#suspects.shift(); item; item = this.#suspects.shift()) {
      this.#ready[item.priority].push(item)
    }
  }
}
