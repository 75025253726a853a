import { type Colors, displayWidth, truncate, truncateStart, visible } from './terminal.ts'

/** One column of a table over values of type `Item`. */
export interface Column<Item> {
  readonly title: string
  /** The cell's text; what is unsafe in it is escaped by the table. */
  readonly cell: (item: Item) => string
  readonly align?: 'left' | 'right'
  /** Keeps the end instead of the beginning when it is cut. */
  readonly keepEnd?: boolean
  /** Columns with a weight give way, in proportion to it, when the table is wider than the screen. */
  readonly give?: number
  /** Columns with a number are left out, the lowest first, before others are cut. */
  readonly spare?: number
  readonly color?: (text: string, item: Item, colors: Colors) => string
}

/** A giving column is not made narrower than this. */
const MIN_WIDTH = 8
const GAP = '  '

/**
 * A table as lines without an end, none wider than `width` unless its rigid columns alone are. Cells are
 * made safe first, cut second and coloured last, so that colours count for nothing.
 */
export function renderTable<Item>(
  items: readonly Item[],
  given: readonly Column<Item>[],
  { width = 100, colors }: { width?: number; colors: Colors },
): string[] {
  const columns = fitting(items, given, width)
  const cells = items.map((item) => columns.map((column) => visible(column.cell(item))))
  const widths = narrow(wantedWidths(items, columns), columns, width)
  const line = (texts: readonly string[], paint: (text: string, at: number) => string): string =>
    texts
      .map((text, at) => {
        const { align, keepEnd } = columns[at] ?? {}
        const room = widths[at] ?? 0
        const shown = keepEnd === true ? truncateStart(text, room) : truncate(text, room)
        const space = ' '.repeat(Math.max(0, room - displayWidth(shown)))
        if (align === 'right') return space + paint(shown, at)
        return paint(shown, at) + (at === texts.length - 1 ? '' : space)
      })
      .join(GAP)
      .trimEnd()
  const titles = columns.map(({ title }) => title)
  return [
    line(titles, (text) => colors.bold(text)),
    line(
      widths.map((room) => '─'.repeat(room)),
      (text) => colors.dim(text),
    ),
    ...items.map((item, index) =>
      line(cells[index] ?? [], (text, at) => columns[at]?.color?.(text, item, colors) ?? text),
    ),
  ]
}

function wantedWidths<Item>(items: readonly Item[], columns: readonly Column<Item>[]): number[] {
  return columns.map(({ title, cell }) =>
    items.reduce((most, item) => Math.max(most, displayWidth(visible(cell(item)))), displayWidth(title)),
  )
}

/** The columns without the spare ones for which there is no room. */
function fitting<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
  width: number,
): readonly Column<Item>[] {
  const least = columns.reduce((lowest, { spare = Infinity }) => Math.min(lowest, spare), Infinity)
  const widths = wantedWidths(items, columns)
  if (least === Infinity || excessOf(widths, width) <= 0) return columns
  return fitting(
    items,
    columns.filter(({ spare }) => spare !== least),
    width,
  )
}

function excessOf(widths: readonly number[], width: number): number {
  return widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1) - width
}

/** Widths that fit: what is too much is taken from the giving columns, the widest relative to its weight first. */
function narrow<Item>(wanted: readonly number[], columns: readonly Column<Item>[], width: number): number[] {
  const widths = [...wanted]
  for (let excess = excessOf(widths, width); excess > 0; excess--) {
    let widest = -1
    let most = 0
    for (const [at, { give = 0 }] of columns.entries()) {
      const room = widths[at] ?? 0
      if (give === 0 || room <= MIN_WIDTH || room * give <= most) continue
      widest = at
      most = room * give
    }
    if (widest === -1) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}
