import { type Clock, systemClock } from '../core/clock.ts'
import type { IncomingCall, Interceptor, Next, OutgoingCall, Reply } from '../core/interceptor.ts'
import { isNameOrPattern, matches } from '../core/pattern.ts'
import { targetKey } from '../core/route.ts'
import type { Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import { signalOf } from './abort.ts'
import {
  BATCH_BYTES,
  callsOf,
  envelopeOf,
  isBatch,
  notTogether,
  outcomesOf,
  packedCall,
  packedOutcome,
  withinRoom,
} from './batchBody.ts'
import { GatherCounts, Gatherer, type Settled } from './gatherer.ts'
import { badOption, count, given, positive, readOptions } from './options.ts'
import { patienceMs, waited } from './waited.ts'

export interface BatchOptions {
  /** Methods whose calls may travel together, by name or pattern: `['pages.analyze']`. */
  readonly methods: readonly string[]
  /** Calls of one batch; at the callee the most that it takes, so give both the same. Default 100. */
  readonly maxSize?: number
  /** Longest that a call waits for others while a batch is under way; default 16 ms. A lone call does not wait. */
  readonly maxDelayMs?: number
  readonly clock?: Clock
}

/** Targets and methods that are gathered apart; of more, calls travel alone. */
const MAX_GATHERERS = 1_000

/** A call that waits for others, as it was when it was made. */
interface Packed {
  readonly call: OutgoingCall
  readonly bytes: Uint8Array
  /** It has not waited: what its maker gave is what was packed. */
  isFresh: boolean
  /** It went as it was made: its time and its signal are the link's to keep. */
  isAlone: boolean
}

/**
 * Sends calls of one method that come close together as one message, and answers each by itself: a value, or an error
 * of its own. To be used at both ends: at the caller it gathers, at the callee, before anything else, it takes the
 * message apart, so that every policy behind it and the handler see single calls. Calls with progress, a lane or
 * functions, those of over 64 KiB, streams, uploads and one-way calls travel alone.
 *
 * Callers get UNIMPLEMENTED / ENVELOPE_UNKNOWN from a callee without it, INVALID_ARGUMENT / BATCH_TOO_LARGE from one with
 * a smaller `maxSize`, RESOURCE_EXHAUSTED / BATCH_FULL for an answer that has no room beside the others.
 */
export function batch(options: BatchOptions): Interceptor {
  const { methods, ...gather } = readOptions('batch', options, {
    methods: given<readonly string[]>([], 'a list of methods'),
    maxSize: count(100),
    maxDelayMs: positive(16),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  if (methods.length === 0 || !methods.every((name) => typeof name === 'string' && isNameOrPattern(name))) {
    throw badOption('batch', 'methods', 'give the methods whose calls travel together, as ["pages.analyze"]')
  }
  const { maxSize, clock } = gather
  const counts = new GatherCounts()

  const policy = (next: Next): Next => {
    const gatherers = new Map<string, Gatherer<Packed, unknown>>()

    function gathererOf({ method, target }: OutgoingCall): Gatherer<Packed, unknown> | undefined {
      const key = `${method.name}\n${targetKey(target)}`
      const known = gatherers.get(key)
      if (known) return known
      if (gatherers.size >= MAX_GATHERERS) {
        for (const [name, { isIdle }] of gatherers) if (isIdle) gatherers.delete(name)
        if (gatherers.size >= MAX_GATHERERS) return undefined
      }
      const gatherer = new Gatherer<Packed, unknown>(
        (gathered) => send(gathered, next),
        gather,
        counts,
        BATCH_BYTES,
      )
      gatherers.set(key, gatherer)
      return gatherer
    }

    return (call) => {
      if (!methods.some((rule) => matches(rule, call.method.name))) return next(call)
      if (call.side === 'callee') {
        return isBatch(call.input) ? takeApart(call, call.input, maxSize, next) : next(call)
      }
      const bytes = goesAlone(call) ? undefined : packedCall(call)
      const gatherer = bytes && gathererOf(call)
      if (!gatherer) return next(call)
      const one = { call, bytes, isFresh: true, isAlone: false }
      const answer = gatherer.add(one, bytes.length)
      one.isFresh = false
      const settled = one.isAlone ? answer : waited(answer, call, patienceMs(call), clock)
      return settled.then((value) => ({ value }))
    }
  }
  return Object.assign(policy, { policy: 'batch', stats: () => counts.stats() })
}

function goesAlone({ method, oneWay, options }: OutgoingCall): boolean {
  const { onProgress, lane, idleTimeoutMs, signal } = options
  if (method.kind !== 'call' || method.upload || oneWay || signal?.aborted) return true
  return onProgress !== undefined || lane !== undefined || idleTimeoutMs !== undefined
}

async function send(gathered: readonly Packed[], next: Next): Promise<readonly Settled<unknown>[]> {
  // Whom nobody waits for any more is not sent; what it is told is heard by nobody.
  const live = gathered.filter(({ call }) => !signalOf(call)?.aborted)
  const answers = (await sendLive(live, next)).values()
  return gathered.map((one) => {
    const outcome = live.includes(one) ? answers.next().value : undefined
    return outcome ?? { error: new ViaductError('CANCELLED', `${one.call.method.name}: cancelled`) }
  })
}

async function sendLive(live: readonly Packed[], next: Next): Promise<readonly Settled<unknown>[]> {
  const [first] = live
  if (!first) return []
  if (live.length === 1 && first.isFresh) {
    first.isAlone = true
    return [await alone(first.call, next)]
  }
  const { call } = first
  const waits = live.map((one) => patienceMs(one.call))
  const longest = Math.max(...waits)
  const timeoutMs = longest === Number.POSITIVE_INFINITY ? 0 : longest
  const { signal, release } = allOf(live.map((one) => one.call))
  try {
    const input = envelopeOf(live.map(({ bytes }) => bytes))
    const reply = await next({ ...call, input, options: { timeoutMs, signal } })
    return outcomesOf(reply, live.length, call)
  } finally {
    release()
  }
}

async function alone(call: OutgoingCall, next: Next): Promise<Settled<unknown>> {
  try {
    const reply = await next(call)
    return 'value' in reply ? reply : { error: notTogether(call) }
  } catch (error) {
    return { error }
  }
}

/** Aborted when nobody waits for any of them any more. */
function allOf(calls: readonly OutgoingCall[]): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  let left = calls.length
  const abort = (): void => {
    left--
    if (left === 0) controller.abort()
  }
  for (const call of calls) signalOf(call)?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    release: () => {
      for (const call of calls) signalOf(call)?.removeEventListener('abort', abort)
    },
  }
}

async function takeApart(call: IncomingCall, batched: Envelope, maxSize: number, next: Next): Promise<Reply> {
  const calls = callsOf(batched, call, maxSize)
  const outcomes = await Promise.all(
    calls.map(async (one): Promise<Uint8Array> => {
      try {
        const reply = await next(one())
        if ('value' in reply) return packedOutcome({ value: reply.value })
        throw notTogether(call)
      } catch (error) {
        return packedOutcome({ error })
      }
    }),
  )
  return { value: envelopeOf(withinRoom(outcomes, call)) }
}
