// Owns the record formats before Kafka 0.11 (magic 0 and 1): it reads their records and rewrites
// them as a v2 batch, the only format that brokers accept since Kafka 4.0 (KIP-724). Brokers still
// serve old logs unchanged. Does not own how a new batch is written (batch-builder.ts).
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
import {
  addRecord,
  type BatchBuilder,
  beginBatch,
  createBatchBuilder,
  finishBatch,
  shiftFrom,
} from './batch-builder.ts'
import { decompress } from './compression.ts'
import { DecodeError } from './decode-error.ts'
import type { LegacyBatch, RecordBatch } from './record-batch.ts'
import type { CompressionCodec } from './record-batch-layout.ts'
import { openedRecordsMax } from './record-cursor.ts'
import { nullableSize, putBytes, putNullable } from './record-writer.ts'
import { doAtOnce, type Steps, sliceRecords } from './slices.ts'
import { createWireReader, type WireReader } from './wire-reader.ts'

const ATTRIBUTES_AT = 17
const TIMESTAMP_AT = 18
const CODEC_MASK = 0x07
const LOG_APPEND_TIME_BIT = 0x08
const NO_TIMESTAMP = -1n
const NO_PARTITION_LEADER_EPOCH = -1
const NO_HEADERS = Buffer.of(0)
/** An entry has a checksum of its own, which takes ten times as long as reading a v2 record. */
const SLICE_ENTRIES = sliceRecords / 8
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
  range: { readonly fromOffset: bigint },
): RecordBatch | null {
  return doAtOnce(repackLegacyInSlices(entries, range))
}

/** As `repackLegacy`. */
export function* repackLegacyInSlices(
  entries: readonly LegacyBatch[],
  { fromOffset }: { readonly fromOffset: bigint },
): Steps<RecordBatch | null> {
  assert.ok(entries.length === 1 || !entries.some(isCompressed), 'compressed entries come alone')
  const [around] = entries
  if (around !== undefined && isCompressed(around)) {
    const outer = readEntry(entryReader(around.bytes))
    const set = openSet(outer, around.magic)
    const builder = builderFor(set.recordsCount, set.bytes.length)
    yield* copySet(set, builder, fromOffset)
    return finishBatch(builder, outer.codec)
  }
  const bytesCount = entries.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const builder = builderFor(entries.length, bytesCount)
  let previous = -1n
  for (const { bytes } of entries) {
    const entry = readEntry(entryReader(bytes))
    requireGrowing(entry.offset, previous)
    previous = entry.offset
    if (entry.offset >= fromOffset) addEntry(builder, entry)
  }
  return finishBatch(builder, 'none')
}

function builderFor(recordsMax: number, bytesCount: number): BatchBuilder {
  return createBatchBuilder({
    partitionLeaderEpoch: NO_PARTITION_LEADER_EPOCH,
    recordsMax,
    bytesCount,
  })
}

type Timed = Pick<Entry, 'offset' | 'timestamp' | 'key' | 'value'>

function addEntry(builder: BatchBuilder, { offset, timestamp, key, value }: Timed): void {
  if (builder.recordsCount === 0) beginBatch(builder, offset, timestamp)
  const follows = offset === builder.baseOffset + BigInt(builder.recordsCount)
  const record = { attributes: 0, timestampDelta: shiftFrom(builder, timestamp) }
  // The old formats have no headers, whose count is one byte more.
  const bodyBytes = nullableSize(key) + nullableSize(value) + 1
  addRecord(builder, record, { follows, offset: () => offset }, bodyBytes)
  putNullable(builder.writer, key)
  putNullable(builder.writer, value)
  putBytes(builder.writer, NO_HEADERS, 0, 1)
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

/** The records inside of a compressed entry. */
type OpenedSet = {
  readonly around: Entry
  readonly bytes: Buffer
  readonly recordsCount: number
  /** Is added to the offset of each record. */
  readonly base: bigint
}

/** Offset and size. */
const SET_ENTRY_OVERHEAD = 12

/** Decompresses a set, and looks for its last offset, from which the others follow. */
function openSet(around: Entry, magic: LegacyBatch['magic']): OpenedSet {
  if (around.value === null) throw damaged('value', 'null, where records should be')
  const block = magic === 0 ? repairedLz4(around.codec, around.value) : around.value
  const bytes = decompress(around.codec, block)
  let recordsCount = 0
  let last = -1n
  // Ends: every entry has at least the twelve bytes of its offset and size.
  for (let at = 0; at < bytes.length; recordsCount += 1) {
    if (bytes.length - at < SET_ENTRY_OVERHEAD) throw damaged('entry', 'an entry that is cut off')
    last = bytes.readBigInt64BE(at)
    const size = bytes.readInt32BE(at + 8)
    if (size < 0) throw damaged('size', `${size}, not 0 or more`)
    at += SET_ENTRY_OVERHEAD + size
  }
  if (recordsCount === 0) throw damaged('value', 'a compressed entry without records')
  if (recordsCount > openedRecordsMax) {
    throw damaged('value', `${recordsCount} records, at most ${openedRecordsMax} are opened`)
  }
  const base = magic === 1 ? around.offset - last : 0n
  if (base < 0n || base + last > around.offset) {
    throw damaged('offset', `${last} inside of ${around.offset}`)
  }
  return { around, bytes, recordsCount, base }
}

function* copySet(set: OpenedSet, builder: BatchBuilder, fromOffset: bigint): Steps<void> {
  const { around, bytes, base } = set
  const reader = entryReader(bytes)
  let previous = -1n
  // Ends: as in `openSet`.
  for (let read = 1; reader.position < bytes.length; read += 1) {
    if (read % SLICE_ENTRIES === 0) yield
    const entry = readEntry(reader)
    if (entry.codec !== 'none') throw damaged('value', 'a set inside a set')
    const offset = base + entry.offset
    requireGrowing(offset, previous)
    previous = offset
    const timestamp = around.hasLogAppendTime ? around.timestamp : entry.timestamp
    if (offset >= fromOffset) addEntry(builder, { ...entry, offset, timestamp })
  }
}

function requireGrowing(offset: bigint, previous: bigint): void {
  if (offset <= previous) throw damaged('offset', `${offset} behind ${previous}`)
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
