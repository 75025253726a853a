import { type Clock, systemClock } from '../core/clock.ts'
import { errorFrom, errorValue } from '../core/errorValue.ts'
import type { Call, IncomingCall, Interceptor, Next, OutgoingCall, Reply } from '../core/interceptor.ts'
import { isNameOrPattern, matches } from '../core/pattern.ts'
import { targetKey } from '../core/route.ts'
import { CODEC, Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import { CALL_TIMEOUT_MS, MAX_DEPTH, MAX_KEYS } from '../wire/limits.ts'
import { pack, unpack } from '../wire/packed.ts'
import { orAborted, signalOf } from './abort.ts'
import { Gatherer, type Settled } from './gatherer.ts'
import { badOption, count, given, positive, readOptions } from './options.ts'

export interface BatchOptions {
  /** Methods whose calls may travel together, by name or pattern: `['pages.analyze']`. */
  readonly methods: readonly string[]
  /** Calls of one batch; default 100. */
  readonly maxSize?: number
  /** Longest that a call waits for others while a batch is under way; default 16 ms. A lone call does not wait. */
  readonly maxDelayMs?: number
  readonly clock?: Clock
}

/** Targets and methods that are gathered apart. */
const MAX_GATHERERS = 1_000
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: MAX_KEYS }

/**
 * Sends calls of one method that come close together as one message, and answers each by itself: a value, or an error
 * of its own. To be used at both ends: at the caller it gathers, at the callee, before anything else, it takes the
 * message apart, so that every policy behind it and the handler see single calls. Calls with an upload, progress, a
 * lane or an idempotency key of their own, streams and one-way calls travel alone.
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
  let batches = 0
  let calls = 0

  const policy = (next: Next): Next => {
    const gatherers = new Map<string, Gatherer<OutgoingCall, unknown>>()
    function gathererOf({ method, target }: OutgoingCall): Gatherer<OutgoingCall, unknown> | undefined {
      const key = `${method.name}\n${targetKey(target)}`
      let gatherer = gatherers.get(key)
      if (!gatherer && gatherers.size < MAX_GATHERERS) {
        gatherer = new Gatherer((gathered) => {
          batches++
          calls += gathered.length
          return send(gathered, next)
        }, gather)
        gatherers.set(key, gatherer)
      }
      return gatherer
    }
    return (call) => {
      if (!methods.some((rule) => matches(rule, call.method.name))) return next(call)
      if (call.side === 'callee') {
        const together = call.input
        return together instanceof Envelope && together.codec === CODEC.BATCH
          ? takeApart(call, together, next)
          : next(call)
      }
      const gatherer = goesAlone(call) ? undefined : gathererOf(call)
      if (!gatherer) return next(call)
      return orAborted(gatherer.add(call), signalOf(call), call.method.name).then((value) => ({ value }))
    }
  }
  return Object.assign(policy, { policy: 'batch', stats: () => ({ batches, calls }) })
}

function goesAlone({ method, oneWay, options }: OutgoingCall): boolean {
  const { upload, onProgress, lane, idempotencyKey } = options
  const isPlain = method.kind === 'call' && !method.upload && !oneWay
  return !isPlain || [upload, onProgress, lane, idempotencyKey].some((own) => own !== undefined)
}

async function send(gathered: readonly OutgoingCall[], next: Next): Promise<readonly Settled<unknown>[]> {
  const [first] = gathered
  if (!first || gathered.length === 1) return first ? [await alone(first, next)] : []
  const input = new Envelope(CODEC.BATCH, pack(gathered.map((call) => call.input)))
  const times = gathered.map(({ options }) => options.timeoutMs ?? CALL_TIMEOUT_MS)
  const timeoutMs = times.includes(0) ? 0 : Math.max(...times)
  const { signal, release } = allOf(gathered)
  const reply = await Promise.resolve(next({ ...first, input, options: { timeoutMs, signal } })).finally(
    release,
  )
  const outcomes: unknown = 'value' in reply ? reply.value : undefined
  if (!(outcomes instanceof Envelope) || outcomes.codec !== CODEC.BATCH) throw notTogether(first)
  return settledOf(unpack(outcomes.bytes, outcomes.bounds ?? BOUNDS), first)
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
function allOf(gathered: readonly OutgoingCall[]): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  const signals = gathered.map(signalOf)
  let left = gathered.length
  const abort = (): void => {
    left--
    if (left === 0) controller.abort()
  }
  for (const signal of signals) {
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  }
  return {
    signal: controller.signal,
    release: () => {
      for (const signal of signals) signal?.removeEventListener('abort', abort)
    },
  }
}

async function takeApart(call: IncomingCall, together: Envelope, next: Next): Promise<Reply> {
  const inputs = unpack(together.bytes, together.bounds ?? BOUNDS)
  if (!Array.isArray(inputs)) throw malformed(call)
  const outcomes = await Promise.all(
    inputs.map(async (input: unknown) => {
      try {
        const reply = await next({ ...call, input })
        return 'value' in reply ? reply : { error: errorValue(notTogether(call), false) }
      } catch (error) {
        return { error: errorValue(error, false) }
      }
    }),
  )
  return { value: new Envelope(CODEC.BATCH, pack(outcomes)) }
}

function settledOf(outcomes: unknown, call: Call): Settled<unknown>[] {
  if (!Array.isArray(outcomes)) throw malformed(call)
  return outcomes.map((outcome: unknown) => {
    if (typeof outcome !== 'object' || outcome === null) throw malformed(call)
    return 'value' in outcome
      ? { value: outcome.value }
      : { error: errorFrom(Reflect.get(outcome, 'error'), call.method.name) }
  })
}

function malformed(call: Call): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${call.method.name}: a batch that is no list`, {
    reason: 'MALFORMED_BODY',
  })
}

function notTogether({ method }: Call): ViaductError {
  return new ViaductError(
    'UNIMPLEMENTED',
    `${method.name}: its callee does not take batches: give it the policy too`,
    {
      reason: 'BATCH_UNKNOWN',
    },
  )
}
