/** Where the answers of a `cache` are kept in Node: an entry of its own, so that who needs none loads none. */
import { mkdir } from 'node:fs/promises'
import cacache from 'cacache'
import { LRUCache } from 'lru-cache'
import type { CacheEntry, CacheStore } from '../policies/cacheLayers.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { errnoOf } from './errno.ts'

export interface MemoryStoreOptions {
  /** Answers kept; default 1,000. The one used longest ago goes first. */
  readonly maxEntries?: number
  /** Bytes of all answers together, with what they are found by; default 64 MiB. One that is larger is not kept. */
  readonly maxBytes?: number
}

/**
 * Answers of a cache in the memory of this process.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION
 */
export function memoryStore({
  maxEntries = 1_000,
  maxBytes = 64 * 1024 * 1024,
}: MemoryStoreOptions = {}): CacheStore {
  checkCount('memoryStore.maxEntries', maxEntries)
  checkCount('memoryStore.maxBytes', maxBytes)
  const entries = new LRUCache<string, CacheEntry>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: ({ bytes, tags }, key) => bytes.length + key.length + tags.join().length + 1,
  })
  return {
    get: (key) => entries.get(key),
    set: (key, entry) => void entries.set(key, entry),
    invalidate: (tags) => {
      if (tags === undefined) entries.clear()
      else for (const [key, entry] of [...entries]) if (hasOne(entry.tags, tags)) entries.delete(key)
    },
  }
}

export interface DiskStoreOptions {
  /**
   * A folder of this store's own, made for its user alone when it is not there. Several processes may share it, of one
   * user: who can write to it says what calls are answered with.
   */
  readonly directory: string
  /** Bytes of all answers together; default 256 MiB. The one that this process used longest ago goes first. */
  readonly maxBytes?: number
}

/**
 * Answers of a cache in a folder, checked by their hash when they are read; they outlive the process. Take it behind
 * a {@link memoryStore}. Each process that shares it sees to `maxBytes`, and counts what others wrote after each
 * sixteenth of that it has written itself.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION
 */
export function diskStore({ directory, maxBytes = 256 * 1024 * 1024 }: DiskStoreOptions): CacheStore {
  if (typeof directory !== 'string' || directory === '') throw badOption('diskStore.directory', 'a folder')
  checkCount('diskStore.maxBytes', maxBytes)
  return new DiskStore(directory, maxBytes)
}

/** Files and folders that an answer takes, roughly; so many small ones are bounded as well. */
const OVERHEAD_BYTES = 1_024

/** The types do not know its options: without `removeFully` each removal adds a line to the entry's file. */
const removeEntry: (
  directory: string,
  key: string,
  options: { readonly removeFully: boolean },
) => Promise<unknown> = cacache.rm.entry

class DiskStore implements CacheStore {
  readonly #directory: string
  readonly #maxBytes: number
  /** Sizes by key, of what is there as far as this process knows; the one used longest ago first. */
  readonly #kept: LRUCache<string, number>
  #evicted: string[] = []
  #unlisted = Number.POSITIVE_INFINITY
  /** Changes of the folder, one after the other: what is forgotten is not written by one that came before. */
  #changes: Promise<unknown> = Promise.resolve()

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory
    this.#maxBytes = maxBytes
    this.#kept = new LRUCache<string, number>({
      maxSize: maxBytes,
      sizeCalculation: (size) => size,
      dispose: (_, key, reason) => {
        if (reason === 'evict') this.#evicted.push(key)
      },
    })
  }

  async get(key: string): Promise<CacheEntry | undefined> {
    try {
      const { data, metadata } = await cacache.get(this.#directory, key)
      this.#kept.get(key)
      return entryOf(data, metadata)
    } catch (error) {
      // What is damaged would stand in the way of the same answer.
      if (errnoOf(error) !== 'ENOENT') await this.#changed(() => this.#remove(key)).catch(() => {})
      return undefined
    }
  }

  set(key: string, { bytes, tags, expiresAt }: CacheEntry): Promise<void> {
    return this.#changed(async () => {
      const size = sizeOf(key, bytes.length)
      if (size > this.#maxBytes) return
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      if (this.#unlisted >= this.#maxBytes / 16) await this.#list()
      // Neither the answer before this one nor its line of the index stays behind.
      await this.#remove(key)
      await cacache.put(this.#directory, key, Buffer.from(bytes), { metadata: { tags, expiresAt } })
      this.#unlisted += size
      this.#kept.set(key, size)
      await this.#removeEvicted()
    })
  }

  invalidate(tags?: readonly string[]): Promise<void> {
    return this.#changed(async () => {
      const found = Object.values(await cacache.ls(this.#directory))
      const forgotten = tags
        ? found.filter(({ metadata }) => hasOne(tagsOf(metadata) ?? [...tags], tags))
        : found
      for (const { key } of forgotten) await this.#remove(key)
    })
  }

  #changed(change: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(change)
    this.#changes = done.catch(() => {})
    return done
  }

  /** Counts what is there, by other processes and earlier ones too. */
  async #list(): Promise<void> {
    const listed = await cacache.ls(this.#directory)
    const found = Object.values(listed)
    for (const key of [...this.#kept.keys()]) if (!Object.hasOwn(listed, key)) this.#kept.delete(key)
    for (const { key, size } of found.sort((one, other) => one.time - other.time)) {
      if (!this.#kept.has(key)) this.#kept.set(key, sizeOf(key, size))
    }
    this.#unlisted = 0
    await this.#removeEvicted()
  }

  async #removeEvicted(): Promise<void> {
    for (const key of this.#evicted.splice(0)) await this.#remove(key)
  }

  /** The content first: an entry without content is found and counted, content without an entry is not. */
  async #remove(key: string): Promise<void> {
    const info = await cacache.get.info(this.#directory, key)
    this.#kept.delete(key)
    if (!info) return
    // Another answer with the same bytes is a miss from now on.
    await cacache.rm.content(this.#directory, info.integrity)
    await removeEntry(this.#directory, key, { removeFully: true })
  }
}

function entryOf(data: Uint8Array, metadata: unknown): CacheEntry | undefined {
  const tags = tagsOf(metadata)
  const expiresAt = fieldOf(metadata, 'expiresAt')
  if (!tags || typeof expiresAt !== 'number') return undefined
  return { bytes: new Uint8Array(data), tags, expiresAt }
}

function tagsOf(metadata: unknown): readonly string[] | undefined {
  const tags = fieldOf(metadata, 'tags')
  return Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') ? tags : undefined
}

function sizeOf(key: string, bytes: number): number {
  return bytes + key.length + OVERHEAD_BYTES
}

function hasOne(own: readonly string[], tags: readonly string[]): boolean {
  return own.some((tag) => tags.includes(tag))
}

function checkCount(option: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || Number(value) < 1) throw badOption(option, 'an integer of at least 1')
}

function badOption(path: string, expects: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${path}: give ${expects}`, { reason: 'BAD_OPTION', path })
}
