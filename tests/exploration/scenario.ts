// Owns the start of an exploration: the configuration, the source that both owners copy, and the
// bounds. Every other choice is explored.

import type { FlowConfig } from '../../lib/core/config/config.ts'
import { clockSkewMsMax } from '../../lib/core/config/defaults.ts'
import type { Clock } from '../../lib/io/clock.ts'
import { createFakeCluster, type FakeCluster } from '../support/doubles/fake-cluster.ts'
import { flowOf } from '../support/worlds/parsed-flow.ts'
import { STARTED_AT_MS } from './call.ts'

export const TOPIC = 'orders'
export const TARGET_TOPIC = 'primary.orders'

export type Beginning =
  /** The partition was never replicated. */
  | 'fresh'
  /** A run died with one record on the target that is in no checkpoint. */
  | 'left-behind'

export type EndOfWorker = 'declared' | 'lost'

export type Bounds = {
  /** Ticks of time from the start of the first owner: nothing wakes after the last one. */
  readonly ticks: number
  /** Ticks from an owner's start to its deadline. */
  readonly deadline: number
  /** Records in the source, each one a record batch of its own. */
  readonly records: number
  /** Crashes of each of the two owners. */
  readonly crashes: 0 | 1
  /** Lost answers of each of the two owners. */
  readonly losses: 0 | 1
  /**
   * A write to the table that its sender repeated may arrive behind later writes of that sender,
   * and then undoes them.
   */
  readonly lateTableWrites: boolean
  readonly beginning: Beginning
  /** The second owner is the first one's successor, and waits for its lease. */
  readonly handsOver: boolean
  /**
   * The partition is under the lease of its worker, with every request of the stores a step;
   * otherwise it is under a lease of its own.
   */
  readonly workers: boolean
  /**
   * What happens once, at any moment, to the worker of the first owner while it lives: a wrong
   * notice declares its end, or its row is lost.
   */
  readonly ends: 'never' | EndOfWorker
  /**
   * `preserve`: records keep their offsets. The two requests that write a marker are a step each,
   * and the coordinator ends the transaction of a dead owner at any moment.
   */
  readonly offsets: 'preserve' | 'translate'
  /** Offsets of the source without a record, behind its first record. */
  readonly holes: number
  /**
   * The second owner reads the source after compaction has removed its second record, which the
   * first owner has read before.
   */
  readonly isCompacted: boolean
}

const plain: Bounds = {
  records: 2,
  ticks: 1,
  deadline: 9,
  crashes: 1,
  losses: 0,
  lateTableWrites: false,
  beginning: 'fresh',
  handsOver: false,
  workers: false,
  ends: 'never',
  offsets: 'translate',
  holes: 0,
  isCompacted: false,
}

const preserving: Bounds = { ...plain, offsets: 'preserve', holes: 1 }
const compacting: Bounds = { ...preserving, holes: 0, isCompacted: true }

/** Under the lease of a worker: no time passes, so nobody's lease is over. */
const ofWorkers: Bounds = { ...plain, workers: true, ticks: 0 }

/** The bounds of the tests: seconds each. */
export const exhaustive: Readonly<Record<string, Bounds>> = {
  'two records, a crash each': plain,
  'three records, a crash each': { ...plain, records: 3 },
  'one record, a crash each, and deadlines': { ...plain, records: 1, deadline: 0 },
  'one record, handed over to a successor': { ...plain, records: 1, crashes: 0, handsOver: true },
  'workers, one record': { ...plain, records: 1, workers: true, crashes: 0 },
  'workers, two records, a crash each, the first declared ended while it lives': {
    ...ofWorkers,
    ends: 'declared',
  },
  'offsets kept, two records around a hole, a crash each': preserving,
  'offsets kept, three records, the second one compacted away meanwhile, a crash each': {
    ...compacting,
    records: 3,
  },
}

/** Together with the bounds above, some minutes of one core. */
export const longForm: Readonly<Record<string, Bounds>> = {
  'four records, a crash each': { ...plain, records: 4 },
  'two records, the first of them left behind by a dead run': {
    ...plain,
    crashes: 0,
    beginning: 'left-behind',
  },
  'workers, one record, a crash each': { ...plain, records: 1, workers: true },
  'workers, two records, a crash each': { ...plain, workers: true },
  'workers, three records, a crash each, the first declared ended while it lives': {
    ...{ ...ofWorkers, records: 3 },
    ends: 'declared',
  },
  'workers, two records, a crash each, the row of the first lost': { ...ofWorkers, ends: 'lost' },
  'workers, two records, the first of them left behind by a dead worker': {
    ...{ ...ofWorkers, crashes: 0 },
    beginning: 'left-behind',
  },
  'workers, one record, a lost answer each, and late writes': {
    ...{ ...ofWorkers, records: 1, crashes: 0 },
    ...{ losses: 1, lateTableWrites: true },
  },
  'offsets kept, three records with a hole, a crash each': { ...preserving, records: 3 },
  'offsets kept, two records around two holes, a crash each': { ...preserving, holes: 2 },
  'offsets kept, four records, the second one compacted away meanwhile, a crash each': {
    ...compacting,
    records: 4,
  },
  'offsets kept, two records around a hole, handed over to a successor': {
    ...{ ...preserving, crashes: 0 },
    handsOver: true,
  },
}

/**
 * Time passes in steps as long as a lease: within a lease no comparison of times changes its
 * result. A renewal is due after half of a lease, and comes when another owner may have the lease.
 * A lease is no longer than the skew of clocks that is believed: otherwise a request that arrives a
 * step late takes a live lease for one of a wrong clock, which multiplies the states by more than
 * four.
 */
export const TICK_MS = clockSkewMsMax

const configured: FlowConfig = flowOf({
  topics: [TOPIC],
  budgets: {
    leaseMs: TICK_MS,
    checkpointIntervalMs: TICK_MS / 2,
    reserveMs: TICK_MS,
    requestTimeoutMs: TICK_MS / 2,
  },
})

/**
 * Partitions are under leases of their own, and no renewal of a worker is ever due: no
 * configuration may have a lease so long.
 */
export const ownLeasesFlow: FlowConfig = {
  ...configured,
  budgets: { ...configured.budgets, workerLeaseMs: 30 * TICK_MS },
}

/**
 * Partitions are under the lease of their worker, which is over after one step of time without a
 * renewal. A worker sends for one step more.
 */
export const workersFlow: FlowConfig = {
  ...configured,
  budgets: { ...configured.budgets, workerLeaseMs: TICK_MS, leaseMs: 2 * TICK_MS },
}

const preservingFlow: FlowConfig = { ...ownLeasesFlow, offsets: 'preserve' }

export function flowFor({ workers, offsets }: Pick<Bounds, 'workers' | 'offsets'>): FlowConfig {
  if (offsets === 'preserve') return preservingFlow
  return workers ? workersFlow : ownLeasesFlow
}

/** The id of an owner that starts at this time, as a worker. */
export function workerOf(owner: string, startedAtMs: number): string {
  return `${owner}@${(startedAtMs - STARTED_AT_MS) / TICK_MS}`
}

/** A time that passes at once, for waits within a cluster. */
export const noTime: Clock = { nowMs: () => 0, wait: async () => undefined }

/** What each owner reads: mostly the same. */
export type Sources = readonly [FakeCluster, FakeCluster]

export function createSources(bounds: Pick<Bounds, 'records' | 'holes' | 'isCompacted'>): Sources {
  const first = createSource(bounds)
  if (!bounds.isCompacted) return [first, first]
  const second = createSource(bounds)
  second.log(TOPIC).compact(offset => offset !== 1n)
  return [first, second]
}

function createSource({ records, holes }: Pick<Bounds, 'records' | 'holes'>): FakeCluster {
  const source = createFakeCluster({ name: 'primary', clock: noTime })
  source.createTopic(TOPIC)
  for (let each = 0; each < records; each += 1) {
    // Each record has its own epoch; otherwise the records would be coalesced, and arrive all at
    // once.
    if (each > 0) source.log(TOPIC).elect()
    source.log(TOPIC).write({ payload: recordOf(`record-${each}`) })
    if (each === 0) source.log(TOPIC).leaveHole(BigInt(holes))
  }
  return source
}

/** One record (KIP-98's format) without a key: every number in it fits into one byte. */
function recordOf(text: string): Buffer {
  const value = Buffer.from(text)
  const zigzag = (number: number) => number * 2
  const body = Buffer.concat([
    // Attributes, timestamp delta, offset delta, no key, the value, no headers.
    Buffer.from([0, 0, 0, 1, zigzag(value.length)]),
    value,
    Buffer.from([0]),
  ])
  return Buffer.concat([Buffer.from([zigzag(body.length)]), body])
}
