// Owns the v2 record batch as it lies on the wire: a view of its header, and the header around
// records that were rewritten. Does not own the records inside (record.ts; control records are read
// in control-record.ts), the changes to a batch that is produced (produce-stamp.ts), nor the
// decision whether a batch is produced unchanged: the caller asks `hasHoles`, `hasLogAppendTime`
// and `isControlBatch` first.

import assert from 'node:assert/strict'
import { crc32c } from './crc32c.ts'
import { DecodeError } from './decode-error.ts'
import {
  ATTRIBUTES_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  CODEC_MASK,
  CONTROL_BIT,
  type CompressionCodec,
  CRC_AT,
  codecs,
  LAST_OFFSET_DELTA_AT,
  LENGTHS_MIN,
  LOG_APPEND_TIME_BIT,
  LOG_OVERHEAD,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PARTITION_LEADER_EPOCH_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORDS_AT,
  RECORDS_COUNT_AT,
  TRANSACTIONAL_BIT,
} from './record-batch-layout.ts'
import {
  ABORT_TYPE,
  COMMIT_TYPE,
  readControlType,
  readCoordinatorEpoch,
} from './transactions/control-record.ts'

/**
 * One batch of the current format (magic 2). The fields are the ones that were read. Stamping
 * rewrites `bytes` and leaves the fields alone, so `baseOffset` stays the offset in the source.
 */
export type RecordBatch = {
  readonly kind: 'v2'
  /** The whole batch, base offset and length included: a view of the response's memory. */
  readonly bytes: Buffer
  /** The offset of the first record written, also after compaction removed that record. */
  readonly baseOffset: bigint
  /** The last offset minus the base offset, 0 to 2^31-1. Compaction does not change it. */
  readonly lastOffsetDelta: number
  /** The number of records now in the batch; 0 when compaction kept only its header. */
  readonly recordsCount: number
  /**
   * Leader epoch under which the batch was appended; the next fetch sends it as `lastFetchedEpoch`.
   * -1 for a batch rewritten from an older format, and a fetch with -1 carries no epoch.
   */
  readonly partitionLeaderEpoch: number
  readonly attributes: number
  /** Null when the producer was not idempotent. */
  readonly producerId: bigint | null
  /** Unix time, ms; record timestamps are deltas to it. -1: no timestamps. */
  readonly baseTimestamp: bigint
  /** Unix time, ms; with LogAppendTime the append time. -1: no timestamps. */
  readonly maxTimestamp: bigint
  /**
   * The source offset of each record; present only where a rewrite removed holes, so that
   * `baseOffset` and the deltas no longer give it.
   */
  readonly recordOffsets?: ArrayLike<bigint>
}

/**
 * An entry in a format older than Kafka 0.11 (magic 0 or 1): one record, or several compressed into
 * the value of one. It cannot be produced unchanged.
 */
export type LegacyBatch = {
  readonly kind: 'legacy'
  readonly magic: 0 | 1
  /** The whole entry, offset and size included: a view of the response's memory. */
  readonly bytes: Buffer
  /** A compressed entry carries the offset of its *last* record (KIP-32). */
  readonly lastOffset: bigint
}

export type FetchedBatches = {
  readonly batches: (RecordBatch | LegacyBatch)[]
  /** Number of bytes behind the last of `batches`; usually a batch that the broker cut off. */
  readonly trailingBytes: number
}

/**
 * Splits the records of one fetched partition into batches, from byte `from` on and at most
 * `batchesMax` of them. Copies no byte and reads no payload.
 *
 * A broker cuts the last batch off at the byte limit of the fetch (KIP-74), so an incomplete last
 * batch is normal and is left out. A broker never answers an incomplete batch *alone*: from Fetch
 * v3 on, ReplicaManager replaces it by an empty set. No batch but trailing bytes therefore mean a
 * corrupt length, and a caller that fetched again would do so for ever.
 *
 * Throws DecodeError for a length, magic, offset or count that no broker writes.
 */
export function readRecordBatches(
  records: Buffer,
  { from = 0, batchesMax = Number.POSITIVE_INFINITY } = {},
): FetchedBatches {
  const batches: (RecordBatch | LegacyBatch)[] = []
  let at = from
  // Ends: every pass moves `at` on by more than LOG_OVERHEAD, or leaves the loop.
  while (records.length - at > MAGIC_AT && batches.length < batchesMax) {
    const length = records.readInt32BE(at + BATCH_LENGTH_AT)
    const magic = records.readInt8(at + MAGIC_AT)
    if (magic !== 0 && magic !== 1 && magic !== 2) {
      throw corrupt('magic', at + MAGIC_AT, `${magic}, not 0 to 2`, magic)
    }
    const lengthMin = LENGTHS_MIN[magic]
    if (length < lengthMin) {
      const found = `${length}, not at least ${lengthMin}`
      throw corrupt('batchLength', at + BATCH_LENGTH_AT, found, magic)
    }
    const end = at + LOG_OVERHEAD + length
    if (end > records.length) break
    const bytes = records.subarray(at, end)
    if (magic === 2) batches.push(viewBatch(bytes, at))
    else {
      const lastOffset = readBaseOffset(bytes, 0, magic, at)
      batches.push({ kind: 'legacy', magic, bytes, lastOffset })
    }
    at = end
  }
  return { batches, trailingBytes: records.length - at }
}

function viewBatch(bytes: Buffer, at: number): RecordBatch {
  const lastOffsetDelta = bytes.readInt32BE(LAST_OFFSET_DELTA_AT)
  const recordsCount = bytes.readInt32BE(RECORDS_COUNT_AT)
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT)
  const producerId = bytes.readBigInt64BE(PRODUCER_ID_AT)
  if (lastOffsetDelta < 0) {
    const found = `${lastOffsetDelta}, not 0 or more`
    throw corrupt('lastOffsetDelta', at + LAST_OFFSET_DELTA_AT, found)
  }
  // Compaction removes records from a batch, but no offsets, so records never outnumber offsets.
  if (recordsCount < 0 || recordsCount > lastOffsetDelta + 1) {
    const found = `${recordsCount}, not 0 to ${lastOffsetDelta + 1}`
    throw corrupt('recordsCount', at + RECORDS_COUNT_AT, found)
  }
  if ((attributes & CODEC_MASK) >= codecs.length) {
    const found = `compression codec ${attributes & CODEC_MASK}, not 0 to ${codecs.length - 1}`
    throw corrupt('attributes', at + ATTRIBUTES_AT, found)
  }
  return {
    kind: 'v2',
    bytes,
    baseOffset: readBaseOffset(bytes, 0, 2, at),
    lastOffsetDelta,
    recordsCount,
    partitionLeaderEpoch: bytes.readInt32BE(PARTITION_LEADER_EPOCH_AT),
    attributes,
    producerId: producerId < 0n ? null : producerId,
    baseTimestamp: bytes.readBigInt64BE(BASE_TIMESTAMP_AT),
    maxTimestamp: bytes.readBigInt64BE(MAX_TIMESTAMP_AT),
  }
}

function readBaseOffset(bytes: Buffer, at: number, magic: number, reportedAt = at): bigint {
  const baseOffset = bytes.readBigInt64BE(at)
  if (baseOffset < 0n) {
    throw corrupt('baseOffset', reportedAt, `${baseOffset}, not 0 or more`, magic)
  }
  return baseOffset
}

function corrupt(field: string, at: number, found: string, magic = 2): DecodeError {
  return new DecodeError({ api: 'RecordBatch', version: magic, field, at, found })
}

/** The offset of the last record written, also after compaction removed that record. */
export function lastOffset(batch: RecordBatch): bigint {
  return batch.baseOffset + BigInt(batch.lastOffsetDelta)
}

/** The next offset to fetch. It lies behind the batch's holes, too, as in Kafka's consumer. */
export function nextOffsetAfter(batch: RecordBatch): bigint {
  return lastOffset(batch) + 1n
}

/** Whether a broker wrote the batch. Brokers refuse a control batch from a producer. */
export function isControlBatch(batch: RecordBatch): boolean {
  return (batch.attributes & CONTROL_BIT) !== 0
}

export function isTransactional(batch: RecordBatch): boolean {
  return (batch.attributes & TRANSACTIONAL_BIT) !== 0
}

/**
 * Whether the batch has LogAppendTime: the timestamp of all its records is `maxTimestamp` then, and
 * their deltas have no meaning. A producer may not set this type, and clearing it would silently
 * change every timestamp.
 */
export function hasLogAppendTime(batch: RecordBatch): boolean {
  return (batch.attributes & LOG_APPEND_TIME_BIT) !== 0
}

export function compressionCodec(batch: RecordBatch): CompressionCodec {
  const codec = codecs[batch.attributes & CODEC_MASK]
  assert.ok(codec, 'the view was read with a codec that exists')
  return codec
}

/**
 * Whether compaction removed records from the batch, so that it must be repacked: a broker refuses
 * a batch whose count and offsets disagree, or worse, stores it. An emptied batch (`recordsCount`
 * 0) has holes, too, and no record to repack.
 */
export function hasHoles(batch: RecordBatch): boolean {
  return batch.recordsCount !== batch.lastOffsetDelta + 1
}

/** The bytes of the records: one compressed block, or uncompressed records. */
export function recordBytes(batch: RecordBatch): Buffer {
  return batch.bytes.subarray(RECORDS_AT)
}

/** The producer epoch in the batch's bytes; -1 when the producer was not idempotent. */
export function producerEpochOf(batch: RecordBatch): number {
  return batch.bytes.readInt16BE(PRODUCER_EPOCH_AT)
}

/**
 * The bytes of the records, compressed as one block. Throws DecodeError when the checksum does not
 * match, because rewritten records get a new checksum, which would hide the damage.
 */
export function checkedRecords(batch: RecordBatch): Buffer {
  const { bytes } = batch
  if (!hasValidChecksum(batch)) {
    const found = crc32c(bytes, ATTRIBUTES_AT, bytes.length)
    throw corrupt('crc', CRC_AT, `${bytes.readUInt32BE(CRC_AT)}, where the bytes have ${found}`)
  }
  return bytes.subarray(RECORDS_AT)
}

/** Whether the checksum matches the bytes. Reads all of them. */
export function hasValidChecksum({ bytes }: RecordBatch): boolean {
  return crc32c(bytes, ATTRIBUTES_AT, bytes.length) === bytes.readUInt32BE(CRC_AT)
}

export type NewHeader = {
  readonly baseOffset: bigint
  readonly partitionLeaderEpoch: number
  readonly codec: CompressionCodec
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  /** 1 to 2^31-1; the records have the offset deltas 0, 1, 2, … */
  readonly recordsCount: number
}

/** Builds a batch around a copy of `records`, which are compressed with `codec`. */
export function frameBatch(batch: NewHeader & { readonly records: Buffer }): RecordBatch {
  const bytes = Buffer.alloc(RECORDS_AT + batch.records.length)
  batch.records.copy(bytes, RECORDS_AT)
  return writeFrame(bytes, batch)
}

/**
 * Writes the header of a batch without a producer, with CreateTime, in no transaction and without
 * holes. `bytes` holds the records behind RECORDS_AT bytes of room for the header.
 */
export function writeFrame(bytes: Buffer, batch: NewHeader): RecordBatch {
  bytes.writeBigInt64BE(batch.baseOffset, 0)
  bytes.writeInt32BE(bytes.length - LOG_OVERHEAD, BATCH_LENGTH_AT)
  bytes.writeInt32BE(batch.partitionLeaderEpoch, PARTITION_LEADER_EPOCH_AT)
  bytes.writeInt8(2, MAGIC_AT)
  bytes.writeInt16BE(codecs.indexOf(batch.codec), ATTRIBUTES_AT)
  bytes.writeInt32BE(batch.recordsCount - 1, LAST_OFFSET_DELTA_AT)
  bytes.writeBigInt64BE(batch.baseTimestamp, BASE_TIMESTAMP_AT)
  bytes.writeBigInt64BE(batch.maxTimestamp, MAX_TIMESTAMP_AT)
  bytes.writeBigInt64BE(-1n, PRODUCER_ID_AT)
  bytes.writeInt16BE(-1, PRODUCER_EPOCH_AT)
  bytes.writeInt32BE(-1, BASE_SEQUENCE_AT)
  bytes.writeInt32BE(batch.recordsCount, RECORDS_COUNT_AT)
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT, bytes.length), CRC_AT)
  return viewBatch(bytes, 0)
}

/**
 * Reads the marker of a control batch. `other` is a control record that ends no transaction (leader
 * change, snapshot, …), or a batch whose marker compaction removed. Throws DecodeError when the
 * batch holds no control record or is compressed, which no broker writes.
 */
export function readEndTransactionMarker(batch: RecordBatch): 'commit' | 'abort' | 'other' {
  assert.ok(isControlBatch(batch), 'only a control batch has a marker')
  if (batch.recordsCount === 0) return 'other'
  const codec = compressionCodec(batch)
  if (codec !== 'none') throw corrupt('attributes', ATTRIBUTES_AT, `a ${codec} control batch`)
  const type = readControlType(batch.bytes, RECORDS_AT)
  return type === ABORT_TYPE ? 'abort' : type === COMMIT_TYPE ? 'commit' : 'other'
}

/**
 * The epoch of the coordinator that wrote the marker in a control batch; null where there is none
 * (`other`). Throws DecodeError as `readEndTransactionMarker` does.
 */
export function coordinatorEpochOf(batch: RecordBatch): number | null {
  const marker = readEndTransactionMarker(batch)
  return marker === 'other' ? null : readCoordinatorEpoch(batch.bytes, RECORDS_AT)
}
