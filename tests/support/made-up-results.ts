// Invented benchmark results for tests of the report: every section, and a way to change the
// figures of one contender.

import {
  type CatchUp,
  type CatchUpCase,
  type CatchUpRun,
  type ContenderName,
  contenderNames,
  type Provenance,
  type Results,
} from '../../bench/compare/results/results.ts'

export const contenders = Object.values(contenderNames)

const provenance: Provenance = {
  measuredAt: '2026-01-02T03:04Z',
  command: 'npm run bench',
  commit: 'abc1234',
  machine: '2 processors (made up), 24 GB',
  versions: { node: 'v24.0.0', kafka: '4.3.1', java: '17.0.1' },
  load: 0.1,
}

export const plainCase: CatchUpCase = {
  name: '200 B, 4 partitions',
  records: 1_000_000,
  recordBytes: 200,
  partitions: 4,
  batchBytes: 16_384,
  compression: 'none',
}

export const compressedCases: readonly CatchUpCase[] = (['lz4', 'zstd'] as const).map(
  compression => ({
    ...plainCase,
    name: `1 KB, ${compression}, 4 partitions`,
    recordBytes: 1_024,
    compression,
  }),
)

const singleCase = { ...plainCase, name: '200 B, batches of 1 record', batchBytes: 1 }

/** The speed of each contender relative to MirrorMaker 2, tuned. */
const speeds: Record<string, number> = {
  [contenderNames.gapless512]: 10,
  [contenderNames.gapless1024]: 10.4,
  [contenderNames.mirrorMakerDefaults]: 0.7,
  [contenderNames.mirrorMakerTuned]: 1,
  [contenderNames.limit]: 11.5,
}

export function catchUpRun(
  caseName: string,
  contender: ContenderName,
  change: Partial<CatchUpRun> = {},
): CatchUpRun {
  const speed = speeds[contender] ?? 1
  return {
    case: caseName,
    contender,
    round: 1,
    recordsPerSecond: 50_000 * speed,
    secondsToFirst: 8 / speed,
    processorMicrosPerRecord: contender.startsWith('gapless') ? 0.6 : 25 / speed,
    processorSecondsWithStart: contender.startsWith('gapless') ? 2 : 40,
    sourceProcessorMicrosPerRecord: 1.1,
    targetProcessorMicrosPerRecord: 2.3,
    peakMemoryMb: contender.startsWith('gapless') ? 150 : 1_100,
    ...change,
  }
}

/** All contenders in three rounds that differ a little. */
export function catchUpOf(
  cases: readonly CatchUpCase[],
  changeOf: (run: CatchUpRun) => Partial<CatchUpRun> = () => ({}),
): CatchUp {
  const runs = cases.flatMap(({ name }) =>
    contenders.flatMap(contender =>
      [1, 2, 3].map(round => {
        const run = catchUpRun(name, contender, { round })
        const moved = { ...run, recordsPerSecond: run.recordsPerSecond * (0.8 + 0.1 * round) }
        return { ...moved, ...changeOf(moved) }
      }),
    ),
  )
  return { provenance, cases, runs }
}

const growthCases = [1_000_000, 10_000_000, 100_000_000].flatMap(records =>
  (records === 1_000_000 ? [1, 4, 40, 400] : [4]).map(partitions => ({
    ...plainCase,
    name: `${records} records, ${partitions} partitions`,
    records,
    partitions,
  })),
)

const notTheLimit = contenders.filter(name => name !== contenderNames.limit)
const isGapless = (contender: string) => contender.startsWith('gapless')

export const madeUp: Required<Results> = {
  catchUp: catchUpOf([plainCase, ...compressedCases, singleCase]),
  growth: catchUpOf(growthCases, run => ({
    peakMemoryMb: run.peakMemoryMb + run.case.length,
  })),
  profile: {
    provenance,
    runs: [plainCase, ...compressedCases].map(({ name }) => ({
      case: name,
      processorMilliseconds: 3_000,
      mainThreadMilliseconds: 2_400,
      parts: { collecting: 300, system: 900, node: 500, bundle: 700 },
      functions: [
        { name: 'writev', milliseconds: 240 },
        { name: 'copy (node:buffer)', milliseconds: 60 },
      ],
    })),
  },
  latency: {
    provenance,
    runs: [1_000, 10_000].flatMap(recordsPerSecond =>
      notTheLimit.map(contender => ({
        recordsPerSecond,
        contender,
        round: 1,
        source: { p50: 1, p99: 8, max: 30 },
        standby: isGapless(contender)
          ? { p50: 2.1, p99: 17, max: 70 }
          : { p50: 9.5, p99: 120, max: 800 },
        processorPercent: isGapless(contender) ? 6 : 40,
      })),
    ),
  },
  recovery: {
    provenance,
    runs: (['reset', 'truncation', 'crash', 'crash-noticed'] as const).flatMap(event =>
      notTheLimit.map(contender => ({
        event,
        contender,
        round: 1,
        seconds: isGapless(contender) || event === 'crash' ? 1.4 : null,
        patienceSeconds: 60,
        told: isGapless(contender) ? 'topic-reset | log-truncated' : '',
      })),
    ),
  },
  massRecovery: {
    provenance,
    runs: [
      {
        case: '200 B',
        contender: contenderNames.gapless512,
        partitions: 110,
        comparedRecords: 400_000,
        seconds: 12,
        crashedPeakMemoryMb: 190,
        peakMemoryMb: 240,
      },
    ],
  },
  coldStart: {
    provenance,
    runs: notTheLimit.map(contender => ({
      contender,
      round: 1,
      milliseconds: isGapless(contender) ? 640 : 9_000,
      processorMilliseconds: isGapless(contender) ? 700 : 14_000,
    })),
  },
  idle: {
    provenance,
    runs: [1, 1_000].flatMap(partitions =>
      notTheLimit.map(contender => ({
        contender,
        partitions,
        sourceRequests: 120,
        targetRequests: 3,
        tableWrites: isGapless(contender) ? 6 * partitions : 0,
        processorSeconds: 0.8,
        memoryMb: 120,
      })),
    ),
  },
}
