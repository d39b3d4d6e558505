// Owns joining small uncompressed batches that lie one behind the other in an answer, right there:
// each has a header of 61 bytes that the joined batch needs only once, and in that room its records
// move. So nothing is made per batch, neither memory nor a view of it: producers that do not wait
// (linger.ms 0) make as many batches as records. Does not own how a record is written anew
// (coalesce-plain.ts), nor which batches are copied at all (core/replicate/batch-admission.ts).

import { type Cursor, moveRecords } from './coalesce-plain.ts'
import { crc32c } from './crc32c.ts'
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

export type JoinLimits = {
  /** Bytes from which on a batch is not a small one. */
  readonly smallBytes: number
  /** Bytes of the batches that become one. */
  readonly joinedBytesMax: number
  readonly batchesMax: number
}

export type JoinedInPlace = {
  /** Lies in the memory of those that it was made of, which are gone. */
  readonly batch: RecordBatch
  /** The offset behind it in the source. */
  readonly nextOffset: bigint
  /** Where the last of them ended, in bytes of `records`. */
  readonly end: number
}

/** What became one so far: from `from` to `to`, of the batches that lay before `end`. */
type Run = {
  readonly records: Buffer
  readonly from: number
  readonly baseOffset: bigint
  readonly partitionLeaderEpoch: number
  readonly baseTimestamp: bigint
  readonly to: Cursor
  end: number
  batchesCount: number
  recordsCount: number
  newestDelta: number
}

/**
 * The batches from byte `from` on as one: as many as are small, uncompressed, undamaged, of one
 * leader epoch, and follow each other without a missing offset. null, and nothing was changed,
 * where those are fewer than two, or where the first one begins below `fromOffset`.
 *
 * Only for an answer without aborted transactions: their records look like all others.
 */
export function coalesceInPlace(
  records: Buffer,
  { from, fromOffset }: { readonly from: number; readonly fromOffset: bigint },
  limits: JoinLimits,
): JoinedInPlace | null {
  if (smallBatchEnd(records, from, limits) === null) return null
  const run = startRun(records, from)
  if (run.baseOffset < fromOffset) return null
  // Ends: every pass goes on by a batch.
  for (let end = nextEnd(run, limits); end !== null; end = nextEnd(run, limits)) {
    if (!append(run, end)) break
  }
  if (run.batchesCount < 2) return null
  const { baseOffset, baseTimestamp, partitionLeaderEpoch, recordsCount, to, end } = run
  const maxTimestamp = baseTimestamp + BigInt(run.newestDelta)
  const batch = writeFrame(records.subarray(from, to.at), {
    baseOffset,
    partitionLeaderEpoch,
    codec: 'none',
    baseTimestamp,
    maxTimestamp: maxTimestamp > -1n ? maxTimestamp : -1n,
    recordsCount,
  })
  return { batch, nextOffset: baseOffset + BigInt(recordsCount), end }
}

function startRun(records: Buffer, from: number): Run {
  return {
    records,
    from,
    baseOffset: records.readBigInt64BE(from),
    partitionLeaderEpoch: records.readInt32BE(from + PARTITION_LEADER_EPOCH_AT),
    baseTimestamp: records.readBigInt64BE(from + BASE_TIMESTAMP_AT),
    to: { bytes: records, at: from + RECORDS_AT },
    end: from,
    batchesCount: 0,
    recordsCount: 0,
    newestDelta: -Infinity,
  }
}

/** The end of the next batch, if by its header it goes with those before it. */
function nextEnd(run: Run, limits: JoinLimits): number | null {
  const { records, from, end: at, batchesCount, recordsCount } = run
  const end = batchesCount < limits.batchesMax ? smallBatchEnd(records, at, limits) : null
  const isNext =
    end !== null &&
    end - from <= limits.joinedBytesMax &&
    records.readInt32BE(at + PARTITION_LEADER_EPOCH_AT) === run.partitionLeaderEpoch &&
    records.readBigInt64BE(at) === run.baseOffset + BigInt(recordsCount)
  return isNext ? end : null
}

/** False, and nothing was changed, where the batch up to `end` is not as a producer writes it. */
function append(run: Run, end: number): boolean {
  const { records, end: at, to } = run
  const checksum = crc32c(records, at + ATTRIBUTES_AT, end)
  if (checksum !== records.readUInt32BE(at + CRC_AT)) return false
  const count = records.readInt32BE(at + RECORDS_COUNT_AT)
  const own = { bytes: records, from: at + RECORDS_AT, end, count }
  const shift = Number(records.readBigInt64BE(at + BASE_TIMESTAMP_AT) - run.baseTimestamp)
  const how = { shift, indexFrom: run.recordsCount }
  const tried = { ...to }
  const newest = moveRecords(own, tried, { ...how, isTrial: true })
  if (newest === null) return false
  // Records of the first one stay where they are, unless their numbers are longer than need be.
  if (run.batchesCount > 0) moveRecords(own, to, { ...how, isTrial: false })
  else if (tried.at === end) to.at = end
  else return false
  run.newestDelta = Math.max(run.newestDelta, newest)
  run.recordsCount += count
  run.batchesCount += 1
  run.end = end
  return true
}

/** The end of the batch at `at`, if its header says that it is small, plain and without holes. */
function smallBatchEnd(records: Buffer, at: number, { smallBytes }: JoinLimits): number | null {
  if (records.length - at < RECORDS_AT || records.readInt8(at + MAGIC_AT) !== 2) return null
  const bytesCount = LOG_OVERHEAD + records.readInt32BE(at + BATCH_LENGTH_AT)
  const recordsCount = records.readInt32BE(at + RECORDS_COUNT_AT)
  const isSmall =
    bytesCount > RECORDS_AT && bytesCount < smallBytes && at + bytesCount <= records.length
  const isPlain = (records.readInt16BE(at + ATTRIBUTES_AT) & NOT_PLAIN) === 0
  const isWhole =
    recordsCount > 0 && records.readInt32BE(at + LAST_OFFSET_DELTA_AT) === recordsCount - 1
  return isSmall && isPlain && isWhole ? at + bytesCount : null
}

/** Compressed, dated by the broker, or the broker's own. */
const NOT_PLAIN = CODEC_MASK | LOG_APPEND_TIME_BIT | CONTROL_BIT
