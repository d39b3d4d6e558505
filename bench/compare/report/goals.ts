// Owns the goals, one row of the tables each, and the verdict that the measured figures give.
// Ratios are of medians over the rounds: gapless with 512 MB to the better configuration of
// MirrorMaker 2. Where a goal covers several cases, the worst case decides. A goal is `not
// measured` while one of its contenders has no run, unless the known figures miss the bound
// already.

import {
  type CatchUpCase,
  type CatchUpRun,
  contenderNames,
  type IdleRun,
  type RecoveryRun,
  type Results,
} from '../results/results.ts'
import {
  addedMs,
  type Better,
  betterMirrorMaker,
  quotientOf,
  runsOf,
  type Spread,
  spreadFor,
} from './figures.ts'
import { amount, ratio, unknown } from './wording.ts'

export type Outcome = 'met' | 'missed' | 'not measured'

/** The cells of a goal's row, as they are written. */
type Judgement = {
  readonly wanted: string
  readonly gapless: string
  readonly mirrorMaker: string
  /** The ratio to MirrorMaker 2 where the bound is a ratio, otherwise gapless's figure. */
  readonly measured: string
  readonly verdict: Outcome
}

export type Verdict = Judgement & { readonly goal: string }

/** MirrorMaker 2's cell in a goal that does not compare with it. */
const notCompared = '–'

type Goal = { readonly goal: string; readonly judge: (results: Results) => Judgement }

type Bound = { readonly atLeast: number } | { readonly atMost: number }

const STANDARD_BATCH_BYTES = { min: 16_000, max: 16_384 }
const KILOBYTE = { min: 1_000, max: 1_024 }
const STEADY_RECORDS_PER_SECOND = 1_000

const within = (value: number, { min, max }: { min: number; max: number }) =>
  value >= min && value <= max

/** 200 B uncompressed, 4 partitions, in batches of a producer's default size. */
export function isPlainCase(each: CatchUpCase): boolean {
  const isPlain = each.compression === 'none' && each.recordBytes === 200 && each.partitions === 4
  return isPlain && within(each.batchBytes, STANDARD_BATCH_BYTES)
}

/** 1 KB in lz4 or zstd, in batches of a producer's default size. */
export function isCompressedCase(each: CatchUpCase): boolean {
  const isCompressed = each.compression !== 'none' && within(each.recordBytes, KILOBYTE)
  return isCompressed && within(each.batchBytes, STANDARD_BATCH_BYTES)
}

const isGoalCase = (each: CatchUpCase) => isPlainCase(each) || isCompressedCase(each)

const recordsPerSecond = (run: CatchUpRun) => run.recordsPerSecond
const processorMicros = (run: CatchUpRun) => run.processorMicrosPerRecord
const peakMemory = (run: CatchUpRun) => run.peakMemoryMb

export const goals: readonly Goal[] = [
  {
    goal: 'records/s: 200 B uncompressed, 4 partitions',
    judge: byCases({ counts: isPlainCase, sampleOf: recordsPerSecond, bound: { atLeast: 6 } }),
  },
  {
    goal: 'records/s: 1 KB in lz4 and in zstd, the worse ratio',
    judge: byCases({ counts: isCompressedCase, sampleOf: recordsPerSecond, bound: { atLeast: 8 } }),
  },
  {
    goal: 'replicator processor time, µs per record: 200 B uncompressed, 4 partitions',
    judge: byCases({ counts: isPlainCase, sampleOf: processorMicros, bound: { atMost: 1 / 15 } }),
  },
  {
    goal: 'replicator processor time, µs per record: 1 KB in lz4 and in zstd, the worse ratio',
    judge: byCases({
      counts: isCompressedCase,
      sampleOf: processorMicros,
      bound: { atMost: 1 / 30 },
    }),
  },
  { goal: 'peak memory, MB: the highest of all cases', judge: judgeHighestMemory },
  {
    goal: 'peak memory, MB: the case with the worst ratio',
    judge: byCases({ counts: () => true, sampleOf: peakMemory, bound: { atMost: 1 / 6 } }),
  },
  { goal: 'added latency p50 at 1,000 records/s, ms', judge: judgeLatency },
  { goal: 'added latency p50 at 1,000 records/s, ms: the ratio', judge: judgeLatencyRatio },
  {
    goal: 'topic reset to the first new record, continuous mode, s',
    judge: results => judgeRecovery(results, 'reset', 2),
  },
  {
    goal: 'death of a worker to the first new record, s',
    judge: results => judgeRecovery(results, 'crash', 9),
  },
  {
    goal: 'death of a worker to the first new record, with the failure notice, s',
    judge: results => judgeRecovery(results, 'crash-noticed', 3),
  },
  { goal: '1,000 idle partitions: table writes a minute', judge: judgeIdleWrites },
  {
    goal: '1,000 idle partitions: processor time, s a minute: the ratio',
    judge: judgeIdleProcessor,
  },
  { goal: 'cold start to the first record, ms', judge: judgeColdStart },
  {
    goal: 'share of the physical limit, records/s: the worst of the cases above',
    judge: judgeLimit,
  },
]

export function judgeAll(results: Results): Verdict[] {
  return goals.map(({ goal, judge }) => ({ goal, ...judge(results) }))
}

function holds(value: number, bound: Bound): Outcome {
  const isMet = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost
  return isMet ? 'met' : 'missed'
}

function wantedRatio(bound: Bound): string {
  return 'atLeast' in bound ? `≥ ${ratio(bound.atLeast)}` : `≤ 1/${Math.round(1 / bound.atMost)}`
}

type Pair = { readonly gapless: Spread | null; readonly other: Spread | null }

/** Judges the worst quotient. A bound is met only when every pair has a quotient. */
function judgePairs(pairs: readonly Pair[], bound: Bound): Omit<Judgement, 'wanted'> {
  const known = pairs.flatMap(pair => {
    const quotient = quotientOf(pair.gapless, pair.other)
    return quotient === null ? [] : [{ ...pair, quotient }]
  })
  const isWorse = (one: number, other: number) => ('atLeast' in bound ? one < other : one > other)
  const [first, ...others] = known
  if (first === undefined) {
    // A single pair without a quotient may still have one of its two figures.
    const [only] = pairs.length === 1 ? pairs : []
    const [gapless, mirrorMaker] = [figure(only?.gapless), figure(only?.other)]
    return { gapless, mirrorMaker, measured: unknown, verdict: unknown }
  }
  const worst = others.reduce(
    (found, each) => (isWorse(each.quotient, found.quotient) ? each : found),
    first,
  )
  const outcome = holds(worst.quotient, bound)
  return {
    gapless: figure(worst.gapless),
    mirrorMaker: figure(worst.other),
    measured: ratio(worst.quotient),
    verdict: outcome === 'met' && known.length < pairs.length ? unknown : outcome,
  }
}

function figure(of: Spread | null | undefined): string {
  if (of === null || of === undefined) return unknown
  return Number.isFinite(of.median) ? amount(of.median) : 'never'
}

function byCases(options: {
  readonly counts: (each: CatchUpCase) => boolean
  readonly sampleOf: (run: CatchUpRun) => number
  readonly bound: Bound
}): Goal['judge'] {
  const { counts, sampleOf, bound } = options
  const better: Better = 'atLeast' in bound ? 'most' : 'least'
  return ({ catchUp }) => {
    const pairs = (catchUp?.cases ?? []).filter(counts).map(({ name }) => {
      const runs = catchUp === undefined ? [] : runsOf(catchUp, name)
      const gapless = spreadFor(runs, contenderNames.gapless512, sampleOf)
      return { gapless, other: betterMirrorMaker(runs, sampleOf, better) }
    })
    return { wanted: wantedRatio(bound), ...judgePairs(pairs, bound) }
  }
}

/** The highest peak of any single run, not a median: memory that was used once was needed. */
function judgeHighestMemory({ catchUp }: Results): Judgement {
  const megabytesMax = 200
  const wanted = `≤ ${megabytesMax}`
  const cases = catchUp?.cases ?? []
  const peaks = cases.map(({ name }) =>
    catchUp === undefined
      ? null
      : spreadFor(runsOf(catchUp, name), contenderNames.gapless512, peakMemory),
  )
  const known = peaks.filter(each => each !== null).map(each => each.max)
  if (known.length === 0) return absent(wanted)
  const highest = Math.max(...known)
  const outcome = holds(highest, { atMost: megabytesMax })
  const verdict = outcome === 'met' && known.length < cases.length ? unknown : outcome
  const gapless = amount(highest, 'ceil')
  return { wanted, gapless, mirrorMaker: notCompared, measured: gapless, verdict }
}

function latencyPair({ latency }: Results): Pair {
  const runs = (latency?.runs ?? []).filter(
    run => run.recordsPerSecond === STEADY_RECORDS_PER_SECOND,
  )
  return {
    gapless: spreadFor(runs, contenderNames.gapless512, addedMs('p50')),
    other: betterMirrorMaker(runs, addedMs('p50'), 'least'),
  }
}

function judgeLatency(results: Results): Judgement {
  const millisecondsMax = 2
  const { gapless, other } = latencyPair(results)
  return judgeAbsolute(gapless, other, millisecondsMax)
}

function judgeLatencyRatio(results: Results): Judgement {
  const bound = { atMost: 1 / 3 }
  return { wanted: wantedRatio(bound), ...judgePairs([latencyPair(results)], bound) }
}

function judgeRecovery(
  { recovery }: Results,
  event: RecoveryRun['event'],
  secondsMax: number,
): Judgement {
  const runs = (recovery?.runs ?? []).filter(run => run.event === event)
  // A round in which no record came counts as longer than any time.
  const seconds = (run: { seconds: number | null }) => run.seconds ?? Number.POSITIVE_INFINITY
  const gapless = spreadFor(runs, contenderNames.gapless512, seconds)
  return judgeAbsolute(gapless, betterMirrorMaker(runs, seconds, 'least'), secondsMax)
}

const IDLE_PARTITIONS = 1_000

const idleRuns = ({ idle }: Results): readonly IdleRun[] =>
  (idle?.runs ?? []).filter(run => run.partitions === IDLE_PARTITIONS)

function judgeIdleWrites(results: Results): Judgement {
  const writesMax = 40
  const gapless = spreadFor(idleRuns(results), contenderNames.gapless512, run => run.tableWrites)
  return { ...judgeAbsolute(gapless, null, writesMax), mirrorMaker: notCompared }
}

function judgeIdleProcessor(results: Results): Judgement {
  const runs = idleRuns(results)
  const processor = (run: IdleRun) => run.processorSeconds
  const gapless = spreadFor(runs, contenderNames.gapless512, processor)
  const bound = { atMost: 1 }
  const pair = { gapless, other: betterMirrorMaker(runs, processor, 'least') }
  return { wanted: `≤ ${ratio(bound.atMost)}`, ...judgePairs([pair], bound) }
}

function judgeColdStart({ coldStart }: Results): Judgement {
  const runs = coldStart?.runs ?? []
  const milliseconds = (run: { milliseconds: number }) => run.milliseconds
  const gapless = spreadFor(runs, contenderNames.gapless512, milliseconds)
  const millisecondsMax = 700
  return judgeAbsolute(gapless, betterMirrorMaker(runs, milliseconds, 'least'), millisecondsMax)
}

/** gapless's median decides; MirrorMaker 2's is shown beside it where it is known. */
function judgeAbsolute(gapless: Spread | null, other: Spread | null, most: number): Judgement {
  const wanted = `≤ ${amount(most)}`
  const mirrorMaker = figure(other)
  if (gapless === null) return { ...absent(wanted), mirrorMaker }
  const written = Number.isFinite(gapless.median) ? amount(gapless.median, 'ceil') : 'never'
  const verdict = holds(gapless.median, { atMost: most })
  return { wanted, gapless: written, mirrorMaker, measured: written, verdict }
}

function judgeLimit({ catchUp }: Results): Judgement {
  const leastShare = 0.8
  const wanted = `≥ ${amount(leastShare * 100)} %`
  const pairs = (catchUp?.cases ?? []).filter(isGoalCase).map(({ name }) => {
    const runs = catchUp === undefined ? [] : runsOf(catchUp, name)
    return {
      gapless: spreadFor(runs, contenderNames.gapless512, recordsPerSecond),
      other: spreadFor(runs, contenderNames.limit, recordsPerSecond),
    }
  })
  const quotients = pairs.flatMap(pair => quotientOf(pair.gapless, pair.other) ?? [])
  const judged = judgePairs(pairs, { atLeast: leastShare })
  const measured =
    quotients.length === 0 ? unknown : `${amount(Math.min(...quotients) * 100, 'floor')} %`
  return { wanted, ...judged, mirrorMaker: notCompared, measured }
}

function absent(wanted: string): Judgement {
  return { wanted, gapless: unknown, mirrorMaker: notCompared, measured: unknown, verdict: unknown }
}
