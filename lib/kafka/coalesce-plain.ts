// Owns coalescing small uncompressed batches without decoding their records. Does not own how a
// record gets its new deltas (move-records.ts), when batches are coalesced
// (core/replicate/coalesce.ts), nor compressed or damaged batches, batches with holes and batches
// with LogAppendTime (repack.ts).
//
// One record layout (move-records.ts), two destinations:
//
//   coalesceInPlace       batches that follow each other in a fetch response. The first one keeps
//                         its header; the 61 bytes of every other header are room for longer
//                         varints. Through a view of each batch and new memory, a record takes
//                         twice the processor time (`npm run bench:coalesce`).
//   coalescePlainBatches  batches of several responses, or with offsets missing between them, into
//                         new memory. Decoding them (repack.ts) takes a sixth more processor time
//                         per record (`npm run bench:coalesce`). In a copy of the batches, batches
//                         of fifty records lack the room for longer varints.
//
// Source: Kafka's DefaultRecord and DefaultRecordBatch, KIP-98; record.ts has the record's layout.

import { crc32c } from './crc32c.ts'
import { type Cursor, moveRecords, type PlainRecords } from './move-records.ts'
import { type RecordBatch, writeFrame } from './record-batch.ts'
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  CODEC_MASK,
  CONTROL_BIT,
  CRC_AT,
  LAST_OFFSET_DELTA_AT,
  LOG_APPEND_TIME_BIT,
  LOG_OVERHEAD,
  MAGIC_AT,
  PARTITION_LEADER_EPOCH_AT,
  RECORDS_AT,
  RECORDS_COUNT_AT,
} from './record-batch-layout.ts'

export type CoalesceLimits = {
  /** Bytes; a batch of this size or more is not small. */
  readonly smallBytes: number
  /** Bytes of the batches that become one, headers included. */
  readonly coalescedBytesMax: number
  readonly batchesMax: number
}

export type CoalescedInPlace = {
  /** Lies in the memory of the batches that became it; these can no longer be read. */
  readonly batch: RecordBatch
  /** The source offset behind its last record. */
  readonly nextOffset: bigint
  /** The byte in `records` where the last of the original batches ended. */
  readonly end: number
}

type Batches = readonly [RecordBatch, ...RecordBatch[]]

/** The batch that is being written: everything in front of `to` is final. */
type Target = {
  readonly to: Cursor
  readonly baseOffset: bigint
  readonly partitionLeaderEpoch: number
  readonly baseTimestamp: bigint
  batchesCount: number
  recordsCount: number
  newestDelta: number
}

/** A record has seven fields of at least one byte. */
const RECORD_BYTES_MIN = 7
/** Three varints of one byte each become varints of at most 5, 8 and 4 bytes. */
const RECORD_GROWTH_MAX = 14
/** The attribute bits of a batch that is not plain: compressed, LogAppendTime, or control. */
const NOT_PLAIN = CODEC_MASK | LOG_APPEND_TIME_BIT | CONTROL_BIT

/**
 * Coalesces the batches from byte `from` on, as long as they are small, uncompressed, undamaged, of
 * one leader epoch and without a missing offset. Returns null, and changes no byte, when fewer than
 * two batches qualify or the first one begins below `fromOffset`.
 *
 * To be called only for a response without aborted transactions: an aborted record looks like any
 * other.
 */
export function coalesceInPlace(
  records: Buffer,
  { from, fromOffset }: { readonly from: number; readonly fromOffset: bigint },
  limits: CoalesceLimits,
): CoalescedInPlace | null {
  if (smallBatchEnd(records, from, limits) === null) return null
  const baseOffset = records.readBigInt64BE(from)
  if (baseOffset < fromOffset) return null
  const target = createTarget(
    { bytes: records, at: from + RECORDS_AT },
    {
      baseOffset,
      partitionLeaderEpoch: records.readInt32BE(from + PARTITION_LEADER_EPOCH_AT),
      baseTimestamp: records.readBigInt64BE(from + BASE_TIMESTAMP_AT),
    },
  )
  let at = from
  // Ends: every pass goes on behind a batch.
  while (target.batchesCount < limits.batchesMax) {
    const end = smallBatchEnd(records, at, limits)
    if (end === null || end - from > limits.coalescedBytesMax) break
    if (!follows(target, records, at)) break
    const count = records.readInt32BE(at + RECORDS_COUNT_AT)
    const own = { bytes: records, at: at + RECORDS_AT, end, count }
    if (!append(target, own, records.readBigInt64BE(at + BASE_TIMESTAMP_AT))) break
    at = end
  }
  if (target.batchesCount < 2) return null
  const batch = framed(target, records.subarray(from, target.to.at))
  return { batch, nextOffset: baseOffset + BigInt(target.recordsCount), end: at }
}

/**
 * Coalesces `batches` into new memory, with the same result as `coalesceBatches` (repack.ts).
 * Returns null when one of them is compressed or damaged, has holes or LogAppendTime, or when they
 * exceed `contentBytesMax` bytes together.
 */
export function coalescePlainBatches(
  batches: Batches,
  { contentBytesMax }: { readonly contentBytesMax: number },
): RecordBatch | null {
  const [first] = batches
  let bytesCount = 0
  let bytesMax = RECORDS_AT
  for (const batch of batches) {
    const { bytes, recordsCount } = batch
    // Before memory is taken on the word of a count.
    const isPossible = recordsCount * RECORD_BYTES_MIN <= bytes.length
    if (!isPossible || !isPlainAndWhole(batch)) return null
    bytesCount += bytes.length
    bytesMax += bytes.length - RECORDS_AT + recordsCount * RECORD_GROWTH_MAX
  }
  if (bytesCount > contentBytesMax) return null
  const bytes = Buffer.allocUnsafeSlow(bytesMax)
  const target = createTarget(
    { bytes, at: RECORDS_AT },
    {
      baseOffset: first.recordOffsets?.[0] ?? first.baseOffset,
      partitionLeaderEpoch: first.partitionLeaderEpoch,
      baseTimestamp: first.baseTimestamp,
    },
  )
  for (const { bytes, recordsCount: count, baseTimestamp } of batches) {
    const records = { bytes, at: RECORDS_AT, end: bytes.length, count }
    if (!append(target, records, baseTimestamp)) return null
  }
  const batch = framed(target, bytes.subarray(0, target.to.at))
  return isContiguous(batches) ? batch : { ...batch, recordOffsets: batches.flatMap(offsetsOf) }
}

function createTarget(
  to: Cursor,
  first: Pick<Target, 'baseOffset' | 'partitionLeaderEpoch' | 'baseTimestamp'>,
): Target {
  return { to, ...first, batchesCount: 0, recordsCount: 0, newestDelta: -Infinity }
}

/** `bytes` are the records that were written, behind room for the header. */
function framed(target: Target, bytes: Buffer): RecordBatch {
  const { baseOffset, partitionLeaderEpoch, baseTimestamp, recordsCount } = target
  const newest = baseTimestamp + BigInt(target.newestDelta)
  const maxTimestamp = newest > -1n ? newest : -1n
  const header = { baseOffset, partitionLeaderEpoch, baseTimestamp, maxTimestamp, recordsCount }
  return writeFrame(bytes, { ...header, codec: 'none' })
}

/** The end of the batch at `at` when its header says small, uncompressed and without holes. */
function smallBatchEnd(records: Buffer, at: number, limits: CoalesceLimits): number | null {
  if (records.length - at < RECORDS_AT || records.readInt8(at + MAGIC_AT) !== 2) return null
  const bytesCount = LOG_OVERHEAD + records.readInt32BE(at + BATCH_LENGTH_AT)
  const isSmall = bytesCount > RECORDS_AT && bytesCount < limits.smallBytes
  const isComplete = at + bytesCount <= records.length
  const shape = {
    attributes: records.readInt16BE(at + ATTRIBUTES_AT),
    recordsCount: records.readInt32BE(at + RECORDS_COUNT_AT),
    lastOffsetDelta: records.readInt32BE(at + LAST_OFFSET_DELTA_AT),
  }
  return isSmall && isComplete && isPlainAndWhole(shape) ? at + bytesCount : null
}

type Shape = Pick<RecordBatch, 'attributes' | 'recordsCount' | 'lastOffsetDelta'>

function isPlainAndWhole({ attributes, recordsCount, lastOffsetDelta }: Shape): boolean {
  const isPlain = (attributes & NOT_PLAIN) === 0
  return isPlain && recordsCount > 0 && lastOffsetDelta === recordsCount - 1
}

function follows(target: Target, records: Buffer, at: number): boolean {
  return (
    records.readInt32BE(at + PARTITION_LEADER_EPOCH_AT) === target.partitionLeaderEpoch &&
    records.readBigInt64BE(at) === target.baseOffset + BigInt(target.recordsCount)
  )
}

/**
 * Adds the records of a batch. False when the batch is damaged or its records lack room: in place
 * no byte was changed then; in new memory the target is half-written and must be dropped.
 */
function append(target: Target, records: PlainRecords, baseTimestamp: bigint): boolean {
  const { bytes, at, end } = records
  const { to } = target
  const batchAt = at - RECORDS_AT
  const checksum = crc32c(bytes, batchAt + ATTRIBUTES_AT, end)
  if (checksum !== bytes.readUInt32BE(batchAt + CRC_AT)) return false
  const shift = Number(baseTimestamp - target.baseTimestamp)
  const deltas = { shift, indexFrom: target.recordsCount }
  let newest: number | null
  if (to.bytes !== bytes) newest = moveRecords(records, to, deltas)
  else {
    const tried = { ...to }
    newest = moveRecords(records, tried, deltas, true)
    if (newest === null) return false
    // The first batch stays as it is, and ends the attempt when its varints could be shorter.
    if (target.batchesCount > 0) moveRecords(records, to, deltas)
    else if (tried.at === end) to.at = end
    else return false
  }
  if (newest === null) return false
  target.newestDelta = Math.max(target.newestDelta, newest)
  target.recordsCount += records.count
  target.batchesCount += 1
  return true
}

function isContiguous(batches: Batches): boolean {
  return batches.every(({ baseOffset, recordOffsets }, index) => {
    const before = batches[index - 1]
    const follows =
      before === undefined || baseOffset === before.baseOffset + BigInt(before.recordsCount)
    return recordOffsets === undefined && follows
  })
}

function offsetsOf({ baseOffset, recordsCount, recordOffsets }: RecordBatch): readonly bigint[] {
  const length = recordsCount
  return Array.from({ length }, (_, at) => recordOffsets?.[at] ?? baseOffset + BigInt(at))
}
