// Runs simulations for any number of seeds. Exits 1 when an invariant was broken, and prints the
// command that repeats that seed, event by event.
//
//   node tests/simulation/run.ts [--seeds 100000] [--from 1] [--workers 2]
//   node tests/simulation/run.ts --seed 709 --trace

import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { groupDigits, renderTable } from '../../cli/terminal/table.ts'
import { drawScenario } from './scenario.ts'
import { type Figures, tell } from './simulation.ts'

type Share = { readonly from: number; readonly seeds: number; readonly step: number }
type Told = { readonly figures: Figures; readonly failures: readonly (readonly [number, string])[] }

const FAILURES_MAX = 20

export function commandFor(seed: number): string {
  return `node tests/simulation/run.ts --seed ${seed} --trace`
}

/** The failure of a seed in one line; null when there is none. */
export async function findFailure(seed: number): Promise<string | null> {
  const { violation } = await tell(drawScenario(seed))
  return violation === null ? null : `seed ${seed}: ${violation.message}`
}

function add(sum: Figures, more: Figures): void {
  for (const [name, value] of Object.entries(more)) {
    if (name === 'incidents') continue
    const key = name as Exclude<keyof Figures, 'incidents'>
    sum[key] = (sum[key] ?? 0) + Number(value)
  }
  for (const [kind, count] of Object.entries(more.incidents)) {
    sum.incidents[kind] = (sum.incidents[kind] ?? 0) + count
  }
}

const nothing = (): Figures => ({
  runs: 0,
  turns: 0,
  steps: 0,
  crossings: 0,
  kills: 0,
  freezes: 0,
  lostAnswers: 0,
  records: 0,
  incidents: {},
})

async function tellShare({ from, seeds, step }: Share): Promise<Told> {
  const figures = nothing()
  const failures: [number, string][] = []
  for (let seed = from; seed < from + seeds * step; seed += step) {
    const told = await tell(drawScenario(seed))
    add(figures, told.figures)
    if (told.violation !== null) failures.push([seed, told.violation.message])
    if (failures.length >= FAILURES_MAX) break
  }
  return { figures, failures }
}

/**
 * Runs a share of the seeds in a process of its own. A process has one world at a time; otherwise
 * the same seed would not be the same story.
 */
async function inProcess({ from, seeds, step }: Share): Promise<Told> {
  const numbers = [`--from=${from}`, `--seeds=${seeds}`, `--step=${step}`]
  const program = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, [program, '--json', ...numbers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(await text(child.stdout)) as Told
}

async function tellOne(seed: number, keepsTrace: boolean): Promise<number> {
  const { violation, trace, hash, figures } = await tell(drawScenario(seed), { keepsTrace })
  if (keepsTrace) console.log(trace.join('\n'))
  console.log(`seed ${seed}, hash ${hash}: ${violation?.message ?? 'every invariant holds'}`)
  console.log(JSON.stringify(figures))
  return violation === null ? 0 : 1
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100000' },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      // Set for the processes that this one starts: the step between their seeds.
      step: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  if (values.seed !== undefined) return tellOne(Number(values.seed), values.trace)
  const seeds = Number(values.seeds)
  const from = Number(values.from)
  if (values.json) {
    console.log(JSON.stringify(await tellShare({ from, seeds, step: Number(values.step) })))
    return 0
  }
  const workers = Math.max(1, Number(values.workers))
  const startedAt = performance.now()
  const shares = Array.from({ length: workers }, (_, index) =>
    inProcess({ from: from + index, seeds: Math.ceil((seeds - index) / workers), step: workers }),
  )
  const told = await Promise.all(shares)
  const figures = nothing()
  for (const each of told) add(figures, each.figures)
  const failures = told.flatMap(each => each.failures).sort(([left], [right]) => left - right)
  const { incidents, ...rest } = figures
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const duplicates = failures.filter(([, what]) => what.includes('is copied twice')).length
  const holes = failures.filter(([, what]) => what.includes('no incident says so')).length
  const rows = Object.entries({ seeds, ...rest, ...incidents, duplicates, holes, seconds })
  console.log(
    renderTable<readonly [string, number]>(
      [
        { head: 'what', cell: ([name]) => name },
        { head: 'count', cell: ([, count]) => groupDigits(count), align: 'right' },
      ],
      rows,
    ),
  )
  for (const [seed, what] of failures) console.log(`seed ${seed}: ${what}\n  ${commandFor(seed)}`)
  return failures.length === 0 ? 0 : 1
}

if (import.meta.main) process.exitCode = await main()
