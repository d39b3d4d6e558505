// Owns reading the decompressed records of a v2 batch one after the other, in place: nothing is
// allocated for a record, so a million tiny ones take no more memory than their bytes. Does not own
// the record's layout (drawn in record.ts) nor writing (record-writer.ts).
//
// Source: Kafka's DefaultRecord and ByteUtils (zigzag varints of at most 5 and 10 bytes).

import { DecodeError } from './decode-error.ts'

/**
 * Records of a batch that is opened. The default max.message.bytes of 1 MiB has room for about 1.3
 * million tiny ones; work and the offsets of a batch with holes are bounded by three times as many.
 */
export const openedRecordsMax = 4 * 2 ** 20

/** A number where it is exact; otherwise, which is rare, a bigint. */
export type Delta = number | bigint

/** Stands at a record once `nextRecord` was called; the fields are those of that record. */
export type RecordCursor = {
  readonly bytes: Buffer
  readonly recordsCount: number
  readonly lastOffsetDelta: number
  /** Where the next record begins. */
  at: number
  /** How many records were read, the present one included. */
  read: number
  /** Unused by Kafka, always 0. */
  attributes: number
  timestampDelta: Delta
  /** -1 before the first record. */
  offsetDelta: number
  /** From the key's length to the end of the headers. */
  bodyAt: number
  bodyEnd: number
}

/** The size of a record without key, value and headers: seven fields of one byte. */
const RECORD_BYTES_MIN = 7
const NULL_LENGTH = -1
const VARINT_BYTES_MAX = 5
const VARLONG_BYTES_MAX = 10
/** Seven bytes are 49 bits, which a number holds exactly. */
const EXACT_BYTES = 7

/**
 * Opens `recordsCount` records, which fill `bytes` to the end. Throws DecodeError where so many do
 * not fit, or are more than `openedRecordsMax`.
 */
export function openRecords(
  bytes: Buffer,
  batch: { readonly recordsCount: number; readonly lastOffsetDelta: number },
): RecordCursor {
  const { recordsCount, lastOffsetDelta } = batch
  if (recordsCount > openedRecordsMax) {
    throw damaged('recordsCount', 0, `${recordsCount}, at most ${openedRecordsMax} are opened`)
  }
  if (recordsCount * RECORD_BYTES_MIN > bytes.length) {
    const found = `${recordsCount} records do not fit into ${bytes.length} bytes`
    throw damaged('recordsCount', 0, found)
  }
  return {
    ...{ bytes, recordsCount, lastOffsetDelta, at: 0, read: 0 },
    ...{ attributes: 0, timestampDelta: 0, offsetDelta: -1, bodyAt: 0, bodyEnd: 0 },
  }
}

/**
 * Moves to the next record; false behind the last one. Throws DecodeError when the bytes hold no
 * record there, end before or behind the last one, or when an offset delta is not larger than the
 * one before, or exceeds `lastOffsetDelta`.
 */
export function nextRecord(cursor: RecordCursor): boolean {
  const { bytes, at: start } = cursor
  if (cursor.read === cursor.recordsCount) {
    if (start === bytes.length) return false
    throw damaged('end', start, `${bytes.length - start} bytes behind the last record`)
  }
  const length = takeVarint(cursor, 'length')
  const end = cursor.at + length
  const attributes = bytes[cursor.at]
  if (attributes === undefined) throw cutOff('attributes', cursor.at)
  cursor.at += 1
  cursor.attributes = attributes
  cursor.timestampDelta = takeVarlong(cursor, 'timestampDelta')
  const offsetDelta = takeVarint(cursor, 'offsetDelta')
  if (offsetDelta <= cursor.offsetDelta || offsetDelta > cursor.lastOffsetDelta) {
    const found = `${offsetDelta} behind ${cursor.offsetDelta}, at most ${cursor.lastOffsetDelta} expected`
    throw damaged('offsetDelta', start, found)
  }
  cursor.offsetDelta = offsetDelta
  cursor.bodyAt = cursor.at
  skipNullable(cursor, 'key')
  skipNullable(cursor, 'value')
  const headersAt = cursor.at
  const headersCount = takeVarint(cursor, 'headersCount')
  if (headersCount < 0) throw damaged('headersCount', headersAt, `${headersCount}, not 0 or more`)
  // Ends: every header takes at least two of the bytes left.
  for (let index = 0; index < headersCount; index += 1) {
    skip(cursor, 'headerKey', takeVarint(cursor, 'headerKeyLength'))
    skipNullable(cursor, 'headerValue')
  }
  // No read above passes the payload, so one comparison holds the record to its own length.
  if (cursor.at !== end) {
    throw damaged('length', start, `${length}, where the fields end ${cursor.at - end} further`)
  }
  cursor.bodyEnd = end
  cursor.read += 1
  return true
}

function skipNullable(cursor: RecordCursor, field: string): void {
  const length = takeVarint(cursor, field)
  if (length !== NULL_LENGTH) skip(cursor, field, length)
}

function skip(cursor: RecordCursor, field: string, bytesCount: number): void {
  const { at, bytes } = cursor
  const left = bytes.length - at
  if (bytesCount < 0) throw damaged(field, at, `a length of ${bytesCount}`)
  if (bytesCount > left) throw damaged(field, at, `${bytesCount} bytes expected, ${left} left`)
  cursor.at += bytesCount
}

/** A zigzag number of 32 bits. */
function takeVarint(cursor: RecordCursor, field: string): number {
  const { bytes, at: start } = cursor
  let at = start
  let value = 0
  let unit = 1
  for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
    const byte = bytes[at]
    if (byte === undefined) throw cutOff(field, at)
    at += 1
    // A multiplication, because a shift of the fifth byte would reach the sign bit.
    value += (byte & 0x7f) * unit
    if (byte < 0x80) {
      if (value > 0xffff_ffff) throw damaged(field, start, 'a varint of more than 32 bits')
      cursor.at = at
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    unit *= 128
  }
  throw damaged(field, start, `a varint of more than ${VARINT_BYTES_MAX} bytes`)
}

/** A zigzag number of 64 bits. */
function takeVarlong(cursor: RecordCursor, field: string): Delta {
  const { bytes, at: start } = cursor
  let at = start
  let low = 0
  let unit = 1
  let high = 0n
  for (let count = 0; count < VARLONG_BYTES_MAX; count += 1) {
    const byte = bytes[at]
    if (byte === undefined) throw cutOff(field, at)
    at += 1
    if (count < EXACT_BYTES) low += (byte & 0x7f) * unit
    else high += BigInt(byte & 0x7f) << BigInt(7 * count)
    unit *= 128
    if (byte >= 0x80) continue
    cursor.at = at
    if (count < EXACT_BYTES) return low % 2 === 0 ? low / 2 : -(low + 1) / 2
    const zigzag = BigInt.asUintN(64, BigInt(low) + high)
    return exactDelta((zigzag >> 1n) ^ -(zigzag & 1n))
  }
  throw damaged(field, start, `a varlong of more than ${VARLONG_BYTES_MAX} bytes`)
}

const EXACT_MAX = 2n ** 48n

/** A difference of two INT64, which wraps around like Java's long, in its shortest form. */
export function exactDelta(value: bigint): Delta {
  const wrapped = BigInt.asIntN(64, value)
  return wrapped < EXACT_MAX && wrapped > -EXACT_MAX ? Number(wrapped) : wrapped
}

/** Wraps around like Java's long; only a broken producer writes such deltas. */
export function addDeltas(left: Delta, right: Delta): Delta {
  // Two numbers below 2^49 have a sum that is exact, but may no longer be in its shortest form.
  if (typeof left === 'number' && typeof right === 'number') return left + right
  return exactDelta(BigInt(left) + BigInt(right))
}

function cutOff(field: string, at: number): DecodeError {
  return damaged(field, at, '1 bytes expected, 0 left')
}

function damaged(field: string, at: number, found: string): DecodeError {
  return new DecodeError({ api: 'Record', version: 2, field, at, found })
}
