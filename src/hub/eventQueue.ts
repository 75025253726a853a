import type { Publication } from './publication.ts'

/** Holes that may stand in a queue before it is written anew. */
const MANY_HOLES = 64

/**
 * Events that wait for one subscription, the oldest first. Each end costs the same however long it is, and so does
 * finding a conflation key.
 */
export class EventQueue {
  /** A hole is an event that a newer one of its key took the place of. */
  #events: (Publication | undefined)[] = []
  #head = 0
  /** Events that have left `#events` at the front: positions count from the first event ever. */
  #left = 0
  readonly #byKey = new Map<string, number>()
  length = 0
  bytes = 0

  /** @param keyed whether it will be asked for keys. */
  push(event: Publication, keyed: boolean): void {
    if (keyed && event.key !== undefined) this.#byKey.set(event.key, this.#left + this.#events.length)
    this.#events.push(event)
    this.length++
    this.bytes += event.bytes
  }

  get first(): Publication | undefined {
    return this.#events[this.#head]
  }

  shift(): Publication | undefined {
    const event = this.#events[this.#head]
    if (!event) return undefined
    if (event.key !== undefined && this.#byKey.get(event.key) === this.#left + this.#head) {
      this.#byKey.delete(event.key)
    }
    this.#take(this.#head)
    return event
  }

  /** Takes the event of a key out. */
  takeKey(key: string): Publication | undefined {
    const position = this.#byKey.get(key)
    if (position === undefined) return undefined
    this.#byKey.delete(key)
    const at = position - this.#left
    const event = this.#events[at]
    this.#take(at)
    return event
  }

  #take(at: number): void {
    const event = this.#events[at]
    if (!event) return
    this.#events[at] = undefined
    this.length--
    this.bytes -= event.bytes
    while (this.#head < this.#events.length && this.#events[this.#head] === undefined) this.#head++
    if (this.#events.length > 2 * this.length + MANY_HOLES) this.#close()
  }

  /** Closes the holes. Done once for as many events as there are, so it costs each of them once. */
  #close(): void {
    this.#left += this.#events.length
    this.#events = this.#events.filter((event) => event !== undefined)
    this.#left -= this.#events.length
    this.#head = 0
    if (this.#byKey.size === 0) return
    this.#byKey.clear()
    this.#events.forEach((event, at) => {
      if (event?.key !== undefined) this.#byKey.set(event.key, this.#left + at)
    })
  }

  /** Takes everything. */
  clear(): Publication[] {
    const all = this.#events.filter((event) => event !== undefined)
    this.#events = []
    this.#byKey.clear()
    this.#head = this.#left = this.length = this.bytes = 0
    return all
  }
}
