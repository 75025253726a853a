import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BeforeAfter, DriverReport, SteadyReport } from './figures.ts'

/** What a process may have kept after its garbage was collected, beyond what it held when it was warm. */
export const HEAP_BOUND_BYTES = 8 * 2 ** 20
export const RSS_BOUND_BYTES = 64 * 2 ** 20
/** What a call may take beyond its deadline, on a machine that starts processes all the time. */
export const SLACK_MS = 2_000

export interface Verdict {
  /** How often each outcome stands in the ledgers. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Handler runs by the logs. */
  readonly runs: number
  /** Everything that should not be. */
  readonly faults: readonly string[]
}

const MAY_HAVE_RUN = /\/unknown$|^taken$/
/** A handler's own error has no fate: that it was thrown says that it ran. */
const DID_RUN = /^ok$|^[A-Z_]+\/none$/
const DID_NOT_RUN = /\/not-sent$|^refused$/

/** Compares what callers were told with what handlers wrote down. */
export async function judge(folder: string, report: DriverReport, slackMs = SLACK_MS): Promise<Verdict> {
  const faults: string[] = []
  const ran = new Map<string, number>()
  const names = readdirSync(folder)
  let runs = 0
  for (const name of names.filter((one) => one.endsWith('.log'))) {
    for await (const n of linesOf(join(folder, name))) {
      runs++
      ran.set(n, (ran.get(n) ?? 0) + 1)
    }
  }
  for (const [n, times] of ran) if (times > 1) faults.push(`${n} ran ${times} times`)
  const outcomes = new Map<string, number>()
  let entries = 0
  for (const name of names.filter((one) => one.endsWith('.ledger'))) {
    for await (const line of linesOf(join(folder, name))) {
      entries++
      const [n = '', outcome = ''] = line.split(' ')
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      const times = ran.get(n) ?? 0
      if (DID_RUN.test(outcome)) {
        if (times !== 1) faults.push(`${n} ended with ${outcome} and ran ${times} times`)
      } else if (DID_NOT_RUN.test(outcome)) {
        if (times > 0) faults.push(`${n} ended with ${outcome} and ran`)
      } else if (!MAY_HAVE_RUN.test(outcome)) faults.push(`${n} ended with ${outcome}`)
    }
  }
  const keepers = [report, ...report.steady]
  const made = keepers.reduce((sum, keeper) => sum + keeper.made, 0)
  if (entries !== made) faults.push(`${made} calls were made, ${entries} stand in the ledgers`)
  for (const keeper of keepers) faults.push(...faultsOf(keeper, slackMs))
  faults.push(...openedBy('main', report.bareFds, 'all'))
  for (const orphan of report.orphans) faults.push(`left behind: ${orphan}`)
  for (const file of report.leftFiles) faults.push(`left in the runtime folder: ${file}`)
  return { outcomes, runs, faults }
}

function faultsOf(keeper: SteadyReport, slackMs: number): string[] {
  const { id, made, settled, open, lateMs, wrong, topicFaults, fds, warm, end } = keeper
  const faults = [...wrong, ...topicFaults].map((fault) => `${id}: ${fault}`)
  if (made !== settled)
    faults.push(`${id}: ${made} calls made, ${settled} settled; open: ${open.slice(0, 5)}`)
  if (lateMs > slackMs) faults.push(`${id}: a call settled ${Math.round(lateMs)} ms after its deadline`)
  if (!keeper.connected) faults.push(`${id}: has not come back`)
  if (keeper.ticks === 0) faults.push(`${id}: heard nothing`)
  faults.push(...openedBy(id, fds, 'the storm'))
  const heap = end.heapBytes - warm.heapBytes
  const rss = end.rssBytes - warm.rssBytes
  if (heap > HEAP_BOUND_BYTES) faults.push(`${id}: holds ${mib(heap)} more than when it was warm`)
  if (rss > RSS_BOUND_BYTES) faults.push(`${id}: takes ${mib(rss)} more than when it was warm`)
  return faults
}

function openedBy(id: string, { before, after }: BeforeAfter, what: string): string[] {
  if (after.length <= before.length) return []
  const more = after.filter((one) => !before.includes(one))
  return [`${id}: ${before.length} descriptors before ${what}, ${after.length} after it: ${more.join(', ')}`]
}

/** The figures as a person reads them. */
export function table(report: DriverReport, { outcomes, runs, faults }: Verdict): string {
  const { kills, restarts, afterPeer, afterHub, hubBack } = report
  const keepers = [report, ...report.steady]
  const total = (read: (keeper: SteadyReport) => number) => keepers.reduce((sum, one) => sum + read(one), 0)
  const killed = kills.workers + kills.outsiders + kills.hubs
  const spread = ({ count, p50, p99, max }: typeof afterPeer) =>
    count === 0 ? 'none' : `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms (${count})`
  const rows: [string, string][] = [
    ['seed', String(report.seed)],
    [
      'kills',
      `${killed} in ${Math.round(report.seconds)} s, ${(killed / report.seconds).toFixed(1)}/s: ` +
        `children ${kills.workers}, outsiders ${kills.outsiders}, hub ${kills.hubs}`,
    ],
    ['started again', `children ${restarts.workers}, outsiders ${restarts.outsiders}, hub ${restarts.hubs}`],
    ['calls made, settled', `${total((one) => one.made)}, ${total((one) => one.settled)}`],
    ['handler runs by the logs', String(runs)],
    ['latest beyond its deadline', `${Math.round(Math.max(...keepers.map((one) => one.lateMs)))} ms`],
    ['settled after a kill of the target', spread(afterPeer)],
    ['settled after a kill of the hub', spread(afterHub)],
    ['hub back after its kill', spread(hubBack)],
    ['outsiders joined again', report.steady.map(({ id, reconnects }) => `${id} ${reconnects}`).join(', ')],
    ['events heard', String(total((one) => one.ticks))],
    ['descriptors, nothing started → all closed', change(report.bareFds)],
    ...keepers.flatMap(({ id, fds, warm, end }): [string, string][] => [
      [`descriptors of ${id}`, change(fds)],
      [`heap of ${id}`, `${mib(warm.heapBytes)} → ${mib(end.heapBytes)}`],
      [`RSS of ${id}`, `${mib(warm.rssBytes)} → ${mib(end.rssBytes)}`],
    ]),
    ['processes, files left', `${report.orphans.length}, ${report.leftFiles.length}`],
    ...[...outcomes]
      .sort(([, one], [, other]) => other - one)
      .map(([outcome, count]): [string, string] => [`  ${outcome}`, String(count)]),
    ['violations', String(faults.length)],
  ]
  return rows.map(([what, figure]) => `${what.padEnd(42)} ${figure}`).join('\n')
}

function change({ before, after }: BeforeAfter): string {
  return `${before.length} → ${after.length}`
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file) })
}
