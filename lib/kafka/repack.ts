// Owns rewriting batches that cannot be produced unchanged: batches with holes, batches of which
// only a part is wanted, batches with LogAppendTime, batches that are too large or too small. Keys,
// values, headers, order and codec stay, and the timestamps are the ones a consumer of the source
// sees. The same input gives the same bytes, so a batch may be packed again after a crash. Records
// are moved in place and in slices (batch-builder.ts, slices.ts), because a batch of a megabyte may
// hold more than a million. Does not own when a batch is rewritten
// (core/replicate/batch-admission.ts, coalesce.ts), nor batches of older formats (legacy-batch.ts).
//
// Coalescing compressed batches decodes them, which takes ten times the processor time of
// forwarding them (`npm run bench:coalesce`). It stays because a request carries one batch per
// partition and five are in flight: left alone, 4,000 batches take 800 round trips, coalesced they
// take four.

import assert from 'node:assert/strict'
import {
  addRecord,
  type BatchBuilder,
  beginBatch,
  createBatchBuilder,
  finishBatch,
  shifted,
  shiftFrom,
} from './batch-builder.ts'
import { coalescePlainBatches } from './coalesce-plain.ts'
import { decompress, decompressedBytesMax } from './compression.ts'
import type { RecordView } from './record.ts'
import {
  checkedRecords,
  compressionCodec,
  hasLogAppendTime,
  isControlBatch,
  type RecordBatch,
} from './record-batch.ts'
import type { CompressionCodec } from './record-batch-layout.ts'
import { type Delta, nextRecord, openRecords, type RecordCursor } from './record-cursor.ts'
import { putBytes } from './record-writer.ts'
import { doAtOnce, type Steps, sliceRecords } from './slices.ts'

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
  range: { readonly fromOffset: bigint },
): RecordBatch | null {
  return doAtOnce(repackInSlices(batch, range))
}

/** As `repackBatch`. */
export function* repackInSlices(
  batch: RecordBatch,
  { fromOffset }: { readonly fromOffset: bigint },
): Steps<RecordBatch | null> {
  const opened = openBatch(batch)
  const builder = builderFor(opened)
  yield* copyRecords(opened, builder, { fromOffset })
  return finishBatch(builder, compressionCodec(batch))
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
  const opened = openBatch(batch)
  const codec = compressionCodec(batch)
  const part = (recordsMax: number) => {
    const builder = builderFor(opened)
    doAtOnce(copyRecords(opened, builder, { recordsMax }))
    return finishBatch(builder, codec)
  }
  const [first, second] = [part(index), part(batch.recordsCount)]
  return first === null || second === null ? null : [first, second]
}

/**
 * Splits a repacked batch wherever offsets are missing between two records (`recordOffsets`), into
 * batches without holes, in order. Throws DecodeError when it is damaged.
 */
export function* splitAtHoles(batch: RecordBatch): Steps<RecordBatch[]> {
  const { recordOffsets: offsets, recordsCount, partitionLeaderEpoch } = batch
  if (offsets === undefined) return [batch]
  const opened = openBatch(batch)
  const parts: RecordBatch[] = []
  // Ends: every pass goes on behind at least one record.
  for (let at = 0; at < recordsCount; ) {
    let end = at + 1
    while (end < recordsCount && offsets[end] === (offsets[end - 1] ?? 0n) + 1n) end += 1
    const { bytes, at: from } = opened.cursor
    // About the part's share of what is left.
    const bytesCount = Math.ceil(((bytes.length - from) * (end - at)) / (recordsCount - at))
    const builder = createBatchBuilder({ partitionLeaderEpoch, recordsMax: end - at, bytesCount })
    yield* copyRecords(opened, builder, { recordsMax: end - at })
    const part = finishBatch(builder, compressionCodec(batch))
    if (part !== null) parts.push(part)
    at = end
  }
  return parts
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
  const recordsMax = batches.reduce((sum, { recordsCount }) => sum + recordsCount, 0)
  const { partitionLeaderEpoch } = first
  const bytesCount = batches.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const builder = createBatchBuilder({ partitionLeaderEpoch, recordsMax, bytesCount })
  let bytesLeft = contentBytesMax
  for (const batch of batches) {
    const opened = openBatch(batch, bytesLeft)
    bytesLeft = Math.max(0, bytesLeft - opened.cursor.bytes.length)
    doAtOnce(copyRecords(opened, builder, {}))
  }
  const coalesced = finishBatch(builder, codec)
  assert.ok(coalesced !== null, 'a batch without records is never copied')
  return coalesced
}

/** A data batch with its records decompressed. */
type Opened = {
  readonly batch: RecordBatch
  readonly cursor: RecordCursor
  /** The timestamp of all records; null: each has its own. */
  readonly appendTime: bigint | null
}

function openBatch(batch: RecordBatch, bytesMax = decompressedBytesMax): Opened {
  assert.ok(!isControlBatch(batch), 'a control batch is never produced')
  const payload = decompress(compressionCodec(batch), checkedRecords(batch), bytesMax)
  const appendTime = hasLogAppendTime(batch) ? batch.maxTimestamp : null
  return { batch, cursor: openRecords(payload, batch), appendTime }
}

function builderFor({ batch, cursor }: Opened): BatchBuilder {
  const { partitionLeaderEpoch, recordsCount: recordsMax } = batch
  const bytesCount = cursor.bytes.length - cursor.at
  return createBatchBuilder({ partitionLeaderEpoch, recordsMax, bytesCount })
}

function offsetOf({ batch, cursor }: Opened): bigint {
  const { offsetDelta } = cursor
  return batch.recordOffsets?.[offsetDelta] ?? batch.baseOffset + BigInt(offsetDelta)
}

function timestampOf({ batch, cursor, appendTime }: Opened): bigint {
  // Wraps around like Java's long; only a broken producer writes such a delta.
  return appendTime ?? BigInt.asIntN(64, batch.baseTimestamp + BigInt(cursor.timestampDelta))
}

/**
 * Adds the next `recordsMax` records of a batch, or all that are left, without those in front of
 * `fromOffset`.
 */
function* copyRecords(
  opened: Opened,
  builder: BatchBuilder,
  { fromOffset, recordsMax = Number.POSITIVE_INFINITY }: Range,
): Steps<void> {
  const { batch, cursor, appendTime } = opened
  const { bytes } = cursor
  const isDense = batch.recordOffsets === undefined
  let left = recordsMax
  let copied: Shifts | null = null
  // Ends: every pass reads a record, of which a batch has a bounded number.
  while (left > 0 && nextRecord(cursor)) {
    left -= 1
    if (cursor.read % sliceRecords === 0) yield
    if (fromOffset !== undefined && offsetOf(opened) < fromOffset) continue
    if (builder.recordsCount === 0) beginBatch(builder, offsetOf(opened), timestampOf(opened))
    copied ??= shiftsOf(opened, builder)
    const timestampDelta =
      appendTime === null ? shifted(cursor.timestampDelta, copied.timestamp) : copied.timestamp
    // For an offset beyond what a number holds exactly, the sum is no count of records either.
    const follows = isDense
      ? copied.offset + cursor.offsetDelta === builder.recordsCount
      : offsetOf(opened) === builder.baseOffset + BigInt(builder.recordsCount)
    const record = { attributes: cursor.attributes, timestampDelta }
    const bodyBytes = cursor.bodyEnd - cursor.bodyAt
    addRecord(builder, record, { follows, offset: () => offsetOf(opened) }, bodyBytes)
    putBytes(builder.writer, bytes, cursor.bodyAt, cursor.bodyEnd)
  }
}

type Range = { readonly fromOffset?: bigint; readonly recordsMax?: number }

/** What a batch's deltas become in the new batch, by addition. */
type Shifts = { readonly timestamp: Delta; readonly offset: number }

function shiftsOf({ batch, appendTime }: Opened, builder: BatchBuilder): Shifts {
  return {
    timestamp: shiftFrom(builder, appendTime ?? batch.baseTimestamp),
    offset: Number(batch.baseOffset - builder.baseOffset),
  }
}

/**
 * Reads the records of a data batch as a consumer sees them, for a batch that is small: there is a
 * value for each record. Throws DecodeError when the batch is damaged, or exceeds `bytesMax` bytes
 * once decompressed.
 */
export function readSourceRecords(
  batch: RecordBatch,
  bytesMax = decompressedBytesMax,
): SourceRecord[] {
  const opened = openBatch(batch, bytesMax)
  const records: SourceRecord[] = []
  while (nextRecord(opened.cursor)) records.push(recordAt(opened))
  return records
}

function recordAt(opened: Opened): SourceRecord {
  const { attributes, bytes, bodyAt, bodyEnd } = opened.cursor
  const body = bytes.subarray(bodyAt, bodyEnd)
  return { attributes, body, offset: offsetOf(opened), timestamp: timestampOf(opened) }
}

/** The records of a batch in their order; a value exists only for the one at which it stands. */
export type RecordSequence<R = SourceRecord> = {
  /** The number of records. */
  readonly length: number
  /** The record at which it stands; null behind the last one. */
  current(): R | null
  /** Moves to the next record. */
  readonly advance: () => void
}

/**
 * Opens the records of a data batch as a consumer sees them, at the first one. Throws DecodeError
 * when the batch is damaged anywhere.
 */
export function* openInSlices(batch: RecordBatch): Steps<RecordSequence> {
  const checked = openBatch(batch)
  while (nextRecord(checked.cursor)) if (checked.cursor.read % sliceRecords === 0) yield
  const opened = { ...checked, cursor: openRecords(checked.cursor.bytes, batch) }
  const next = () => (nextRecord(opened.cursor) ? recordAt(opened) : null)
  let current = next()
  return {
    length: batch.recordsCount,
    current: () => current,
    advance: () => {
      current = next()
    },
  }
}

/** Packs records, in the order of their offsets, into one batch; null when there are none. */
export function packRecords(
  records: readonly SourceRecord[],
  { partitionLeaderEpoch }: Pick<RecordBatch, 'partitionLeaderEpoch'>,
  codec: CompressionCodec,
): RecordBatch | null {
  const bytesCount = records.reduce((sum, { body }) => sum + body.length, 0)
  const recordsMax = records.length
  const builder = createBatchBuilder({ partitionLeaderEpoch, recordsMax, bytesCount })
  for (const { attributes, body, offset, timestamp } of records) {
    if (builder.recordsCount === 0) beginBatch(builder, offset, timestamp)
    const follows = offset === builder.baseOffset + BigInt(builder.recordsCount)
    const record = { attributes, timestampDelta: shiftFrom(builder, timestamp) }
    addRecord(builder, record, { follows, offset: () => offset }, body.length)
    putBytes(builder.writer, body, 0, body.length)
  }
  return finishBatch(builder, codec)
}
