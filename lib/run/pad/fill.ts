// Owns appending fillers to an empty target up to the offset of the first record, and the proof
// that nothing else lies between them. Does not own how they are hidden (hide.ts).
//
// Fillers are sent under the producer of the data, which all owners of the partition share. The
// first filler has offset 0 and sequence 0, so a filler's sequence says its offset, and a broker
// appends only the next sequence (ProducerAppendInfo.checkSequence). From this follows, for an
// earlier owner that was frozen and wakes, or whose requests are still on their way:
//
//   while the present owner fills     a batch of both is appended once: the second one is a
//                                     duplicate, or out of order. Both fill towards the same end,
//                                     which never shrinks, so the earlier owner's are as good.
//   while the present owner copies    the first record has the sequence behind the last filler, so
//                                     every filler of the earlier owner is out of order.
//   DeleteRecords of the earlier one  deletes below the same offset, where there are only fillers.
//
// An own producer id for fillers was refused: its sequences would say nothing of the data's, so a
// filler could land behind the first record. A fence was refused: its marker takes an offset.
// Another application that writes meanwhile takes offsets and no sequences: the sequence of the
// filler in front of `to` then lags behind its offset, which is looked at before anything is
// deleted.

import { nextFillers, sequenceAt } from '../../core/offsets/padding.ts'
import { paddingInFlightMax } from '../../core/offsets/padding-limits.ts'
import type { Leader } from '../../core/partition/observation.ts'
import {
  type Position,
  type Producer,
  sequenceAfter,
} from '../../core/partition/partition-state.ts'
import { dispositionOf } from '../../core/replicate/error-disposition.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { errorName } from '../../kafka/error-codes.ts'
import {
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
  readRecordBatches,
} from '../../kafka/record-batch.ts'
import { BASE_SEQUENCE_AT } from '../../kafka/record-batch-layout.ts'
import { askPartition } from '../compare/partition-reader.ts'
import { maySend } from '../partition/own-lease.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { targetOf } from '../recover/target-range.ts'
import { type FillerForm, stampedFillers } from './fillers.ts'

/** `ended`: the run or its lease ended. `refused`: the very first batch; nothing was appended. */
export type FilledUp =
  | { readonly kind: 'filled' | 'ended' }
  | { readonly kind: 'refused'; readonly errorName: string }

type Range = { readonly from: bigint; readonly to: bigint; readonly leader: Leader }

/** Throws `BrokerFailure` where a broker does not answer, or refuses a later batch. */
export async function fill(
  shard: Shard,
  run: PartitionRun,
  { form, producer, ...range }: Range & { readonly form: FillerForm; readonly producer: Producer },
): Promise<FilledUp> {
  const { from, to, leader } = range
  const inFlight = new Set<Promise<void>>()
  const found: { failure: unknown; refused: string | null; isKnown: boolean } = {
    failure: null,
    refused: null,
    isKnown: from > 0n,
  }
  const send = (at: bigint, count: number) => {
    const sent = sendFillers(shard, run, { at, count, leader, form, producer })
      .then(error => {
        found.isKnown = true
        if (error !== null && at === 0n) found.refused = error
        else if (error !== null) found.failure ??= refusal(shard, run, { at, error })
      })
      .catch((error: unknown) => {
        found.failure ??= error
      })
      .finally(() => inFlight.delete(sent))
    inFlight.add(sent)
  }
  let next = from
  const goesOn = () =>
    next < to && found.failure === null && found.refused === null && mayFill(shard, run)
  while (goesOn()) {
    // A broker takes any first sequence of a producer that it does not know.
    const inFlightMax = found.isKnown ? paddingInFlightMax : 1
    if (inFlight.size >= inFlightMax) await Promise.race(inFlight)
    else {
      const count = nextFillers(next, to, form.recordsMax)
      send(next, count)
      next += BigInt(count)
    }
  }
  await Promise.all(inFlight)
  if (found.refused !== null) return { kind: 'refused', errorName: found.refused }
  if (found.failure !== null) throw found.failure
  return { kind: next < to ? 'ended' : 'filled' }
}

/** True while this run owns the partition. */
export function mayFill(shard: Shard, run: PartitionRun): boolean {
  return run.phase.kind !== 'stopped' && maySend(shard, run)
}

/** Null: appended at its offset. Otherwise the error of a batch that is refused for good. */
async function sendFillers(
  shard: Shard,
  run: PartitionRun,
  sent: {
    readonly at: bigint
    readonly count: number
    readonly leader: Leader
    readonly form: FillerForm
    readonly producer: Producer
  },
): Promise<string | null> {
  const { at, count, leader, form, producer } = sent
  const { targetTopic: name, key } = run
  const { producerId, producerEpoch } = producer
  const owner = { producerId, producerEpoch, baseSequence: sequenceAt(at) }
  const records = stampedFillers(shard, form, { ...owner, count })
  const partitions = [{ partition: key.partition, records }]
  const timeoutMs = shard.flow.budgets.requestTimeoutMs
  const topics = [{ name, partitions }]
  const answer = await shard.target.produce(leader.leaderId, { acks: -1, timeoutMs, topics })
  const [produced] = answer.partitions
  const error = produced === undefined ? 'no answer' : errorName(produced.errorCode)
  if (error === 'NONE') {
    if (produced?.baseOffset === at) return null
    throw refusal(shard, run, { at, error: `base offset ${produced?.baseOffset}` })
  }
  const disposition = produced === undefined ? 'observe' : dispositionOf('produce', error)
  // Another owner appended the batch first: the log end says where filling goes on.
  if (disposition === 'observe' || disposition === 'recover' || disposition === 'denied') {
    throw refusal(shard, run, { at, error })
  }
  return error
}

function refusal(
  shard: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  { at, error }: { readonly at: bigint; readonly error: string },
): BrokerFailure {
  const reason =
    dispositionOf('produce', error) === 'denied' ? 'authorization-denied' : 'unreachable'
  const detail = `the fillers of ${partitionName({ topic, partition })} from offset ${at} on were answered with ${error}`
  return new BrokerFailure({ reason, cluster: shard.target.name, detail })
}

/**
 * True when everything below `end` is ours, or deleted. Throws `BrokerFailure` when the leader does
 * not show the batch in front of `end`.
 */
export async function isOurs(
  shard: Shard,
  run: PartitionRun,
  { position, end, leader }: { readonly position: Position; readonly end: bigint; leader: Leader },
): Promise<boolean> {
  if (end === 0n) return true
  const at = targetOf(shard, run, { position, leader, fetchBytesMax: 1 })
  const ask = { from: end - 1n, isolation: 'read-uncommitted' as const, waitMs: 0 }
  const answer = await askPartition(at, ask)
  // Retention of the target has deleted it, or an earlier owner of the partition.
  if (answer.kind === 'out-of-range') return true
  const records = answer.kind === 'fetched' ? answer.fetched.records : null
  const batches = records === null ? [] : readRecordBatches(records).batches
  const batch = batches.find(each => each.kind === 'v2' && nextOffsetAfter(each) >= end)
  if (batch?.kind !== 'v2') {
    const why = answer.kind === 'refused' ? answer.why : 'no batch'
    const detail = `a fetch of ${partitionName(at)} at offset ${end - 1n} was answered with ${why}`
    throw new BrokerFailure({ reason: 'unreachable', cluster: shard.target.name, detail })
  }
  return isFillerOf(batch, position.producer)
}

function isFillerOf(batch: RecordBatch, producer: Producer | null): boolean {
  const { producerId, lastOffsetDelta, bytes } = batch
  if (producer === null || producerId !== producer.producerId) return false
  if (producerEpochOf(batch) !== producer.producerEpoch) return false
  const next = sequenceAfter(bytes.readInt32BE(BASE_SEQUENCE_AT), lastOffsetDelta + 1)
  return next === sequenceAt(nextOffsetAfter(batch))
}
