// Owns whether two whole batches hold the same records without opening either. Does not own what is
// done where they may differ: they are opened then (pairing.ts).
//
// The bytes behind the headers (the records, compressed or not) are compared as they are, so equal
// bytes are equal keys, values, headers, offset deltas and timestamp deltas. Codec, counts, base
// timestamp and the kind of timestamp are compared in the headers; where the standby's broker has
// set the timestamps, they are not compared.
//
// Neither payload is checked against its checksum here: a batch that gapless stamped has another
// checksum than its source, because producer id, epoch and sequence lie inside of it. But a
// checksum is linear, and what the two may differ by follows from the headers alone. Where they
// differ by anything else, one of them is damaged, and both are opened.

import { crc32c } from '../../kafka/crc32c.ts'
import { patchedCrc32c } from '../../kafka/crc32c-patch.ts'
import { hasLogAppendTime, type RecordBatch } from '../../kafka/record-batch.ts'
import { ATTRIBUTES_AT, CODEC_MASK, CRC_AT, RECORDS_AT } from '../../kafka/record-batch-layout.ts'

/** True: a consumer sees the same records. False: it may or may not. */
export function isSameBatch(source: RecordBatch, target: RecordBatch): boolean {
  return hasSameHeader(source, target) && hasSameBytes(source, target)
}

/** False where only opening tells: other deltas may mean the same timestamps. */
function hasSameHeader(source: RecordBatch, target: RecordBatch): boolean {
  const hasSameTimes =
    hasLogAppendTime(target) ||
    (!hasLogAppendTime(source) && source.baseTimestamp === target.baseTimestamp)
  return (
    hasSameTimes &&
    (source.attributes & CODEC_MASK) === (target.attributes & CODEC_MASK) &&
    source.recordsCount === target.recordsCount &&
    source.lastOffsetDelta === target.lastOffsetDelta
  )
}

function hasSameBytes({ bytes: source }: RecordBatch, { bytes: target }: RecordBatch): boolean {
  if (source.length !== target.length) return false
  if (source.compare(target, RECORDS_AT, target.length, RECORDS_AT, source.length) !== 0) {
    return false
  }
  const expected = patchedCrc32c({
    crc: source.readUInt32BE(CRC_AT),
    headerBefore: crc32c(source, ATTRIBUTES_AT, RECORDS_AT),
    headerAfter: crc32c(target, ATTRIBUTES_AT, RECORDS_AT),
    bytesAfterRegion: source.length - RECORDS_AT,
  })
  return expected === target.readUInt32BE(CRC_AT)
}
