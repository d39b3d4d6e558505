// Owns the quick guard: ratios of gapless to baselines that are measured in the same minutes, so
// that neither the machine nor its load decides. The floors are far below the ratios of a quiet
// machine (RESULTS.md): a ratio below its floor is a regression, not noise.

import Table from 'cli-table3'
import { median, shown } from '../../statistics.ts'
import { type CatchUpRun, contenderNames } from '../results/results.ts'
import { type CatchUpPlan, warmUpCase } from './cases.ts'
import { measureCatchUp, type Say } from './catch-up.ts'
import type { Scene } from './scene.ts'

const plans: readonly CatchUpPlan[] = [
  { rounds: 2, case: { ...warmUpCase, name: '200 B, 4 partitions' } },
]

type Guard = {
  readonly what: string
  readonly of: (run: CatchUpRun) => number
  readonly baseline: string
  readonly atLeast?: number
  readonly atMost?: number
}

const guards: readonly Guard[] = [
  {
    what: 'records/s',
    of: run => run.recordsPerSecond,
    baseline: contenderNames.mirrorMakerTuned,
    atLeast: 1.5,
  },
  {
    what: 'records/s',
    of: run => run.recordsPerSecond,
    baseline: contenderNames.limit,
    atLeast: 0.5,
  },
  {
    what: 'processor time per record',
    of: run => run.processorMicrosPerRecord,
    baseline: contenderNames.mirrorMakerTuned,
    atMost: 1 / 5,
  },
  {
    what: 'peak memory',
    of: run => run.peakMemoryMb,
    baseline: contenderNames.mirrorMakerTuned,
    atMost: 1 / 3,
  },
]

/** Prints the ratios. @returns false where a ratio is beyond its floor. */
export async function guardRatios(scene: Scene, say: Say): Promise<boolean> {
  const names: readonly string[] = [
    contenderNames.gapless512,
    contenderNames.mirrorMakerTuned,
    contenderNames.limit,
  ]
  const runs = await measureCatchUp(scene, plans, say, contender => names.includes(contender.name))
  const table = new Table({
    head: ['gapless to', 'of', 'ratio', 'wanted', ''],
    style: { head: [] },
  })
  const verdicts = guards.map(guard => {
    const figureOf = (name: string) =>
      median(runs.filter(run => run.contender === name).map(guard.of))
    const ratio = figureOf(contenderNames.gapless512) / figureOf(guard.baseline)
    const { atLeast, atMost } = guard
    const holds =
      (atLeast === undefined || ratio >= atLeast) && (atMost === undefined || ratio <= atMost)
    const wanted =
      atLeast === undefined ? `at most ${shown(atMost ?? 0)}` : `at least ${shown(atLeast)}`
    table.push([guard.baseline, guard.what, shown(ratio), wanted, holds ? 'holds' : 'BROKEN'])
    return holds
  })
  process.stdout.write(`${table}\n`)
  return verdicts.every(Boolean)
}
