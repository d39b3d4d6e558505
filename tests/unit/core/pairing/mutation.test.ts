// Every way to spoil a small log, at each of its places and through each codec, is found and named
// by both offsets.

import { describe, expect, test } from 'vitest'
import { decompress } from '../../../../lib/kafka/compression.ts'
import { crc32c } from '../../../../lib/kafka/crc32c.ts'
import { DecodeError } from '../../../../lib/kafka/decode-error.ts'
import { readRecordBody, readRecords } from '../../../../lib/kafka/record.ts'
import {
  compressionCodec,
  type RecordBatch,
  readRecordBatches,
  recordBytes,
} from '../../../../lib/kafka/record-batch.ts'
import {
  ATTRIBUTES_AT,
  CRC_AT,
  codecs,
  RECORDS_AT,
} from '../../../../lib/kafka/record-batch-layout.ts'
import { type BuiltRecord, buildLog, compareLogs, numbered } from './built-logs.ts'

const records = numbered(0, 12)
const recordAt = (place: number) => records[place] as BuiltRecord
const changed = (count: number, place: number, change: (record: BuiltRecord) => BuiltRecord) =>
  records.slice(0, count).map((each, index) => (index === place ? change(each) : each))

const fieldChanges: Record<string, (record: BuiltRecord) => BuiltRecord> = {
  key: each => ({ ...each, key: `${each.key}?` }),
  value: each => ({ ...each, value: null }),
  headers: each => ({ ...each, headers: [['number', '?']] }),
  timestamp: each => ({ ...each, time: each.time + 1 }),
}

const places = records.map((_, place) => place)

describe.each(codecs)('through %s', codec => {
  const sourceLog = buildLog(records, { codec })
  // The same boundaries let whole batches be compared; others make every batch be opened.
  const compare = (target: readonly BuiltRecord[]) =>
    [3, 5].map(size => {
      const { account, differences } = compareLogs(sourceLog, buildLog(target, { codec, size }))
      expect(sum(account.offsets)).toBe(12n)
      return differences
    })
  const both = (...expected: readonly object[]) => [
    expected.map(each => expect.objectContaining(each)),
    expected.map(each => expect.objectContaining(each)),
  ]

  test('the same records in other batches are no difference', () => {
    expect(compare(records)).toEqual([[], []])
  })

  for (const [field, change] of Object.entries(fieldChanges)) {
    test(`a changed ${field} at every place`, () => {
      for (const place of places) {
        const at = { sourceOffset: BigInt(place), targetOffset: BigInt(place) }
        expect(compare(changed(12, place, change))).toEqual(both({ kind: 'changed', ...at, field }))
      }
    })
  }

  test('a dropped record at every place', () => {
    for (const place of places) {
      const target = records.filter((_, index) => index !== place)
      const named = { kind: 'missing', sourceOffset: BigInt(place), targetOffset: null }
      expect(compare(target)).toEqual(both(named))
    }
  })

  test('a doubled record at every place, of every place', () => {
    for (const place of places) {
      for (const behind of places) {
        const target = records.toSpliced(behind + 1, 0, recordAt(place))
        const [found] = compare(target)
        expect(found).toEqual([expect.objectContaining({ kind: 'duplicated' })])
        expect(found?.[0]?.sourceOffset).toBe(BigInt(place))
      }
    }
  })

  test('an inserted record at every place', () => {
    for (const place of [...places, 12]) {
      const target = records.toSpliced(place, 0, { key: 'foreign', value: 'x', time: 5 })
      const named = { kind: 'foreign', sourceOffset: null, targetOffset: BigInt(place) }
      expect(compare(target)).toEqual(both(named))
    }
  })

  test('two records that were swapped, at every two places', () => {
    for (const left of places) {
      for (const right of places.slice(left + 1)) {
        const target = records.with(left, recordAt(right)).with(right, recordAt(left))
        for (const found of compare(target)) {
          expect(found.length).toBeGreaterThan(0)
          expect(found.every(each => each.kind === 'reordered')).toBe(true)
          const named = found.map(each => [each.sourceOffset, each.targetOffset].join('>'))
          // At the end of a log one of the two stands where it did, and the other one has moved.
          expect(named.some(each => [`${right}>${left}`, `${left}>${right}`].includes(each))).toBe(
            true,
          )
        }
      }
    }
  })

  test('every bit of a stored batch that a consumer relies on', () => {
    const source = buildLog(records.slice(0, 6), { codec })
    for (const [index, batch] of source.entries()) {
      for (let bit = CRC_AT * 8; bit < batch.bytes.length * 8; bit += 1) {
        const bytes = Buffer.from(batch.bytes)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(namesBatch(source, index, bytes), `bit ${bit} of batch ${index}`).toBe(true)
      }
    }
  })

  test('every bit of the records of a batch whose checksum was written anew', () => {
    const source = buildLog(records.slice(0, 6), { codec })
    for (const [index, batch] of source.entries()) {
      for (let bit = RECORDS_AT * 8; bit < batch.bytes.length * 8; bit += 1) {
        const bytes = Buffer.from(batch.bytes)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT, bytes.length), CRC_AT)
        // Some bits no decoder looks at, and a consumer sees the same records.
        const isSeen = contents(bytes) !== contents(batch.bytes)
        expect(namesBatch(source, index, bytes), `bit ${bit} of batch ${index}`).toBe(isSeen)
      }
    }
  })
})

/** What a consumer sees of a batch, read as values. */
function contents(bytes: Buffer): string {
  try {
    const [batch] = readRecordBatches(bytes).batches
    if (batch?.kind !== 'v2') return 'no batch'
    const block = decompress(compressionCodec(batch), recordBytes(batch))
    const read = readRecords(block, batch).map(({ timestampDelta, offsetDelta, body }) => {
      const { key, value, headers } = readRecordBody(body)
      const texts = [key, value, ...headers.flatMap(each => [Buffer.from(each.key), each.value])]
      return [timestampDelta, offsetDelta, ...texts.map(each => each?.toString('hex') ?? 'null')]
    })
    return read.map(each => each.join(' ')).join('\n')
  } catch (error) {
    if (error instanceof DecodeError) return 'damaged'
    throw error
  }
}

/** Whether a difference names the batch of the target that these bytes replace. */
function namesBatch(source: readonly RecordBatch[], index: number, bytes: Buffer): boolean {
  let spoiled: RecordBatch
  try {
    const [read] = readRecordBatches(bytes).batches
    if (read?.kind !== 'v2') return true
    spoiled = read
  } catch {
    // The log cannot be read from there on, which ends the audit of the partition.
    return true
  }
  const { differences } = compareLogs(source, source.with(index, spoiled))
  const batch = source[index]
  const from = batch?.baseOffset ?? 0n
  const to = from + BigInt((batch?.lastOffsetDelta ?? 0) + 1)
  return differences.some(({ sourceOffset, targetOffset }) =>
    [sourceOffset, targetOffset].some(each => each !== null && each >= from && each < to),
  )
}

function sum(offsets: Readonly<Record<string, bigint>>): bigint {
  return Object.values(offsets).reduce((total, each) => total + each, 0n)
}
