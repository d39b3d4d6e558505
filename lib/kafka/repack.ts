// Owns rewriting batches that cannot be produced unchanged: batches with holes, batches of which
// only a part is wanted, batches with LogAppendTime, batches that are too large or too small. Keys,
// values, headers, order and codec stay, and the timestamps are the ones a consumer of the source
// sees. The same input gives the same bytes, so a batch may be packed again after a crash. Does not
// own when a batch is rewritten (core/replicate/batch-admission.ts, coalesce.ts), nor batches of
// older formats (legacy-batch.ts).
//
// Coalescing compressed batches decodes them, which takes ten times the processor time of
// forwarding them (`npm run bench:coalesce`). It stays because a request carries one batch per
// partition and five are in flight: left alone, 4,000 batches take 800 round trips, coalesced they
// take four.

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

/** A record as a consumer of the source sees it; its key, value and headers stay undecoded. */
export type SourceRecord = Pick<RecordView, 'attributes' | 'body'> & {
  readonly offset: bigint
  /** Unix time, ms; -1 when the record has none. */
  readonly timestamp: bigint
}

/**
 * Repacks the records of `batch` from `fromOffset` on into a batch without holes, with CreateTime;
 * null when none is left. The result's `baseOffset` is the source offset of its first record. The
 * position behind it is `nextOffsetAfter` of the original, because the original may end in holes.
 * Throws DecodeError when the batch is damaged.
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
 * Splits a batch in front of the record at `index`, by default into halves, the first one taking
 * the odd record; null when one part would be empty. The position behind the first part is the
 * second one's `baseOffset`. The batch may have been stamped or repacked. Throws DecodeError when
 * it is damaged.
 */
export function splitBatch(
  batch: RecordBatch,
  index = Math.ceil(batch.recordsCount / 2),
): readonly [RecordBatch, RecordBatch] | null {
  const records = readSourceRecords(batch)
  const codec = compressionCodec(batch)
  const first = packRecords(records.slice(0, index), batch, codec)
  const second = packRecords(records.slice(index), batch, codec)
  return first === null || second === null ? null : [first, second]
}

/**
 * Coalesces batches of one codec and one leader epoch. Each record keeps its source offset
 * (`recordOffsets`). Throws DecodeError when a batch is damaged, or when their records exceed
 * `contentBytesMax` bytes once decompressed.
 */
export function coalesceBatches(
  batches: readonly [RecordBatch, ...RecordBatch[]],
  { contentBytesMax }: { readonly contentBytesMax: number },
): RecordBatch {
  const [first] = batches
  const codec = compressionCodec(first)
  for (const batch of batches) {
    assert.ok(compressionCodec(batch) === codec, 'batches of several codecs are never coalesced')
    const { partitionLeaderEpoch } = batch
    assert.ok(
      partitionLeaderEpoch === first.partitionLeaderEpoch,
      'batches of several leader epochs are never coalesced',
    )
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
  const coalesced = packRecords(records, first, codec)
  assert.ok(coalesced !== null, 'a batch without records is never copied')
  return coalesced
}

/**
 * Reads the records of a data batch as a consumer sees them. Throws DecodeError when the batch is
 * damaged, or exceeds `bytesMax` bytes once decompressed.
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
    // Wraps around like Java's long; only a broken producer writes such a delta.
    timestamp: appendTime ?? BigInt.asIntN(64, baseTimestamp + timestampDelta),
  }))
}

/** Packs records, in the order of their offsets, into one batch; null when there are none. */
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
