// Builds record batches byte by byte for the tests of this folder: any header, any payload, and a
// CRC by the bit-by-bit definition, which shares no table with the code under test.

import type { RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { readRecordBatches } from '../../../lib/kafka/record-batch.ts'

export type BatchFields = {
  baseOffset?: bigint
  partitionLeaderEpoch?: number
  magic?: number
  attributes?: number
  lastOffsetDelta?: number
  baseTimestamp?: bigint
  maxTimestamp?: bigint
  producerId?: bigint
  producerEpoch?: number
  baseSequence?: number
  recordsCount?: number
  payload?: Uint8Array
}

export const CONTROL = 0x20
export const TRANSACTIONAL = 0x10
export const LOG_APPEND_TIME = 0x08
export const DELETE_HORIZON = 0x40

/** CRC-32C by its definition, one bit at a time. */
export function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return ~crc >>> 0
}

export function buildBatch(fields: BatchFields = {}): Buffer {
  const payload = fields.payload ?? new Uint8Array()
  const recordsCount = fields.recordsCount ?? 1
  const bytes = Buffer.alloc(61 + payload.length)
  bytes.set(payload, 61)
  bytes.writeBigInt64BE(fields.baseOffset ?? 0n, 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(fields.partitionLeaderEpoch ?? 0, 12)
  bytes.writeInt8(fields.magic ?? 2, 16)
  bytes.writeInt16BE(fields.attributes ?? 0, 21)
  bytes.writeInt32BE(fields.lastOffsetDelta ?? recordsCount - 1, 23)
  bytes.writeBigInt64BE(fields.baseTimestamp ?? 1_700_000_000_000n, 27)
  bytes.writeBigInt64BE(fields.maxTimestamp ?? 1_700_000_000_000n, 35)
  bytes.writeBigInt64BE(fields.producerId ?? -1n, 43)
  bytes.writeInt16BE(fields.producerEpoch ?? -1, 51)
  bytes.writeInt32BE(fields.baseSequence ?? -1, 53)
  bytes.writeInt32BE(recordsCount, 57)
  bytes.writeUInt32BE(plainCrc32c(bytes.subarray(21)), 17)
  return bytes
}

/** The view of the only batch in `bytes`. */
export function viewOf(bytes: Buffer): RecordBatch {
  const { batches, trailingBytes } = readRecordBatches(bytes)
  const [batch] = batches
  if (batches.length !== 1 || batch?.kind !== 'v2' || trailingBytes !== 0) {
    throw new Error(`expected one batch, found ${batches.length} and ${trailingBytes} bytes more`)
  }
  return batch
}

/** A batch with an end transaction marker, as a broker writes it: type 0 aborts, 1 commits. */
export function buildMarker(input: {
  producerId: bigint
  type: number
  baseOffset: bigint
}): Buffer {
  const { producerId, type, baseOffset } = input
  return buildBatch({
    baseOffset,
    producerId,
    attributes: TRANSACTIONAL | CONTROL,
    producerEpoch: 3,
    // length 16, attributes, timestamp delta, offset delta, key length 4, version 0, type,
    // value length 6, version 0, coordinator epoch 5, no headers
    payload: Buffer.from(
      `200000000800000${type.toString(16).padStart(3, '0')}0c00000000000500`,
      'hex',
    ),
  })
}
