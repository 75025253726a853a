import { MAX_DEPTH, TRUSTED_MAX_KEYS } from '../wire/limits.ts'
import { unpack } from '../wire/packed.ts'

/** What is kept of an answer. */
export interface CacheEntry {
  readonly bytes: Uint8Array
  readonly tags: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/**
 * Where answers are kept; `memoryStore` and `diskStore` of `viaduct/cache-stores` are two. It bounds itself, and may forget at any
 * time. A store that throws is one that does not have it: the call goes on.
 */
export interface CacheStore {
  get(key: string): CacheEntry | undefined | Promise<CacheEntry | undefined>
  set(key: string, entry: CacheEntry): void | Promise<void>
  /**
   * Forgets all entries that have one of the tags, those of a `set` that has not ended as well; without tags all. If
   * it throws, nothing is read from the store until it has forgotten everything.
   */
  invalidate(tags?: readonly string[]): void | Promise<void>
}

/** Our own bytes: whatever could be sent can be read again. */
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: TRUSTED_MAX_KEYS }

/** A value of its own, made of an answer's bytes. */
export function readAnswer(bytes: Uint8Array): unknown {
  return unpack(bytes.slice(), BOUNDS)
}

export interface Found {
  readonly value: unknown
  readonly bytes: Uint8Array
}

/** When something was asked, as far as forgetting is concerned. */
export type Asked = number

/** Stores one behind the other, the first asked first. What was asked before something was forgotten is not kept. */
export class CacheLayers {
  readonly #stores: readonly CacheStore[]
  readonly #ttlMs: number
  readonly #now: () => number
  #generation = 0
  #forgetting = 0
  /** Those that could not forget: what they have may be what should be forgotten. */
  readonly #unsure = new Set<CacheStore>()
  failures = 0

  constructor(stores: readonly CacheStore[], ttlMs: number, now: () => number) {
    this.#stores = stores
    this.#ttlMs = ttlMs
    this.#now = now
  }

  get asked(): Asked {
    return this.#generation
  }

  isCurrent(asked: Asked): boolean {
    return asked === this.#generation && this.#forgetting === 0
  }

  /** The bytes of the answer, and the value read of them. */
  async find(key: string, asked: Asked): Promise<Found | undefined> {
    for (const [index, store] of this.#stores.entries()) {
      const entry = this.#unsure.has(store) ? undefined : await this.#quietly(() => store.get(key))
      if (!this.isCurrent(asked)) return undefined
      if (!entry || !this.#isFresh(entry)) continue
      const found = await this.#quietly(() => ({ value: readAnswer(entry.bytes), bytes: entry.bytes }))
      if (!found) continue
      void this.#set(this.#stores.slice(0, index), key, entry, asked)
      return found
    }
    return undefined
  }

  /** In memory at once; nobody waits for a disk. */
  keep(key: string, bytes: Uint8Array, tags: readonly string[], asked: Asked): void {
    void this.#set(this.#stores, key, { bytes, tags, expiresAt: this.#now() + this.#ttlMs }, asked)
  }

  /** @throws the first failure of a store, when all have been told. */
  async forget(tags?: readonly string[]): Promise<void> {
    this.#generation++
    this.#forgetting++
    const failures: unknown[] = []
    await Promise.all(
      this.#stores.map(async (store) => {
        try {
          await store.invalidate(this.#unsure.has(store) ? undefined : tags)
          this.#unsure.delete(store)
        } catch (error) {
          this.failures++
          this.#unsure.add(store)
          failures.push(error)
        }
      }),
    )
    this.#forgetting--
    if (failures.length > 0) throw failures[0]
  }

  /** Whose time is over; also what would be kept longer than it may, since the clock was set back. */
  #isFresh({ expiresAt }: CacheEntry): boolean {
    const now = this.#now()
    return expiresAt > now && expiresAt <= now + this.#ttlMs
  }

  async #set(stores: readonly CacheStore[], key: string, entry: CacheEntry, asked: Asked): Promise<void> {
    for (const store of stores) {
      if (!this.isCurrent(asked)) return
      await this.#quietly(() => store.set(key, entry))
    }
  }

  async #quietly<T>(run: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await run()
    } catch {
      this.failures++
      return undefined
    }
  }
}
