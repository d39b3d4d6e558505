// Owns the record formats before Kafka 0.11 (magic 0 and 1): it reads their records and rewrites
// them as a v2 batch, the only format that brokers accept since Kafka 4.0 (KIP-724). Brokers still
// serve old logs unchanged. Does not own how a new batch is written (repack.ts).
//
//   entry   offset INT64 | size INT32 | CRC-32 UINT32 | magic INT8 | attributes INT8
//           | timestamp INT64, magic 1 only | key BYTES | value BYTES
//
// The CRC covers everything behind itself. The value of a compressed entry holds entries of the
// same form. Their offsets are absolute in magic 0. In magic 1 they are relative, and the outer
// entry has the absolute offset of the last one (KIP-31).
//
// Source: Kafka's LegacyRecord, AbstractLegacyRecordBatch.DeepRecordsIterator; KIP-31, KIP-32.

import assert from 'node:assert/strict'
import zlib from 'node:zlib'
import { decompress } from './compression.ts'
import { DecodeError } from './decode-error.ts'
import { bodyOf } from './record.ts'
import type { LegacyBatch, RecordBatch } from './record-batch.ts'
import type { CompressionCodec } from './record-batch-layout.ts'
import { packRecords, type SourceRecord } from './repack.ts'
import { createWireReader, type WireReader } from './wire-reader.ts'

const ATTRIBUTES_AT = 17
const TIMESTAMP_AT = 18
const CODEC_MASK = 0x07
const LOG_APPEND_TIME_BIT = 0x08
const NO_TIMESTAMP = -1n
const NO_PARTITION_LEADER_EPOCH = -1
/** zstd needs magic 2 (KIP-110). */
const codecs: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4']

/** Whether the entry holds a compressed set of records; otherwise it is one record. */
export function isCompressed({ bytes }: LegacyBatch): boolean {
  return (bytes.readInt8(ATTRIBUTES_AT) & CODEC_MASK) !== 0
}

/**
 * The timestamp of an entry, ms; -1n in magic 0, which has none. That of a compressed entry is the
 * largest of its records (KIP-32).
 */
export function legacyTimestamp({ magic, bytes }: LegacyBatch): bigint {
  return magic === 0 ? NO_TIMESTAMP : bytes.readBigInt64BE(TIMESTAMP_AT)
}

/**
 * Repacks one compressed entry, or uncompressed entries that follow each other, into a batch of the
 * same codec that holds the records from `fromOffset` on; null when none is left. Records of magic
 * 0 get the timestamp -1 (none). Throws DecodeError when an entry is damaged.
 */
export function repackLegacy(
  entries: readonly LegacyBatch[],
  { fromOffset }: { readonly fromOffset: bigint },
): RecordBatch | null {
  assert.ok(entries.length === 1 || !entries.some(isCompressed), 'compressed entries come alone')
  const read = entries.map(({ bytes }) => readEntry(entryReader(bytes)))
  const [only] = read
  const [around] = entries
  const isSet = only !== undefined && around !== undefined && only.codec !== 'none'
  const records = isSet ? readSet(only, around.magic) : read.map(sourceRecord)
  requireGrowing(records)
  return packRecords(
    records.filter(({ offset }) => offset >= fromOffset),
    { partitionLeaderEpoch: NO_PARTITION_LEADER_EPOCH },
    only?.codec ?? 'none',
  )
}

type Entry = {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly hasLogAppendTime: boolean
  readonly codec: CompressionCodec
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** Reads the entry at the reader's position. Throws DecodeError when its CRC does not match. */
function readEntry(outer: WireReader): Entry {
  const offset = outer.readInt64('offset')
  const bytes = outer.readBytes('entry', outer.readInt32('size'))
  const reader = createWireReader({ api: 'LegacyRecord', version: 1, bytes })
  const expected = reader.readBytes('crc', 4).readUInt32BE()
  const crc = zlib.crc32(bytes.subarray(reader.position))
  if (crc !== expected) throw damaged('crc', `${expected}, where the bytes have ${crc}`)
  const magic = reader.readInt8('magic')
  if (magic !== 0 && magic !== 1) throw damaged('magic', `${magic}, not 0 or 1`)
  const attributes = reader.readInt8('attributes')
  const codec = codecs[attributes & CODEC_MASK]
  if (codec === undefined) throw damaged('attributes', `codec ${attributes & CODEC_MASK}`)
  const timestamp = magic === 1 ? reader.readInt64('timestamp') : NO_TIMESTAMP
  const key = readNullableBytes(reader, 'key')
  const value = readNullableBytes(reader, 'value')
  reader.expectEnd()
  const hasLogAppendTime = magic === 1 && (attributes & LOG_APPEND_TIME_BIT) !== 0
  return { offset, timestamp, hasLogAppendTime, codec, key, value }
}

function readNullableBytes(reader: WireReader, field: string): Buffer | null {
  const length = reader.readInt32(`${field}Length`)
  return length === -1 ? null : reader.readBytes(field, length)
}

/** Reads the records inside a compressed entry. */
function readSet(around: Entry, magic: LegacyBatch['magic']): SourceRecord[] {
  if (around.value === null) throw damaged('value', 'null, where records should be')
  const block = magic === 0 ? repairedLz4(around.codec, around.value) : around.value
  const bytes = decompress(around.codec, block)
  const reader = entryReader(bytes)
  const inner: Entry[] = []
  // Ends: every entry has at least the twelve bytes of its offset and size.
  while (reader.position < bytes.length) inner.push(readEntry(reader))
  const last = inner.at(-1)
  if (last === undefined) throw damaged('value', 'a compressed entry without records')
  if (inner.some(({ codec }) => codec !== 'none')) throw damaged('value', 'a set inside a set')
  const base = magic === 1 ? around.offset - last.offset : 0n
  if (base < 0n || base + last.offset > around.offset) {
    throw damaged('offset', `${last.offset} inside of ${around.offset}`)
  }
  return inner.map(entry =>
    sourceRecord({
      ...entry,
      offset: base + entry.offset,
      timestamp: around.hasLogAppendTime ? around.timestamp : entry.timestamp,
    }),
  )
}

function sourceRecord({ offset, timestamp, key, value }: Entry): SourceRecord {
  return { attributes: 0, offset, timestamp, body: bodyOf(key, value) }
}

function requireGrowing(records: readonly SourceRecord[]): void {
  let previous = -1n
  for (const { offset } of records) {
    if (offset <= previous) throw damaged('offset', `${offset} behind ${previous}`)
    previous = offset
  }
}

/** The only LZ4 frame header that producers of magic 0 write: independent blocks of 64 KB. */
const LZ4_HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40])
const LZ4_HEADER_CHECKSUM = 0x82

/**
 * Producers of magic 0 compute the checksum of the LZ4 frame header over too many bytes, and
 * brokers require that checksum (KIP-57). Decoders that follow the format refuse it. The header is
 * constant, so the right checksum is, too.
 */
function repairedLz4(codec: CompressionCodec, bytes: Buffer): Buffer {
  const isRepairable =
    codec === 'lz4' &&
    bytes.length > LZ4_HEADER.length &&
    bytes.subarray(0, LZ4_HEADER.length).equals(LZ4_HEADER)
  if (!isRepairable) return bytes
  const repaired = Buffer.from(bytes)
  repaired.writeUInt8(LZ4_HEADER_CHECKSUM, LZ4_HEADER.length)
  return repaired
}

function entryReader(bytes: Buffer): WireReader {
  return createWireReader({ api: 'LegacyRecord', version: 1, bytes })
}

function damaged(field: string, found: string): DecodeError {
  return new DecodeError({ api: 'LegacyRecord', version: 1, field, at: 0, found })
}
