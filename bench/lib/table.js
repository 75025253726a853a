/**
 * The table on standard output.
 *
 * @typedef {import('./statistics.js').Summary & { survives?: string }} Summary
 * @typedef {{ head: string, cell(summary: Summary): string }} Column
 */

/** @param {number} number */
const whole = (number) => (Number.isNaN(number) ? '?' : Math.round(number).toLocaleString('en-US'))
/** @param {number} number */
const fine = (number) => (Number.isNaN(number) ? '?' : number < 100 ? number.toFixed(1) : whole(number))
/** @param {number} bytes */
const megabytes = (bytes) => whole(bytes / 1e6)

/** @type {Column} */
const cpu = { head: 'CPU µs', cell: ({ cpuUs }) => fine(cpuUs) }
/** @type {Column} */
const peak = { head: 'peak RSS MB', cell: ({ peakRssBytes }) => megabytes(peakRssBytes) }
/** @type {Column[]} */
const latency = [
  { head: 'p50 µs', cell: ({ p50Us }) => fine(p50Us ?? Number.NaN) },
  { head: 'p99 µs', cell: ({ p99Us }) => fine(p99Us ?? Number.NaN) },
]
/** @type {Column} */
const growth = { head: 'RSS growth MB', cell: ({ rssGrowthBytes }) => megabytes(rssGrowthBytes) }

/** @type {Record<string, Column[]>} */
const COLUMNS = {
  W1: [...latency, cpu, peak],
  W2: [cpu, peak],
  W3: [{ head: 'lost', cell: ({ lost }) => whole(lost ?? Number.NaN) }, cpu, growth, peak],
  W4: [...latency, cpu, peak],
  'W4.10MB': [cpu, peak],
  'W4.100MB': [cpu, peak],
  W6: [
    { head: 'survives', cell: ({ survives }) => survives ?? '?' },
    { head: 'stored p50 µs', cell: ({ storedP50Us }) => fine(storedP50Us ?? Number.NaN) },
    { head: 'handler p50 µs', cell: ({ p50Us }) => fine(p50Us ?? Number.NaN) },
    { head: 'p99 µs', cell: ({ p99Us }) => fine(p99Us ?? Number.NaN) },
    { head: 'alone p50 µs', cell: ({ aloneP50Us }) => fine(aloneP50Us ?? Number.NaN) },
    cpu,
    peak,
  ],
  W7: [
    {
      head: 'ahead of a paused reader',
      cell: ({ producedWhilePaused = 0, stillProducing }) =>
        `${whole(producedWhilePaused)}${stillProducing ? ' and running' : ''}`,
    },
    { head: 'stopped on break', cell: ({ stoppedOnBreak }) => (stoppedOnBreak ? 'yes' : 'no') },
    cpu,
    growth,
  ],
}

/**
 * @param {string} id
 * @param {import('./workloads.js').Workload} workload
 * @param {Record<string, Summary>} contenders
 * @param {string[]} notes
 */
export function table(id, workload, contenders, notes) {
  /** @type {Column[]} */
  const columns = [
    { head: workload.unit, cell: ({ rate }) => whole(rate) },
    { head: 'ratio', cell: ({ ratio }) => ratio?.toFixed(2) ?? '–' },
    {
      head: '(rounds)',
      cell: ({ ratioRange }) =>
        ratioRange ? `(${ratioRange.map((ratio) => ratio.toFixed(2)).join('–')})` : '',
    },
    ...COLUMNS[workload.needs],
  ]
  const rows = [
    [id, ...columns.map(({ head }) => head)],
    ...Object.entries(contenders).map(([name, summary]) => [
      name === workload.floor ? `${name} (floor)` : name,
      ...columns.map(({ cell }) => cell(summary)),
    ]),
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd(),
  )
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  return [
    `${id}: ${workload.title}`,
    rule,
    lines[0],
    ...lines.slice(1),
    ...notes.map((note) => `  ${note}`),
    '',
  ].join('\n')
}
