/** So many come before the table is made anew, or as many as are in it. */
const LEAST_TURN = 1024

/**
 * A map of what comes and goes by the thousand. In a plain one V8 makes a new table whenever the places of what was
 * deleted are to be used again, and the old table goes on to refer to what it held and to the next one: as soon as one
 * of them is old itself, all that comes later stays in memory until a full collection (1.2 KB of each message that
 * a receiver of a log handles). Here that chain is cut with each turn.
 */
export class Turnover<K, V> {
  #entries = new Map<K, V>()
  #added = 0

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  set(key: K, value: V): void {
    this.#entries.set(key, value)
    if (++this.#added < Math.max(LEAST_TURN, this.#entries.size)) return
    this.#added = 0
    this.#entries = new Map(this.#entries)
  }

  /** @returns whether it was there */
  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  /** As they are now, in the order in which their keys came. */
  keys(): K[] {
    return [...this.#entries.keys()]
  }

  /** As they are now, in the order in which their keys came. */
  entries(): [K, V][] {
    return [...this.#entries]
  }
}
