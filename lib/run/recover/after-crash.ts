// Owns the recovery of a partition whose last owner did not release its lease: succeed that owner,
// find out by the contents of the standby how far it copied, go on there. In this order, because
// only then can none of its batches appear elsewhere any more (previous-owner.ts). Does not own the
// decision that follows (core/partition/decide.ts).

import { observationAttemptsMax } from '../../core/config/defaults.ts'
import { isBefore, laterOf, targetOffset } from '../../core/offset.ts'
import { canCompare } from '../../core/partition/crash-recovery.ts'
import type { CrashRecovery, SourceObservation, Unclear } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import { targetIsKnown } from '../../core/replicate/run-phase.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import {
  isControlBatch,
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
} from '../../kafka/record-batch.ts'
import { createCandidates } from '../compare/candidates.ts'
import { type Candidates, createComparison } from '../compare/comparison.ts'
import { type OwnBatch, ownBatch } from '../compare/found-record.ts'
import { noteRecovery } from '../partition/anchor-pairs.ts'
import { decideFor, happened, perform, saveCheckpoint } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type Succession, sequencedAfter, succeedPrevious } from './previous-owner.ts'
import { readBeyond, sourceOf, targetOf } from './target-range.ts'

export type Both = {
  readonly source: SourceObservation
  readonly sourceLeader: Leader
  readonly targetLeader: Leader
}

/**
 * Moves the position to where the last owner copied to, with a producer of this run. False when the
 * run ended meanwhile: the target was not compared then, and the next owner must recover again.
 * Throws `BrokerFailure` when a cluster does not answer; the position has not moved then.
 */
export async function recoverFromCrash(
  shard: Shard,
  run: PartitionRun,
  seen: Both,
): Promise<boolean> {
  // Only the owner may fence; this write is refused where another run has taken the partition.
  await saveCheckpoint(shard, run)
  const left = positionOf(run.state)
  if (left === null) return false
  const succession = await succeedPrevious(shard, run, left)
  if (succession === null) {
    // Looking again would find the same: nothing renews this lease any more.
    const detail = 'the lease ran out before the previous owner was fenced'
    happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
    return false
  }
  const found = await shard.recoveries.take(shard.ended.signal, async () =>
    run.phase.kind === 'recovering'
      ? await lookThrough(shard, run, { ...seen, left, succession })
      : null,
  )
  // The deadline may have passed meanwhile: the next owner compares again.
  if (found === null || run.phase.kind !== 'recovering') return false
  run.targetIsRead = true
  const decision = decideFor(shard, run, { kind: 'recovered-from-crash', ...found })
  noteRecovery(shard, run, left, found)
  say(shard, run, { found, left })
  await perform(shard, run, decision)
  return true
}

type Look = Both & { readonly left: Position; readonly succession: Succession }

/** Compares the target's records past the checkpoint with the source's next records. */
async function lookThrough(shard: Shard, run: PartitionRun, look: Look): Promise<CrashRecovery> {
  const { left, succession, source } = look
  const from = laterOf(left.nextSourceOffset, source.logStartOffset)
  const fetchBytesMax = recoveryFetchBytes(shard.flow.budgets)
  const at = { position: left, leader: look.sourceLeader, fetchBytesMax }
  // A position beyond the observed end of the source: the log has diverged, which the fetch behind
  // this recovery detects. Nothing is comparable there, as in a recreated topic.
  const isDiverged = isBefore(source.logEndOffset, from)
  const isComparable = canCompare(left, source)
  const candidates = isComparable
    ? createCandidates(sourceOf(shard, run, at), {
        from,
        mayBeOutOfRange: isDiverged,
        endsAtLeast: source.lastStableOffset,
      })
    : null
  const basis = { position: left.nextSourceOffset, readableFrom: from }
  const pause = () => shard.clock.wait(0)
  const comparison = createComparison(candidates ?? nothingToCompare, basis, pause)
  let foreignRecords = 0n
  let copiedRecords = 0n
  let endsFound = true
  let gone: Unclear['gone'] = null
  // Where the target has lost records, the comparison goes on at the first one of ours behind them.
  let isLost = false
  const onGone = ({ from, to }: NonNullable<Unclear['gone']>): void => {
    gone = { from: gone?.from ?? from, to }
    isLost = true
  }
  let { producer } = succession
  const isShared = succession.fence === 'shared'
  const visit = async (batch: RecordBatch): Promise<void> => {
    if (isShared) producer = sequencedAfter({ ...succession, producer }, batch)
    run.othersWrote ||= !isOfGapless(batch, { ...succession, producer })
    if (isControlBatch(batch) || batch.recordsCount === 0 || isAborted(batch, succession)) return
    const own = ownBatch(batch, left.producer)
    if (isLost && own !== null) isLost = !(await comparison.seek(batch, own))
    const { unmatchedRecords, isLastMatched } = await comparison.match(batch, own)
    if (own !== null || isLastMatched) endsFound = isLastMatched
    if (own === null) foreignRecords += BigInt(unmatchedRecords)
    copiedRecords = countCopies(copiedRecords, batch, { own, unmatchedRecords })
  }
  const ends = await readTarget(shard, run, { look, visit, onGone })
  const unmatchedRecords =
    candidates === null || isDiverged ? 0n : await comparison.unexplained(candidates.at())
  const isUnclear = unmatchedRecords > 0n || (isLost && isComparable && !isDiverged)
  const nothing = { nextSourceOffset: left.nextSourceOffset, epoch: null, maxTimestampMs: null }
  const reached = comparison.reached()
  return {
    ...(reached ?? nothing),
    ...ends,
    copiedUpTo: reached?.nextTargetOffset ?? left.nextTargetOffset,
    copiedRecords: gone === null ? copiedRecords : null,
    endsFound,
    producer,
    foreignRecords,
    ...(isUnclear ? { unclear: { unmatchedRecords, gone } } : {}),
  }
}

/**
 * The records of gapless behind the checkpoint, once this batch is read. The sequence of our
 * producer counts those too that compaction of the target has removed since.
 */
function countCopies(
  before: bigint,
  { recordsCount, lastOffsetDelta }: RecordBatch,
  found: { readonly own: OwnBatch | null; readonly unmatchedRecords: number },
): bigint {
  const { own, unmatchedRecords } = found
  if (own === null) return before + BigInt(recordsCount - unmatchedRecords)
  const sent = BigInt(lastOffsetDelta + 1)
  if (own.index === null) return before + sent
  const counted = own.index + sent
  return counted > before ? counted : before
}

const nothingToCompare: Candidates = { first: async () => null, take: () => undefined }

/**
 * Reads the target from the checkpoint to the fence's marker, behind which no batch of an earlier
 * owner can appear; without a fence, to the high watermark of the first answer.
 */
async function readTarget(
  shard: Shard,
  run: PartitionRun,
  by: {
    readonly look: Look
    readonly visit: (batch: RecordBatch) => Promise<void>
    readonly onGone: (gone: NonNullable<Unclear['gone']>) => void
  },
): Promise<Pick<CrashRecovery, 'foundTargetOffset' | 'nextTargetOffset'>> {
  const { left: position, succession, targetLeader: leader } = by.look
  const { fetchWaitMs: waitMs } = shard.flow.budgets
  const fetchBytesMax = recoveryFetchBytes(shard.flow.budgets)
  const at = targetOf(shard, run, { position, leader, fetchBytesMax })
  const range = {
    isolation: 'read-uncommitted' as const,
    waitMs,
    // The coordinator writes the marker after it has answered.
    answersAtEndMax: observationAttemptsMax,
  }
  let found = position.nextTargetOffset
  let next = found
  // Without a fence: a steady writer moves the end, and nothing of ours lies beyond the first one.
  let end: bigint | null = null
  const onGone: typeof by.onGone = gone => {
    found = gone.to
    next = gone.to
    by.onGone(gone)
  }
  for await (const part of readBeyond(at, { ...range, from: found }, onGone)) {
    if (run.phase.kind === 'stopped') break
    for (const batch of part.batches) {
      next = targetOffset(nextOffsetAfter(batch))
      if (isMarkerOf(batch, succession)) return { foundTargetOffset: found, nextTargetOffset: next }
      found = next
      await by.visit(batch)
    }
    end ??= part.highWatermark
    if (succession.fence !== 'marker' && end !== null && next >= end) {
      return { foundTargetOffset: found, nextTargetOffset: next }
    }
  }
  const detail = `the fence of ${partitionName(at)} did not appear in its log up to offset ${next}`
  throw new BrokerFailure({ reason: 'unreachable', cluster: shard.target.name, detail })
}

function isMarkerOf(batch: RecordBatch, { fence, producer }: Succession): boolean {
  return (
    fence === 'marker' &&
    isControlBatch(batch) &&
    batch.producerId === producer.producerId &&
    producerEpochOf(batch) === producer.producerEpoch
  )
}

/** False for data and markers of producers that gapless does not know in this partition. */
function isOfGapless({ producerId }: RecordBatch, by: Succession): boolean {
  const { producer, filler, aborter } = by
  return [producer, filler, aborter].some(each => each?.producerId === producerId)
}

/** Aborted data that keep their offsets are no copies. */
function isAborted(batch: RecordBatch, { aborter }: Succession): boolean {
  return aborter !== null && batch.producerId === aborter.producerId
}

function say(
  shard: Shard,
  run: PartitionRun,
  { found, left }: { readonly found: CrashRecovery; readonly left: Position },
): void {
  // The incident says so in more words.
  if (found.unclear !== undefined) return
  const already = found.nextSourceOffset > left.nextSourceOffset
  const wasClean = targetIsKnown(run.phase)
  if (wasClean && !already) return
  const why = wasClean
    ? 'from records on the standby that its checkpoint does not count'
    : 'after an unreleased lease'
  const how = already
    ? `source offsets ${left.nextSourceOffset} to ${found.nextSourceOffset - 1n} are on the standby already`
    : 'the standby holds no source records past the checkpoint'
  const text = `Recovering ${partitionName(run.key)} ${why}: ${how}; copying goes on at source offset ${found.nextSourceOffset}.`
  shard.log({ level: 'warn', text })
}
