import type { Row } from './schemas.ts'
import { type Column, renderTable } from './table.ts'
import type { Colors } from './terminal.ts'

/** The results table: one line a document, in the order given; a failed one shows its code and reason. */
export function resultsTable(rows: readonly Row[], options: { width?: number; colors: Colors }): string[] {
  return renderTable(rows, RESULTS, options)
}

export interface Note {
  readonly path: string
  readonly text: string
  readonly failed: boolean
}

/** One line a failure and one a notice, in full: the table has no room for what to do. */
export function resultNotes(rows: readonly Row[]): Note[] {
  return rows.flatMap((row): Note[] => {
    if (!row.ok) {
      const { code, reason, message } = row.failure
      return [{ path: row.path, text: `${code} (${reason}): ${message}`, failed: true }]
    }
    return row.notice === '' ? [] : [{ path: row.path, text: row.notice, failed: false }]
  })
}

/**
 * What must be the same in any two runs over the same files, whatever was killed in between: everything
 * but the time.
 */
export function comparable(rows: readonly Row[]): string {
  return JSON.stringify(rows.map(({ elapsedMs: _, ...row }) => row))
}

const RESULTS: readonly Column<Row>[] = [
  { title: 'file', cell: ({ path }) => path, keepEnd: true, give: 0.7 },
  {
    title: 'title',
    cell: (row) => (row.ok ? row.title : `${row.failure.code} ${row.failure.reason}`),
    give: 1,
    color: (text, row, colors) => (row.ok ? text : colors.red(text)),
  },
  { title: 'words', cell: (row) => (row.ok ? row.words.toLocaleString('en') : ''), align: 'right' },
  { title: 'category', cell: (row) => (row.ok ? row.category : '') },
  { title: 'sure', cell: (row) => (row.ok ? percent(row.confidence) : ''), align: 'right' },
  {
    title: 'tone',
    cell: (row) => (row.ok ? signed(row.sentiment.score) : ''),
    align: 'right',
    color: (text, row, colors) => {
      if (!row.ok || row.sentiment.label === 'neutral') return text
      return row.sentiment.label === 'positive' ? colors.green(text) : colors.red(text)
    },
  },
  {
    title: 'names',
    cell: (row) =>
      row.ok
        ? row.entities
            .slice(0, 3)
            .map(({ name }) => name)
            .join(', ')
        : row.failure.message,
    give: 1,
  },
  { title: 'ms', cell: ({ elapsedMs }) => Math.round(elapsedMs).toLocaleString('en'), align: 'right' },
]

function percent(share: number): string {
  return `${Math.round(share * 100)}%`
}

function signed(score: number): string {
  const shown = score.toFixed(2)
  return score > 0 ? `+${shown}` : shown
}
