import { isTraceparent } from '../core/callHead.ts'
import { ContextView } from '../core/contextView.ts'
import type { Call, Interceptor, Next, Reply } from '../core/interceptor.ts'
import { hex } from '../wire/hex.ts'
import { callback, readOptions } from './options.ts'

export interface TraceOptions {
  /**
   * The trace context that a call is made in, when its options name none: that of the request being served, as an
   * AsyncLocalStorage keeps it. Default: none, and the call begins a trace; so it does when this is malformed.
   */
  readonly current?: () => string | undefined
  /**
   * Runs a handler in a trace context, so that `current` gives it there. Default: just runs it. The body of a stream's
   * generator runs later, outside of it: there the handler hands on `call.traceparent`.
   */
  readonly run?: <T>(traceparent: string, handler: () => T) => T
  /** Told of each span when it ends, to be exported. What it throws ends nothing. */
  readonly onSpan?: (span: Span) => void
  /** Whether a trace that begins here is sampled; default: always. */
  readonly sample?: () => boolean
  /** Fills with random bytes; default the host's. */
  readonly random?: (bytes: Uint8Array<ArrayBuffer>) => void
  /** Milliseconds since 1970; default Date.now. */
  readonly wallClock?: () => number
}

/** One side of a call. Names of OpenTelemetry. */
export interface Span {
  readonly name: string
  readonly kind: 'client' | 'server'
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly startTime: number
  readonly endTime: number
  readonly error: unknown
}

/**
 * Carries the W3C trace context from caller to callee: a call belongs to the trace it was made in, and each side is a
 * span of it. Handlers see theirs as `call.traceparent`, to hand on by the option of that name. One-way calls carry
 * none.
 */
export function trace(options?: TraceOptions | true): Interceptor {
  const { current, run, onSpan, sample, random, wallClock } = readOptions('trace', options, {
    current: callback<() => string | undefined>(() => undefined),
    run: callback<NonNullable<TraceOptions['run']>>((_, handler) => handler()),
    onSpan: callback<TraceOptions['onSpan']>(undefined),
    sample: callback<() => boolean>(() => true),
    random: callback<NonNullable<TraceOptions['random']>>((bytes) => void crypto.getRandomValues(bytes)),
    wallClock: callback<() => number>(Date.now),
  })

  function newId(bytes: number): string {
    const drawn = new Uint8Array(bytes)
    random(drawn)
    return hex(drawn)
  }

  function told(span: Span): void {
    try {
      onSpan?.(span)
    } catch {
      // Whoever exports spans ends no call.
    }
  }

  async function traced(call: Call, next: Next): Promise<Reply> {
    const isCaller = call.side === 'caller'
    const parent = isCaller ? (call.options.traceparent ?? inherited()) : call.context.traceparent
    const [, traceId = newId(16), parentSpanId, flags = sample() ? '01' : '00'] = parent?.split('-') ?? []
    const spanId = newId(8)
    const traceparent = `00-${traceId}-${spanId}-${flags}`
    const startTime = wallClock()
    const ended = (error?: unknown): void => {
      const kind = isCaller ? 'client' : 'server'
      const endTime = wallClock()
      told({ name: call.method.name, kind, traceId, spanId, parentSpanId, startTime, endTime, error })
    }
    try {
      const reply = isCaller
        ? await next({ ...call, options: { ...call.options, traceparent } })
        : await run(traceparent, () =>
            next({ ...call, context: new ContextView(call.context, { traceparent }) }),
          )
      if ('items' in reply) reply.done.then(() => ended(), ended)
      else ended()
      return reply
    } catch (error) {
      ended(error)
      throw error
    }
  }

  function inherited(): string | undefined {
    const traceparent = current()
    return traceparent !== undefined && isTraceparent(traceparent) ? traceparent : undefined
  }

  const policy = (next: Next): Next => {
    return (call) => {
      // Nothing travels beside a one-way call.
      if (call.side === 'caller' && call.oneWay) return next(call)
      // What is malformed is refused where the call is written, with the option's name.
      const own = call.side === 'caller' ? call.options.traceparent : undefined
      return own === undefined || isTraceparent(own) ? traced(call, next) : next(call)
    }
  }
  return Object.assign(policy, { policy: 'trace' })
}
