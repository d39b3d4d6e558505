// Owns what is done about the previous owner of a partition, which may be alive and may have
// requests on their way. Two ways, by whether records keep their offsets:
//
//   marker   a new producer epoch and one marker of it: the broker refuses every earlier epoch
//            behind it (ProducerAppendInfo.checkProducerEpoch). The marker takes an offset.
//   shared   all owners share producer id, epoch and sequence, so that a broker appends nothing but
//            the next record, whoever sends it (ProducerAppendInfo.checkSequence). A new epoch at
//            the coordinator keeps the earlier owner from writing a marker, which has no sequence.
//            Takes no offset: the marker that fences the data as well fills the first hole
//            (core/offsets/next-place.ts).
//
// The log tells epoch and sequence: its cleaner keeps the last batch of a producer, and a marker of
// an epoch without data (LogCleaner.isBatchLastRecordOfProducer). Does not own how far the earlier
// owner copied (after-crash.ts).

import { transactionalId } from '../../core/partition/crash-recovery.ts'
import {
  type Position,
  type Producer,
  sequenceAfter,
} from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { ProducerIdentity } from '../../io/cluster/transaction-coordinator.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { isControlBatch, producerEpochOf, type RecordBatch } from '../../kafka/record-batch.ts'
import { BASE_SEQUENCE_AT } from '../../kafka/record-batch-layout.ts'
import type { Aborter, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import {
  assignAborter,
  assignFiller,
  assignProducer,
  mayFence,
  patiently,
} from './producer-identity.ts'

export type Succession = {
  /** Who sends from now on. `shared`: its sequence is the checkpoint's until the log is read. */
  readonly producer: Producer
  /** Who writes markers; null: the owner of before is fenced already. */
  readonly filler: ProducerIdentity | null
  /** Whose data on the target were aborted, and are no copies; null: nobody's. */
  readonly aborter: Aborter | null
  /** `waited`: nothing fences the earlier owner, and its requests were waited out. */
  readonly fence: 'marker' | 'shared' | 'waited'
}

/**
 * A sequence that was refused is taken from the log once more. Refused again, neither log nor
 * checkpoint knows the one that the broker expects, and a new epoch begins a new one.
 */
const SHARED_REFUSALS_MAX = 1

/** Null when the run or its lease ended before: nothing was fenced then. */
export async function succeedPrevious(
  shard: Shard,
  run: PartitionRun,
  left: Position,
): Promise<Succession | null> {
  const { producer: last, sameOffsets } = left
  const isRefused = run.refusals > SHARED_REFUSALS_MAX
  if (sameOffsets !== undefined && last?.fencing !== 'none' && !isRefused) {
    // Before the target is read: an owner that died owes a marker, which is in the log behind this.
    const filler = await assignFiller(shard, run)
    const aborter = filler === null ? null : await assignAborter(shard, run)
    if (filler === null || aborter === null) return null
    run.isFenced = last === null
    const producer =
      last === null ? firstOf(filler, shard.clock.nowMs()) : { ...last, isShared: true as const }
    return { producer, filler, aborter, fence: 'shared' }
  }
  const producer = await assignProducer(shard, run)
  if (producer === null || !(await fencePreviousProducer(shard, run, { left, producer }))) {
    return null
  }
  run.isFenced = true
  const fence = producer.fencing === 'none' ? 'waited' : 'marker'
  return { producer, filler: null, aborter: null, fence }
}

/** No owner of before has sent a record: its producer would be stored. */
function firstOf(filler: ProducerIdentity, assignedAtMs: number): Producer {
  return { ...filler, nextSequence: 0, assignedAtMs, fencing: 'transactional-id' }
}

/**
 * The producer behind a batch of the target, data or a marker: the last one of its id says the
 * epoch and the next sequence. An owner that died may have been assigned a new id.
 */
export function sequencedAfter({ producer, filler }: Succession, batch: RecordBatch): Producer {
  const { producerId } = batch
  const isOwn = producerId === producer.producerId
  if (producerId === null || !(isOwn || producerId === filler?.producerId)) return producer
  const producerEpoch = producerEpochOf(batch)
  if (isOwn && producerEpoch < producer.producerEpoch) return producer
  if (isControlBatch(batch)) {
    const isKnown = isOwn && producerEpoch === producer.producerEpoch
    return isKnown ? producer : { ...producer, producerId, producerEpoch, nextSequence: 0 }
  }
  const baseSequence = batch.bytes.readInt32BE(BASE_SEQUENCE_AT)
  const nextSequence = sequenceAfter(baseSequence, batch.lastOffsetDelta + 1)
  return { ...producer, producerId, producerEpoch, nextSequence }
}

/**
 * After this, only `producer` can append to the partition. False when the run or its lease ended
 * before: nothing was fenced then, because another run may own the partition.
 */
async function fencePreviousProducer(
  shard: Shard,
  run: PartitionRun,
  { left, producer }: { readonly left: Position; readonly producer: Producer },
): Promise<boolean> {
  const isFence =
    producer.fencing === 'transactional-id' && left.producer?.producerId === producer.producerId
  // With another producer id (the old one expired, its epochs were used up, or the coordinator
  // never knew it) nothing fences the old producer.
  // It sends no more once its lease has expired, so after one request timeout every request it sent
  // was answered or dropped. A worker that was declared ended, or an owner whose clock is ahead,
  // may be alive and go on for `leaseMs`.
  const { requestTimeoutMs, leaseMs } = shard.flow.budgets
  const waitMs = requestTimeoutMs + (run.previousMayBeAlive ? leaseMs : 0)
  if (!isFence) await shard.clock.wait(waitMs, shard.ended.signal)
  if (producer.fencing === 'none') return mayFence(shard, run)
  const { targetTopic: topic, key } = run
  const id = transactionalId({ ...key, topic })
  const request = { ...producer, transactionalId: id, topic, partition: key.partition }
  const answer = await patiently(shard, run, () => shard.target.writeAbortMarker(request))
  if (answer === null) return false
  if (answer.kind === 'decided') return true
  const reason = answer.kind === 'denied' ? 'authorization-denied' : 'unreachable'
  const detail = `cannot fence ${partitionName({ topic, partition: key.partition })}: ${answer.errorName}`
  throw new BrokerFailure({ reason, cluster: shard.target.name, detail })
}
