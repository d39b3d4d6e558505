// Owns the preparation of the physical limit (limit-part.ts), before anything is measured: the
// offset range of each source partition, and sample batches from all over its log that a broker
// accepts repeatedly (valid checksums, no producer).
//
// Small batches are coalesced, as gapless does: the limit counts records, not batches.

import {
  coalescedBytesMax,
  coalescedContentBytesMax,
  smallBatchBytesMax,
} from '../../../lib/core/config/defaults.ts'
import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { crc32c } from '../../../lib/kafka/crc32c.ts'
import {
  compressionCodec,
  hasHoles,
  isControlBatch,
  type RecordBatch,
  readRecordBatches,
} from '../../../lib/kafka/record-batch.ts'
import {
  ATTRIBUTES_AT,
  BASE_SEQUENCE_AT,
  CRC_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
} from '../../../lib/kafka/record-batch-layout.ts'
import { coalesceBatches, packRecords, readSourceRecords } from '../../../lib/kafka/repack.ts'
import { uuidFromTopicId } from '../../../lib/kafka/topic-id.ts'
import { findLed } from '../../parts/one-broker.ts'
import { type PreparedBatch, prepareBatch } from './limit-wire.ts'

/** One partition of both sides. */
export type Lane = {
  readonly partition: number
  readonly records: number
  readonly endOffset: bigint
  nextOffset: bigint
  fetchedRecords: number
  sentRecords: number
  answeredRecords: number
  /** Sent in turns; `last` makes the number of records exact at the end. */
  readonly batches: readonly PreparedBatch[]
  readonly last: PreparedBatch | null
  turn: number
}

export type Prepared = {
  readonly lanes: readonly Lane[]
  /** With dashes, as lib/kafka encodes it. */
  readonly topicUuid: string
}

/** Samples per partition; fewer where there are many partitions, so that they fit the caches. */
const SAMPLES_MAX = 12
const SAMPLES_MIN = 2
const SAMPLES_OF_ALL_MAX = 1_200

/** The batch at `offset`, or the small batches from there coalesced. */
async function readSample(
  source: Cluster,
  at: { topicId: string; leaderId: number; partition: number; offset: bigint },
): Promise<RecordBatch> {
  const { partition, offset, topicId, leaderId } = at
  const position = {
    partition,
    currentLeaderEpoch: null,
    fetchOffset: offset,
    lastFetchedEpoch: null,
    partitionMaxBytes: coalescedBytesMax,
  }
  const answer = await source.fetch(leaderId, {
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: coalescedBytesMax,
    isolationLevel: 'read-committed',
    topics: [{ topicId, partitions: [position] }],
  })
  const records = answer.partitions[0]?.records ?? Buffer.alloc(0)
  const batches = readRecordBatches(records).batches.map(batch => {
    if (batch.kind === 'v2' && !isControlBatch(batch) && !hasHoles(batch)) return batch
    throw new Error(`partition ${partition} has batches that could not be produced as they are`)
  })
  const [first, ...others] = batches
  if (first === undefined) throw new Error(`partition ${partition} has no batch at ${offset}`)
  if (first.bytes.length >= smallBatchBytesMax) return first
  return coalesceBatches([first, ...others], { contentBytesMax: coalescedContentBytesMax })
}

/**
 * The batch without producer id, epoch and sequence, so that a broker checks no sequence, and with
 * base offset 0, which brokers require of clients (UnifiedLog.analyzeAndValidateRecords).
 */
function withoutProducer({ bytes }: RecordBatch): Buffer {
  const free = Buffer.from(bytes)
  free.writeBigInt64BE(0n, 0)
  free.writeBigInt64BE(-1n, PRODUCER_ID_AT)
  free.writeInt16BE(-1, PRODUCER_EPOCH_AT)
  free.writeInt32BE(-1, BASE_SEQUENCE_AT)
  free.writeUInt32BE(crc32c(free, ATTRIBUTES_AT, free.length), CRC_AT)
  return free
}

/** The records left, and the turn reached, when the next batch would exceed `records`. */
function remainderOf(records: number, batches: readonly PreparedBatch[]) {
  let left = records
  for (let turn = 0; ; turn += 1) {
    const next = batches[turn % batches.length]
    if (next === undefined || next.records > left) return { left, turn }
    left -= next.records
  }
}

/** Each partition with the batches for its copy. Throws when there is no topic. */
export async function prepareLanes(source: Cluster, topic: string): Promise<Prepared> {
  const led = await findLed(source, topic)
  if (led === null) throw new Error(`the source has no topic ${topic} with a leader`)
  const { topicId, leaderId, partitions } = led
  const [starts, ends] = await Promise.all([
    source.listOffsets(leaderId, 'log-start', partitions),
    source.listOffsets(leaderId, 'log-end', partitions),
  ])
  const perLane = Math.floor(SAMPLES_OF_ALL_MAX / partitions.length)
  const samplesMax = BigInt(Math.min(SAMPLES_MAX, Math.max(SAMPLES_MIN, perLane)))
  const offsetOf = (listed: typeof starts, partition: number) => {
    const answer = listed.find(each => each.partition === partition)?.answer
    if (answer?.kind !== 'offset') throw new Error(`no offsets of partition ${partition}`)
    return answer.offset
  }
  const lanes: Lane[] = []
  for (const { partition } of partitions) {
    const start = offsetOf(starts, partition)
    const end = offsetOf(ends, partition)
    const sampled: RecordBatch[] = []
    // Samples are spread over the whole log: a producer's first batches are smaller than the
    // others.
    for (let index = 0n; index < samplesMax && end > start; index += 1n) {
      const offset = start + ((end - start) * (2n * index + 1n)) / (2n * samplesMax)
      sampled.push(await readSample(source, { topicId, leaderId, partition, offset }))
    }
    const batches = sampled.map(batch =>
      prepareBatch(partition, batch.recordsCount, withoutProducer(batch)),
    )
    const records = Number(end - start)
    const { left, turn } = remainderOf(records, batches)
    const cutFrom = sampled[turn % Math.max(1, sampled.length)]
    const kept = cutFrom === undefined ? [] : readSourceRecords(cutFrom).slice(0, left)
    const cut = cutFrom === undefined ? null : packRecords(kept, cutFrom, compressionCodec(cutFrom))
    lanes.push({
      partition,
      records,
      endOffset: end,
      nextOffset: start,
      fetchedRecords: 0,
      sentRecords: 0,
      answeredRecords: 0,
      batches,
      last: cut === null ? null : prepareBatch(partition, left, withoutProducer(cut)),
      turn: 0,
    })
  }
  return { lanes, topicUuid: uuidFromTopicId(topicId) }
}

/** The next batch in turn, once at least as many records were fetched; otherwise null. */
export function nextBatch(lane: Lane): PreparedBatch | null {
  const left = lane.records - lane.sentRecords
  const inTurn = lane.batches[lane.turn % lane.batches.length] ?? null
  const next = inTurn !== null && inTurn.records <= left ? inTurn : lane.last
  if (left === 0 || next === null) return null
  return next.records <= lane.fetchedRecords - lane.sentRecords ? next : null
}
