// Owns what follows where the target ends beyond the checkpoint although the last owner released
// its lease: another producer writes there (a fail-over does, all the time), or the table was
// restored from an older backup. One look at the producer ids tells the two apart. Foreign records
// are passed over at once and not recovered from: a writer that appends between any two steps of a
// run would make the run recover for ever. Does not own the recovery (after-crash.ts).

import { fillerFetchesMax, foreignFetchesMax } from '../../core/config/defaults.ts'
import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import type { Leader } from '../../core/partition/observation.ts'
import {
  isSameEpoch,
  type Position,
  type ProducerEpoch,
  positionOf,
} from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import {
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
  await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...foreign }))
  return 'passed'
}

/** How far the log was read for a marker, which others may have appended in front of. */
export type MarkerSearch = {
  readonly isFound: boolean
  /** Behind the marker, or behind what was read. */
  readonly upTo: TargetOffset
  readonly foreignRecords: bigint | null
}

/**
 * Goes on reading up to `to` for a marker of this run. `ours`: an earlier owner has appended, and
 * the partition must be recovered.
 */
export async function searchMarker(
  shard: Shard,
  run: PartitionRun,
  before: MarkerSearch,
  at: { readonly by: ProducerEpoch; readonly to: TargetOffset; readonly targetLeader: Leader },
): Promise<MarkerSearch | 'ours'> {
  const left = positionOf(run.state)
  if (left === null) return before
  let isFound = false
  const isLast = (batch: RecordBatch) => {
    const { producerId } = batch
    const epoch = { producerId: producerId ?? -1n, producerEpoch: producerEpochOf(batch) }
    isFound = isControlBatch(batch) && isSameEpoch(epoch, at.by)
    return isFound
  }
  const from = { ...left, nextTargetOffset: before.upTo }
  const range = { ...at, logEndOffset: at.to, fetchesMax: fillerFetchesMax, isLast }
  const found = await look(shard, run, from, range)
  if (found === 'ours') return found
  const { foreignRecords: passed } = before
  const { upTo, foreignRecords: more } = found
  const foreignRecords = passed === null || more === null ? null : passed + more
  return { isFound, upTo, foreignRecords }
}

type Foreign = { readonly upTo: TargetOffset; readonly foreignRecords: bigint | null }

/** `ours`: the target holds a batch of ours. */
async function look(
  shard: Shard,
  run: PartitionRun,
  position: Position,
  range: Pick<Both, 'targetLeader'> & {
    readonly logEndOffset: TargetOffset
    readonly fetchesMax?: number
    /** The look ends behind this batch, whoever wrote it. */
    readonly isLast?: (batch: RecordBatch) => boolean
  },
): Promise<Foreign | 'ours'> {
  const { targetLeader: leader, logEndOffset: to, isLast, fetchesMax = foreignFetchesMax } = range
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
      if (isLast?.(batch)) {
        upTo = nextOffsetAfter(batch)
        return foreign()
      }
      if (batch.producerId === producerId) return 'ours'
      if (mayBeAborted && isTransactional(batch)) return 'ours'
      if (!isControlBatch(batch)) foreignRecords += BigInt(batch.recordsCount)
    }
    upTo = part.next < to ? part.next : to
  }
  return foreign()
}
