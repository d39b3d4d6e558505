import { expect, test } from 'vitest'
import { judgeAll, type Outcome } from '../../../bench/compare/report/goals.ts'
import {
  type CatchUpRun,
  contenderNames,
  type IdleRun,
  type LatencyRun,
  type Results,
} from '../../../bench/compare/results/results.ts'
import { catchUpOf, compressedCases, madeUp, plainCase } from '../../support/made-up-results.ts'

const { gapless512, mirrorMakerDefaults, mirrorMakerTuned, limit } = contenderNames
const cases = [plainCase, ...compressedCases]
const [lz4, zstd] = compressedCases

/** Catching up, where one contender has another figure in some case. */
function where(
  contender: string,
  change: Partial<CatchUpRun>,
  isMeant = (_run: CatchUpRun) => true,
): Results {
  const changeOf = (run: CatchUpRun) => (run.contender === contender && isMeant(run) ? change : {})
  return { catchUp: catchUpOf(cases, changeOf) }
}

function latencyWhere(p50: number): Results {
  const changed = (run: LatencyRun): LatencyRun =>
    run.contender === gapless512 ? { ...run, standby: { ...run.standby, p50 } } : run
  return { latency: { ...madeUp.latency, runs: madeUp.latency.runs.map(changed) } }
}

function recoveryWhere(seconds: number | null): Results {
  const runs = madeUp.recovery.runs.map(run => ({ ...run, seconds }))
  return { recovery: { ...madeUp.recovery, runs } }
}

/** gapless with 1,000 idle partitions; MirrorMaker 2 takes 0.8 s of processor time a minute. */
function idleWhere(change: Partial<IdleRun>): Results {
  const changed = (run: IdleRun): IdleRun =>
    run.contender === gapless512 ? { ...run, ...change } : run
  return { idle: { ...madeUp.idle, runs: madeUp.idle.runs.map(changed) } }
}

function coldStartWhere(milliseconds: number): Results {
  const runs = madeUp.coldStart.runs.map(run => ({ ...run, milliseconds }))
  return { coldStart: { ...madeUp.coldStart, runs } }
}

const isPlain = (run: CatchUpRun) => run.case === plainCase.name
const isZstd = (run: CatchUpRun) => run.case === zstd?.name

/** The rows by what they judge. */
const row = {
  plainRecords: 0,
  compressedRecords: 1,
  plainProcessor: 2,
  compressedProcessor: 3,
  highestMemory: 4,
  memoryRatio: 5,
  latency: 6,
  latencyRatio: 7,
  reset: 8,
  crash: 9,
  crashNoticed: 10,
  idleWrites: 11,
  idleProcessor: 12,
  coldStart: 13,
  limit: 14,
}

// MirrorMaker 2's better configuration: 50,000 records/s in the middle round, 25 µs, 1,100 MB.
const examples: readonly [string, keyof typeof row, Results, Outcome][] = [
  [
    '6× the records',
    'plainRecords',
    where(gapless512, { recordsPerSecond: 300_000 }, isPlain),
    'met',
  ],
  [
    'nearly 6×',
    'plainRecords',
    where(gapless512, { recordsPerSecond: 299_000 }, isPlain),
    'missed',
  ],
  ['8× compressed', 'compressedRecords', where(gapless512, { recordsPerSecond: 400_000 }), 'met'],
  [
    'zstd alone too slow',
    'compressedRecords',
    where(gapless512, { recordsPerSecond: 399_000 }, isZstd),
    'missed',
  ],
  [
    '1/30 of the processor',
    'compressedProcessor',
    where(gapless512, { processorMicrosPerRecord: 0.83 }),
    'met',
  ],
  [
    '1/30 of the processor',
    'plainProcessor',
    where(gapless512, { processorMicrosPerRecord: 0.83 }),
    'met',
  ],
  [
    '1/20 of it',
    'compressedProcessor',
    where(gapless512, { processorMicrosPerRecord: 1.25 }),
    'missed',
  ],
  [
    '1/20 uncompressed',
    'plainProcessor',
    where(gapless512, { processorMicrosPerRecord: 1.25 }, isPlain),
    'met',
  ],
  [
    '1/20 uncompressed',
    'compressedProcessor',
    where(gapless512, { processorMicrosPerRecord: 1.25 }, isPlain),
    'met',
  ],
  [
    '1/14 uncompressed',
    'plainProcessor',
    where(gapless512, { processorMicrosPerRecord: 1.8 }, isPlain),
    'missed',
  ],
  ['183 MB', 'highestMemory', where(gapless512, { peakMemoryMb: 183 }), 'met'],
  ['183 MB', 'memoryRatio', where(gapless512, { peakMemoryMb: 183 }), 'met'],
  ['190 MB beside 1,100', 'memoryRatio', where(gapless512, { peakMemoryMb: 190 }), 'missed'],
  [
    '201 MB in one round',
    'highestMemory',
    where(gapless512, { peakMemoryMb: 201 }, run => run.round === 2),
    'missed',
  ],
  ['2 ms added', 'latency', latencyWhere(3), 'met'],
  ['2 ms added beside 8.5', 'latencyRatio', latencyWhere(3), 'met'],
  ['2.1 ms added', 'latency', latencyWhere(3.1), 'missed'],
  ['2.9 ms added beside 8.5', 'latencyRatio', latencyWhere(3.9), 'missed'],
  ['2 s after a reset', 'reset', recoveryWhere(2), 'met'],
  ['2.1 s after a reset', 'reset', recoveryWhere(2.1), 'missed'],
  ['no record after a reset', 'reset', recoveryWhere(null), 'missed'],
  ['9 s after a death', 'crash', recoveryWhere(9), 'met'],
  ['9.1 s after a death', 'crash', recoveryWhere(9.1), 'missed'],
  ['3 s after a death', 'crashNoticed', recoveryWhere(3), 'met'],
  ['3.1 s after a death', 'crashNoticed', recoveryWhere(3.1), 'missed'],
  ['40 writes', 'idleWrites', idleWhere({ tableWrites: 40 }), 'met'],
  ['41 writes', 'idleWrites', idleWhere({ tableWrites: 41 }), 'missed'],
  ['as much processor', 'idleProcessor', idleWhere({ processorSeconds: 0.8 }), 'met'],
  ['more processor', 'idleProcessor', idleWhere({ processorSeconds: 0.81 }), 'missed'],
  ['700 ms to the first record', 'coldStart', coldStartWhere(700), 'met'],
  ['701 ms to the first record', 'coldStart', coldStartWhere(701), 'missed'],
  ['80 % of the limit', 'limit', where(limit, { recordsPerSecond: 625_000 }), 'met'],
  ['79 % of the limit', 'limit', where(limit, { recordsPerSecond: 633_000 }), 'missed'],
]

for (const [what, goal, results, verdict] of examples) {
  test(`goal ${goal}: ${what} is ${verdict}`, () => {
    expect(judgeAll(results)[row[goal]]?.verdict).toBe(verdict)
  })
}

test('the better configuration of MirrorMaker 2 counts, whichever it is', () => {
  const tuned = where(mirrorMakerTuned, { recordsPerSecond: 100_000 })
  const defaults = where(mirrorMakerDefaults, { recordsPerSecond: 100_000 })
  expect(judgeAll(tuned)[0]).toMatchObject({ measured: '5×', verdict: 'missed' })
  expect(judgeAll(defaults)[0]).toMatchObject({ measured: '5×', verdict: 'missed' })
})

test('a figure is never rounded across its goal', () => {
  const results = where(gapless512, { recordsPerSecond: 299_990 }, isPlain)
  expect(judgeAll(results)[0]).toMatchObject({ measured: '5.99×', verdict: 'missed' })
  expect(judgeAll(coldStartWhere(700.4))[row.coldStart]).toMatchObject({
    measured: '701',
    verdict: 'missed',
  })
})

test('without results every goal is not measured', () => {
  expect(judgeAll({}).map(each => each.verdict)).toEqual(Array(15).fill('not measured'))
})

test('without one of the contenders a ratio is not measured', () => {
  for (const missing of [gapless512, mirrorMakerDefaults, mirrorMakerTuned]) {
    const { catchUp } = where(missing, {})
    if (catchUp === undefined) throw new Error('made up without a section')
    const runs = catchUp.runs.filter(run => run.contender !== missing)
    const verdicts = judgeAll({ catchUp: { ...catchUp, runs } }).map(each => each.verdict)
    const ratios = [...verdicts.slice(0, row.highestMemory), verdicts[row.memoryRatio]]
    expect(ratios).toEqual(Array(5).fill('not measured'))
    // The highest peak of gapless needs no other contender.
    expect(verdicts[row.highestMemory]).toBe(missing === gapless512 ? 'not measured' : 'met')
  }
})

test('a case that was not measured keeps a goal from being met, but not from being missed', () => {
  const measured = (change: Partial<CatchUpRun>): Results => {
    const { catchUp } = where(gapless512, change)
    if (catchUp === undefined) throw new Error('made up without a section')
    return { catchUp: { ...catchUp, runs: catchUp.runs.filter(run => run.case !== lz4?.name) } }
  }
  expect(judgeAll(measured({}))[1]?.verdict).toBe('not measured')
  expect(judgeAll(measured({ recordsPerSecond: 100_000 }))[1]?.verdict).toBe('missed')
})
