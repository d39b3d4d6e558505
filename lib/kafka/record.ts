// Owns the decompressed records of a v2 batch: it reads them as views and writes them again. Only
// repacking decodes a batch; a batch that is produced unchanged never comes here. Does not own the
// header around them (record-batch.ts), compression (compression.ts), nor the meaning of a key or
// value: from the key's length on, a record stays as it is.
//
//   record  length VARINT | attributes INT8 | timestamp delta VARLONG | offset delta VARINT
//           | key length VARINT | key | value length VARINT | value
//           | headers count VARINT | [ key length VARINT | key | value length VARINT | value ]
//
// Source: Kafka's DefaultRecord, KIP-98.

import { DecodeError } from './decode-error.ts'
import { createWireReader, type WireReader } from './wire-reader.ts'

export type RecordView = {
  /** Unused by Kafka, always 0; kept as it is. */
  readonly attributes: number
  readonly timestampDelta: bigint
  readonly offsetDelta: number
  /** A view from the key length to the end of the headers. */
  readonly body: Buffer
}

/** The size of a record without key, value and headers: seven fields of one byte. */
const RECORD_BYTES_MIN = 7
const NULL_LENGTH = -1

/**
 * Reads `recordsCount` records, which fill `bytes` to the end. Throws DecodeError when they do not,
 * when an offset delta is not larger than the one before, or exceeds `lastOffsetDelta`.
 */
export function readRecords(
  bytes: Buffer,
  { recordsCount, lastOffsetDelta }: { recordsCount: number; lastOffsetDelta: number },
): RecordView[] {
  const reader = createWireReader({ api: 'Record', version: 2, bytes })
  // Before memory is taken on the word of a count.
  if (recordsCount * RECORD_BYTES_MIN > bytes.length) {
    throw damaged(
      'recordsCount',
      0,
      `${recordsCount} records do not fit into ${bytes.length} bytes`,
    )
  }
  const records: RecordView[] = []
  let previous = -1
  for (let index = 0; index < recordsCount; index++) {
    const start = reader.position
    const record = readRecord(reader, bytes)
    if (record.offsetDelta <= previous || record.offsetDelta > lastOffsetDelta) {
      const found = `${record.offsetDelta} behind ${previous}, at most ${lastOffsetDelta} expected`
      throw damaged('offsetDelta', start, found)
    }
    previous = record.offsetDelta
    records.push(record)
  }
  reader.expectEnd()
  return records
}

function readRecord(reader: WireReader, bytes: Buffer): RecordView {
  const start = reader.position
  const length = reader.readVarint('length')
  const end = reader.position + length
  const attributes = reader.readInt8('attributes')
  const timestampDelta = reader.readVarlong('timestampDelta')
  const offsetDelta = reader.readVarint('offsetDelta')
  const bodyAt = reader.position
  skipNullable(reader, 'key')
  skipNullable(reader, 'value')
  const headersAt = reader.position
  const headersCount = reader.readVarint('headersCount')
  if (headersCount < 0) throw damaged('headersCount', headersAt, `${headersCount}, not 0 or more`)
  // Ends: every header takes at least two of the bytes left.
  for (let index = 0; index < headersCount; index++) {
    reader.skipBytes('headerKey', reader.readVarint('headerKeyLength'))
    skipNullable(reader, 'headerValue')
  }
  // No read above passes the payload, so one comparison holds the record to its own length.
  if (reader.position !== end) {
    throw damaged(
      'length',
      start,
      `${length}, where the fields end ${reader.position - end} further`,
    )
  }
  return { attributes, timestampDelta, offsetDelta, body: bytes.subarray(bodyAt, end) }
}

function skipNullable(reader: WireReader, field: string): void {
  const length = reader.readVarint(`${field}Length`)
  if (length !== NULL_LENGTH) reader.skipBytes(field, length)
}

function damaged(field: string, at: number, found: string): DecodeError {
  return new DecodeError({ api: 'Record', version: 2, field, at, found })
}

/** Writes the records one behind the other into new memory. */
export function writeRecords(records: readonly RecordView[]): Buffer {
  const lengths = records.map(
    each =>
      1 +
      unsignedSize(zigzagLong(each.timestampDelta)) +
      unsignedSize(zigzag(each.offsetDelta)) +
      each.body.length,
  )
  const total = lengths.reduce((sum, length) => sum + unsignedSize(zigzag(length)) + length, 0)
  const bytes = Buffer.alloc(total)
  let at = 0
  for (const [index, record] of records.entries()) {
    at = writeUnsigned(bytes, at, zigzag(lengths[index] ?? 0))
    at = bytes.writeInt8(record.attributes, at)
    at = writeUnsigned(bytes, at, zigzagLong(record.timestampDelta))
    at = writeUnsigned(bytes, at, zigzag(record.offsetDelta))
    at += record.body.copy(bytes, at)
  }
  return bytes
}

/**
 * Encodes the part of a record behind its offset delta, without headers, for a record of an older
 * format. A null key is a missing key; a null value makes a tombstone.
 */
export function bodyOf(key: Buffer | null, value: Buffer | null): Buffer {
  return Buffer.concat([...nullable(key), ...nullable(value), Buffer.of(0)])
}

function nullable(field: Buffer | null): Buffer[] {
  const encoded = zigzag(field?.length ?? NULL_LENGTH)
  const length = Buffer.alloc(unsignedSize(encoded))
  writeUnsigned(length, 0, encoded)
  return field === null ? [length] : [length, field]
}

/** A number where it is exact; otherwise, which is rare, a bigint. */
type Unsigned = number | bigint

function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2
}

function zigzagLong(value: bigint): Unsigned {
  const encoded = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  return encoded <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(encoded) : encoded
}

function unsignedSize(value: Unsigned): number {
  let size = 1
  // Ends: 64 bits are at most ten bytes of seven bits.
  if (typeof value === 'bigint') for (let rest = value; rest > 0x7fn; rest >>= 7n) size++
  else for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++
  return size
}

function writeUnsigned(bytes: Buffer, from: number, value: Unsigned): number {
  let at = from
  if (typeof value === 'bigint') {
    let rest = value
    for (; rest > 0x7fn; rest >>= 7n) at = bytes.writeUInt8(Number(rest & 0x7fn) | 0x80, at)
    return bytes.writeUInt8(Number(rest), at)
  }
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) at = bytes.writeUInt8((rest % 128) | 0x80, at)
  return bytes.writeUInt8(rest, at)
}
