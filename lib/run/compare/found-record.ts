// Owns when a record of the standby counts as a copy of a source record, also behind a broker that
// changes batches: message.timestamp.type=LogAppendTime replaces the timestamps, compression.type
// compresses anew (LogValidator), a proxy may cut batches differently. Key, value, headers and
// order always stay. Contents decide; the sequences of our producer only say which source record a
// record can be at all. Does not own the order of the comparison (comparison.ts).

import type { Producer } from '../../core/partition/partition-state.ts'
import { hasLogAppendTime, producerEpochOf, type RecordBatch } from '../../kafka/record-batch.ts'
import { BASE_SEQUENCE_AT, LOG_APPEND_TIME_BIT } from '../../kafka/record-batch-layout.ts'
import { openInSlices, type RecordSequence, type SourceRecord } from '../../kafka/repack.ts'
import type { Steps } from '../../kafka/slices.ts'

/** A record of the standby. */
export type FoundRecord = SourceRecord & {
  /** As the producer sent the timestamp, Unix time, ms; null: the broker replaced it. */
  readonly createTime: bigint | null
  /** How many records the producer sent since the checkpoint before this one; null: not known. */
  readonly index: bigint | null
}

/** A batch of our producer; null: another producer's. */
export type OwnBatch = {
  /** As `index` of the batch's first offset. */
  readonly index: bigint | null
}

const SEQUENCES = 2n ** 31n

/** `producer` is that of the checkpoint, and counts the records acknowledged before it. */
export function ownBatch(batch: RecordBatch, producer: Producer | null): OwnBatch | null {
  if (producer === null || batch.producerId !== producer.producerId) return null
  // Each epoch counts from 0, so sequences of two epochs have no distance.
  if (producerEpochOf(batch) !== producer.producerEpoch) return { index: null }
  const baseSequence = batch.bytes.readInt32BE(BASE_SEQUENCE_AT)
  const distance = BigInt(baseSequence) - BigInt(producer.nextSequence)
  // Sequences wrap to 0 after 2^31-1.
  return { index: ((distance % SEQUENCES) + SEQUENCES) % SEQUENCES }
}

/** As `openInSlices`, with what the standby's batch says of each record. */
export function* openFoundRecords(
  batch: RecordBatch,
  own: OwnBatch | null,
): Steps<RecordSequence<FoundRecord>> {
  const appendTime = hasLogAppendTime(batch) ? batch.maxTimestamp : null
  // With LogAppendTime Kafka replaces only the largest timestamp and sets the bit. The deltas stay,
  // so the producer's timestamps can be read without the bit.
  const attributes = batch.attributes & ~LOG_APPEND_TIME_BIT
  const records = yield* openInSlices({ ...batch, attributes })
  const index = own?.index ?? null
  const found = (record: SourceRecord): FoundRecord => {
    const { timestamp: createTime, offset } = record
    // Another broker may write the append time into each record.
    const isReplaced = createTime === appendTime
    return {
      ...record,
      timestamp: appendTime ?? createTime,
      createTime: isReplaced ? null : createTime,
      index: index === null ? null : index + (offset - batch.baseOffset),
    }
  }
  const current = () => {
    const record = records.current()
    return record === null ? null : found(record)
  }
  return { length: records.length, current, advance: records.advance }
}

/** True for two records that differ in nothing but their offsets and timestamps. */
export function hasSameContent(left: SourceRecord, right: SourceRecord): boolean {
  return left.attributes === right.attributes && left.body.equals(right.body)
}

/** True when the standby holds the source's timestamp, perhaps below its own append time. */
export function hasSameTimestamp(wanted: SourceRecord, found: FoundRecord): boolean {
  return wanted.timestamp === found.timestamp || wanted.timestamp === found.createTime
}
