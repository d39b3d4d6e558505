// Owns the tables of copies: one table per figure, a row per case, a column per contender, and the
// ratio to the better configuration of MirrorMaker 2.

import { type CatchUp, type CatchUpRun, contenderNames } from '../results/results.ts'
import {
  type Better,
  betterMirrorMaker,
  brokerMicros,
  mirrorMakers,
  quotientOf,
  runsOf,
  spreadFor,
} from './figures.ts'
import { ratio, spread, table, unknown } from './wording.ts'

type Figure = {
  readonly title: string
  readonly better: Better
  readonly sampleOf: (run: CatchUpRun) => number
  /** Whether the table has a column of the physical limit. */
  readonly hasLimit: boolean
}

const figures: readonly Figure[] = [
  {
    title: 'Records per second (share: gapless in percent of the physical limit)',
    better: 'most',
    sampleOf: run => run.recordsPerSecond,
    hasLimit: true,
  },
  {
    title: 'Processor time of the replicator, µs per record',
    better: 'least',
    sampleOf: run => run.processorMicrosPerRecord,
    hasLimit: false,
  },
  {
    title: 'Processor time of both brokers, µs per record: the same as seconds per million records',
    better: 'least',
    sampleOf: brokerMicros,
    hasLimit: false,
  },
  {
    title: 'Processor time of the replicator with its start, s for the whole copy',
    better: 'least',
    sampleOf: run => run.processorSecondsWithStart,
    hasLimit: false,
  },
  {
    title: 'Peak memory of the replicator, MB',
    better: 'least',
    sampleOf: run => run.peakMemoryMb,
    hasLimit: false,
  },
  {
    title: 'From the start of the process to the first record on the standby, s',
    better: 'least',
    sampleOf: run => run.secondsToFirst,
    hasLimit: false,
  },
]

export function catchUpTables(catchUp: CatchUp): string[] {
  return [
    ...figures.flatMap(figure => [`### ${figure.title}`, tableOf(catchUp, figure)]),
    "### Processors busy during the copy: replicator + source's broker + standby's broker",
    busyTable(catchUp),
  ]
}

/** Processor seconds of each process per second of the copy. */
function busyTable(catchUp: CatchUp): string {
  const contenders = [contenderNames.gapless512, ...mirrorMakers, contenderNames.limit]
  const rows = catchUp.cases.map(({ name }) => {
    const runs = runsOf(catchUp, name)
    return [name, ...contenders.map(contender => busyOf(runs, contender))]
  })
  return table(['', ...contenders], rows)
}

function busyOf(runs: readonly CatchUpRun[], contender: string): string {
  const parts = [
    (run: CatchUpRun) => run.processorMicrosPerRecord,
    (run: CatchUpRun) => run.sourceProcessorMicrosPerRecord,
    (run: CatchUpRun) => run.targetProcessorMicrosPerRecord,
  ].map(microsOf =>
    spreadFor(runs, contender, run => (microsOf(run) * run.recordsPerSecond) / 1_000_000),
  )
  const known = parts.flatMap(each => each?.median ?? [])
  return known.length < parts.length ? unknown : known.map(each => each.toFixed(2)).join(' + ')
}

function tableOf(catchUp: CatchUp, { better, sampleOf, hasLimit }: Figure): string {
  const gapless = [contenderNames.gapless512, contenderNames.gapless1024]
  const rows = catchUp.cases.map(({ name }) => {
    const runs = runsOf(catchUp, name)
    const of = (contender: string) => spreadFor(runs, contender, sampleOf)
    const quotient = quotientOf(
      of(contenderNames.gapless512),
      betterMirrorMaker(runs, sampleOf, better),
    )
    const limit = of(contenderNames.limit)
    return [
      name,
      ...[...gapless, ...mirrorMakers].map(contender => spread(of(contender))),
      quotient === null ? unknown : ratio(quotient),
      ...(hasLimit ? [spread(limit), share(quotientOf(of(contenderNames.gapless512), limit))] : []),
    ]
  })
  const limitHead = hasLimit ? [contenderNames.limit, 'share'] : []
  return table(['', ...gapless, ...mirrorMakers, 'ratio', ...limitHead], rows)
}

function share(quotient: number | null): string {
  return quotient === null ? unknown : `${Math.floor(quotient * 100)} %`
}
