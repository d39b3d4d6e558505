// Owns the decompressed records of a v2 batch as values, for batches that are small: a value for
// each record takes twenty times the memory of a tiny record. Batches that may be large are read
// and written in place (record-cursor.ts, record-writer.ts), and a batch that is produced unchanged
// is not read at all. Does not own the header around the records (record-batch.ts), compression
// (compression.ts), nor the meaning of a key or value: from the key's length on, a record stays as
// it is.
//
//   record  length VARINT | attributes INT8 | timestamp delta VARLONG | offset delta VARINT
//           | key length VARINT | key | value length VARINT | value
//           | headers count VARINT | [ key length VARINT | key | value length VARINT | value ]
//
// Source: Kafka's DefaultRecord, KIP-98.

import { DecodeError } from './decode-error.ts'
import { nextRecord, openRecords } from './record-cursor.ts'
import {
  beginRecord,
  createRecordWriter,
  nullableSize,
  putBytes,
  putNullable,
} from './record-writer.ts'

export type RecordView = {
  /** Unused by Kafka, always 0; kept as it is. */
  readonly attributes: number
  readonly timestampDelta: bigint
  readonly offsetDelta: number
  /** A view from the key length to the end of the headers. */
  readonly body: Buffer
}

/** Reads all records of a batch. Throws DecodeError as `openRecords` and `nextRecord` do. */
export function readRecords(
  bytes: Buffer,
  batch: { readonly recordsCount: number; readonly lastOffsetDelta: number },
): RecordView[] {
  const cursor = openRecords(bytes, batch)
  const records: RecordView[] = []
  while (nextRecord(cursor)) {
    const { attributes, offsetDelta, bodyAt, bodyEnd } = cursor
    const timestampDelta = BigInt(cursor.timestampDelta)
    records.push({ attributes, timestampDelta, offsetDelta, body: bytes.subarray(bodyAt, bodyEnd) })
  }
  return records
}

/** Writes the records one behind the other into new memory. */
export function writeRecords(records: readonly RecordView[]): Buffer {
  const writer = createRecordWriter(records.reduce((sum, { body }) => sum + body.length, 0))
  for (const record of records) {
    beginRecord(writer, record, record.body.length)
    putBytes(writer, record.body, 0, record.body.length)
  }
  return writer.bytes.subarray(0, writer.at)
}

/**
 * Encodes the part of a record behind its offset delta, without headers. A null key is a missing
 * key; a null value makes a tombstone.
 */
export function bodyOf(key: Buffer | null, value: Buffer | null): Buffer {
  const size = nullableSize(key) + nullableSize(value) + 1
  const writer = createRecordWriter(size)
  putNullable(writer, key)
  putNullable(writer, value)
  writer.bytes[writer.at++] = 0
  return writer.bytes.subarray(0, writer.at)
}

/** Key and value of a record's body, as views. Throws DecodeError where the body ends too early. */
export function keyAndValueOf(body: Buffer): { key: Buffer | null; value: Buffer | null } {
  const key = fieldAt(body, 0)
  const value = fieldAt(body, key.end)
  return { key: key.bytes, value: value.bytes }
}

/** A length as a zigzag varint, and so many bytes; -1: null. */
function fieldAt(body: Buffer, from: number): { bytes: Buffer | null; end: number } {
  let at = from
  let zigzag = 0
  for (let unit = 1; ; unit *= 128) {
    const byte = body[at]
    if (byte === undefined || at - from === LENGTH_BYTES_MAX) throw cut(from, 'a length expected')
    at += 1
    zigzag += (byte & 0x7f) * unit
    if (byte < 0x80) break
  }
  if (zigzag % 2 === 1) return { bytes: null, end: at }
  const end = at + zigzag / 2
  if (end > body.length) throw cut(at, `${zigzag / 2} bytes expected, ${body.length - at} left`)
  return { bytes: body.subarray(at, end), end }
}

const LENGTH_BYTES_MAX = 5

function cut(at: number, found: string): DecodeError {
  return new DecodeError({ api: 'Record', version: 2, field: 'body', at, found })
}
