import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { renderConfigReference } from '../../../docs/generate-config.ts'

test('docs/CONFIG.md is what `node docs/generate-config.ts` writes', () => {
  const written = readFileSync(join(import.meta.dirname, '../../../docs/CONFIG.md'), 'utf8')
  expect(written).toBe(renderConfigReference())
})

test('Every default has a reason', () => {
  const rows = renderConfigReference()
    .split('\n')
    .filter(line => /^\| `/.test(line))
    .map(line => line.split(/(?<!\\)\|/).map(cell => cell.trim()))
    .filter(cells => cells.length === 7 && cells[4] !== 'required')
  expect(rows.length).toBeGreaterThan(15)
  expect(rows.filter(cells => cells[5] === '').map(cells => cells[1])).toEqual([])
})
