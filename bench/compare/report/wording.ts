// Owns how a figure is written for a person. Every function refuses what is no number: a figure
// that could not be computed is the caller's to name, never to print.

import { markdownTable } from 'markdown-table'
import type { Spread } from './figures.ts'

/** How three significant digits are chosen; a goal's figure must not be rounded across the goal. */
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

/** `1,024`: what was chosen or counted, every digit of it. */
export function count(value: number): string {
  return new Intl.NumberFormat('en-US').format(value)
}

/** `7.2×` above one and `1/18` below; rounded down, so that 5.999 never reads as 6. */
export function ratio(quotient: number): string {
  if (quotient <= 0) return '0'
  return quotient >= 1 ? `${amount(quotient, 'floor')}×` : `1/${amount(1 / quotient, 'floor')}`
}

/** The median, with the least and the most of the rounds where there were several. */
export function spread(of: Spread | null, unit = ''): string {
  if (of === null) return unknown
  const median = `${amount(of.median)}${unit}`
  return of.rounds > 1 ? `${median} (${amount(of.min)}–${amount(of.max)})` : median
}

/** The first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map(row => row.map(cell => cell.replaceAll('|', '\\|')))
  const align = head.map((_, column) => (column === 0 ? 'l' : 'r'))
  return markdownTable([head, ...escaped], { align, alignDelimiters: false })
}
