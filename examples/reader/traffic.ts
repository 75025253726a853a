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

/** The traffic table with a line of sums; restarts are summed once for each peer. */
export function trafficTable(
  traffic: readonly Traffic[],
  options: { width?: number; colors: Colors },
): string[] {
  const lines = renderTable([...traffic, total(traffic)], TRAFFIC, options)
  const last = lines.pop()
  return last === undefined ? lines : [...lines, options.colors.bold(last)]
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

function number(title: Exclude<Counter, 'bytes'> | 'restarts'): Column<Traffic> {
  return {
    title,
    cell: (each) => each[title].toLocaleString('en'),
    align: 'right',
    color: (text, each, colors) =>
      each[title] === 0
        ? colors.dim(text)
        : title === 'errors' || title === 'restarts'
          ? colors.red(text)
          : text,
  }
}

const TRAFFIC: readonly Column<Traffic>[] = [
  { title: 'from → to', cell: ({ from, to }) => (to === '' ? from : `${from} → ${to}`), give: 1 },
  { title: 'method', cell: ({ method }) => method, give: 1 },
  number('calls'),
  number('events'),
  number('streams'),
  number('items'),
  { title: 'bytes', cell: ({ bytes }) => bytesText(bytes), align: 'right' },
  { title: 'p50 ms', cell: ({ p50Ms }) => msText(p50Ms), align: 'right' },
  { title: 'p95', cell: ({ p95Ms }) => msText(p95Ms), align: 'right' },
  { title: 'p99', cell: ({ p99Ms }) => msText(p99Ms), align: 'right' },
  number('errors'),
  number('restarts'),
]
