import type { Tally } from '../core/ipcMetrics.ts'
import { count, given, type Rule, readOptions, share } from '../policies/options.ts'
import type { Metrics, Window } from './metrics.ts'

const RULES = {
  /** Milliseconds of a method's calls. */
  p95Latency: { level: 'WARNING', over: 100, unit: ' ms' },
  p99Latency: { level: 'CRITICAL', over: 500, unit: ' ms' },
  /** Percent of a method's calls. */
  errorRate: { level: 'CRITICAL', over: 5, unit: ' %' },
  /** Percent of a method's messages, events and all. */
  dropRate: { level: 'WARNING', over: 1, unit: ' %' },
  /** Messages that wait for a peer, on average. */
  queueSize: { level: 'WARNING', over: 500, unit: ' messages' },
} as const

export type AlertName = keyof typeof RULES
const NAMES = ['p95Latency', 'p99Latency', 'errorRate', 'dropRate', 'queueSize'] as const

export interface AlertOptions {
  /** Above which an alert is raised: ms, percent, messages; false: never. */
  readonly thresholds?: { readonly [Name in AlertName]?: number | false }
  /** Windows over the threshold, one after the other, until an alert is raised. Default 1. */
  readonly raiseAfter?: number
  /** It is cleared when the value was at most this share of the threshold … Default 0.8. */
  readonly clearShare?: number
  /** … in so many windows one after the other. Default 2. */
  readonly clearAfter?: number
  /** With fewer messages in a window a method's values say nothing. Default 10. */
  readonly minMessages?: number
}

/** A threshold; false: no such alert. */
function threshold(fallback: number): Rule<number | false> {
  const accepts = (value: unknown): value is number | false =>
    value === false || (typeof value === 'number' && value >= 0)
  return { fallback, expects: 'a number of at least 0, or false for no such alert', accepts }
}

/** A threshold that was crossed. */
export interface Alert {
  readonly name: AlertName
  readonly level: 'WARNING' | 'CRITICAL'
  /** What it is about: a method or topic; of `queueSize` the peer for which messages wait. */
  readonly method?: string
  readonly peer?: string
  /** As the last window had it. */
  readonly value: number
  readonly threshold: number
  /** Milliseconds since 1970 at which it was raised. */
  readonly since: number
}

export interface AlertChange {
  readonly kind: 'raised' | 'cleared'
  readonly at: number
  readonly alert: Alert
  /** For people: what is how, over what. */
  readonly text: string
}

/** All alerts that stand: the first thing that a reader gets, and what it gets instead of changes it missed. */
export interface AlertSnapshot {
  readonly kind: 'snapshot'
  readonly at: number
  readonly missed: number
  readonly alerts: readonly Alert[]
}

/** One item of `$hub.alerts`. */
export type AlertNews = AlertSnapshot | AlertChange

/** How one rule stands for one method or peer. */
interface Standing {
  /** Windows in a row that speak for a change. */
  windows: number
  alert: Alert | undefined
}

interface Subject {
  readonly name: AlertName
  readonly method?: string
  readonly peer?: string
}

/** Alerts that may stand at once; further ones are not raised. */
export const MAX_ALERTS = 1000

/**
 * Thresholds with hysteresis. An alert is raised after windows over its threshold, and cleared after windows at or
 * under a share of it; in between, and without enough messages to tell, one that stands goes on and none begins.
 * Windows in which nothing at all went on count for clearing.
 */
export class Alerts {
  readonly #metrics: Pick<Metrics, 'listen'>
  readonly #thresholds: ReadonlyMap<AlertName, number>
  readonly #raiseAfter: number
  readonly #clearShare: number
  readonly #clearAfter: number
  readonly #minMessages: number
  readonly #standings = new Map<string, Subject & Standing>()
  readonly #listeners = new Set<(change: AlertChange) => void>()
  #unlisten: (() => void) | undefined

  /** @throws ViaductError INVALID_ARGUMENT / BAD_OPTION */
  constructor(metrics: Pick<Metrics, 'listen'>, options: AlertOptions = {}) {
    const read = readOptions('metrics.alerts', options, {
      thresholds: given<NonNullable<AlertOptions['thresholds']>>({}, 'an object'),
      raiseAfter: count(1),
      clearShare: share(0.8),
      clearAfter: count(2),
      minMessages: count(10),
    })
    const thresholds = readOptions('metrics.alerts.thresholds', read.thresholds, {
      p95Latency: threshold(RULES.p95Latency.over),
      p99Latency: threshold(RULES.p99Latency.over),
      errorRate: threshold(RULES.errorRate.over),
      dropRate: threshold(RULES.dropRate.over),
      queueSize: threshold(RULES.queueSize.over),
    })
    this.#metrics = metrics
    this.#thresholds = new Map(
      NAMES.flatMap((name) => {
        const over = thresholds[name]
        return over === false ? [] : [[name, over] as const]
      }),
    )
    this.#raiseAfter = read.raiseAfter
    this.#clearShare = read.clearShare
    this.#clearAfter = read.clearAfter
    this.#minMessages = read.minMessages
  }

  /** Alerts that stand now. */
  all(): Alert[] {
    return [...this.#standings.values()].flatMap(({ alert }) => (alert ? [alert] : []))
  }

  /** Told of each change until the returned function is called; windows are looked at only for those who listen. */
  listen(listener: (change: AlertChange) => void): () => void {
    this.#listeners.add(listener)
    this.#unlisten ??= this.#metrics.listen((window) => this.#look(window))
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#unlisten?.()
      this.#unlisten = undefined
      // Nobody will look whether they still stand.
      this.#standings.clear()
    }
  }

  #look(window: Window): void {
    const seen = new Set<string>()
    const look = (subject: Subject, value: number | undefined): void => {
      seen.add(keyOf(subject))
      this.#judge(window, subject, value)
    }
    for (const [method, tally] of window.methods) {
      for (const name of NAMES) {
        if (name !== 'queueSize') look({ name, method }, this.#valueOf(name, tally))
      }
    }
    for (const [peer, size] of window.queues) look({ name: 'queueSize', peer }, size)
    for (const [key, standing] of this.#standings) if (!seen.has(key)) this.#judge(window, standing, 0)
  }

  /** Undefined: there was not enough to tell. */
  #valueOf(name: Exclude<AlertName, 'queueSize'>, tally: Tally): number | undefined {
    if (name === 'dropRate') {
      return tally.messages + tally.dropped < this.#minMessages ? undefined : tally.dropRate
    }
    if (tally.ended < this.#minMessages) return undefined
    if (name === 'errorRate') return (100 * tally.failed) / tally.ended
    return tally.latency.percentile(name === 'p95Latency' ? 0.95 : 0.99)
  }

  #judge(window: Window, { name, method, peer }: Subject, value: number | undefined): void {
    const threshold = this.#thresholds.get(name)
    if (threshold === undefined) return
    const subject = {
      name,
      ...(method === undefined ? {} : { method }),
      ...(peer === undefined ? {} : { peer }),
    }
    const key = keyOf(subject)
    const { windows, alert } = this.#standings.get(key) ?? { windows: 0, alert: undefined }
    if (alert) {
      const now = { ...alert, value: value ?? alert.value }
      const isLow = value !== undefined && value <= threshold * this.#clearShare
      if (isLow && windows + 1 >= this.#clearAfter) {
        this.#standings.delete(key)
        this.#tell('cleared', window, now)
      } else this.#standings.set(key, { ...subject, windows: isLow ? windows + 1 : 0, alert: now })
    } else if (value === undefined || value <= threshold) {
      this.#standings.delete(key)
    } else if (this.#standings.size < MAX_ALERTS || windows > 0) {
      const raised =
        windows + 1 >= this.#raiseAfter
          ? { ...subject, level: RULES[name].level, value, threshold, since: window.at }
          : undefined
      this.#standings.set(key, { ...subject, windows: raised ? 0 : windows + 1, alert: raised })
      if (raised) this.#tell('raised', window, raised)
    }
  }

  #tell(kind: AlertChange['kind'], { at, windowMs }: Window, alert: Alert): void {
    const { name, method, peer, value, threshold } = alert
    const { unit } = RULES[name]
    const relation = value > threshold ? 'over' : 'not over'
    const text =
      `${name} of ${method ?? peer} was ${rounded(value)}${unit} in the last ${rounded(windowMs / 1000)} s, ` +
      `${relation} ${threshold}${unit}`
    for (const listener of this.#listeners) listener({ kind, at, alert, text })
  }
}

/** One line for a log: what an operator greps for. */
export function alertLine({ kind, alert }: AlertChange): string {
  const { name, level, method, peer, value, threshold } = alert
  const about = method === undefined ? `peer=${peer}` : `method=${loggable(method)}`
  return `alert ${kind} level=${level} name=${name} ${about} value=${rounded(value)} threshold=${threshold}`
}

/** Peers choose what their methods are called: nothing of a name may look like another line or field. */
function loggable(name: string): string {
  return /^[\w.$*-]+$/.test(name) ? name : JSON.stringify(name)
}

function keyOf({ name, method, peer }: Subject): string {
  return `${name}\n${method ?? ''}\n${peer ?? ''}`
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
