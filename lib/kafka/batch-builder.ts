// Owns building a batch out of records of other batches, in place: nothing is kept for a record but
// its bytes, and its source offset where offsets are missing between records. The batch is one
// without holes, with CreateTime, in no transaction. Does not own which records it takes
// (repack.ts, legacy-batch.ts), nor the layout of a record (record-writer.ts) and of the header
// (record-batch.ts).

import { compress } from './compression.ts'
import { frameBatch, type NewHeader, type RecordBatch, writeFrame } from './record-batch.ts'
import { type CompressionCodec, RECORDS_AT } from './record-batch-layout.ts'
import { addDeltas, type Delta, exactDelta } from './record-cursor.ts'
import { beginRecord, createRecordWriter, type RecordWriter } from './record-writer.ts'

export type BatchBuilder = {
  readonly writer: RecordWriter
  readonly partitionLeaderEpoch: number
  /** More records than this are never added. */
  readonly recordsMax: number
  /** The offset of the first record; `baseTimestamp` is its timestamp. */
  baseOffset: bigint
  baseTimestamp: bigint
  recordsCount: number
  /** The largest timestamp, as a delta: a number for all but odd timestamps. */
  newestDelta: number
  /** The largest of the odd ones. */
  newest: bigint
  /** The source offset of each record; null as long as each follows the one before. */
  offsets: bigint[] | BigInt64Array | null
}

/** `bytesCount` are expected, and not a bound. */
export function createBatchBuilder(expected: {
  readonly partitionLeaderEpoch: number
  readonly recordsMax: number
  readonly bytesCount: number
}): BatchBuilder {
  const { partitionLeaderEpoch, recordsMax, bytesCount } = expected
  return {
    writer: createRecordWriter(bytesCount, RECORDS_AT),
    ...{ partitionLeaderEpoch, recordsMax, baseOffset: 0n, baseTimestamp: 0n, recordsCount: 0 },
    ...{ newestDelta: -Infinity, newest: -1n, offsets: null },
  }
}

/** Called before the first record is added, with its offset and timestamp. */
export function beginBatch(builder: BatchBuilder, offset: bigint, timestamp: bigint): void {
  builder.baseOffset = offset
  builder.baseTimestamp = timestamp
}

/** The timestamp delta in the new batch of a record with delta 0 to `baseTimestamp`. */
export function shiftFrom(builder: BatchBuilder, baseTimestamp: bigint): Delta {
  return exactDelta(baseTimestamp - builder.baseTimestamp)
}

/** Beyond, a timestamp and a delta have no sum of 64 bits. */
const FAR = 2n ** 62n

/**
 * Adds a record whose body of `bodyBytes` the caller puts behind it. `follows` is whether its
 * offset is the one behind the record before; `offset` is asked where that matters.
 */
export function addRecord(
  builder: BatchBuilder,
  record: { readonly attributes: number; readonly timestampDelta: Delta },
  source: { readonly follows: boolean; readonly offset: () => bigint },
  bodyBytes: number,
): void {
  const { attributes, timestampDelta } = record
  const { recordsCount: offsetDelta, baseTimestamp } = builder
  beginRecord(builder.writer, { attributes, timestampDelta, offsetDelta }, bodyBytes)
  const isFar = baseTimestamp > FAR || baseTimestamp < -FAR
  if (typeof timestampDelta === 'number' && !isFar) {
    if (timestampDelta > builder.newestDelta) builder.newestDelta = timestampDelta
  } else {
    const timestamp = BigInt.asIntN(64, baseTimestamp + BigInt(timestampDelta))
    if (timestamp > builder.newest) builder.newest = timestamp
  }
  if (builder.offsets === null && !source.follows) startOffsets(builder)
  if (builder.offsets !== null) builder.offsets[offsetDelta] = source.offset()
  builder.recordsCount += 1
}

/** From so many records on, offsets are kept as 8 bytes each; a bigint takes four times as much. */
const COMPACT_OFFSETS_MIN = 65_536

function startOffsets(builder: BatchBuilder): void {
  const { baseOffset, recordsCount, recordsMax } = builder
  const offsets = recordsMax < COMPACT_OFFSETS_MIN ? [] : new BigInt64Array(recordsMax)
  for (let index = 0; index < recordsCount; index += 1) offsets[index] = baseOffset + BigInt(index)
  builder.offsets = offsets
}

/** The finished batch; null without records. The builder is used up. */
export function finishBatch(builder: BatchBuilder, codec: CompressionCodec): RecordBatch | null {
  const { writer, baseOffset, partitionLeaderEpoch, baseTimestamp, recordsCount } = builder
  if (recordsCount === 0) return null
  const { newest, newestDelta, offsets } = builder
  const near = newestDelta === -Infinity ? -1n : baseTimestamp + BigInt(newestDelta)
  const maxTimestamp = near > newest ? near : newest
  const header = { baseOffset, partitionLeaderEpoch, codec, baseTimestamp, maxTimestamp }
  const batch = framed(writer, { ...header, recordsCount })
  if (offsets === null) return batch
  return {
    ...batch,
    recordOffsets: Array.isArray(offsets) ? offsets : offsets.subarray(0, recordsCount),
  }
}

function framed({ bytes, at }: RecordWriter, header: NewHeader): RecordBatch {
  // The batch waits to be sent: room that it does not need is not kept meanwhile.
  const isTight = at >= bytes.length * 0.9
  if (header.codec === 'none' && isTight) return writeFrame(bytes.subarray(0, at), header)
  const records = compress(header.codec, bytes.subarray(RECORDS_AT, at))
  return frameBatch({ ...header, records })
}

/** The sum of a delta in the source batch and the shift of that batch. */
export const shifted: (delta: Delta, shift: Delta) => Delta = addDeltas
