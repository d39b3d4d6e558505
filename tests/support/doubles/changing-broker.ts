// What a standby may do to a batch that it appends, as LogValidator does: a topic with
// message.timestamp.type=LogAppendTime sets its own time and the bit, a topic with compression.type
// compresses anew, a proxy may write other timestamps into the records. Producer id, epoch and
// sequence stay. A payload that is no records is left alone, because other tests make up payloads.

import { compress, decompress } from '../../../lib/kafka/compression.ts'
import { readRecords, writeRecords } from '../../../lib/kafka/record.ts'
import { compressionCodec, type RecordBatch, recordBytes } from '../../../lib/kafka/record-batch.ts'
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  CODEC_MASK,
  type CompressionCodec,
  CRC_AT,
  codecs,
  LOG_APPEND_TIME_BIT,
  LOG_OVERHEAD,
  MAX_TIMESTAMP_AT,
  RECORDS_AT,
} from '../../../lib/kafka/record-batch-layout.ts'
import { plainCrc32c, viewOf } from '../../unit/kafka/batches.ts'

/** The bytes that the broker appends in place of those that were sent. */
export type BatchChange = (batch: RecordBatch, nowMs: number) => Buffer

const decompressedBytesMax = 1024 * 1024

/** message.timestamp.type=LogAppendTime: base timestamp and deltas stay. */
export const stampsAppendTime: BatchChange = (batch, nowMs) => {
  const bytes = Buffer.from(batch.bytes)
  bytes.writeBigInt64BE(BigInt(nowMs), MAX_TIMESTAMP_AT)
  bytes.writeInt16BE(batch.attributes | LOG_APPEND_TIME_BIT, ATTRIBUTES_AT)
  return sealed(bytes)
}

/** compression.type of the topic: the same records in another codec. */
export function recompresses(codec: CompressionCodec): BatchChange {
  return batch => withRecords(batch, codec, payload => payload)
}

/** Another broker's LogAppendTime: the append time in every record, and nothing else is kept. */
export const writesAppendTime: BatchChange = (batch, nowMs) =>
  stampsAppendTime(viewOf(retimed(batch, nowMs)), nowMs)

/** A proxy that produces anew, with its own time as the producer's. */
export const retimes: BatchChange = (batch, nowMs) => sealed(retimed(batch, nowMs))

/** One change behind the other. */
export function both(first: BatchChange, second: BatchChange): BatchChange {
  return (batch, nowMs) => second(viewOf(first(batch, nowMs)), nowMs)
}

function retimed(batch: RecordBatch, nowMs: number): Buffer {
  const codec = compressionCodec(batch)
  const bytes = withRecords(batch, codec, payload =>
    writeRecords(readRecords(payload, batch).map(each => ({ ...each, timestampDelta: 0n }))),
  )
  bytes.writeBigInt64BE(BigInt(nowMs), BASE_TIMESTAMP_AT)
  bytes.writeBigInt64BE(BigInt(nowMs), MAX_TIMESTAMP_AT)
  return sealed(bytes)
}

function withRecords(
  batch: RecordBatch,
  codec: CompressionCodec,
  change: (payload: Buffer) => Buffer,
): Buffer {
  const payload = decompress(compressionCodec(batch), recordBytes(batch), decompressedBytesMax)
  const records = compress(codec, change(payload))
  const bytes = Buffer.concat([batch.bytes.subarray(0, RECORDS_AT), records])
  bytes.writeInt32BE(bytes.length - LOG_OVERHEAD, BATCH_LENGTH_AT)
  const attributes = (batch.attributes & ~CODEC_MASK) | codecs.indexOf(codec)
  bytes.writeInt16BE(attributes, ATTRIBUTES_AT)
  return sealed(bytes)
}

function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(plainCrc32c(bytes.subarray(ATTRIBUTES_AT)), CRC_AT)
  return bytes
}
