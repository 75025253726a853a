import type { Clock } from '../core/clock.ts'
import type { Histogram } from '../core/histogram.ts'
import { type IPCMetrics, Tally } from '../core/ipcMetrics.ts'
import type { Retries } from './policyReports.ts'
import { QueueSamples, type Queues } from './queueSamples.ts'
import type { Traffic } from './traffic.ts'

/** Rows of methods, and of pairs, that one report carries: those with the most messages. */
const MAX_ROWS = 500

export interface MetricsTimes {
  /** How long a window is. Default 60,000. */
  readonly windowMs?: number
  /** How often the sizes of queues are looked at. Default 1,000, at most a window. */
  readonly sampleMs?: number
}

export interface MethodMetrics extends IPCMetrics {
  readonly method: string
}

export interface PairMetrics extends IPCMetrics {
  readonly from: string
  /** A peer, or `topics` for what is published; events go from `topics` to their subscriber. */
  readonly to: string
}

/** What went through the hub during a window, without the hub's own methods. */
export interface MetricsReport {
  /** `snapshot`: of the window that runs, or since the start while nobody collects. `window`: of one that is over. */
  readonly kind: 'snapshot' | 'window'
  /** Milliseconds since 1970 at its end. */
  readonly at: number
  /** How long it was. */
  readonly windowMs: number
  /** Reports that this reader did not get, because it was too slow. */
  readonly missed: number
  readonly total: IPCMetrics
  readonly methods: readonly MethodMetrics[]
  readonly pairs: readonly PairMetrics[]
  /** Methods and pairs with fewer messages, which are not listed. */
  readonly more: { readonly methods: number; readonly pairs: number }
}

export interface Pair {
  readonly from: string
  readonly to: string
  readonly tally: Tally
}

/** A window as it was counted, with all rows. */
export interface Window {
  readonly kind: MetricsReport['kind']
  readonly at: number
  readonly windowMs: number
  readonly total: Tally
  readonly methods: ReadonlyMap<string, Tally>
  readonly pairs: readonly Pair[]
  /** What waited for each peer on average. */
  readonly queues: ReadonlyMap<string, number>
}

export interface MetricsHost {
  readonly clock: Clock
  readonly startedAt: number
  /** All traffic since the start; its rows are bounded, whatever the number of pairs. */
  traffic(): readonly Traffic[]
  /** What waits now. */
  queues(): Queues
  /** Retries that peers have reported since they joined. */
  retries(): Retries
}

/** What a row of traffic had counted when the window began. */
interface Mark {
  readonly messages: number
  readonly bytes: number
  readonly ended: number
  readonly failed: number
  readonly timedOut: number
  readonly dropped: number
  readonly latency: Histogram
}

/**
 * What goes through the hub, window by window. It counts nothing itself: a window is what the rows of traffic have
 * more at its end than at its beginning. While nobody listens there is no timer, and a snapshot is since the start.
 */
export class Metrics {
  readonly #host: MetricsHost
  readonly #windowMs: number
  readonly #sampleMs: number
  readonly #listeners = new Set<(window: Window) => void>()
  readonly #marks = new Map<Traffic, Mark>()
  #retries: Retries | undefined
  #samples = new QueueSamples()
  #beganAt: number
  #cancel: (() => void) | undefined

  constructor(host: MetricsHost, { windowMs, sampleMs }: Required<MetricsTimes>) {
    this.#host = host
    this.#windowMs = windowMs
    this.#sampleMs = Math.min(sampleMs, windowMs)
    this.#beganAt = host.startedAt
  }

  /** Told of each window when it is over, until the returned function is called. Listeners may not throw. */
  listen(listener: (window: Window) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#cancel) {
      this.#begin()
      this.#wait()
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.stop()
    }
  }

  /** What the window that runs has seen so far; without one, all since the start. */
  now(): Window {
    if (!this.#cancel) {
      this.#samples = new QueueSamples()
      this.#samples.add(this.#host.queues())
    }
    return this.#window('snapshot')
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#marks.clear()
    this.#retries = undefined
    this.#beganAt = this.#host.startedAt
  }

  #wait(): void {
    const { clock } = this.#host
    const leftMs = this.#beganAt + this.#windowMs - clock.now()
    this.#cancel = clock.after(Math.max(1, Math.min(this.#sampleMs, leftMs)), () => {
      this.#samples.add(this.#host.queues())
      const isOver = clock.now() >= this.#beganAt + this.#windowMs
      const window = isOver ? this.#window('window') : undefined
      if (window) this.#begin()
      this.#wait()
      if (window) for (const listener of this.#listeners) listener(window)
    })
  }

  #begin(): void {
    this.#beganAt = this.#host.clock.now()
    this.#samples = new QueueSamples()
    this.#retries = this.#host.retries()
    for (const row of this.#host.traffic()) this.#mark(row)
  }

  #mark(row: Traffic): void {
    const { bytes, ended, dropped } = row
    const before = this.#marks.get(row)
    this.#marks.set(row, {
      ...{ messages: messagesOf(row), bytes, ended, dropped },
      failed: failedOf(row),
      timedOut: row.errorsOf('DEADLINE_EXCEEDED'),
      latency: before && before.latency.count === row.latency.count ? before.latency : row.latency.copy(),
    })
  }

  #window(kind: Window['kind']): Window {
    const total = new Tally()
    const methods = new Map<string, Tally>()
    const pairs = new Map<string, Pair>()
    const queues = this.#samples
    for (const row of this.#host.traffic()) {
      const { from, to, method } = row
      const mark = this.#marks.get(row)
      if (method.startsWith('$hub.') || !isActive(row, mark)) continue
      const key = `${from}\n${to}`
      const pair = pairs.get(key) ?? { from, to, tally: new Tally() }
      pairs.set(key, pair)
      const ofMethod = methods.get(method) ?? new Tally()
      methods.set(method, ofMethod)
      for (const tally of [total, ofMethod, pair.tally]) add(tally, row, mark)
      // Publications wait at their subscribers.
      if (to === 'topics') queues.tell([ofMethod, pair.tally], 'topics', method)
      else queues.tell([ofMethod, pair.tally], 'peers', to)
    }
    queues.tellTotal(total)
    this.#addRetries(total, methods, pairs.values())
    return {
      kind,
      at: Date.now(),
      windowMs: this.#host.clock.now() - this.#beganAt,
      total,
      methods,
      pairs: [...pairs.values()],
      queues: queues.averages(),
    }
  }

  /** A peer does not say whom it tried again: what it has retried stands at all its pairs, in the share of their calls. */
  #addRetries(total: Tally, methods: ReadonlyMap<string, Tally>, pairs: Iterable<Pair>): void {
    const now = this.#host.retries()
    const more = (key: 'peers' | 'methods', name: string): number =>
      Math.max(0, (now[key].get(name) ?? 0) - (this.#retries?.[key].get(name) ?? 0))
    const calls = new Map<string, number>()
    const all = [...pairs]
    for (const { from, tally } of all) calls.set(from, (calls.get(from) ?? 0) + tally.ended)
    for (const peer of now.peers.keys()) total.retries += more('peers', peer)
    for (const [method, tally] of methods) tally.retries = more('methods', method)
    for (const { from, tally } of all) {
      const share = tally.ended / Math.max(1, calls.get(from) ?? 0)
      tally.retries = more('peers', from) * share
    }
  }
}

/** What is told of a window. */
export function reportOf(window: Window, missed = 0): MetricsReport {
  const { kind, at, windowMs, total } = window
  const methods = [...window.methods].sort(([, one], [, other]) => other.messages - one.messages)
  const pairs = [...window.pairs].sort((one, other) => other.tally.messages - one.tally.messages)
  return {
    ...{ kind, at, windowMs, missed },
    total: total.metrics(windowMs),
    methods: methods.slice(0, MAX_ROWS).map(([method, tally]) => ({ method, ...tally.metrics(windowMs) })),
    pairs: pairs.slice(0, MAX_ROWS).map(({ from, to, tally }) => ({ from, to, ...tally.metrics(windowMs) })),
    more: {
      methods: Math.max(0, methods.length - MAX_ROWS),
      pairs: Math.max(0, pairs.length - MAX_ROWS),
    },
  }
}

function messagesOf({ calls, oneWay, items }: Traffic): number {
  return calls + oneWay + items
}

function failedOf(row: Traffic): number {
  return row.errors - row.errorsOf('CANCELLED')
}

function isActive(row: Traffic, mark: Mark | undefined): boolean {
  if (!mark) return true
  return (
    messagesOf(row) > mark.messages ||
    row.bytes > mark.bytes ||
    row.ended > mark.ended ||
    row.dropped > mark.dropped ||
    row.latency.count > mark.latency.count
  )
}

function add(tally: Tally, row: Traffic, mark: Mark | undefined): void {
  tally.messages += messagesOf(row) - (mark?.messages ?? 0)
  tally.bytes += row.bytes - (mark?.bytes ?? 0)
  tally.ended += row.ended - (mark?.ended ?? 0)
  tally.failed += failedOf(row) - (mark?.failed ?? 0)
  tally.timedOut += row.errorsOf('DEADLINE_EXCEEDED') - (mark?.timedOut ?? 0)
  tally.dropped += row.dropped - (mark?.dropped ?? 0)
  tally.latency.add(row.latency, mark?.latency)
}
