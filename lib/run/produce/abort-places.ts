// Owns laying down the source's aborted data where they were, in a transaction that is
// aborted as well: readers without isolation see the same on both sides, and a hundred offsets
// cost two requests more than one. The transaction is open only over offsets without committed
// records, and ends in front of the next of them: wherever this process dies, the marker that the
// coordinator writes instead stands on an offset that is no committed record of the source either.
// Does not own when (fill-beside.ts).

import { sourceOffset, targetOffsetAfter } from '../../core/offset.ts'
import { abortedDataId } from '../../core/partition/crash-recovery.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { decideFor, happened, move } from '../partition/partition-effects.ts'
import type { Aborter, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { assignAborter } from '../recover/producer-identity.ts'
import { type Filled, fillFailure, untilLogEnd, writeMarker } from './abort-marker.ts'
import type { AbortedRun } from './aborted-run.ts'
import { mayFill } from './once-flushed.ts'

/**
 * Lays down the aborted data at the head of the queue, and moves the position behind it. Throws
 * `BrokerFailure` where the outcome is not known: the partition must be recovered then.
 */
export async function abortPlaces(
  shard: Shard,
  run: PartitionRun,
  { aborted, leader }: { readonly aborted: AbortedRun; readonly leader: Leader },
): Promise<Filled> {
  const aborter = run.aborter ?? (await assignAborter(shard, run))
  if (aborter === null) return 'lease-lost'
  const position = positionOf(run.state)
  // At its deadline a run fills no more.
  if (position === null || !mayFill(run)) return 'interrupted'
  const head = run.pending.first()
  let end = position.nextTargetOffset
  const transactionalId = abortedDataId({ ...run.key, topic: run.targetTopic })
  const isWritten = await writeMarker(shard, run, { ...aborter, transactionalId }, async () => {
    for (const batch of aborted.batches) {
      await produceAborted(shard, run, { batch, aborter, leader, at: end })
      end = targetOffsetAfter(end, batch.recordsCount)
    }
  })
  if (!isWritten) return 'lease-lost'
  const wanted = targetOffsetAfter(end, 1)
  const about = { wanted, leader, behind: 'aborted data' }
  await untilLogEnd(shard, run, about, async end => {
    if (end === wanted) return
    const detail = `the log ends at offset ${end} behind aborted data, and not at ${wanted}`
    throw fillFailure(shard, run, detail)
  })
  if (run.phase.kind === 'stopped') return 'interrupted'
  const places = Number(wanted - position.nextTargetOffset)
  move(shard, run, decideFor(shard, run, { kind: 'filled', places, by: null }))
  run.counts.placesFilled += places
  happened(shard, run, { kind: 'progressed' })
  // At the deadline the queue was emptied meanwhile: the next run passes these batches.
  if (run.pending.first() === head) passUnsent(shard, run, aborted.entries)
  return 'filled'
}

/** Removes batches that are not sent (any more) from the head of the queue, and moves past them. */
export function passUnsent(shard: Shard, run: PartitionRun, entries: number): void {
  for (const each of run.pending.removeUnsent(entries)) {
    each.memory?.release()
    const { nextSourceOffset, epoch, earlierEpochs = [] } = each
    const span = { nextSourceOffset, epoch, earlierEpochs }
    move(shard, run, decideFor(shard, run, { kind: 'skipped', ...span }))
  }
}

async function produceAborted(
  shard: Shard,
  run: PartitionRun,
  sent: {
    readonly batch: RecordBatch
    readonly aborter: Aborter
    readonly leader: Leader
    readonly at: bigint
  },
): Promise<void> {
  const { batch, aborter, leader, at } = sent
  const { targetTopic: name, key } = run
  const owner = { ...aborter, baseSequence: aborter.nextSequence, isTransactional: true }
  const answer = await shard.target.produce(leader.leaderId, {
    transactionalId: abortedDataId({ ...key, topic: name }),
    acks: -1,
    timeoutMs: shard.flow.budgets.requestTimeoutMs,
    topics: [
      { name, partitions: [{ partition: key.partition, records: stampForProduce(batch, owner) }] },
    ],
  })
  const [produced] = answer.partitions
  if (produced === undefined || produced.errorCode !== 0) {
    const why = produced === undefined ? 'nothing' : errorName(produced.errorCode)
    const from = sourceOffset(batch.baseOffset)
    throw fillFailure(
      shard,
      run,
      `Produce of aborted data of source offset ${from} answered ${why}`,
    )
  }
  aborter.nextSequence = sequenceAfter(aborter.nextSequence, batch.recordsCount)
  if (produced.baseOffset === at) return
  const detail = `aborted data were appended at offset ${produced.baseOffset}, and not at ${at}`
  throw fillFailure(shard, run, detail)
}
