// Owns the backlogs of the comparison: a plain one, others that differ from it in one property
// each, and those of the growth section.

import type { CatchUpCase } from '../results/results.ts'

export type CatchUpPlan = {
  readonly case: CatchUpCase
  /** How often each contender copies the case. */
  readonly rounds: number
}

/** Four partitions of records of 200 bytes, in batches of a producer's default size. */
const plain = {
  records: 2_000_000,
  recordBytes: 200,
  partitions: 4,
  batchBytes: 16_384,
  compression: 'none',
} as const

/**
 * Copied before a section begins: a broker's JVM compiles during its first ten million records and
 * takes three times the processor time per record at first. Brokers in production are warm.
 */
export const warmUpCase: CatchUpCase = { ...plain, name: 'warm-up' }

/**
 * The cases of the goals. Large enough that the fastest contender copies for some five seconds: V8
 * compiles at first, which is what the growth section shows.
 */
export const goalCases: readonly CatchUpCase[] = [
  { ...plain, name: '200 B, 4 partitions', records: 5_000_000 },
  {
    ...plain,
    name: '1 KB events, lz4',
    records: 2_000_000,
    recordBytes: 1_024,
    compression: 'lz4',
  },
  {
    ...plain,
    name: '1 KB events, zstd',
    records: 2_000_000,
    recordBytes: 1_024,
    compression: 'zstd',
  },
]

/** Fewer records: no goal depends on these cases. */
const other = { ...plain, records: 1_000_000 }

const otherCases: readonly CatchUpCase[] = [
  { ...other, name: '100 B', recordBytes: 100 },
  { ...other, name: '1 KB', records: 500_000, recordBytes: 1_024 },
  { ...other, name: '10 KB', records: 60_000, recordBytes: 10_240 },
  { ...other, name: '1 partition', partitions: 1 },
  { ...other, name: '32 partitions', partitions: 32 },
  { ...other, name: '200 partitions', partitions: 200 },
  { ...other, name: 'batches of 1 record', records: 300_000, batchBytes: 1 },
  { ...other, name: 'batches of 64 KB', batchBytes: 65_536 },
]

export function catchUpPlans(rounds: number): CatchUpPlan[] {
  const others = Math.max(1, Math.ceil(rounds / 2))
  return [
    ...goalCases.map(each => ({ case: each, rounds })),
    ...otherCases.map(each => ({ case: each, rounds: others })),
  ]
}

/** Ten-fold records, and ten-fold partitions. */
export const growthPlans: readonly CatchUpPlan[] = [
  { ...plain, name: '100,000 records', records: 100_000 },
  { ...plain, name: '1,000,000 records', records: 1_000_000 },
  { ...plain, name: '10,000,000 records', records: 10_000_000 },
  { ...plain, name: '2 partitions', partitions: 2 },
  { ...plain, name: '20 partitions', partitions: 20 },
  { ...plain, name: '200 partitions', partitions: 200 },
].map(each => ({ case: each, rounds: 1 }))
