// Owns laying down the source's aborted data where they were, in a transaction of the filler that
// is aborted as well: readers without isolation see the same on both sides, and a hundred offsets
// cost two requests more than one. The transaction is open only over offsets without committed
// records, and ends in front of the next of them: wherever this process dies, the marker that the
// coordinator writes instead stands on an offset that is no committed record of the source either.
// Does not own when (fill-beside.ts).

import { sourceOffset, targetOffsetAfter } from '../../core/offset.ts'
import { fillerId } from '../../core/partition/crash-recovery.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { sequenceAfter } from '../../core/partition/partition-state.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { decideFor, move } from '../partition/partition-effects.ts'
import type { Filler, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import type { AbortedRun } from './aborted-run.ts'
import {
  type Filled,
  fillFailure,
  moveBehind,
  readyToFill,
  untilLogEndsAt,
  writeMarker,
} from './fill-places.ts'

/**
 * Lays down the aborted data at the head of the queue, and moves the position behind it. Throws
 * `BrokerFailure` where the outcome is not known: the partition must be recovered then.
 */
export async function abortPlaces(
  shard: Shard,
  run: PartitionRun,
  { aborted, leader }: { readonly aborted: AbortedRun; readonly leader: Leader },
): Promise<Filled> {
  const ready = await readyToFill(shard, run)
  if (typeof ready === 'string') return ready
  const { filler, position } = ready
  const head = run.pending.first()
  let end = position.nextTargetOffset
  await writeMarker(shard, run, filler, async () => {
    for (const batch of aborted.batches) {
      await produceAborted(shard, run, { batch, filler, leader, at: end })
      end = targetOffsetAfter(end, batch.recordsCount)
    }
  })
  const wanted = targetOffsetAfter(end, 1)
  await untilLogEndsAt(shard, run, { wanted, leader })
  if (run.phase.kind === 'stopped') return 'interrupted'
  moveBehind(shard, run, Number(wanted - position.nextTargetOffset))
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
    readonly filler: Filler
    readonly leader: Leader
    readonly at: bigint
  },
): Promise<void> {
  const { batch, filler, leader, at } = sent
  const { targetTopic: name, key } = run
  const owner = { ...filler, baseSequence: filler.nextSequence, isTransactional: true }
  const answer = await shard.target.produce(leader.leaderId, {
    transactionalId: fillerId({ ...key, topic: name }),
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
  filler.nextSequence = sequenceAfter(filler.nextSequence, batch.recordsCount)
  if (produced.baseOffset === at) return
  const detail = `aborted data were appended at offset ${produced.baseOffset}, and not at ${at}`
  throw fillFailure(shard, run, detail)
}
