// Owns the eight goals, and what the measured figures say of each. Ratios are of medians over
// rounds, gapless in 512 MB to the better configuration of MirrorMaker 2. Where several cases are
// meant, the worst one counts. Unknown is not healthy: without a run of every contender that a goal
// speaks of, it is not measured, unless what is known misses it already.

import {
  type CatchUpCase,
  type CatchUpRun,
  contenderNames,
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

/** One figure of a goal, as it is written. */
type Part = {
  readonly wanted: string
  readonly gapless: string
  readonly mirrorMaker: string
  /** To MirrorMaker 2, where that is what is wanted; else the figure itself. */
  readonly measured: string
  readonly verdict: Outcome
}

export type Verdict = Part & { readonly goal: string }

/** Where a side has no part in a figure, or another part says it. */
const noPart = '–'

type Goal = { readonly goal: string; readonly judge: (results: Results) => readonly Part[] }

type Bound = { readonly atLeast: number } | { readonly atMost: number }

const STANDARD_BATCH_BYTES = { min: 16_000, max: 16_384 }
const KILOBYTE = { min: 1_000, max: 1_024 }
const STEADY_RECORDS_PER_SECOND = 1_000

const within = (value: number, { min, max }: { min: number; max: number }) =>
  value >= min && value <= max

/** 200 B uncompressed, 4 partitions, in a producer's default batches. */
export function isPlainCase(each: CatchUpCase): boolean {
  const isPlain = each.compression === 'none' && each.recordBytes === 200 && each.partitions === 4
  return isPlain && within(each.batchBytes, STANDARD_BATCH_BYTES)
}

/** 1 KB in lz4 or zstd, in a producer's default batches. */
export function isCompressedCase(each: CatchUpCase): boolean {
  const isCompressed = each.compression !== 'none' && within(each.recordBytes, KILOBYTE)
  return isCompressed && within(each.batchBytes, STANDARD_BATCH_BYTES)
}

const anyCase = () => true
const isGoalCase = (each: CatchUpCase) => isPlainCase(each) || isCompressedCase(each)

const recordsPerSecond = (run: CatchUpRun) => run.recordsPerSecond
const processorMicros = (run: CatchUpRun) => run.processorMicrosPerRecord
const peakMemory = (run: CatchUpRun) => run.peakMemoryMb

export const goals: readonly Goal[] = [
  {
    goal: 'records/s, 200 B uncompressed, 4 partitions',
    judge: byCases({ counts: isPlainCase, sampleOf: recordsPerSecond, bound: { atLeast: 6 } }),
  },
  {
    goal: 'records/s, lz4 and zstd, 1 KB',
    judge: byCases({ counts: isCompressedCase, sampleOf: recordsPerSecond, bound: { atLeast: 8 } }),
  },
  {
    goal: 'replicator processor time per record, µs: uncompressed; compressed (the cases above)',
    judge: results => [
      ...byCases({ counts: isPlainCase, sampleOf: processorMicros, bound: { atMost: 1 / 15 } })(
        results,
      ),
      ...byCases({
        counts: isCompressedCase,
        sampleOf: processorMicros,
        bound: { atMost: 1 / 30 },
      })(results),
    ],
  },
  {
    goal: 'peak memory, MB: the most of all cases; the worst ratio of them',
    judge: results => [
      judgeMostMemory(results),
      ...byCases({ counts: anyCase, sampleOf: peakMemory, bound: { atMost: 1 / 6 } })(results),
    ],
  },
  { goal: 'added latency p50 at 1,000 records/s, ms', judge: judgeLatency },
  { goal: 'topic reset to the first new record, continuous mode, s', judge: judgeReset },
  { goal: 'cold start to the first record, ms', judge: judgeColdStart },
  {
    goal: 'share of the physical limit, records/s (the cases of the first two goals)',
    judge: judgeLimit,
  },
]

export function judgeAll(results: Results): Verdict[] {
  return goals.map(({ goal, judge }) => {
    const parts = judge(results)
    const joined = (field: Exclude<keyof Part, 'verdict'>) => {
      const said = parts.map(part => part[field])
      const figures = said.filter(each => each !== noPart)
      return figures.length === 0 ? noPart : figures.join('; ')
    }
    return {
      goal,
      wanted: joined('wanted'),
      gapless: joined('gapless'),
      mirrorMaker: joined('mirrorMaker'),
      measured: joined('measured'),
      verdict: together(parts.map(part => part.verdict)),
    }
  })
}

/** A goal of several parts is met with all of them, and missed with any. */
function together(outcomes: readonly Outcome[]): Outcome {
  if (outcomes.includes('missed')) return 'missed'
  return outcomes.length > 0 && outcomes.every(each => each === 'met') ? 'met' : 'not measured'
}

function holds(value: number, bound: Bound): Outcome {
  const isMet = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost
  return isMet ? 'met' : 'missed'
}

function wantedRatio(bound: Bound): string {
  return 'atLeast' in bound ? `≥ ${ratio(bound.atLeast)}` : `≤ 1/${Math.round(1 / bound.atMost)}`
}

type Pair = { readonly gapless: Spread | null; readonly other: Spread | null }

/** The worst quotient of the pairs that have one; all of them must, to have met a bound. */
function judgePairs(pairs: readonly Pair[], bound: Bound): Omit<Part, 'wanted'> {
  const known = pairs.flatMap(pair => {
    const quotient = quotientOf(pair.gapless, pair.other)
    return quotient === null ? [] : [{ ...pair, quotient }]
  })
  const isWorse = (one: number, other: number) => ('atLeast' in bound ? one < other : one > other)
  const [first, ...others] = known
  if (first === undefined) {
    // One pair without a quotient may still have a figure on one side.
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
    return [{ wanted: wantedRatio(bound), ...judgePairs(pairs, bound) }]
  }
}

/** Absolute: of any run, for a peak that was reached once was reached. */
function judgeMostMemory({ catchUp }: Results): Part {
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
  const most = Math.max(...known)
  const outcome = holds(most, { atMost: megabytesMax })
  const verdict = outcome === 'met' && known.length < cases.length ? unknown : outcome
  const gapless = amount(most, 'ceil')
  return { wanted, gapless, mirrorMaker: noPart, measured: gapless, verdict }
}

function judgeLatency({ latency }: Results): Part[] {
  const runs = (latency?.runs ?? []).filter(
    run => run.recordsPerSecond === STEADY_RECORDS_PER_SECOND,
  )
  const gapless = spreadFor(runs, contenderNames.gapless512, addedMs('p50'))
  const other = betterMirrorMaker(runs, addedMs('p50'), 'least')
  const millisecondsMax = 2
  const compared = judgePairs([{ gapless, other }], { atMost: 1 / 3 })
  return [
    judgeAbsolute(gapless, other, millisecondsMax),
    { wanted: '≤ 1/3', ...compared, gapless: noPart, mirrorMaker: noPart },
  ]
}

function judgeReset({ recovery }: Results): Part[] {
  const runs = (recovery?.runs ?? []).filter(run => run.event === 'reset')
  // Never is longer than any time.
  const seconds = (run: { seconds: number | null }) => run.seconds ?? Number.POSITIVE_INFINITY
  const gapless = spreadFor(runs, contenderNames.gapless512, seconds)
  const secondsMax = 2
  return [judgeAbsolute(gapless, betterMirrorMaker(runs, seconds, 'least'), secondsMax)]
}

function judgeColdStart({ coldStart }: Results): Part[] {
  const runs = coldStart?.runs ?? []
  const milliseconds = (run: { milliseconds: number }) => run.milliseconds
  const gapless = spreadFor(runs, contenderNames.gapless512, milliseconds)
  const millisecondsMax = 700
  return [judgeAbsolute(gapless, betterMirrorMaker(runs, milliseconds, 'least'), millisecondsMax)]
}

/** Only gapless's own median counts; MirrorMaker 2's stands beside it where it is known. */
function judgeAbsolute(gapless: Spread | null, other: Spread | null, most: number): Part {
  const wanted = `≤ ${amount(most)}`
  const mirrorMaker = figure(other)
  if (gapless === null) return { ...absent(wanted), mirrorMaker }
  const written = Number.isFinite(gapless.median) ? amount(gapless.median, 'ceil') : 'never'
  const verdict = holds(gapless.median, { atMost: most })
  return { wanted, gapless: written, mirrorMaker, measured: written, verdict }
}

function judgeLimit({ catchUp }: Results): Part[] {
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
  return [{ wanted, ...judged, mirrorMaker: noPart, measured }]
}

function absent(wanted: string): Part {
  return { wanted, gapless: unknown, mirrorMaker: noPart, measured: unknown, verdict: unknown }
}
