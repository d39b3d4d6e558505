// Owns what follows where the target ends beyond the checkpoint although the last owner released
// its lease: another producer writes there (a fail-over does, all the time), or the table was
// restored from an older backup. One look at the producer ids tells the two apart. Foreign records
// are passed over at once and not recovered from: a writer that appends between any two steps of a
// run would make the run recover for ever. Does not own the recovery (after-crash.ts).

import { foreignFetchesMax } from '../../core/config/defaults.ts'
import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import { fillerFetchesMax } from '../../core/offsets/fill-limits.ts'
import type { Leader } from '../../core/partition/observation.ts'
import {
  type Position,
  type ProducerEpoch,
  positionOf,
} from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import {
  coordinatorEpochOf,
  isControlBatch,
  isTransactional,
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
} from '../../kafka/record-batch.ts'
import { decideFor, perform } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type Both, recoverFromCrash } from './after-crash.ts'
import { readBeyond, targetOf } from './target-range.ts'

/**
 * Looks at the target between the checkpoint and `logEndOffset`, and passes over what others wrote.
 * Recovers the partition where a record of ours is there, and where a look does not tell. Returns
 * and throws as `recoverFromCrash` does.
 */
export async function lookBeyond(
  shard: Shard,
  run: PartitionRun,
  seen: Both & { readonly logEndOffset: TargetOffset },
): Promise<boolean> {
  const left = positionOf(run.state)
  if (left === null) return false
  const found = await shard.recoveries.take(shard.ended.signal, () => look(shard, run, left, seen))
  if (found === null || run.phase.kind !== 'recovering') return false
  if (found === 'ours' || found.upTo < seen.logEndOffset) return recoverFromCrash(shard, run, seen)
  run.targetIsRead = true
  run.othersWrote = true
  await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...found }))
  return true
}

/**
 * Passes over what was appended since the target was read: it held nothing of ours beyond the
 * position then. Where the previous owner may be alive, its fence may have come late, and where
 * owners share a producer, a batch may: then the target is read. A marker is no foreign record.
 * `ours`: nothing was passed, and the partition must be recovered. What a look does not reach the
 * end of is passed all the same: a recovery would meet more of the same writer, and never end.
 */
export async function passForeignRecords(
  shard: Shard,
  run: PartitionRun,
  seen: Both & { readonly logEndOffset: TargetOffset },
): Promise<'passed' | 'ours'> {
  const left = positionOf(run.state)
  const bound: Foreign = { upTo: seen.logEndOffset, foreignRecords: null }
  const isShared = left?.sameOffsets !== undefined && !run.isFenced
  const isRead = left !== null && (run.previousMayBeAlive || isShared)
  const found = isRead ? await look(shard, run, left, seen) : bound
  if (found === 'ours') return found
  const foreign = found.upTo < seen.logEndOffset ? bound : found
  run.othersWrote = true
  await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...foreign }))
  return 'passed'
}

/** How far the log was read for markers, which others may have appended in front of. */
export type MarkerSearch = {
  /** How many of them were found. */
  readonly markers: number
  /** That in the last one of them; null: none was found. */
  readonly coordinatorEpoch: number | null
  /** Behind the last marker, or behind what was read. */
  readonly upTo: TargetOffset
  readonly foreignRecords: bigint | null
}

/**
 * Goes on reading up to `to` for so many markers of this run. `ours`: an earlier owner has appended
 * a batch, and the partition must be recovered. A marker of an earlier owner takes an offset, and
 * is passed: it may be late where no coordinator refuses it (produce/txn-markers.ts).
 */
export async function searchMarkers(
  shard: Shard,
  run: PartitionRun,
  before: MarkerSearch,
  at: {
    readonly by: ProducerEpoch
    readonly wanted: number
    readonly to: TargetOffset
    readonly targetLeader: Leader
  },
): Promise<MarkerSearch | 'ours'> {
  const left = positionOf(run.state)
  if (left === null) return before
  let { markers, coordinatorEpoch } = before
  const passes = (batch: RecordBatch): Passes => {
    const { producerId } = batch
    if (!isControlBatch(batch) || producerId !== at.by.producerId) return 'looked-at'
    const producerEpoch = producerEpochOf(batch)
    if (producerEpoch !== at.by.producerEpoch) {
      return producerEpoch < at.by.producerEpoch ? 'passed' : 'looked-at'
    }
    markers += 1
    coordinatorEpoch = coordinatorEpochOf(batch)
    return markers === at.wanted ? 'last' : 'passed'
  }
  const from = { ...left, nextTargetOffset: before.upTo }
  const range = { ...at, logEndOffset: at.to, fetchesMax: fillerFetchesMax, passes }
  const found = await look(shard, run, from, range)
  if (found === 'ours') return found
  const { foreignRecords: passed } = before
  const { upTo, foreignRecords: more } = found
  const foreignRecords = passed === null || more === null ? null : passed + more
  return { markers, coordinatorEpoch, upTo, foreignRecords }
}

/** What a look does with a batch. `last`: it ends behind it. */
type Passes = 'looked-at' | 'passed' | 'last'

type Foreign = { readonly upTo: TargetOffset; readonly foreignRecords: bigint | null }

/** `ours`: the target holds a batch of ours. */
async function look(
  shard: Shard,
  run: PartitionRun,
  position: Position,
  range: Pick<Both, 'targetLeader'> & {
    readonly logEndOffset: TargetOffset
    readonly fetchesMax?: number
    /** Left out: every batch is looked at. */
    readonly passes?: (batch: RecordBatch) => Passes
  },
): Promise<Foreign | 'ours'> {
  const { targetLeader: leader, logEndOffset: to, passes, fetchesMax = foreignFetchesMax } = range
  // A checkpoint without a producer says nothing of whose records these are.
  if (position.producer === null) return 'ours'
  const { producerId } = position.producer
  const { nextTargetOffset: from } = position
  const fetchBytesMax = recoveryFetchBytes(shard.flow.budgets)
  const wanted = {
    from,
    to,
    isolation: 'read-uncommitted' as const,
    waitMs: 0,
    fetchesMax,
  }
  const at = targetOf(shard, run, { position, leader, fetchBytesMax })
  // Once this run lays down aborted data, everybody before is fenced.
  const mayBeAborted = position.sameOffsets !== undefined && run.aborter === null
  let upTo: bigint = from
  let foreignRecords = 0n
  let isCounted = true
  const foreign = () => {
    return { upTo: targetOffset(upTo), foreignRecords: isCounted ? foreignRecords : null }
  }
  const onGone = (gone: { readonly to: bigint }) => {
    // The last owner released its lease, so these were not ours.
    upTo = gone.to
    isCounted = false
  }
  for await (const part of readBeyond(at, wanted, onGone)) {
    for (const batch of part.batches) {
      // An answer may hold more; the observation that is decided about ends here.
      if (batch.baseOffset >= to) break
      const passed = passes?.(batch)
      if (passed === 'last') {
        upTo = nextOffsetAfter(batch)
        return foreign()
      }
      if (passed === 'passed') continue
      if (batch.producerId === producerId) return 'ours'
      if (mayBeAborted && isTransactional(batch)) return 'ours'
      if (!isControlBatch(batch)) foreignRecords += BigInt(batch.recordsCount)
    }
    upTo = part.next < to ? part.next : to
  }
  return foreign()
}
