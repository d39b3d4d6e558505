// Owns the file bench/results.json: read and checked, one section replaced, written. Does not own
// its form (results.ts) nor what is made of it (report.ts).

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { contenderNames, type Results } from './results.ts'

export const resultsPath = join(import.meta.dirname, '../../results.json')

const figure = z.number()
const positive = figure.positive()
const notNegative = figure.nonnegative()
const round = z.int().positive()
const contender = z.enum(contenderNames)

const provenance = z.strictObject({
  measuredAt: z.iso.datetime({ precision: -1 }),
  command: z.string(),
  commit: z.string(),
  machine: z.string(),
  versions: z.strictObject({ node: z.string(), kafka: z.string(), java: z.string() }),
  load: notNegative,
})

const measured = <Run extends z.ZodType>(run: Run) =>
  z.strictObject({ provenance, runs: z.array(run) })

const catchUp = z
  .strictObject({
    provenance,
    cases: z.array(
      z.strictObject({
        name: z.string(),
        records: positive,
        recordBytes: positive,
        partitions: positive,
        batchBytes: positive,
        compression: z.enum(['none', 'lz4', 'zstd']),
      }),
    ),
    runs: z.array(
      z.strictObject({
        case: z.string(),
        contender,
        round,
        recordsPerSecond: positive,
        secondsToFirst: notNegative,
        processorMicrosPerRecord: notNegative,
        processorSecondsWithStart: notNegative,
        sourceProcessorMicrosPerRecord: notNegative,
        targetProcessorMicrosPerRecord: notNegative,
        peakMemoryMb: positive,
      }),
    ),
  })
  .refine(({ cases, runs }) => runs.every(run => cases.some(each => each.name === run.case)), {
    error: 'a run names a case that is not among the cases',
  })
  .refine(({ cases }) => new Set(cases.map(each => each.name)).size === cases.length, {
    error: 'two cases have the same name',
  })

const percentiles = z.strictObject({ p50: figure, p99: figure, max: figure })

const latencyRun = z.strictObject({
  recordsPerSecond: positive,
  contender,
  round,
  source: percentiles,
  standby: percentiles,
  processorPercent: notNegative,
})

const recoveryRun = z.strictObject({
  event: z.enum(['reset', 'reset-while-stopped', 'truncation', 'crash']),
  contender,
  round,
  seconds: notNegative.nullable(),
  patienceSeconds: positive,
  told: z.string(),
})

const coldStartRun = z.strictObject({
  contender,
  round,
  milliseconds: positive,
  processorMilliseconds: notNegative,
})

const idleRun = z.strictObject({
  contender,
  partitions: positive,
  sourceRequests: notNegative,
  targetRequests: notNegative,
  tableWrites: notNegative,
  processorSeconds: notNegative,
  memoryMb: positive,
})

const profileRun = z.strictObject({
  case: z.string(),
  processorMilliseconds: positive,
  mainThreadMilliseconds: positive,
  parts: z.strictObject({
    collecting: notNegative,
    system: notNegative,
    node: notNegative,
    bundle: notNegative,
  }),
  functions: z.array(z.strictObject({ name: z.string(), milliseconds: notNegative })),
})

const resultsSchema = z.strictObject({
  catchUp: catchUp.exactOptional(),
  growth: catchUp.exactOptional(),
  profile: measured(profileRun).exactOptional(),
  latency: measured(latencyRun).exactOptional(),
  recovery: measured(recoveryRun).exactOptional(),
  coldStart: measured(coldStartRun).exactOptional(),
  idle: measured(idleRun).exactOptional(),
}) satisfies z.ZodType<Results>

/** Throws with every place that is not in the form of results.ts. */
export function parseResults(text: string, origin: string): Results {
  const parsed = resultsSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new Error(
    `${origin} is not what the benchmarks write:\n${z.prettifyError(parsed.error)}\n` +
      'Measure the section again, or take the file of the last commit: git checkout -- bench/results.json',
  )
}

/** Without a file nothing was measured. */
export function readResults(path = resultsPath): Results {
  return existsSync(path) ? parseResults(readFileSync(path, 'utf8'), path) : {}
}

/** What was measured replaces those sections; the others stay as they were measured before. */
export function mergeResults(before: Results, measuredNow: Results): Results {
  return { ...before, ...measuredNow }
}

/** Reads, merges, checks and writes; sections in one order, so that a diff shows what changed. */
export function saveSections(measuredNow: Results, path = resultsPath): Results {
  const merged = mergeResults(readResults(path), measuredNow)
  const text = formatResults(merged)
  const checked = parseResults(text, 'What was measured')
  writeFileSync(path, text)
  return checked
}

export function formatResults(results: Results): string {
  const { catchUp, growth, profile, latency, recovery, coldStart, idle } = results
  const ordered = { catchUp, growth, profile, latency, recovery, coldStart, idle }
  return `${JSON.stringify(ordered, null, 2)}\n`
}
