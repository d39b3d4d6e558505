// Owns joining uncompressed batches without reading what their records hold: of each record the
// length and the two deltas in front are written anew, the rest is copied as it lies. Small batches
// are joined by the thousand, so nothing is made per record but its bytes. Does not own when to
// join (run/replicate/coalesce-unsent.ts), those that lie one behind the other in an answer
// (coalesce-in-place.ts), nor what is left to repack.ts: other codecs, damage, holes, the broker's
// timestamps.
//
// Source: Kafka's DefaultRecord, KIP-98; the layout of a record is in record.ts.

import {
  compressionCodec,
  hasHoles,
  hasLogAppendTime,
  hasValidChecksum,
  type RecordBatch,
  writeFrame,
} from './record-batch.ts'
import { RECORDS_AT } from './record-batch-layout.ts'

type Batches = readonly [RecordBatch, ...RecordBatch[]]
export type Cursor = { readonly bytes: Buffer; at: number }

/** Of seven fields. */
const RECORD_BYTES_MIN = 7
/** Three numbers of at most 5, 8 and 4 bytes in the place of three of at least one. */
const RECORD_GROWTH_MAX = 14
/** Zigzag doubles it, and stays exact. */
const DELTA_LIMIT = 2 ** 52

/**
 * The records of `batches` as one batch, as `joinBatches` makes it; null where one of them is
 * compressed or in any way not as a producer writes it, or where they are larger together.
 */
export function coalescePlainBatches(
  batches: Batches,
  { contentBytesMax }: { readonly contentBytesMax: number },
): RecordBatch | null {
  const [first] = batches
  if (batches.reduce((sum, { bytes }) => sum + bytes.length, 0) > contentBytesMax) return null
  if (!batches.every(isPlain)) return null
  const bytes = Buffer.allocUnsafeSlow(joinedBytesMax(batches))
  const to: Cursor = { bytes, at: RECORDS_AT }
  let recordsCount = 0
  let newestDelta = -Infinity
  for (const batch of batches) {
    const shift = Number(batch.baseTimestamp - first.baseTimestamp)
    const records = plainRecordsOf(batch)
    const newest = moveRecords(records, to, { shift, indexFrom: recordsCount, isTrial: false })
    if (newest === null) return null
    newestDelta = Math.max(newestDelta, newest)
    recordsCount += batch.recordsCount
  }
  const maxTimestamp = first.baseTimestamp + BigInt(newestDelta)
  const joined = writeFrame(bytes.subarray(0, to.at), {
    baseOffset: first.recordOffsets?.[0] ?? first.baseOffset,
    partitionLeaderEpoch: first.partitionLeaderEpoch,
    codec: 'none',
    baseTimestamp: first.baseTimestamp,
    maxTimestamp: maxTimestamp > -1n ? maxTimestamp : -1n,
    recordsCount,
  })
  return followEachOther(batches)
    ? joined
    : { ...joined, recordOffsets: batches.flatMap(offsetsOf) }
}

function plainRecordsOf({ bytes, recordsCount: count }: RecordBatch): PlainRecords {
  return { bytes, from: RECORDS_AT, end: bytes.length, count }
}

function joinedBytesMax(batches: Batches): number {
  return batches.reduce((sum, { bytes, recordsCount }) => {
    return sum + bytes.length - RECORDS_AT + recordsCount * RECORD_GROWTH_MAX
  }, RECORDS_AT)
}

function isPlain(batch: RecordBatch): boolean {
  return (
    compressionCodec(batch) === 'none' &&
    batch.recordsCount > 0 &&
    // Before anything is made on the word of a count.
    batch.recordsCount * RECORD_BYTES_MIN <= batch.bytes.length &&
    !hasHoles(batch) &&
    !hasLogAppendTime(batch) &&
    hasValidChecksum(batch)
  )
}

/** Records that lie one behind the other: those of a batch. */
export type PlainRecords = {
  readonly bytes: Buffer
  readonly from: number
  readonly end: number
  readonly count: number
}

/**
 * Writes records where `to` stands, with deltas to another first record, and moves it behind them.
 * Answers the largest timestamp delta written; null where the records are not as they should be, or
 * would lie on what is still to be moved, when `to` is in the same memory. `isTrial`: finds that
 * out and writes nothing, so that what cannot be moved is not half-moved.
 */
export function moveRecords(
  { bytes, from: recordsFrom, end: recordsEnd, count }: PlainRecords,
  to: Cursor,
  how: { readonly shift: number; readonly indexFrom: number; readonly isTrial: boolean },
): number | null {
  const { shift, indexFrom, isTrial } = how
  const from: Cursor = { bytes, at: recordsFrom }
  const isInPlace = to.bytes === bytes
  let newest = -Infinity
  for (let index = 0; index < count; index += 1) {
    const length = takeSigned(from)
    const end = from.at + length
    const attributes = bytes[from.at++] ?? 0
    const delta = takeSigned(from) + shift
    const offsetDelta = takeSigned(from)
    // Written so that what is no number at all fails, too.
    const isWhole = offsetDelta === index && from.at < end && end <= recordsEnd
    if (!isWhole || !(Math.abs(delta) < DELTA_LIMIT)) return null
    newest = Math.max(newest, delta)
    const ownIndex = (indexFrom + index) * 2
    const ownDelta = delta < 0 ? -delta * 2 - 1 : delta * 2
    const bodyBytes = end - from.at
    const ownLength = 1 + sizeOf(ownDelta) + sizeOf(ownIndex) + bodyBytes
    const ownEnd = to.at + sizeOf(ownLength * 2) + ownLength
    if (isInPlace && ownEnd > end) return null
    if (!isTrial) {
      put(to, ownLength * 2)
      to.bytes[to.at++] = attributes
      put(to, ownDelta)
      put(to, ownIndex)
      if (isInPlace) bytes.copyWithin(to.at, from.at, end)
      else bytes.copy(to.bytes, to.at, from.at, end)
    }
    to.at = ownEnd
    from.at = end
  }
  return from.at === recordsEnd ? newest : null
}

/** A zigzag number; NaN where it has more than 53 bits or runs out of the bytes. */
function takeSigned(cursor: Cursor): number {
  let value = 0
  let unit = 1
  // Ends: behind the last byte everything is NaN.
  for (;;) {
    const byte = cursor.bytes[cursor.at++] ?? Number.NaN
    value += (byte % 128) * unit
    if (!(value <= Number.MAX_SAFE_INTEGER)) return Number.NaN
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    unit *= 128
  }
}

function sizeOf(value: number): number {
  let size = 1
  // Ends: at most eight bytes of seven bits.
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size += 1
  return size
}

function put(cursor: Cursor, value: number): void {
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) {
    cursor.bytes[cursor.at++] = (rest % 128) | 0x80
  }
  cursor.bytes[cursor.at++] = rest
}

function followEachOther(batches: Batches): boolean {
  return batches.every(({ baseOffset, recordOffsets }, index) => {
    const before = batches[index - 1]
    const follows =
      before === undefined || baseOffset === before.baseOffset + BigInt(before.recordsCount)
    return recordOffsets === undefined && follows
  })
}

function offsetsOf({ baseOffset, recordsCount, recordOffsets }: RecordBatch): readonly bigint[] {
  return recordOffsets ?? Array.from({ length: recordsCount }, (_, at) => baseOffset + BigInt(at))
}
