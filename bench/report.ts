// `npm run bench:report`: renders bench/RESULTS.md, bench/charts/ and the block in README.md from
// bench/results.json. Measures nothing. A unit test fails while a file differs from its rendering.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drawCharts } from './compare/report/charts.ts'
import { renderQuote, renderReport, replaceQuote } from './compare/report/report.ts'
import type { Results } from './compare/results/results.ts'
import { readResults } from './compare/results/store.ts'

const root = join(import.meta.dirname, '..')
const chartsDir = 'bench/charts'
const reportPath = 'bench/RESULTS.md'
const commentaryPath = 'bench/compare/report/commentary.md'

/** The text of every file by its path from the root; null: the file must not exist. */
export function renderFiles(results: Results): Map<string, string | null> {
  const at = (path: string) => join(root, path)
  const charts = drawCharts(results)
  const commentary = existsSync(at(commentaryPath)) ? readFileSync(at(commentaryPath), 'utf8') : ''
  const before = existsSync(at(chartsDir)) ? readdirSync(at(chartsDir)) : []
  const readme = readFileSync(at('README.md'), 'utf8')
  return new Map<string, string | null>([
    [reportPath, renderReport(results, charts, commentary)],
    ['README.md', replaceQuote(readme, renderQuote(results))],
    ...before.map(file => [`${chartsDir}/${file}`, null] as const),
    ...charts.map(({ file, svg }) => [`${chartsDir}/${file}`, svg] as const),
  ])
}

export function writeFiles(results: Results): void {
  for (const [path, text] of renderFiles(results)) {
    const file = join(root, path)
    if (text === null) rmSync(file, { force: true })
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
  }
}

if (import.meta.main) writeFiles(readResults())
