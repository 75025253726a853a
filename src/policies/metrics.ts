import { type Clock, systemClock } from '../core/clock.ts'
import { isThenable } from '../core/guards.ts'
import { type Interceptor, isItems, type Next, type PolicyStats, type Reply } from '../core/interceptor.ts'
import { type IPCMetrics, Tally } from '../core/ipcMetrics.ts'
import { isViaductError } from '../wire/errors.ts'
import { count, given, positive, readOptions } from './options.ts'

export interface MetricsPolicyOptions {
  /** How long a window is. Default 60,000. */
  readonly windowMs?: number
  /** Methods that have a row; those after them are counted together, as `*`. Default 256. */
  readonly maxMethods?: number
  readonly clock?: Clock
}

/**
 * What went on in the last window and the one that runs. Bytes are the link's to count, retries the policy's that makes
 * them: both are 0 here. The queue is the calls that are open.
 */
export interface MetricsSnapshot {
  /** How long it was: up to two windows. */
  readonly windowMs: number
  readonly total: IPCMetrics
  readonly methods: { readonly [method: string]: IPCMetrics }
}

export interface MetricsPolicy extends Interceptor {
  snapshot(): MetricsSnapshot
}

/**
 * Measures calls where it stands, by method, in bounded memory and without a timer: for links that have no hub, and
 * for what a hub cannot see.
 *
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION
 */
export function metrics(options: MetricsPolicyOptions | true = {}): MetricsPolicy {
  const { windowMs, maxMethods, clock } = readOptions('metrics', options, {
    windowMs: positive(60_000),
    maxMethods: count(256),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  const meter = new Meter(clock, windowMs, maxMethods)
  return Object.assign((next: Next): Next => meter.around(next), {
    policy: 'metrics',
    stats: () => meter.stats(),
    snapshot: () => meter.snapshot(),
  })
}

/** One method in one window. */
class Row {
  readonly tally = new Tally()
  /** Open calls as each call found them, itself among them. */
  openSum = 0
  calls = 0
}

/** The window that runs and the one before; they change over with the first thing that is counted late enough. */
class Meter {
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #maxMethods: number
  /** Calls that are open, by method: the names that have rows. */
  readonly #open = new Map<string, number>()
  #beganAt: number
  #rows = new Map<string, Row>()
  #beforeAt: number
  #before = new Map<string, Row>()
  #calls = 0
  #failed = 0

  constructor(clock: Clock, windowMs: number, maxMethods: number) {
    this.#clock = clock
    this.#windowMs = windowMs
    this.#maxMethods = maxMethods
    this.#beganAt = this.#beforeAt = clock.now()
  }

  around(next: Next): Next {
    return (call) => {
      const method = this.#nameOf(call.method.name)
      if (call.side === 'caller' && call.oneWay) return this.#oneWay(method, next(call))
      const measured = this.#begin(method)
      const failed = (error: unknown): never => {
        measured.end({ error })
        throw error
      }
      try {
        const reply = next(call)
        return isThenable(reply)
          ? Promise.resolve(reply).then((settled) => measure(measured, settled), failed)
          : measure(measured, reply)
      } catch (error) {
        return failed(error)
      }
    }
  }

  /** The row of the window that runs. */
  #row(method: string): Row {
    const now = this.#clock.now()
    if (now - this.#beganAt >= this.#windowMs) {
      const isNext = now - this.#beganAt < 2 * this.#windowMs
      this.#before = isNext ? this.#rows : new Map()
      this.#beforeAt = isNext ? this.#beganAt : now
      this.#beganAt = isNext ? this.#beganAt + this.#windowMs : now
      this.#rows = new Map()
    }
    let row = this.#rows.get(method)
    if (!row) {
      row = new Row()
      this.#rows.set(method, row)
    }
    return row
  }

  #nameOf(method: string): string {
    if (this.#open.has(method)) return method
    const name = this.#open.size < this.#maxMethods ? method : '*'
    if (!this.#open.has(name)) this.#open.set(name, 0)
    return name
  }

  #begin(method: string): Measured {
    const row = this.#row(method)
    const open = (this.#open.get(method) ?? 0) + 1
    this.#open.set(method, open)
    this.#calls++
    row.calls++
    row.openSum += open
    row.tally.messages++
    row.tally.maxQueueSize = Math.max(row.tally.maxQueueSize, open)
    const startedAt = this.#clock.now()
    let isTimed = false
    const timed = (): void => {
      if (isTimed) return
      isTimed = true
      this.#row(method).tally.latency.record(this.#clock.now() - startedAt)
    }
    return {
      item: () => {
        timed()
        this.#row(method).tally.messages++
      },
      end: (failure) => {
        timed()
        this.#open.set(method, (this.#open.get(method) ?? 1) - 1)
        const { tally } = this.#row(method)
        tally.ended++
        if (failure) this.#fail(tally, failure.error)
      },
    }
  }

  #fail(tally: Tally, error: unknown): void {
    const { code, reason } = isViaductError(error) ? error : { code: 'UNKNOWN', reason: '' }
    if (code === 'CANCELLED') return
    this.#failed++
    tally.failed++
    if (code === 'DEADLINE_EXCEEDED') tally.timedOut++
    if (reason === 'QUEUE_FULL') tally.dropped++
  }

  #oneWay(method: string, reply: Reply | PromiseLike<Reply>): Reply | PromiseLike<Reply> {
    const { tally } = this.#row(method)
    if (!isThenable(reply) && !isItems(reply) && reply.value === false) tally.dropped++
    else tally.messages++
    return reply
  }

  snapshot(): MetricsSnapshot {
    const now = this.#clock.now()
    this.#row('*')
    const windowMs = now - this.#beforeAt
    const total = new Row()
    const methods: { [method: string]: IPCMetrics } = {}
    for (const method of this.#open.keys()) {
      const both = new Row()
      for (const row of [this.#before.get(method), this.#rows.get(method)]) {
        if (!row) continue
        for (const sum of [both, total]) {
          sum.tally.add(row.tally)
          sum.openSum += row.openSum
          sum.calls += row.calls
        }
      }
      if (both.tally.messages + both.tally.ended + both.tally.dropped > 0) {
        methods[method] = metricsOf(both, windowMs)
      }
    }
    return { windowMs, total: metricsOf(total, windowMs), methods }
  }

  stats(): PolicyStats {
    const { messagesPerSecond, p50Latency, p95Latency, p99Latency, errorRate } = this.snapshot().total
    const counts = { calls: this.#calls, failed: this.#failed }
    return { ...counts, messagesPerSecond, p50Latency, p95Latency, p99Latency, errorRate }
  }
}

interface Measured {
  /** An item of the answer. */
  item(): void
  end(failure?: { readonly error: unknown }): void
}

function measure(measured: Measured, reply: Reply): Reply {
  if (!isItems(reply)) {
    measured.end()
    return reply
  }
  reply.done.then(
    () => measured.end(),
    (error: unknown) => measured.end({ error }),
  )
  return { items: counted(reply.items, () => measured.item()), done: reply.done }
}

function counted(items: AsyncIterable<unknown>, count: () => void): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = items[Symbol.asyncIterator]()
      return {
        async next() {
          const result = await iterator.next()
          if (!result.done) count()
          return result
        },
        async return(value?: unknown) {
          return (await iterator.return?.(value)) ?? { done: true, value }
        },
      }
    },
  }
}

function metricsOf({ tally, openSum, calls }: Row, windowMs: number): IPCMetrics {
  tally.avgQueueSize = calls === 0 ? 0 : openSum / calls
  return tally.metrics(windowMs)
}
