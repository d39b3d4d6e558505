// Owns writing the records of a v2 batch one behind the other into memory that grows, behind room
// for the batch's header. Does not own the record's layout (drawn in record.ts), nor which records
// are written (repack.ts, legacy-batch.ts).
//
// Source: Kafka's DefaultRecord.

import type { Delta } from './record-cursor.ts'

export type RecordWriter = {
  /** Replaced by a larger copy when a record does not fit. */
  bytes: Buffer
  /** Where the next record begins. */
  at: number
}

/** Length, attributes, timestamp delta and offset delta. */
const HEADER_BYTES_MAX = 5 + 1 + 10 + 5
/** Doubling would take twice the memory for the last few records. */
const GROWTH = 1.25

/** `capacity` is expected, and not a bound. */
export function createRecordWriter(capacity: number, from = 0): RecordWriter {
  return { bytes: Buffer.allocUnsafeSlow(from + capacity + HEADER_BYTES_MAX), at: from }
}

/**
 * Writes the fields in front of a record's body, and makes room for the body of `bodyBytes`, which
 * the caller puts behind them.
 */
export function beginRecord(
  writer: RecordWriter,
  record: { readonly attributes: number; readonly timestampDelta: Delta; offsetDelta: number },
  bodyBytes: number,
): void {
  const { attributes, timestampDelta, offsetDelta } = record
  const delta = zigzagLong(timestampDelta)
  const offset = zigzag(offsetDelta)
  const length = 1 + unsignedSize(delta) + unsignedSize(offset) + bodyBytes
  makeRoom(writer, HEADER_BYTES_MAX + bodyBytes)
  putUnsigned(writer, zigzag(length))
  writer.bytes[writer.at++] = attributes
  putUnsigned(writer, delta)
  putUnsigned(writer, offset)
}

function makeRoom(writer: RecordWriter, bytesCount: number): void {
  const needed = writer.at + bytesCount
  if (needed <= writer.bytes.length) return
  const larger = Math.max(needed, Math.ceil(writer.bytes.length * GROWTH))
  const bytes = Buffer.allocUnsafeSlow(larger)
  writer.bytes.copy(bytes, 0, 0, writer.at)
  writer.bytes = bytes
}

/** Puts bytes `[at, end)` of `from` where there is room. */
export function putBytes(writer: RecordWriter, from: Buffer, at: number, end: number): void {
  // A call into the copy of a Buffer takes longer than the bytes of a tiny record.
  if (end - at > 32) writer.at += from.copy(writer.bytes, writer.at, at, end)
  else for (let index = at; index < end; index += 1) writer.bytes[writer.at++] = from[index] ?? 0
}

/** Puts a length and the bytes; -1 for null. */
export function putNullable(writer: RecordWriter, field: Buffer | null): void {
  putUnsigned(writer, zigzag(field?.length ?? -1))
  if (field !== null) putBytes(writer, field, 0, field.length)
}

/** Puts a count or length of Kafka's VARINT. */
export function putVarint(writer: RecordWriter, value: number): void {
  putUnsigned(writer, zigzag(value))
}

/** The bytes that `putNullable` takes. */
export function nullableSize(field: Buffer | null): number {
  const length = field?.length ?? -1
  return unsignedSize(zigzag(length)) + Math.max(0, length)
}

function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2
}

function zigzagLong(value: Delta): Delta {
  if (typeof value === 'number') return zigzag(value)
  const encoded = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  return encoded <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(encoded) : encoded
}

function unsignedSize(value: Delta): number {
  let size = 1
  // Ends: 64 bits are at most ten bytes of seven bits.
  if (typeof value === 'bigint') for (let rest = value; rest > 0x7fn; rest >>= 7n) size += 1
  else for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size += 1
  return size
}

function putUnsigned(writer: RecordWriter, value: Delta): void {
  const { bytes } = writer
  if (typeof value === 'bigint') {
    let rest = value
    for (; rest > 0x7fn; rest >>= 7n) bytes[writer.at++] = Number(rest & 0x7fn) | 0x80
    bytes[writer.at++] = Number(rest)
    return
  }
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes[writer.at++] = (rest % 128) | 0x80
  bytes[writer.at++] = rest
}
