// Renders tables for a terminal: without frames, so that rows can be copied, grepped and read
// through a pager.

import CliTable from 'cli-table3'

const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

export type Column<Row> = {
  readonly head: string
  readonly align?: 'left' | 'right'
  readonly cell: (row: Row) => string | null
}

/** One line per row below one line of heads; an unknown value is a dash. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const table = new CliTable({
    head: columns.map(column => column.head),
    chars: bare,
    colAligns: columns.map(column => column.align ?? 'left'),
    // No colors: the output is the same at a terminal, in a file and in a test.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map(row => columns.map(column => column.cell(row) ?? '-')))
  return table
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
}

/** 1234567 as 1,234,567; the digits of a bigint or of a decimal string. */
export function groupDigits(digits: string | bigint | number): string {
  return String(digits).replace(/\B(?=(\d{3})+$)/g, ',')
}
