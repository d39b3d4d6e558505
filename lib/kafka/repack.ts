// Owns writing batches anew where they cannot be passed on as they are: with holes, with a part
// that is not wanted, with timestamps of the broker, too large, too small. Keys, values, headers,
// order and codec stay, and the timestamps are those that a consumer of the source sees.
// Deterministic: the same input gives the same bytes, so a batch may be packed again after a crash.
// Does not own when to (core/replicate/batch-admission.ts), nor batches of older formats
// (legacy-batch.ts).

import assert from 'node:assert/strict'
import { coalescePlainBatches } from './coalesce-plain.ts'
import { compress, decompress, decompressedBytesMax } from './compression.ts'
import { type RecordView, readRecords, writeRecords } from './record.ts'
import {
  checkedRecords,
  compressionCodec,
  frameBatch,
  hasLogAppendTime,
  isControlBatch,
  type RecordBatch,
} from './record-batch.ts'
import type { CompressionCodec } from './record-batch-layout.ts'

/** A record as a consumer of the source sees it, its key, value and headers unread. */
export type SourceRecord = Pick<RecordView, 'attributes' | 'body'> & {
  readonly offset: bigint
  /** Milliseconds; -1: none. */
  readonly timestamp: bigint
}

/**
 * The records of `batch` from `fromOffset` on as a new batch without holes, dated by CreateTime;
 * null when none is left. `baseOffset` of the result is the source's offset of its first record;
 * how far the source goes on behind it is the original's `nextOffsetAfter`. Throws DecodeError when
 * the batch is damaged.
 */
export function repackBatch(
  batch: RecordBatch,
  { fromOffset }: { readonly fromOffset: bigint },
): RecordBatch | null {
  return packRecords(
    readSourceRecords(batch).filter(({ offset }) => offset >= fromOffset),
    batch,
    compressionCodec(batch),
  )
}

/**
 * Two batches with half of the records each, the first one with one more where they are odd; null
 * for a single record. The source goes on behind the first one at the second one's `baseOffset`.
 * The batch may have been stamped or repacked. Throws DecodeError when it is damaged.
 */
export function splitBatch(batch: RecordBatch): readonly [RecordBatch, RecordBatch] | null {
  const records = readSourceRecords(batch)
  const middle = Math.ceil(records.length / 2)
  const codec = compressionCodec(batch)
  const first = packRecords(records.slice(0, middle), batch, codec)
  const second = packRecords(records.slice(middle), batch, codec)
  return first === null || second === null ? null : [first, second]
}

/**
 * The records of several batches, which have one codec and one leader epoch, as one batch. Each
 * keeps its offset (`recordOffsets`). Throws DecodeError when one of them is damaged, or when they
 * hold more than `contentBytesMax` once they are decompressed.
 */
export function coalesceBatches(
  batches: readonly [RecordBatch, ...RecordBatch[]],
  { contentBytesMax }: { readonly contentBytesMax: number },
): RecordBatch {
  const [first] = batches
  const codec = compressionCodec(first)
  for (const batch of batches) {
    assert.ok(compressionCodec(batch) === codec, 'batches of several codecs are never joined')
    const { partitionLeaderEpoch } = batch
    assert.ok(partitionLeaderEpoch === first.partitionLeaderEpoch, 'nor those of several epochs')
  }
  const plain = coalescePlainBatches(batches, { contentBytesMax })
  if (plain !== null) return plain
  const records: SourceRecord[] = []
  let bytesLeft = contentBytesMax
  for (const batch of batches) {
    for (const record of readSourceRecords(batch, bytesLeft)) {
      bytesLeft = Math.max(0, bytesLeft - record.body.length)
      records.push(record)
    }
  }
  const joined = packRecords(records, first, codec)
  assert.ok(joined !== null, 'a batch without records is never copied')
  return joined
}

/**
 * The records of a batch of data, as a consumer sees them. Throws DecodeError when it is damaged,
 * or holds more than `bytesMax` when it is opened.
 */
export function readSourceRecords(
  batch: RecordBatch,
  bytesMax = decompressedBytesMax,
): SourceRecord[] {
  assert.ok(!isControlBatch(batch), 'a control batch is never produced')
  const { baseOffset, baseTimestamp, maxTimestamp, recordOffsets } = batch
  const appendTime = hasLogAppendTime(batch) ? maxTimestamp : null
  const payload = decompress(compressionCodec(batch), checkedRecords(batch), bytesMax)
  return readRecords(payload, batch).map(({ attributes, timestampDelta, offsetDelta, body }) => ({
    attributes,
    body,
    offset: recordOffsets?.[offsetDelta] ?? baseOffset + BigInt(offsetDelta),
    // Wraps around like Java's long, for a delta that only a broken producer writes.
    timestamp: appendTime ?? BigInt.asIntN(64, baseTimestamp + timestampDelta),
  }))
}

/** Records in the order of their offsets as one batch; null when there are none. */
export function packRecords(
  records: readonly SourceRecord[],
  { partitionLeaderEpoch }: Pick<RecordBatch, 'partitionLeaderEpoch'>,
  codec: CompressionCodec,
): RecordBatch | null {
  const [first] = records
  if (first === undefined) return null
  const views = records.map(({ attributes, body, timestamp }, index) => ({
    attributes,
    body,
    timestampDelta: BigInt.asIntN(64, timestamp - first.timestamp),
    offsetDelta: index,
  }))
  const batch = frameBatch({
    baseOffset: first.offset,
    partitionLeaderEpoch,
    codec,
    baseTimestamp: first.timestamp,
    maxTimestamp: records.reduce((max, { timestamp }) => (timestamp > max ? timestamp : max), -1n),
    recordsCount: records.length,
    records: compress(codec, writeRecords(views)),
  })
  const isWhole = records.every(({ offset }, index) => offset === first.offset + BigInt(index))
  return isWhole ? batch : { ...batch, recordOffsets: records.map(({ offset }) => offset) }
}
