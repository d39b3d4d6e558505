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

import { nextRecord, openRecords } from './record-cursor.ts'
import {
  beginRecord,
  createRecordWriter,
  nullableSize,
  putBytes,
  putNullable,
  putVarint,
} from './record-writer.ts'
import { createWireReader } from './wire-reader.ts'

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

/**
 * The body with more headers behind its own, whose bytes stay as they are. Throws DecodeError when
 * the bytes are no record.
 */
export function withHeaders(
  body: Buffer,
  added: readonly { readonly key: string; readonly value: Buffer }[],
): Buffer {
  const reader = createWireReader({ api: 'Record', version: 2, bytes: body })
  for (const field of ['key', 'value']) {
    const length = reader.readVarint(`${field} length`)
    if (length > 0) reader.readBytes(field, length)
  }
  const countAt = reader.position
  const count = reader.readVarint('headers count')
  const size = added.reduce((sum, each) => sum + each.key.length * 4 + each.value.length + 10, 5)
  const writer = createRecordWriter(body.length + size)
  putBytes(writer, body, 0, countAt)
  putVarint(writer, count + added.length)
  putBytes(writer, body, reader.position, body.length)
  for (const { key, value } of added) {
    putNullable(writer, Buffer.from(key))
    putNullable(writer, value)
  }
  return writer.bytes.subarray(0, writer.at)
}

export type RecordBody = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Keys may repeat; their order counts. */
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
}

/**
 * Reads what a record holds from its key's length on, as views. Throws DecodeError when the bytes
 * are no record.
 */
export function readRecordBody(bytes: Buffer): RecordBody {
  const reader = createWireReader({ api: 'Record', version: 2, bytes })
  const nullable = (field: string): Buffer | null => {
    const length = reader.readVarint(`${field} length`)
    return length < 0 ? null : reader.readBytes(field, length)
  }
  const key = nullable('key')
  const value = nullable('value')
  const headers: { key: string; value: Buffer | null }[] = []
  // A header takes two bytes at least, and reading behind the end throws.
  for (let left = reader.readVarint('headers count'); left > 0; left -= 1) {
    const name = reader.readBytes('header key', reader.readVarint('header key length'))
    headers.push({ key: name.toString(), value: nullable('header value') })
  }
  reader.expectEnd()
  return { key, value, headers }
}
