// Owns how figures are written. Every function throws for NaN and infinity: the caller names a
// figure that could not be computed.

import { markdownTable } from 'markdown-table'
import type { Spread } from './figures.ts'

/** Rounding to three significant digits; a goal's figure must not be rounded across its bound. */
export type Rounding = 'halfExpand' | 'ceil' | 'floor'

export const unknown = 'not measured'

/** `1,230`, `12.3`, `0.0123`: three significant digits. */
export function amount(value: number, rounding: Rounding = 'halfExpand'): string {
  if (!Number.isFinite(value)) throw new Error(`not a figure: ${value}`)
  const written = new Intl.NumberFormat('en-US', {
    maximumSignificantDigits: 3,
    roundingMode: rounding,
  }).format(value)
  return written === '-0' ? '0' : written
}

/** `1,024`: a chosen or counted number with every digit. */
export function count(value: number): string {
  return new Intl.NumberFormat('en-US').format(value)
}

/** `7.2×` above one and `1/18` below; rounded down, so that 5.999 never reads as 6. */
export function ratio(quotient: number): string {
  if (quotient <= 0) return '0'
  return quotient >= 1 ? `${amount(quotient, 'floor')}×` : `1/${amount(1 / quotient, 'floor')}`
}

/** The median, with the lowest and highest round where there were several rounds. */
export function spread(of: Spread | null, unit = ''): string {
  if (of === null) return unknown
  const median = `${amount(of.median)}${unit}`
  return of.rounds > 1 ? `${median} (${amount(of.min)}–${amount(of.max)})` : median
}

/** A Markdown table; the first column is left-aligned, the others right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map(row => row.map(cell => cell.replaceAll('|', '\\|')))
  const align = head.map((_, column) => (column === 0 ? 'l' : 'r'))
  return markdownTable([head, ...escaped], { align, alignDelimiters: false })
}
