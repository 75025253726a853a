import type { ChildStatus, HubStats, TrafficRow } from 'viaduct'
import { analysis, documents, history, pages, plugin } from './contract.ts'
import { type Column, renderTable } from './table.ts'
import type { Colors } from './terminal.ts'

/** What went from one peer to another by one method. Times are in milliseconds, `null` where none was measured. */
export interface Traffic {
  readonly from: string
  readonly to: string
  readonly method: string
  readonly calls: number
  readonly events: number
  readonly streams: number
  readonly items: number
  readonly bytes: number
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
  readonly errors: number
  /** Restarts of the peer at `to`. */
  readonly restarts: number
}

type Counter = 'calls' | 'events' | 'streams' | 'items' | 'bytes' | 'errors'
const COUNTERS: readonly Counter[] = ['calls', 'events', 'streams', 'items', 'bytes', 'errors']

const STREAMS: ReadonlySet<string> = new Set(
  [documents, pages, analysis, history, plugin].flatMap((contract) =>
    [...contract['~contract'].methods.values()]
      .filter(({ kind }) => kind === 'stream')
      .map(({ name }) => name),
  ),
)

/**
 * The rows of `$hub.stats` in which something happened, topics last. What the hub delivers of a topic are its
 * events.
 */
export function trafficOf(stats: HubStats, children: readonly ChildStatus[]): Traffic[] {
  const restarts = new Map(children.map((child) => [child.id, child.restarts]))
  const traffic = stats.traffic.filter(happened).map((row): Traffic => {
    const isStream = STREAMS.has(row.method)
    const timed = row.calls > 0
    return {
      from: row.from,
      to: row.to,
      method: row.method,
      calls: isStream ? 0 : row.calls,
      events: row.oneWay + (isTopic(row) ? row.items : 0),
      streams: isStream ? row.calls : 0,
      items: isTopic(row) ? 0 : row.items,
      bytes: row.bytes,
      p50Ms: timed ? row.p50Ms : null,
      p95Ms: timed ? row.p95Ms : null,
      p99Ms: timed ? row.p99Ms : null,
      errors: row.errors,
      restarts: restarts.get(row.to) ?? 0,
    }
  })
  return [...traffic.filter((row) => !isTopic(row)), ...traffic.filter(isTopic)]
}

/** What is said to the hub itself, and what it says: not what the processes came for. */
export function isHubsOwn({ method }: { readonly method: string }): boolean {
  return method.startsWith('$hub.')
}

function isTopic({ from, to }: { readonly from: string; readonly to: string }): boolean {
  return from === 'topics' || to === 'topics'
}

function happened({ calls, oneWay, items, bytes, errors }: TrafficRow): boolean {
  return calls + oneWay + items + bytes + errors > 0
}

export function trafficTable(
  traffic: readonly Traffic[],
  options: { width?: number; colors: Colors },
): string[] {
  return renderTable(traffic, TRAFFIC, options)
}

/** Sums in one sentence; restarts are summed once for each peer. */
export function totalText(traffic: readonly Traffic[]): string {
  const { calls, events, streams, items, bytes, errors, restarts } = total(traffic)
  return [
    counted(calls, 'call'),
    counted(events, 'event'),
    `${counted(streams, 'stream')} of ${counted(items, 'item')}`,
    bytesText(bytes),
    counted(errors, 'error'),
    counted(restarts, 'restart'),
  ].join(', ')
}

export function total(traffic: readonly Traffic[]): Traffic {
  const sums = Object.fromEntries(
    COUNTERS.map((counter) => [counter, traffic.reduce((sum, each) => sum + each[counter], 0)]),
  ) as Record<Counter, number>
  const restarts = new Map(traffic.map(({ to, restarts }) => [to, restarts]))
  return {
    from: 'total',
    to: '',
    method: '',
    ...sums,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    restarts: [...restarts.values()].reduce((sum, each) => sum + each, 0),
  }
}

/** `1 call`, `2 calls`. */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}

/** Bytes in the largest unit of 1024 that leaves at least 1, with three figures. */
export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1023.5) break
    value /= 1024
    unit = next
  }
  return `${unit === 'B' || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${unit}`
}

/** Three figures, so that microseconds and seconds both read well. */
export function msText(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 10) return ms.toFixed(2)
  return ms < 100 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en')
}

/** Of calls, events and streams whichever there were: one method is one of them. */
function sentText({ calls, events, streams }: Traffic): string {
  return [[calls, 'call'] as const, [events, 'event'] as const, [streams, 'stream'] as const]
    .filter(([count]) => count > 0)
    .map(([count, what]) => counted(count, what))
    .join(' ')
}

const TRAFFIC: readonly Column<Traffic>[] = [
  { title: 'from → to', cell: ({ from, to }) => `${from} → ${to}`, give: 1 },
  { title: 'method', cell: ({ method }) => method, give: 1 },
  { title: 'sent', cell: sentText, align: 'right' },
  {
    title: 'items',
    cell: ({ items }) => (items === 0 ? '' : items.toLocaleString('en')),
    align: 'right',
    spare: 2,
  },
  { title: 'bytes', cell: ({ bytes }) => bytesText(bytes), align: 'right' },
  { title: 'p50 ms', cell: ({ p50Ms }) => msText(p50Ms), align: 'right' },
  { title: 'p95', cell: ({ p95Ms }) => msText(p95Ms), align: 'right', spare: 3 },
  { title: 'p99', cell: ({ p99Ms }) => msText(p99Ms), align: 'right' },
  {
    title: 'errors',
    cell: ({ errors }) => (errors === 0 ? '' : errors.toLocaleString('en')),
    align: 'right',
    color: (text, _, colors) => colors.red(text),
    spare: 4,
  },
  {
    title: 'restarts',
    cell: ({ restarts }) => (restarts === 0 ? '' : restarts.toLocaleString('en')),
    align: 'right',
    color: (text, _, colors) => colors.yellow(text),
    spare: 1,
  },
]
