import { type Clock, systemClock } from '../core/clock.ts'
import type { Call, Interceptor, Next, PolicyStats, Reply, ValueReply } from '../core/interceptor.ts'
import { isNameOrPattern, matches } from '../core/pattern.ts'
import { targetKey } from '../core/route.ts'
import { isViaductError } from '../wire/errors.ts'
import { MAX_DEPTH, TRUSTED_MAX_KEYS } from '../wire/limits.ts'
import { pack, unpack } from '../wire/packed.ts'
import { orAborted, signalOf } from './abort.ts'
import { badOption, count, flag, given, positive, readOptions } from './options.ts'

/** What is kept of an answer. */
export interface CacheEntry {
  readonly bytes: Uint8Array
  readonly tags: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/**
 * Where answers are kept; `memoryStore` and `diskStore` of `viaduct` are two. It bounds itself, and may forget at any
 * time. A store that throws is one that does not have it: the call goes on.
 */
export interface CacheStore {
  get(key: string): CacheEntry | undefined | Promise<CacheEntry | undefined>
  set(key: string, entry: CacheEntry): void | Promise<void>
  /** Forgets all entries that have one of the tags; without tags all. */
  invalidate(tags?: readonly string[]): void | Promise<void>
}

export interface CacheOptions {
  /** Methods whose answers are kept, by name or pattern: `['pages.analyze']`. Nothing else ever is. */
  readonly methods: readonly string[]
  /** Milliseconds; default 60,000. */
  readonly ttlMs?: number
  /** Asked in order; an answer is kept in all of them, and a hit in a later one is kept in those before it. */
  readonly stores: readonly CacheStore[]
  /** By which an answer may be forgotten later; default: none but its method's name. */
  readonly tags?: (call: Call, value: unknown) => readonly string[]
  /** Callee: one caller's answer may be another's, since the handler does not look at who asks. Default false. */
  readonly shared?: boolean
  /** Longest input that is a key, in bytes; calls with longer ones are not kept. Default 4,096. */
  readonly maxKeyBytes?: number
  /** Tells other processes what was forgotten here, and hears it of them; see `invalidateWith`. */
  readonly others?: CacheOthers
  readonly clock?: Clock
  /** Milliseconds since 1970, for what outlives this process; default Date.now. */
  readonly wallClock?: () => number
}

export interface CacheOthers {
  tell(tags: readonly string[] | undefined): void
  listen(heard: (tags: readonly string[] | undefined) => void): void
}

export interface Cache extends Interceptor {
  readonly policy: 'cache'
  readonly stats: () => PolicyStats
  /** Forgets here, and tells the others. Answers that are on their way are not kept. */
  invalidate(tags?: readonly string[]): Promise<void>
}

/** Our own bytes: whatever could be sent can be read again. */
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: TRUSTED_MAX_KEYS }

/**
 * Answers a call from what the same call gave before, and makes like calls that are under way at once one call. Kept
 * as bytes, so nobody's change of an answer reaches another. Errors, streams and one-way calls are not kept. At the
 * callee it stands behind whatever says who may ask.
 */
export function cache(options: CacheOptions): Cache {
  const read = readOptions('cache', options, {
    methods: given<readonly string[]>([], 'a list of methods'),
    ttlMs: positive(60_000),
    stores: given<readonly CacheStore[]>([], 'a list of stores'),
    tags: given<CacheOptions['tags']>(undefined, 'a function'),
    shared: flag(false),
    maxKeyBytes: count(4_096),
    others: given<CacheOthers | undefined>(undefined, 'an object with tell and listen'),
    clock: given<Clock>(systemClock, 'a clock'),
    wallClock: given<() => number>(Date.now, 'a function'),
  })
  const { methods, stores } = read
  if (methods.length === 0 || !methods.every((name) => typeof name === 'string' && isNameOrPattern(name))) {
    throw badOption('cache', 'methods', 'give the methods to keep, as ["pages.analyze"]')
  }
  if (stores.length === 0) throw badOption('cache', 'stores', 'give at least one, as [memoryStore()]')
  const underWay = new Map<string, { readonly call: Call; readonly reply: Promise<Reply> }>()
  const counts = { hits: 0, misses: 0, shared: 0, invalidations: 0 }
  /** Grows with each invalidation: what was asked before it is not kept. */
  let generation = 0

  async function find(key: string): Promise<ValueReply | undefined> {
    for (const [index, store] of stores.entries()) {
      const entry = await quietly(() => store.get(key))
      if (!entry || entry.expiresAt <= read.wallClock()) continue
      const found = await quietly(() => ({ value: unpack(entry.bytes.slice(), BOUNDS) }))
      if (!found) continue
      for (const before of stores.slice(0, index)) await quietly(() => before.set(key, entry))
      return found
    }
    return undefined
  }

  /** What the call under way gives, for another that is like it. */
  async function follow(leader: Call, reply: Promise<Reply>, call: Call, again: Next): Promise<Reply> {
    counts.shared++
    const signal = signalOf(call)
    try {
      const settled = await orAborted(reply, signal, call.method.name)
      // Each has its own: what one does to its answer is not seen by another.
      return 'items' in settled ? settled : { value: unpack(pack(settled.value), BOUNDS) }
    } catch (error) {
      // That it was given up by who made it is no answer for others.
      const gaveUp =
        signalOf(leader)?.aborted || (isViaductError(error) && error.code === 'DEADLINE_EXCEEDED')
      if (signal?.aborted || !gaveUp) throw error
      counts.shared--
      return again(call)
    }
  }

  async function first(key: string, call: Call, next: Next): Promise<Reply> {
    const asked = generation
    const found = await find(key)
    if (found) {
      counts.hits++
      return found
    }
    counts.misses++
    const reply = await next(call)
    if ('items' in reply || generation !== asked) return reply
    await quietly(() => keep(key, call, reply))
    return reply
  }

  async function keep(key: string, call: Call, { value }: ValueReply): Promise<void> {
    const tags = [call.method.name, ...(read.tags?.(call, value) ?? [])]
    const entry = { bytes: pack(value), tags, expiresAt: read.wallClock() + read.ttlMs }
    for (const store of stores) await quietly(() => store.set(key, entry))
  }

  async function forget(tags?: readonly string[]): Promise<void> {
    generation++
    counts.invalidations++
    underWay.clear()
    for (const store of stores) await store.invalidate(tags)
  }

  read.others?.listen((tags) => void quietly(() => forget(tags)))

  const policy = (next: Next): Next => {
    const ask: Next = (call) => {
      const key = methods.some((rule) => matches(rule, call.method.name)) ? keyOf(call, read) : undefined
      if (key === undefined) return next(call)
      const running = underWay.get(key)
      if (running) return follow(running.call, running.reply, call, ask)
      const entry = { call, reply: first(key, call, next) }
      underWay.set(key, entry)
      const ended = (): void => {
        if (underWay.get(key) === entry) underWay.delete(key)
      }
      entry.reply.then(ended, ended)
      return entry.reply
    }
    return ask
  }
  const stats = (): PolicyStats => {
    const asked = counts.hits + counts.shared + counts.misses
    return { ...counts, hitRate: asked === 0 ? 0 : (counts.hits + counts.shared) / asked }
  }
  const invalidate = async (tags?: readonly string[]): Promise<void> => {
    await forget(tags)
    read.others?.tell(tags)
  }
  return Object.assign(policy, { policy: 'cache' as const, stats, invalidate })
}

/** One key for like calls; undefined for what is not kept. */
function keyOf(
  call: Call,
  { shared, maxKeyBytes }: { shared: boolean; maxKeyBytes: number },
): string | undefined {
  if (call.method.kind !== 'call' || call.method.upload) return undefined
  if (call.side === 'caller' && (call.oneWay || call.options.onProgress)) return undefined
  const bytes = pack(call.input)
  if (bytes.length > maxKeyBytes) return undefined
  const whose = call.side === 'caller' ? targetKey(call.target) : shared ? '' : call.context.peer.id
  let text = `${call.method.name}\n${call.method.fingerprint}\n${whose}\n`
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

async function quietly<T>(run: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch {
    return undefined
  }
}
