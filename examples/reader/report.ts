import { basename, relative } from 'node:path'
import type { ChildStatus, HubStats } from 'viaduct'
import { labelledDocuments } from './corpus.ts'
import { resultNotes, resultsTable } from './results.ts'
import type { Attempt, Row } from './schemas.ts'
import { type Column, renderTable } from './table.ts'
import { type Colors, visible } from './terminal.ts'
import { counted, isHubsOwn, totalText, trafficOf, trafficTable } from './traffic.ts'

/** All that is known when the last document is read. */
export interface Outcome {
  /** In the order of the documents; `path` as the user would write it. */
  readonly rows: readonly Row[]
  /** The documents themselves, in the same order. */
  readonly paths: readonly string[]
  readonly attempts: readonly Attempt[]
  readonly stats: HubStats
  readonly children: readonly ChildStatus[]
  readonly kills: number | undefined
  /** Entries that the history has taken. */
  readonly kept: number
  /** Where the labelled documents are. */
  readonly labelledFolder: string
  readonly readMs: number
  readonly wholeMs: number
}

/** Everything that is printed at the end, as lines. */
export function report(outcome: Outcome, options: { width: number; colors: Colors }): string[] {
  const { rows, attempts, stats, children, readMs } = outcome
  const { colors } = options
  const traffic = trafficOf(stats, children)
  return [
    heading(`${counted(rows.length, 'document')} in ${seconds(readMs)}`, colors),
    '',
    ...resultsTable(rows, options),
    '',
    ...section(accuracyLines(outcome)),
    ...section(noteLines(rows, colors)),
    heading('Traffic through the hub', colors),
    '',
    ...trafficTable(
      traffic.filter((row) => !isHubsOwn(row)),
      options,
    ),
    '',
    `In all ${totalText(traffic.filter((row) => !isHubsOwn(row)))}.`,
    `With the hub itself ($hub.…): ${totalText(traffic.filter(isHubsOwn))}.`,
    '',
    heading('What the plugin tried, and what the hub said', colors),
    '',
    ...renderTable(attempts, ATTEMPTS, options),
    '',
    ...endLines(outcome, colors),
  ]
}

/** How many of the labelled documents in the run got their category; nothing when there were none. */
export function accuracyLines({
  rows,
  paths,
  labelledFolder,
}: Pick<Outcome, 'rows' | 'paths' | 'labelledFolder'>): string[] {
  const labels = new Map(labelledDocuments(labelledFolder).map(({ name, category }) => [name, category]))
  let known = 0
  const wrong: string[] = []
  for (const [index, row] of rows.entries()) {
    const label = labels.get(relative(labelledFolder, paths[index] ?? ''))
    if (label === undefined) continue
    known++
    const name = basename(row.path)
    if (!row.ok) wrong.push(`${name} (not read)`)
    else if (row.category !== label) wrong.push(`${name} (said ${row.category}, is ${label})`)
  }
  if (known === 0) return []
  const right = known - wrong.length
  const missed = wrong.length === 0 ? '' : `; not ${wrong.map(visible).join(', ')}`
  return [`Accuracy: ${right} of ${known} labelled documents (${percent(right / known)})${missed}.`]
}

/** Kills, restarts, time: what a run without tables says as well. */
export function endLines(
  { children, kills, kept, wholeMs }: Pick<Outcome, 'children' | 'kills' | 'kept' | 'wholeMs'>,
  colors: Colors,
): string[] {
  const restarted = children.filter(({ restarts }) => restarts > 0)
  const sum = restarted.reduce((all, { restarts }) => all + restarts, 0)
  const each = restarted.map(({ id, restarts }) => (restarts === 1 ? id : `${id} ×${restarts}`))
  const restarts = sum === 0 ? 'No process was restarted.' : `${counted(sum, 'restart')}: ${each.join(', ')}.`
  return [
    ...(kills === undefined ? [] : [colors.yellow(`Chaos: ${counted(kills, 'kill')}.`)]),
    restarts,
    `History: ${kept.toLocaleString('en')} ${kept === 1 ? 'entry' : 'entries'} kept.`,
    `Everything, with starting the processes, took ${seconds(wholeMs)}.`,
  ]
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 9_950 ? 1 : 0)} s`
}

function noteLines(rows: readonly Row[], colors: Colors): string[] {
  return resultNotes(rows).map(({ path, text, failed }) => {
    const line = visible(`${path}: ${text}`)
    return failed ? colors.red(line) : line
  })
}

function section(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [...lines, '']
}

function heading(text: string, colors: Colors): string {
  return colors.bold(colors.cyan(text))
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`
}

const ATTEMPTS: readonly Column<Attempt>[] = [
  { title: 'method', cell: ({ method }) => method },
  {
    title: 'answer',
    cell: ({ code }) => code,
    color: (text, { allowed }, colors) => (allowed ? colors.green(text) : colors.red(text)),
  },
  { title: 'in words', cell: inWords, give: 1 },
]

/** Without the method, which has a column, and without the advice, which is the same for all. */
function inWords({ method, message }: Attempt): string {
  const [what = ''] = message.split(';')
  return what.startsWith(method) ? what.slice(method.length).replace(/^[: ]+/, '') : what
}
