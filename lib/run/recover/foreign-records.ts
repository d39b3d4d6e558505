// Owns what follows where the target ends beyond the checkpoint although the last owner released
// its lease: another producer writes there (a fail-over does, all the time), or the table was
// restored from an older backup. One look at the producer ids tells the two apart. Foreign records
// are passed over at once and not recovered from: a writer that appends between any two steps of a
// run would make the run recover for ever. Does not own the recovery (after-crash.ts).

import { foreignFetchesMax } from '../../core/config/defaults.ts'
import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import { isControlBatch, isTransactional } from '../../kafka/record-batch.ts'
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
  if (found === 'ours' || found === 'unread') return recoverFromCrash(shard, run, seen)
  run.targetIsRead = true
  await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...found }))
  return true
}

/**
 * Passes over what was appended since the target was read: it held nothing of ours beyond the
 * position then. Where the previous owner may be alive, its fence may have come late, so the target
 * is read: a marker is no foreign record. `ours`: nothing was passed, and the partition must be
 * recovered. What a look does not reach the end of is passed all the same: a recovery would meet
 * more of the same writer, and never end.
 */
export async function passForeignRecords(
  shard: Shard,
  run: PartitionRun,
  seen: Both & { readonly logEndOffset: TargetOffset },
): Promise<'passed' | 'ours'> {
  const left = positionOf(run.state)
  const bound: Foreign = { upTo: seen.logEndOffset, foreignRecords: null }
  const isRead = left !== null && run.previousMayBeAlive
  const found = isRead ? await look(shard, run, left, seen) : 'unread'
  if (found === 'ours') return found
  const foreign = found === 'unread' ? bound : found
  await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...foreign }))
  return 'passed'
}

type Foreign = { readonly upTo: TargetOffset; readonly foreignRecords: bigint | null }

/** `ours`: the target holds a batch of ours. `unread`: the look did not reach the end. */
async function look(
  shard: Shard,
  run: PartitionRun,
  position: Position,
  { targetLeader: leader, logEndOffset: to }: Both & { readonly logEndOffset: TargetOffset },
): Promise<Foreign | 'ours' | 'unread'> {
  // A checkpoint without a producer says nothing of whose records these are.
  if (position.producer === null) return 'ours'
  const { producerId } = position.producer
  const { nextTargetOffset: from } = position
  const fetchBytesMax = recoveryFetchBytes(shard.flow.budgets)
  const range = {
    from,
    to,
    isolation: 'read-uncommitted' as const,
    waitMs: 0,
    fetchesMax: foreignFetchesMax,
  }
  const at = targetOf(shard, run, { position, leader, fetchBytesMax })
  // Once this run fills, every earlier filler is fenced, and the marker of none can appear.
  const mayBeFiller = position.sameOffsets !== undefined && run.filler === null
  let upTo: bigint = from
  let foreignRecords = 0n
  let isCounted = true
  const onGone = (gone: { readonly to: bigint }) => {
    // The last owner released its lease, so these were not ours.
    upTo = gone.to
    isCounted = false
  }
  for await (const part of readBeyond(at, range, onGone)) {
    for (const batch of part.batches) {
      // An answer may hold more; the observation that is decided about ends here.
      if (batch.baseOffset >= to) break
      if (batch.producerId === producerId) return 'ours'
      if (mayBeFiller && (isControlBatch(batch) || isTransactional(batch))) return 'ours'
      if (!isControlBatch(batch)) foreignRecords += BigInt(batch.recordsCount)
    }
    upTo = part.next < to ? part.next : to
  }
  if (upTo < to) return 'unread'
  return { upTo: targetOffset(upTo), foreignRecords: isCounted ? foreignRecords : null }
}
