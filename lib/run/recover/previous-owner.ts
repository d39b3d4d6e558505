// Owns what is done about the previous owner of a partition, which may be alive and may have
// requests on their way. Two ways, by whether records keep their offsets:
//
//   marker   a new producer epoch and one marker of it: the broker refuses every earlier epoch
//            behind it (ProducerAppendInfo.checkProducerEpoch). The marker takes an offset.
//   shared   all owners share producer id, epoch and sequence, so that a broker appends nothing but
//            the next record, whoever sends it (ProducerAppendInfo.checkSequence). The earlier
//            filler is fenced, because a marker has no sequence. Takes no offset. What was sent
//            is waited out all the same: behind a hole that compaction has made since, a late batch
//            of the earlier owner would not be the record that this owner sends with that sequence,
//            and the broker would take the two for one.
//
// Does not own how far the earlier owner copied (after-crash.ts).

import { transactionalId } from '../../core/partition/crash-recovery.ts'
import {
  type Position,
  type Producer,
  sequenceAfter,
} from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { producerEpochOf, type RecordBatch } from '../../kafka/record-batch.ts'
import { BASE_SEQUENCE_AT } from '../../kafka/record-batch-layout.ts'
import type { Filler, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { assignFiller, assignProducer, mayFence, patiently } from './producer-identity.ts'

export type Succession = {
  /** Who sends from now on. `shared`: its sequence is the checkpoint's until the log is read. */
  readonly producer: Producer
  readonly filler: Filler | null
  /** `waited`: nothing fences the earlier owner, and its requests were waited out. */
  readonly fence: 'marker' | 'shared' | 'waited'
}

/** Null when the run or its lease ended before: nothing was fenced then. */
export async function succeedPrevious(
  shard: Shard,
  run: PartitionRun,
  left: Position,
): Promise<Succession | null> {
  run.wasRecovered = true
  const { producer: last, sameOffsets } = left
  const isShared = sameOffsets !== undefined && last?.fencing === 'transactional-id'
  const producer = isShared ? last : await assignProducer(shard, run)
  if (producer === null) return null
  // A producer is stored before it sends: an owner without one sent nothing, and owes no marker.
  const hasSentNothing = sameOffsets !== undefined && last === null
  if (isShared || (hasSentNothing && producer.fencing === 'transactional-id')) {
    // Before the target is read: a filler that died owes a marker, which is in the log behind this.
    const filler = await assignFiller(shard, run)
    if (filler === null || !(await waitOut(shard, run))) return null
    return { producer, filler, fence: 'shared' }
  }
  if (!(await fencePreviousProducer(shard, run, { left, producer }))) return null
  const fence = producer.fencing === 'none' ? 'waited' : 'marker'
  return { producer, filler: null, fence }
}

/**
 * An owner sends no more once its lease has expired, so after one request timeout every request it
 * sent was answered or dropped. A worker that was declared ended, or an owner whose clock is ahead,
 * may be alive and go on for `leaseMs`. False when this run may not go on either.
 */
async function waitOut(shard: Shard, run: PartitionRun): Promise<boolean> {
  const { requestTimeoutMs, leaseMs } = shard.flow.budgets
  const waitMs = requestTimeoutMs + (run.previousMayBeAlive ? leaseMs : 0)
  await shard.clock.wait(waitMs, shard.ended.signal)
  return mayFence(shard, run)
}

/** The producer behind a batch of the target: the last batch of its id says the next sequence. */
export function sequencedAfter(producer: Producer, batch: RecordBatch): Producer {
  const isOwn =
    batch.producerId === producer.producerId && producerEpochOf(batch) === producer.producerEpoch
  if (!isOwn) return producer
  const baseSequence = batch.bytes.readInt32BE(BASE_SEQUENCE_AT)
  const nextSequence = sequenceAfter(baseSequence, batch.lastOffsetDelta + 1)
  return { ...producer, nextSequence }
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
  if (!isFence) await waitOut(shard, run)
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
