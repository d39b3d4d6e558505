// Owns searching one partition for records that the standby has lost and the source still holds:
// the record at the log start of the standby is found on the source by its contents, and the newest
// lost record is read for its age. Reads both sides and writes nothing. Does not own which
// partitions are searched (standby-losses.ts) nor the rules (core/standby/standby-loss.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { standbyLossFetchesMax, standbyLossWindowOffsets } from '../../core/config/defaults.ts'
import { laterOf, type SourceOffset, sourceOffset, targetOffset } from '../../core/offset.ts'
import type { Position } from '../../core/partition/partition-state.ts'
import {
  boundsOfLoss,
  type HeldRecord,
  type LossBounds,
  mayBeDeleted,
  type StandbyLoss,
} from '../../core/standby/standby-loss.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Retention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import {
  isControlBatch,
  isTransactional,
  type RecordBatch,
  readRecordBatches,
} from '../../kafka/record-batch.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import { createCandidates } from './candidates.ts'
import {
  askPartition,
  createLogReader,
  type OnePartition,
  readBatches,
} from './partition-reader.ts'
import { findFirstOf } from './standby-progress.ts'

export type LossLook = {
  readonly at: TopicPartition
  readonly targetTopic: string
  readonly position: Position
  /** Both with log start and log end; topic ids are those of the position. */
  readonly source: SeenLog
  readonly target: SeenLog
  /** What the settings of the source topic may delete. */
  readonly retention: Retention
}

export type SearchDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
  readonly flow: FlowConfig
  readonly nowMs: number
}

/** `undecided`: a log moved meanwhile, or too many offsets cannot be translated. */
export type Searched = StandbyLoss | 'none' | 'undecided'

/** Throws `BrokerFailure` when a cluster does not answer. */
export async function searchLoss(deps: SearchDeps, look: LossLook): Promise<Searched> {
  const targetLogStart = targetOffset(pointOf(look.target, 'log-start'))
  const bounds = boundsOf(look)
  if (bounds === null) return 'none'
  const { from } = bounds
  // The records at the end of a loss are its newest: where the source may delete even these, a
  // standby with the same settings is only earlier.
  const newest = await isKept(deps, look, { from, to: bounds.mostTo })
  if (newest !== 'kept') return newest
  if (bounds.isAll) return { from, to: bounds.mostTo, isExact: true, targetLogStart }
  const end = await findEnd(deps, look, bounds)
  const to = end ?? bounds.leastTo
  if (to <= from) return end === null ? 'undecided' : 'none'
  const certain = await isKept(deps, look, { from, to })
  if (certain !== 'kept') return certain
  return { from, to: end ?? bounds.mostTo, isExact: end !== null, targetLogStart }
}

export function boundsOf({ position, source, target }: LossLook): LossBounds | null {
  return boundsOfLoss(position, {
    sourceLogStart: sourceOffset(pointOf(source, 'log-start')),
    targetLogStart: targetOffset(pointOf(target, 'log-start')),
  })
}

type Range = { readonly from: SourceOffset; readonly to: SourceOffset }

/** `none`: no record of the range is left on the source, or its settings may delete all of them. */
async function isKept(
  deps: SearchDeps,
  look: LossLook,
  { from, to }: Range,
): Promise<'kept' | 'none' | 'undecided'> {
  // Compaction and markers leave holes: then a record further down stands for the range.
  for (const at of [sourceOffset(to - 1n), from]) {
    const held = await readHeld(deps, look, { at, to })
    if (held === 'undecided') return held
    if (held === null) continue
    const deleted = mayBeDeleted(look.retention, held, deps.nowMs)
    if (deleted === 'unknown') return 'undecided'
    return deleted ? 'none' : 'kept'
  }
  return 'none'
}

/** The record of the source at `at` or, where there is none, the next one before `to`; or null. */
async function readHeld(
  deps: SearchDeps,
  look: LossLook,
  { at, to }: { readonly at: SourceOffset; readonly to: SourceOffset },
): Promise<HeldRecord | null | 'undecided'> {
  const answer = await askPartition(
    { ...onSource(deps, look), fetchBytesMax: 1 },
    { from: at, isolation: 'read-uncommitted', waitMs: 0 },
  )
  if (answer.kind !== 'fetched') return 'undecided'
  const { records } = answer.fetched
  const [first] = records === null ? [] : readRecordBatches(records).batches
  if (first === undefined) return 'undecided'
  if (first.kind === 'legacy') return { timestampMs: null, bytesBehind: 0 }
  if (first.baseOffset >= to) return null
  const bytesPerOffset = first.bytes.length / (first.lastOffsetDelta + 1)
  return {
    timestampMs: first.maxTimestamp < 0n ? null : Number(first.maxTimestamp),
    bytesBehind: bytesPerOffset * Number(pointOf(look.source, 'log-end') - at),
  }
}

/** The source offset of the first record that the standby holds; null: not found. */
async function findEnd(
  deps: SearchDeps,
  look: LossLook,
  { from, leastTo, mostTo }: LossBounds,
): Promise<SourceOffset | null> {
  const first = await firstHeld(deps, look)
  if (first === null) return null
  const size = BigInt(standbyLossWindowOffsets)
  const begin = laterOf(from, sourceOffset(leastTo > size ? leastTo - size : 0n))
  const candidates = createCandidates(onSource(deps, look), {
    from: begin,
    to: sourceOffset(mostTo + size),
    mayBeOutOfRange: true,
    fetchesMax: standbyLossFetchesMax,
  })
  return findFirstOf({ batch: first }, candidates, pointOf(look.target, 'log-start'))
}

/** The first batch with records on the standby. */
async function firstHeld(deps: SearchDeps, look: LossLook): Promise<RecordBatch | null> {
  const { topicId, leader } = look.target
  const { requestTimeoutMs } = deps.flow.budgets
  const one = { topic: look.targetTopic, topicId, partition: look.at.partition, leader }
  const reader = createLogReader(
    { ...one, cluster: deps.target, clock: deps.clock, fetchBytesMax: 1, requestTimeoutMs },
    {
      from: pointOf(look.target, 'log-start'),
      isolation: 'read-uncommitted',
      waitMs: 0,
      mayBeOutOfRange: true,
      fetchesMax: standbyLossFetchesMax,
    },
    readBatches,
  )
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    const held = part.batches.find(
      each => !isControlBatch(each) && !isTransactional(each) && each.recordsCount > 0,
    )
    if (held !== undefined) return held
  }
  return null
}

function onSource(
  { source, clock, flow }: SearchDeps,
  { at, source: view }: LossLook,
): OnePartition {
  const { topicId, leader } = view
  const { fetchBytesMax, requestTimeoutMs } = flow.budgets
  return { cluster: source, clock, ...at, topicId, leader, fetchBytesMax, requestTimeoutMs }
}
