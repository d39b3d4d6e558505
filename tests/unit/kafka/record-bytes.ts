// Builds and reads records byte by byte for the tests of repacking, in every format, sharing no
// code with what is tested but the compression of the client library.

import zlib from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { compressionCodec, type RecordBatch } from '../../../lib/kafka/record-batch.ts'
import type { CompressionCodec } from '../../../lib/kafka/record-batch-layout.ts'
import { type BatchFields, buildBatch, viewOf } from './batches.ts'

export const codecs = [
  'none',
  'gzip',
  'snappy',
  'lz4',
  'zstd',
] as const satisfies CompressionCodec[]

export type TestRecord = {
  readonly offset: bigint
  readonly timestamp: bigint
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export function testRecord(offset: bigint, fields: Partial<TestRecord> = {}): TestRecord {
  return {
    offset,
    timestamp: 1_700_000_000_000n + offset,
    key: `key-${offset}`,
    value: `value-${offset}`,
    headers: [['origin', String(offset)]],
    ...fields,
  }
}

/** `count` records from `offset` on, without those whose offsets are in `gone`. */
export function testRecords(offset: bigint, count: number, gone: readonly bigint[] = []) {
  return Array.from({ length: count }, (_, index) => testRecord(offset + BigInt(index))).filter(
    each => !gone.includes(each.offset),
  )
}

function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128)
  return Buffer.from([...bytes, Number(rest)])
}

function text(value: string | null): Buffer {
  if (value === null) return varint(-1n)
  return Buffer.concat([varint(BigInt(Buffer.byteLength(value))), Buffer.from(value)])
}

export function recordBytes(record: TestRecord, base: { offset: bigint; timestamp: bigint }) {
  const fields = Buffer.concat([
    Buffer.of(0),
    varint(BigInt.asIntN(64, record.timestamp - base.timestamp)),
    varint(record.offset - base.offset),
    text(record.key),
    text(record.value),
    varint(BigInt(record.headers.length)),
    ...record.headers.flatMap(([name, value]) => [text(name), text(value)]),
  ])
  return Buffer.concat([varint(BigInt(fields.length)), fields])
}

/** A batch of these records as a broker keeps it, from `baseOffset` to `lastOffset`. */
export function batchOf(
  records: readonly TestRecord[],
  fields: BatchFields & { codec?: CompressionCodec; lastOffset?: bigint } = {},
): Buffer {
  const { codec = 'none', attributes = 0 } = fields
  const baseOffset = fields.baseOffset ?? records[0]?.offset ?? 0n
  const timestamp = fields.baseTimestamp ?? records[0]?.timestamp ?? -1n
  const lastOffset = fields.lastOffset ?? records.at(-1)?.offset ?? baseOffset
  const plain = Buffer.concat(
    records.map(each => recordBytes(each, { offset: baseOffset, timestamp })),
  )
  return buildBatch({
    maxTimestamp: records.reduce((max, each) => (each.timestamp > max ? each.timestamp : max), -1n),
    ...fields,
    baseOffset,
    baseTimestamp: timestamp,
    lastOffsetDelta: Number(lastOffset - baseOffset),
    recordsCount: records.length,
    attributes: attributes | codecs.indexOf(codec),
    payload: compressionsAlgorithms[codec].compressSync(plain),
  })
}

/** What a consumer sees in a batch, with the offsets that its bytes say. */
export function recordsOf(batch: RecordBatch): TestRecord[] {
  // Read again from its bytes: the fields of the view are not believed.
  const view = viewOf(Buffer.from(batch.bytes))
  const plain = compressionsAlgorithms[compressionCodec(view)].decompressSync(
    view.bytes.subarray(61),
  )
  let at = 0
  const number = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = plain.readUInt8(at++)
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
  }
  const string = () => {
    const length = Number(number())
    if (length < 0) return null
    at += length
    return plain.toString('utf8', at - length, at)
  }
  const records: TestRecord[] = []
  while (at < plain.length) {
    number()
    at += 1
    const timestamp = BigInt.asIntN(64, view.baseTimestamp + number())
    const offset = view.baseOffset + number()
    const [key, value] = [string(), string()]
    const headers = Array.from(
      { length: Number(number()) },
      () => [string() ?? '', string()] as const,
    )
    records.push({ offset, timestamp, key, value, headers })
  }
  return records
}

/** The same records as a batch without holes has them. */
export function withoutHoles(records: readonly TestRecord[]): TestRecord[] {
  const first = records[0]?.offset ?? 0n
  return records.map((each, index) => ({ ...each, offset: first + BigInt(index) }))
}

/** One entry of format 0 or 1. Attributes: 0-2 codec, 3 LogAppendTime. */
export function legacyEntry(
  magic: 0 | 1,
  entry: {
    readonly offset: bigint
    readonly timestamp?: bigint
    readonly key: Buffer | string | null
    readonly value: Buffer | string | null
    readonly attributes?: number
  },
): Buffer {
  const nullable = (field: Buffer | string | null) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(field === null ? -1 : Buffer.byteLength(field))
    return field === null ? [length] : [length, Buffer.from(field)]
  }
  const timestamp = Buffer.alloc(magic === 1 ? 8 : 0)
  if (magic === 1) timestamp.writeBigInt64BE(entry.timestamp ?? -1n)
  const covered = Buffer.concat([
    Buffer.of(magic, entry.attributes ?? 0),
    timestamp,
    ...nullable(entry.key),
    ...nullable(entry.value),
  ])
  const head = Buffer.alloc(16)
  head.writeBigInt64BE(entry.offset, 0)
  head.writeInt32BE(covered.length + 4, 8)
  head.writeUInt32BE(zlib.crc32(covered), 12)
  return Buffer.concat([head, covered])
}

/** A compressed entry around `records`, as a broker keeps it: in format 1 with relative offsets. */
export function legacySet(
  magic: 0 | 1,
  records: readonly TestRecord[],
  codec: Exclude<CompressionCodec, 'none' | 'zstd'>,
  outer: { readonly appendTime?: bigint; readonly firstOffset?: bigint } = {},
): Buffer {
  const first = outer.firstOffset ?? records[0]?.offset ?? 0n
  const inner = records.map(each =>
    legacyEntry(magic, { ...each, offset: magic === 1 ? each.offset - first : each.offset }),
  )
  return legacyEntry(magic, {
    offset: records.at(-1)?.offset ?? 0n,
    timestamp: outer.appendTime ?? records.at(-1)?.timestamp ?? -1n,
    key: null,
    value: compressionsAlgorithms[codec].compressSync(Buffer.concat(inner)),
    attributes: codecs.indexOf(codec) | (outer.appendTime === undefined ? 0 : 8),
  })
}

/** What is left of a record in an old format: no headers, and no timestamp in format 0. */
export function asLegacy(magic: 0 | 1, records: readonly TestRecord[]): TestRecord[] {
  return records.map(each => ({
    ...each,
    headers: [],
    timestamp: magic === 0 ? -1n : each.timestamp,
  }))
}
