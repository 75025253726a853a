import { pad, visible, width } from './text.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  readonly align?: 'left' | 'right'
  /** Colours a cell that is padded already. */
  readonly paint?: (text: string, row: Row) => string
}

/** Lines of a table with a head; cells are made safe here. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  head: (text: string) => string,
): string[] {
  const cells = rows.map((row) => columns.map((column) => visible(column.cell(row))))
  const widths = columns.map(({ title }, at) =>
    Math.max(width(title), ...cells.map((line) => width(line[at] ?? ''))),
  )
  const line = (texts: readonly string[], paint: (text: string, at: number) => string): string =>
    texts
      .map((text, at) => {
        const last = at === texts.length - 1 && columns[at]?.align !== 'right'
        return paint(last ? text : pad(text, widths[at] ?? 0, columns[at]?.align), at)
      })
      .join('  ')
  const titles = columns.map(({ title }) => title)
  const body = rows.map((row, at) =>
    line(cells[at] ?? [], (text, column) => columns[column]?.paint?.(text, row) ?? text),
  )
  return [line(titles, (text) => head(text)), ...body]
}
