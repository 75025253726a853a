import { type Clock, systemClock } from '../core/clock.ts'
import type { Call, Interceptor, Next, PolicyStats, Reply } from '../core/interceptor.ts'
import { isNameOrPattern, matches } from '../core/pattern.ts'
import { targetKey } from '../core/route.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { pack } from '../wire/packed.ts'
import { signalOf } from './abort.ts'
import { CacheLayers, type CacheStore, readAnswer } from './cacheLayers.ts'
import { badOption, count, flag, given, positive, readOptions } from './options.ts'
import { patienceMs, waited } from './waited.ts'

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
  /** Keeps apart what has one store and different answers: caches of several hubs, or of several links. */
  readonly scope?: string
  /** Tells other processes what was forgotten here, and hears it of them; see `invalidateWith`. */
  readonly others?: CacheOthers
  readonly clock?: Clock
  /** Milliseconds since 1970, for what outlives this process; default Date.now. */
  readonly wallClock?: () => number
}

export interface CacheOthers {
  /** False when it could not be told. */
  tell(tags: readonly string[] | undefined): boolean
  /** @param deaf called when nothing will be heard any more. */
  listen(heard: (tags: readonly string[] | undefined) => void, deaf: () => void): void
}

export interface Cache extends Interceptor {
  readonly policy: 'cache'
  readonly stats: () => PolicyStats
  /**
   * Forgets here, and tells the others. Answers that are on their way are not kept.
   * @throws ViaductError UNAVAILABLE / NOT_TOLD: forgotten here, the others do not know · what a store throws that
   * could not forget; it is not read any more until it could.
   */
  invalidate(tags?: readonly string[]): Promise<void>
}

/** A call that is under way, and others that wait for it. */
interface Leader {
  readonly call: Call
  readonly answer: Promise<Answer>
}

interface Answer {
  readonly reply: Reply
  /** Of its value, before anybody could change it; none of what cannot be packed. */
  readonly bytes?: Uint8Array | undefined
}

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
    scope: text(''),
    others: given<CacheOthers | undefined>(undefined, 'an object with tell and listen'),
    clock: given<Clock>(systemClock, 'a clock'),
    wallClock: given<() => number>(Date.now, 'a function'),
  })
  const { methods, stores, others, clock } = read
  if (methods.length === 0 || !methods.every((name) => typeof name === 'string' && isNameOrPattern(name))) {
    throw badOption('cache', 'methods', 'give the methods to keep, as ["pages.analyze"]')
  }
  if (stores.length === 0) throw badOption('cache', 'stores', 'give at least one, as [memoryStore()]')
  const layers = new CacheLayers(stores, read.ttlMs, read.wallClock)
  const underWay = new Map<string, Leader>()
  const counts = { hits: 0, misses: 0, shared: 0, invalidations: 0 }
  let isDeaf = false

  async function lead(key: string, call: Call, next: Next): Promise<Answer> {
    const { asked } = layers
    const found = isDeaf ? undefined : await layers.find(key, asked)
    if (found) {
      counts.hits++
      return { reply: { value: found.value }, bytes: found.bytes }
    }
    counts.misses++
    const reply = await next(call)
    if ('items' in reply) return { reply }
    const bytes = packed(reply.value)
    if (bytes && !isDeaf) {
      const tags = tagsOf(call, reply.value)
      if (tags) layers.keep(key, bytes, tags, asked)
    }
    return { reply, bytes }
  }

  function tagsOf(call: Call, value: unknown): readonly string[] | undefined {
    try {
      return [call.method.name, ...(read.tags?.(call, value) ?? [])]
    } catch {
      // What nobody could make forget is not kept.
      return undefined
    }
  }

  /** What the call under way gives, for another that is like it. */
  async function follow(leader: Leader, call: Call, ask: Next, next: Next): Promise<Reply> {
    const began = clock.now()
    const ms = patienceMs(call)
    try {
      const { reply, bytes } = await waited(leader.answer, call, ms, clock)
      if (!bytes) return 'items' in reply ? reply : next(call)
      counts.shared++
      return { value: readAnswer(bytes) }
    } catch (error) {
      const leftMs = ms - (clock.now() - began)
      // That it was given up by who made it is no answer for others.
      const gaveUp =
        signalOf(leader.call)?.aborted || (isViaductError(error) && error.code === 'DEADLINE_EXCEEDED')
      if (!gaveUp || signalOf(call)?.aborted || leftMs <= 0) throw error
      return ask(within(call, leftMs))
    }
  }

  async function forget(tags?: readonly string[]): Promise<void> {
    counts.invalidations++
    underWay.clear()
    await layers.forget(tags)
  }

  others?.listen(
    (tags) => void forget(tags).catch(() => {}),
    () => {
      isDeaf = true
      forget().catch(() => {})
    },
  )

  const policy = (next: Next): Next => {
    const ask: Next = (call) => {
      const key = methods.some((rule) => matches(rule, call.method.name)) ? keyOf(call, read) : undefined
      if (key === undefined) return next(call)
      const running = underWay.get(key)
      if (running) return follow(running, call, ask, next)
      const leader = { call, answer: lead(key, call, next) }
      underWay.set(key, leader)
      const ended = (): void => {
        if (underWay.get(key) === leader) underWay.delete(key)
      }
      leader.answer.then(ended, ended)
      return leader.answer.then(({ reply }) => reply)
    }
    return ask
  }
  const stats = (): PolicyStats => {
    const asked = counts.hits + counts.shared + counts.misses
    const hitRate = asked === 0 ? 0 : (counts.hits + counts.shared) / asked
    return { ...counts, hitRate, storeFailures: layers.failures, deaf: isDeaf ? 1 : 0 }
  }
  const invalidate = async (tags?: readonly string[]): Promise<void> => {
    const told = others?.tell(tags) ?? true
    await forget(tags)
    if (!told) {
      throw new ViaductError('UNAVAILABLE', 'cache: forgotten here, but the others could not be told', {
        reason: 'NOT_TOLD',
      })
    }
  }
  return Object.assign(policy, { policy: 'cache' as const, stats, invalidate })
}

/** One key for like calls; undefined for what is not kept. */
function keyOf(
  call: Call,
  { shared, maxKeyBytes, scope }: { shared: boolean; maxKeyBytes: number; scope: string },
): string | undefined {
  if (call.method.kind !== 'call' || call.method.upload) return undefined
  if (call.side === 'caller' && (call.oneWay || call.options.onProgress)) return undefined
  const whose = call.side === 'caller' ? targetKey(call.target) : shared ? true : call.context.peer.id
  // Without a hub nobody says who asks.
  if (call.side === 'callee' && whose === '') return undefined
  const bytes = packed(call.input)
  if (!bytes || bytes.length > maxKeyBytes) return undefined
  let text = `${JSON.stringify([scope, call.side, call.method.name, call.method.fingerprint, whose])}\n`
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** Undefined for what cannot be sent; who sends it says why. */
function packed(value: unknown): Uint8Array | undefined {
  try {
    return pack(value)
  } catch {
    return undefined
  }
}

function within(call: Call, leftMs: number): Call {
  if (call.side === 'callee' || leftMs === Number.POSITIVE_INFINITY) return call
  return { ...call, options: { ...call.options, timeoutMs: leftMs } }
}

function text(fallback: string) {
  const accepts = (value: unknown): value is string => typeof value === 'string'
  return { fallback, expects: 'a text', accepts }
}
