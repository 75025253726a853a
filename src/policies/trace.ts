import { ContextView, type Interceptor, type Next } from '../core/interceptor.ts'
import { given, readOptions } from './options.ts'

export interface TraceOptions {
  /**
   * The trace context that a call is made in, when its options name none: that of the request being served, as an
   * AsyncLocalStorage keeps it. Default: none, and the call begins a trace.
   */
  readonly current?: () => string | undefined
  /** Runs a handler in a trace context, so that `current` gives it there. Default: just runs it. */
  readonly run?: <T>(traceparent: string, handler: () => T) => T
  /** Told of each span when it ends, to be exported. */
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
 * span of it. Handlers see theirs as `call.traceparent`, to hand on by the option of that name.
 */
export function trace(options?: TraceOptions | true): Interceptor {
  const { current, run, onSpan, sample, random, wallClock } = readOptions('trace', options, {
    current: given<() => string | undefined>(() => undefined, 'a function'),
    run: given<NonNullable<TraceOptions['run']>>((_, handler) => handler(), 'a function'),
    onSpan: given<TraceOptions['onSpan']>(undefined, 'a function'),
    sample: given<() => boolean>(() => true, 'a function'),
    random: given<NonNullable<TraceOptions['random']>>(
      (bytes) => void crypto.getRandomValues(bytes),
      'a function',
    ),
    wallClock: given<() => number>(Date.now, 'a function'),
  })

  function hex(bytes: number): string {
    const drawn = new Uint8Array(bytes)
    random(drawn)
    let text = ''
    for (const byte of drawn) text += byte.toString(16).padStart(2, '0')
    return text
  }

  const policy = (next: Next): Next => {
    return async (call) => {
      const isCaller = call.side === 'caller'
      const parent = isCaller ? (call.options.traceparent ?? current()) : call.context.traceparent
      const [, traceId = hex(16), parentSpanId, flags = sample() ? '01' : '00'] = parent?.split('-') ?? []
      const spanId = hex(8)
      const traceparent = `00-${traceId}-${spanId}-${flags}`
      const startTime = wallClock()
      const ended = (error: unknown): void => {
        const kind = isCaller ? 'client' : 'server'
        const endTime = wallClock()
        onSpan?.({ name: call.method.name, kind, traceId, spanId, parentSpanId, startTime, endTime, error })
      }
      try {
        const reply = isCaller
          ? await next({ ...call, options: { ...call.options, traceparent } })
          : await run(traceparent, () =>
              next({ ...call, context: new ContextView(call.context, { traceparent }) }),
            )
        if ('items' in reply) reply.done.then(() => ended(undefined), ended)
        else ended(undefined)
        return reply
      } catch (error) {
        ended(error)
        throw error
      }
    }
  }
  return Object.assign(policy, { policy: 'trace' })
}
