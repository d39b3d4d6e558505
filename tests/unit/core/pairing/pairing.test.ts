// What is no difference, what is accounted for besides copied records, and differences that are
// larger than what is read ahead at once.

import { expect, test } from 'vitest'
import { explain } from '../../../../lib/core/audit/explain.ts'
import { createSecondLook } from '../../../../lib/core/audit/second-look.ts'
import { damagedRecord } from '../../../../lib/core/pairing/opened-batch.ts'
import { crc32c } from '../../../../lib/kafka/crc32c.ts'
import type { RecordBatch } from '../../../../lib/kafka/record-batch.ts'
import { ATTRIBUTES_AT, CRC_AT, PRODUCER_ID_AT } from '../../../../lib/kafka/record-batch-layout.ts'
import {
  buildBatch,
  buildLog,
  cleanedBatch,
  compareLogs,
  numbered,
  type Result,
  readBatch,
} from './built-logs.ts'

const named = ({ differences }: Result) =>
  differences.map(({ kind, sourceOffset, targetOffset, field }) =>
    [kind, sourceOffset, targetOffset, field].map(each => each ?? '-').join(' '),
  )

test('offsets without a record are compacted, in a batch and between two', () => {
  const kept = cleanedBatch(numbered(2, 4), 0n, { deltas: [2, 3, 5, 6], lastOffsetDelta: 8 })
  const behind = buildBatch(numbered(6, 3), 10n)
  const found = compareLogs([kept, behind], buildLog([...numbered(2, 4), ...numbered(6, 3)]))
  expect(named(found)).toEqual([])
  expect(found.account.offsets).toMatchObject({ replicated: 7n, compacted: 6n })
})

test('records behind the end of the copy are pending from the position on, and missing before', () => {
  const source = buildLog(numbered(0, 12))
  const target = buildLog(numbered(0, 6))
  const found = compareLogs(source, target, { pendingFrom: 8n })
  expect(named(found)).toEqual(['missing 6 - -', 'missing 7 - -'])
  expect(found.account.offsets).toMatchObject({ replicated: 6n, pending: 4n, differing: 2n })
})

test('a changed record at the end of what is copied is changed, and not pending', () => {
  const copied = numbered(0, 6)
  const target = buildLog(copied.with(5, { ...copied[5], key: 'key-5', value: '?', time: 1_035 }))
  const found = compareLogs(buildLog(numbered(0, 9)), target, { pendingFrom: 3n })
  expect(named(found)).toEqual(['changed 5 5 value'])
  expect(found.account.offsets).toMatchObject({ pending: 3n })
})

test('what an incident accounts for is lost or passed over, where the standby lacks it', () => {
  const source = buildLog(numbered(0, 12))
  const target = buildLog([...numbered(0, 3), ...numbered(6, 6)])
  const excused = [{ what: 'passedOver' as const, from: 2n, to: 5n, by: 'incident' }]
  const found = compareLogs(source, target, { excused })
  expect(named(found)).toEqual(['missing 5 - -'])
  expect(found.account.offsets).toMatchObject({ passedOver: 2n, replicated: 9n })
})

test('where offsets are kept, a shift is named once, at the first record of it', () => {
  const source = buildLog(numbered(0, 12))
  const distance = { distance: 0n, since: 0n }
  const kept = [...buildLog(numbered(0, 6)), ...buildLog(numbered(6, 6), { base: 8n })]
  expect(named(compareLogs(source, kept, { distance }))).toEqual(['changed 6 8 offset'])
  expect(named(compareLogs(source, kept, { distance: { distance: 2n, since: 6n } }))).toEqual([])
})

test('many records that only one side has are skipped, on either side', () => {
  const all = numbered(0, 3_000)
  const source = buildLog(all, { size: 50 })
  const few = [...all.slice(0, 500), ...all.slice(2_100)]
  const missing = compareLogs(source, buildLog(few, { size: 70 }))
  expect(missing.differences.length).toBe(1_600)
  expect(new Set(missing.differences.map(each => each.kind))).toEqual(new Set(['missing']))
  expect(missing.differences[0]?.sourceOffset).toBe(500n)
  const many = [...all.slice(0, 2_000), ...all.slice(0, 2_000), ...all.slice(2_000)]
  const doubled = compareLogs(source, buildLog(many, { size: 70 }))
  expect(doubled.differences.length).toBe(2_000)
  expect(new Set(doubled.differences.map(each => each.kind))).toEqual(new Set(['duplicated']))
  expect(doubled.account.offsets.replicated).toBe(3_000n)
})

test('a field that differs in every record is named in every record', () => {
  const spoiled = numbered(0, 500).map(each => ({ ...each, time: each.time + 1 }))
  const found = compareLogs(buildLog(numbered(0, 500)), buildLog(spoiled))
  expect(new Set(found.differences.map(each => `${each.kind} ${each.field}`))).toEqual(
    new Set(['changed timestamp']),
  )
  expect(found.differences.length).toBe(500)
})

test('records of equal contents are counted: one less, and one more', () => {
  const same = Array.from({ length: 9 }, () => ({ key: null, value: 'v', time: 5 }))
  const source = buildLog(same)
  expect(named(compareLogs(source, buildLog(same.slice(1))))).toEqual(['missing 8 - -'])
  const more = named(compareLogs(source, buildLog([...same, ...same.slice(0, 1)])))
  expect(more).toEqual(['duplicated 0 9 -'])
})

const keyed = (key: string, value: string | null, time: number) => ({ key, value, time })
const older = [keyed('a', '1', 1), keyed('b', '1', 2), keyed('a', '2', 3), keyed('c', '1', 4)]

test('on a compacted topic an older value that a later one replaced is no difference', () => {
  const [, ...clean] = older
  for (const [source, target] of [
    [older, clean],
    [clean, older],
  ] as const) {
    const logs = [buildLog(source), buildLog(target)] as const
    expect(named(compareLogs(...logs, { isCompacted: true }))).toEqual([])
    expect(named(compareLogs(...logs))).not.toEqual([])
  }
})

test('on a compacted topic the last value of a key must be there, and a tombstone where one was seen', () => {
  const withoutLast = older.toSpliced(2, 1)
  const compacted = { isCompacted: true }
  expect(named(compareLogs(buildLog(older), buildLog(withoutLast), compacted))).toEqual([
    'missing 2 - -',
  ])
  const deleted = [...older, keyed('b', null, 5), keyed('c', '2', 6)]
  const keepsValue = deleted.toSpliced(4, 1)
  expect(named(compareLogs(buildLog(deleted), buildLog(keepsValue), compacted))).toEqual([
    'missing 4 - -',
  ])
  const cleaned = keepsValue.toSpliced(1, 1)
  expect(named(compareLogs(buildLog(deleted), buildLog(cleaned), compacted))).toEqual([])
})

test('a value that the source has replaced is no difference before its successor is copied', () => {
  const source = [keyed('b', '1', 2), keyed('a', '2', 3)]
  const target = [keyed('a', '1', 1), keyed('b', '1', 2)]
  const found = compareLogs(buildLog(source), buildLog(target), {
    isCompacted: true,
    pendingFrom: 1n,
  })
  expect(named(found)).toEqual([])
  expect(found.account.offsets).toMatchObject({ pending: 1n, replicated: 1n })
})

test('records of a damaged batch are named one by one, on both sides', () => {
  const source = buildLog(numbered(0, 9))
  const spoil = (batch: RecordBatch): RecordBatch => {
    const bytes = Buffer.from(batch.bytes)
    bytes[70] = (bytes[70] ?? 0) ^ 1
    return readBatch(bytes)
  }
  const spoiled = source.with(1, spoil(source[1] as RecordBatch))
  const expected = ['changed 3 3 batch', 'changed 4 4 batch', 'changed 5 5 batch']
  expect(named(compareLogs(source, spoiled))).toEqual(expected)
  expect(named(compareLogs(spoiled, source))).toEqual(expected)
  const nothing = { source: [], target: [], isCompacted: false, copiedTo: 0n }
  const target = [{ record: damagedRecord(7n), gap: 0, place: 0n }]
  const found = { ...nothing, target, lastGap: 0, pendingFrom: 0n }
  expect(explain(found, createSecondLook(nothing)).differences).toEqual([
    { kind: 'foreign', sourceOffset: null, targetOffset: 7n, field: null },
  ])
})

test('aborted records and markers are accounted for, and compared with nothing', () => {
  const producerId = 7n
  const inTransaction = (batch: RecordBatch, isMarker = false): RecordBatch => {
    const bytes = Buffer.from(batch.bytes)
    bytes.writeInt16BE(isMarker ? 0x30 : 0x10, ATTRIBUTES_AT)
    bytes.writeBigInt64BE(producerId, PRODUCER_ID_AT)
    bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT, bytes.length), CRC_AT)
    return readBatch(bytes)
  }
  const marker = (offset: bigint, type: number) => {
    const key = `\0\0\0${String.fromCharCode(type)}`
    return inTransaction(buildBatch([{ key, value: null, time: 0 }], offset), true)
  }
  const source = [
    inTransaction(buildBatch(numbered(0, 3), 0n)),
    marker(3n, 0),
    inTransaction(buildBatch(numbered(3, 3), 4n)),
    marker(7n, 1),
  ]
  const aborted = [{ producerId, firstOffset: 0n }]
  const found = compareLogs(source, buildLog(numbered(3, 3)), { aborted })
  expect(named(found)).toEqual([])
  expect(found.account.offsets).toMatchObject({ replicated: 3n, aborted: 3n, control: 2n })
})

test('a later value that is not copied yet excuses no missing one, and a topic that is not compacted no tombstone', () => {
  const source = [keyed('a', '1', 1), keyed('b', '1', 2), keyed('a', '2', 3)]
  const logs = [buildLog(source), buildLog(source.slice(1, 2))] as const
  const found = compareLogs(...logs, { isCompacted: true, pendingFrom: 2n })
  expect(named(found)).toEqual(['missing 0 - -'])
  const deleted = [keyed('a', '1', 1), keyed('a', null, 2), keyed('b', '1', 3)]
  const kept = compareLogs(buildLog(deleted), buildLog(deleted.toSpliced(1, 1)))
  expect(named(kept)).toEqual(['missing 1 - -'])
})
