// Owns the header bytes that change when a batch read from the source is produced to the target.
// Does not own their positions (record-batch-layout.ts), nor the choice of the producer.

import assert from 'node:assert/strict'
import { crc32c } from './crc32c.ts'
import { patchedCrc32c } from './crc32c-patch.ts'
import { hasHoles, hasLogAppendTime, isControlBatch, type RecordBatch } from './record-batch.ts'
import {
  ATTRIBUTES_AT,
  BASE_SEQUENCE_AT,
  CRC_AT,
  DELETE_HORIZON_BIT,
  PARTITION_LEADER_EPOCH_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORDS_AT,
  TRANSACTIONAL_BIT,
} from './record-batch-layout.ts'

/** The idempotent producer that sends a batch (KIP-98). */
export type BatchOwner = {
  /** 0 or more. */
  readonly producerId: bigint
  /** 0 to 2^15-1. */
  readonly producerEpoch: number
  /** The sequence number of the first record, 0 to 2^31-1; after 2^31-1 comes 0 again. */
  readonly baseSequence: number
  /** True: the batch is part of the producer's open transaction. */
  readonly isTransactional?: boolean
}

const INT16_MAX = 0x7fff
const INT32_MAX = 0x7fff_ffff
const INT64_MAX = 2n ** 63n - 1n
const NO_PARTITION_LEADER_EPOCH = -1

/**
 * Rewrites a fetched batch in place so that `owner` may produce it, and returns its bytes. The
 * payload is neither read nor moved. The CRC is derived from the old one (crc32c-patch.ts), so the
 * target's broker verifies the bytes that the source's broker sent. Exactly these bytes change:
 *
 *   base offset 0, leader epoch -1     as Kafka's own producer sends them; the broker fills them in
 *   transactional bit cleared          the batch is produced in no transaction, or set
 *   delete horizon bit cleared         set by the source's log cleaner (KIP-534); left in, the
 *                                      target's would drop tombstones by the source's clock
 *   producer id, epoch, base sequence  the owner's
 *   CRC
 *
 * Codec, timestamp type (CreateTime) and every other byte stay. A stamped batch may be stamped
 * again for another owner, because the result depends only on the present bytes.
 *
 * Asserts that the batch may be produced unchanged: no control batch, no LogAppendTime, no holes.
 */
export function stampForProduce(batch: RecordBatch, owner: BatchOwner): Buffer {
  assert.ok(!isControlBatch(batch), 'a control batch is never produced')
  assert.ok(!hasLogAppendTime(batch), 'a batch with LogAppendTime must be repacked')
  assert.ok(!hasHoles(batch), 'a batch with holes must be repacked')
  const { producerId, producerEpoch, baseSequence, isTransactional = false } = owner
  assert.ok(producerId >= 0n && producerId <= INT64_MAX, 'the owner has a producer id')
  assert.ok(producerEpoch >= 0 && producerEpoch <= INT16_MAX, 'the owner has an epoch')
  assert.ok(baseSequence >= 0 && baseSequence <= INT32_MAX, 'the owner has a sequence number')

  const { bytes } = batch
  // The part of the header that the CRC covers: 40 bytes, five steps of the checksum loop.
  const headerBefore = crc32c(bytes, ATTRIBUTES_AT, RECORDS_AT)
  const others = bytes.readInt16BE(ATTRIBUTES_AT) & ~(TRANSACTIONAL_BIT | DELETE_HORIZON_BIT)
  const attributes = isTransactional ? others | TRANSACTIONAL_BIT : others
  bytes.writeInt16BE(attributes, ATTRIBUTES_AT)
  bytes.writeBigInt64BE(producerId, PRODUCER_ID_AT)
  bytes.writeInt16BE(producerEpoch, PRODUCER_EPOCH_AT)
  bytes.writeInt32BE(baseSequence, BASE_SEQUENCE_AT)
  const crc = patchedCrc32c({
    crc: bytes.readUInt32BE(CRC_AT),
    headerBefore,
    headerAfter: crc32c(bytes, ATTRIBUTES_AT, RECORDS_AT),
    bytesAfterRegion: bytes.length - RECORDS_AT,
  })
  bytes.writeUInt32BE(crc, CRC_AT)
  bytes.writeBigInt64BE(0n, 0)
  bytes.writeInt32BE(NO_PARTITION_LEADER_EPOCH, PARTITION_LEADER_EPOCH_AT)
  return bytes
}
