// Owns the figures that are computed from samples: medians over rounds, the better configuration of
// MirrorMaker 2, quotients. A figure of a contender that did not run is null, never zero.

import { median } from '../../statistics.ts'
import {
  type CatchUp,
  type CatchUpRun,
  contenderNames,
  type LatencyRun,
} from '../results/results.ts'

/** Over the rounds, in the samples' unit. Infinite where a round never ended. */
export type Spread = {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
}

export type Better = 'most' | 'least'

export const mirrorMakers = [contenderNames.mirrorMakerDefaults, contenderNames.mirrorMakerTuned]

/** null without samples. */
export function spreadOf(samples: readonly number[]): Spread | null {
  if (samples.length === 0) return null
  return {
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    rounds: samples.length,
  }
}

/** The spread of `sampleOf` over the runs of one contender. */
export function spreadFor<Run extends { readonly contender: string }>(
  runs: readonly Run[],
  contender: string,
  sampleOf: (run: Run) => number,
): Spread | null {
  return spreadOf(runs.filter(run => run.contender === contender).map(sampleOf))
}

/** MirrorMaker 2's better configuration. null while one did not run: it might be the better one. */
export function betterMirrorMaker<Run extends { readonly contender: string }>(
  runs: readonly Run[],
  sampleOf: (run: Run) => number,
  better: Better,
): Spread | null {
  const spreads = mirrorMakers.map(name => spreadFor(runs, name, sampleOf))
  const [first, ...others] = spreads.filter(each => each !== null)
  if (first === undefined || others.length + 1 < mirrorMakers.length) return null
  const isBetter = (one: Spread, other: Spread) =>
    better === 'most' ? one.median > other.median : one.median < other.median
  return others.reduce((best, each) => (isBetter(each, best) ? each : best), first)
}

/** The quotient of the medians. null where one is missing or the divisor is not positive. */
export function quotientOf(one: Spread | null, other: Spread | null): number | null {
  if (one === null || other === null || other.median <= 0) return null
  const quotient = one.median / other.median
  return Number.isFinite(quotient) ? quotient : null
}

export function runsOf(catchUp: CatchUp, caseName: string): readonly CatchUpRun[] {
  return catchUp.runs.filter(run => run.case === caseName)
}

/** The age on the standby minus the age on the source, ms. */
export function addedMs(percentile: keyof LatencyRun['source']): (run: LatencyRun) => number {
  return run => run.standby[percentile] - run.source[percentile]
}

/** Processor time of both brokers, µs per record. */
export function brokerMicros(run: CatchUpRun): number {
  return run.sourceProcessorMicrosPerRecord + run.targetProcessorMicrosPerRecord
}
