// Writes the property map in docs/MIRROR-MAKER.md from the rows that `gapless import` follows. Does
// not own the rest of the page.

import type { Fate } from '../lib/core/mirror-maker/properties/fate.ts'
import { propertyMap } from '../lib/core/mirror-maker/properties/property-map.ts'

const BEGIN = '<!-- property-map:begin -->'
const END = '<!-- property-map:end -->'

/** The page with the table of today between its two marks. */
export function withPropertyMap(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end === -1)
    throw new Error(`docs/MIRROR-MAKER.md: ${BEGIN} or ${END} is missing`)
  return `${page.slice(0, begin + BEGIN.length)}\n${propertyTables()}${page.slice(end)}`
}

function propertyTables(): string {
  return propertyMap
    .map(({ title, rows }) => {
      const lines = rows.map(({ names, fate }) => {
        const cells = [names.map(code).join(', '), inGapless(fate), fate.why]
        return `| ${cells.join(' | ')} |`
      })
      return `### ${title}\n| property | in gapless | remark |\n| --- | --- | --- |\n${lines.join('\n')}\n\n`
    })
    .join('')
}

function inGapless(fate: Fate): string {
  if (fate.kind === 'mapped') return fate.to.split(', ').map(code).join(', ')
  return fate.kind === 'built-in' ? 'built in' : 'none'
}

function code(text: string): string {
  return `\`${text}\``
}
