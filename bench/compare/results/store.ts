// Owns the file bench/results.json: reading, checking, replacing sections, writing. Does not own
// its form (results.ts) or the report (report.ts).

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { type Results, resultsSchema } from './results.ts'

export const resultsPath = join(import.meta.dirname, '../../results.json')

/** Throws naming every place that does not fit the schema of results.ts. */
export function parseResults(text: string, origin: string): Results {
  const parsed = resultsSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new Error(
    `${origin} is not what the benchmarks write:\n${z.prettifyError(parsed.error)}\n` +
      'Measure the section again, or take the file of the last commit: git checkout -- bench/results.json',
  )
}

/** A missing file means that nothing was measured. */
export function readResults(path = resultsPath): Results {
  return existsSync(path) ? parseResults(readFileSync(path, 'utf8'), path) : {}
}

/** Measured sections replace their predecessors; the others stay. */
export function mergeResults(before: Results, measuredNow: Results): Results {
  return { ...before, ...measuredNow }
}

/** Merges the measured sections into the file, and checks the whole before it is written. */
export function saveSections(measuredNow: Results, path = resultsPath): Results {
  const merged = mergeResults(readResults(path), measuredNow)
  const text = formatResults(merged)
  const checked = parseResults(text, 'What was measured')
  writeFileSync(path, text)
  return checked
}

/** Sections in the order of the schema, so that a diff shows only changed figures. */
export function formatResults(results: Results): string {
  const ordered = Object.keys(resultsSchema.unwrap().shape) as (keyof Results)[]
  const sections = ordered.map(name => [name, results[name]])
  return `${JSON.stringify(Object.fromEntries(sections), null, 2)}\n`
}
