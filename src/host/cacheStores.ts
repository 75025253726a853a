import cacache from 'cacache'
import { LRUCache } from 'lru-cache'
import type { CacheEntry, CacheStore } from '../policies/cache.ts'
import { ViaductError } from '../wire/errors.ts'

export interface MemoryStoreOptions {
  /** Answers kept; default 1,000. The one used longest ago goes first. */
  readonly maxEntries?: number
  /** Bytes of all answers together; default 64 MiB. One that is larger is not kept. */
  readonly maxBytes?: number
}

/** Answers of a cache in the memory of this process. */
export function memoryStore({
  maxEntries = 1_000,
  maxBytes = 64 * 1024 * 1024,
}: MemoryStoreOptions = {}): CacheStore {
  checkCount('memoryStore', 'maxEntries', maxEntries)
  checkCount('memoryStore', 'maxBytes', maxBytes)
  const entries = new LRUCache<string, CacheEntry>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }, key) => bytes.length + key.length + 1,
  })
  return {
    get: (key) => entries.get(key),
    set: (key, entry) => void entries.set(key, entry),
    invalidate: (tags) => {
      if (tags === undefined) entries.clear()
      else for (const [key, entry] of entries.entries()) if (hasOne(entry.tags, tags)) entries.delete(key)
    },
  }
}

export interface DiskStoreOptions {
  /** A folder of this store's own; made when it is not there. Several processes may share it. */
  readonly directory: string
  /** Bytes of all answers together; default 256 MiB. The one used longest ago by this process goes first. */
  readonly maxBytes?: number
}

/** What is known of an answer on the disk without reading it. */
interface Kept {
  readonly size: number
  readonly tags: readonly string[]
  readonly expiresAt: number
}

/**
 * Answers of a cache in a folder, checked by their hash when they are read; they outlive the process. Take it behind
 * a {@link memoryStore}.
 */
export function diskStore({ directory, maxBytes = 256 * 1024 * 1024 }: DiskStoreOptions): CacheStore {
  if (typeof directory !== 'string' || directory === '') {
    throw new ViaductError('INVALID_ARGUMENT', 'diskStore.directory: give a folder', {
      reason: 'BAD_OPTION',
      path: 'diskStore.directory',
    })
  }
  checkCount('diskStore', 'maxBytes', maxBytes)
  const remove = async (key: string): Promise<void> => {
    try {
      const info = await cacache.get.info(directory, key)
      await cacache.rm.entry(directory, key)
      // Another answer with the same bytes is forgotten with it.
      if (info) await cacache.rm.content(directory, info.integrity)
    } catch {
      // It is not there any more.
    }
  }
  const kept = new LRUCache<string, Kept>({
    maxSize: maxBytes,
    maxEntrySize: maxBytes,
    sizeCalculation: ({ size }) => Math.max(1, size),
    dispose: (_, key, reason) => {
      if (reason === 'evict') void remove(key)
    },
  })
  let listed: Promise<void> | undefined
  const list = (): Promise<void> => {
    listed ??= cacache.ls(directory).then(
      (found) => {
        const oldestFirst = Object.values(found).sort((one, other) => one.time - other.time)
        for (const { key, size, metadata } of oldestFirst) {
          const read = keptOf(metadata, size)
          if (read) kept.set(key, read)
        }
      },
      () => {},
    )
    return listed
  }
  return {
    async get(key) {
      const found = await cacache.get(directory, key).catch(() => undefined)
      const read = found && keptOf(found.metadata, found.data.length)
      if (!found || !read) return undefined
      kept.get(key)
      return { bytes: new Uint8Array(found.data), tags: read.tags, expiresAt: read.expiresAt }
    },
    async set(key, { bytes, tags, expiresAt }) {
      await list()
      if (bytes.length > maxBytes) return
      await cacache.put(directory, key, Buffer.from(bytes), { metadata: { tags, expiresAt } })
      kept.set(key, { size: bytes.length, tags, expiresAt })
    },
    async invalidate(tags) {
      await list()
      if (tags === undefined) {
        kept.clear()
        await cacache.rm.all(directory)
        return
      }
      const keys = [...kept.entries()].filter(([, { tags: own }]) => hasOne(own, tags)).map(([key]) => key)
      for (const key of keys) kept.delete(key)
      await Promise.all(keys.map(remove))
    },
  }
}

function keptOf(metadata: unknown, size: number): Kept | undefined {
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const tags: unknown = Reflect.get(metadata, 'tags')
  const expiresAt: unknown = Reflect.get(metadata, 'expiresAt')
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) return undefined
  return typeof expiresAt === 'number' ? { size, tags, expiresAt } : undefined
}

function hasOne(own: readonly string[], tags: readonly string[]): boolean {
  return own.some((tag) => tags.includes(tag))
}

function checkCount(store: string, option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && Number(value) > 0) return
  const path = `${store}.${option}`
  throw new ViaductError('INVALID_ARGUMENT', `${path}: give an integer of at least 1`, {
    reason: 'BAD_OPTION',
    path,
  })
}
