import { readFileSync } from 'node:fs'
import { compressionsAlgorithms } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { isCompressed, repackLegacy } from '../../../lib/kafka/legacy-batch.ts'
import {
  compressionCodec,
  type LegacyBatch,
  readRecordBatches,
} from '../../../lib/kafka/record-batch.ts'
import {
  asLegacy,
  legacyEntry,
  legacySet,
  recordsOf,
  testRecord,
  testRecords,
  withoutHoles,
} from './record-bytes.ts'

function entriesOf(...entries: Buffer[]): LegacyBatch[] {
  return readRecordBatches(Buffer.concat(entries)).batches.filter(each => each.kind === 'legacy')
}

function repacked(entries: readonly LegacyBatch[], fromOffset = 0n) {
  const batch = repackLegacy(entries, { fromOffset })
  return batch === null ? null : { batch, records: recordsOf(batch) }
}

const magics = [0, 1] as const
const codecs = ['gzip', 'snappy', 'lz4'] as const

// Made at once: the library throws for empty input as soon as its WebAssembly memory has grown.
const nothing = Buffer.alloc(0)
const emptyBlocks = {
  gzip: compressionsAlgorithms.gzip.compressSync(nothing),
  snappy: compressionsAlgorithms.snappy.compressSync(nothing),
  lz4: compressionsAlgorithms.lz4.compressSync(nothing),
}

describe.each(magics)('records of format %i', magic => {
  const single = (first: bigint, count: number, gone: readonly bigint[] = []) =>
    entriesOf(...testRecords(first, count, gone).map(each => legacyEntry(magic, each)))

  test('single records of an old format become one v2 batch', () => {
    const found = repacked(single(100n, 5))
    expect(found?.records).toEqual(asLegacy(magic, testRecords(100n, 5)))
    expect(found?.batch).toMatchObject({ baseOffset: 100n, partitionLeaderEpoch: -1 })
    expect(single(100n, 5).map(isCompressed)).toEqual([false, false, false, false, false])
  })

  test('single records of an old format are kept from the position on, with holes between them', () => {
    const left = testRecords(100n, 9, [104n, 106n])
    const found = repacked(single(100n, 9, [104n, 106n]), 103n)
    expect(found?.records).toEqual(withoutHoles(asLegacy(magic, left.slice(3))))
    expect(repacked(single(100n, 3), 103n)).toBeNull()
  })

  test('records of an old format keep null keys and values apart from empty ones', () => {
    const odd = [
      testRecord(100n, { key: null }),
      testRecord(101n, { value: null }),
      testRecord(102n, { key: '', value: '' }),
    ]
    const found = repacked(entriesOf(...odd.map(each => legacyEntry(magic, each))))
    expect(found?.records).toEqual(asLegacy(magic, odd))
  })

  test.each(codecs)(
    'old records in a set compressed with %s keep codec, order and offsets',
    codec => {
      const left = testRecords(100n, 8, [101n, 102n, 106n])
      const entries = entriesOf(legacySet(magic, left, codec, { firstOffset: 100n }))
      const whole = repacked(entries)
      expect(entries.map(isCompressed)).toEqual([true])
      expect(whole?.records).toEqual(withoutHoles(asLegacy(magic, left)))
      expect(whole && compressionCodec(whole.batch)).toBe(codec)
      expect(whole?.batch.recordOffsets).toEqual(left.map(each => each.offset))
      expect(repacked(entries, 104n)?.records).toEqual(withoutHoles(asLegacy(magic, left.slice(2))))
      expect(repacked(entries, 108n)).toBeNull()
    },
  )

  test.each(['none', ...codecs] as const)(
    'old records compressed with %s and damaged anywhere are refused or read unchanged',
    codec => {
      const records = testRecords(100n, 4)
      const [first] = records
      if (first === undefined) throw new Error('there is a record')
      const whole = codec === 'none' ? legacyEntry(magic, first) : legacySet(magic, records, codec)
      const intact = repacked(entriesOf(whole))?.records
      fc.assert(
        fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
          const bytes = Buffer.from(whole)
          bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at)
          try {
            const entries = entriesOf(bytes)
            if (entries.length === 0) return
            const found = repacked(entries)?.records
            // No checksum covers the offset.
            const contents = (each: { key: string | null; value: string | null }) =>
              `${each.key} ${each.value}`
            expect(found?.map(contents)).toEqual(intact?.map(contents))
            expect(at).toBeLessThan(8)
          } catch (error) {
            if (!(error instanceof DecodeError)) throw error
          }
        }),
      )
    },
  )

  test.each(codecs)(
    'an old set of any bytes compressed with %s gives a DecodeError or records',
    codec => {
      const inner = Buffer.concat(testRecords(0n, 3).map(each => legacyEntry(magic, each)))
      const compress = (bytes: Buffer) =>
        bytes.length === 0 ? emptyBlocks[codec] : compressionsAlgorithms[codec].compressSync(bytes)
      const cut = fc.nat(inner.length - 1).map(length => compress(inner.subarray(0, length)))
      const random = fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes))
      const packed = random.map(compress)
      fc.assert(
        fc.property(fc.oneof(cut, random, packed), value => {
          const attributes = { gzip: 1, snappy: 2, lz4: 3 }[codec]
          const entry = legacyEntry(magic, { offset: 2n, key: null, value, attributes })
          try {
            repacked(entriesOf(entry))
          } catch (error) {
            if (!(error instanceof DecodeError)) throw error
          }
        }),
      )
    },
  )
})

describe('a set of format 1', () => {
  test.each(['gzip', 'lz4'] as const)(
    'records of a set in several frames of %s are all read, and a frame that is cut off halts',
    codec => {
      const records = testRecords(100n, 5)
      const inner = records.map(each => legacyEntry(1, { ...each, offset: each.offset - 100n }))
      const frames = [inner.slice(0, 2), inner.slice(2)].map(each =>
        compressionsAlgorithms[codec].compressSync(Buffer.concat(each)),
      )
      const setOf = (value: Buffer) => {
        const attributes = codec === 'gzip' ? 1 : 3
        return entriesOf(legacyEntry(1, { offset: 104n, key: null, value, attributes }))
      }

      expect(repacked(setOf(Buffer.concat(frames)))?.records).toEqual(asLegacy(1, records))
      const cut = Buffer.concat(frames).subarray(0, -1)
      expect(() => repacked(setOf(cut))).toThrow(DecodeError)
    },
  )

  test('a set of format 1 with LogAppendTime has the append time in every record', () => {
    const records = testRecords(100n, 3)
    const set = legacySet(1, records, 'gzip', { appendTime: 1_800_000_000_000n })
    const dated = asLegacy(1, records).map(each => ({ ...each, timestamp: 1_800_000_000_000n }))
    expect(repacked(entriesOf(set))?.records).toEqual(dated)
  })

  test('a set of format 1 whose records would begin before offset 0 is refused', () => {
    const inner = legacyEntry(1, { ...testRecord(0n), offset: 9n })
    const value = compressionsAlgorithms.gzip.compressSync(inner)
    const set = legacyEntry(1, { offset: 4n, key: null, value, attributes: 1 })
    expect(() => repacked(entriesOf(set))).toThrow(/offset/)
  })
})

test('LZ4 of format 0 is read with the header checksum that its producers wrote', () => {
  const records = testRecords(100n, 3)
  const inner = Buffer.concat(records.map(each => legacyEntry(0, each)))
  const value = compressionsAlgorithms.lz4.compressSync(inner)
  expect(value.readUInt8(6)).toBe(0x82)
  value.writeUInt8(0x1a, 6)
  const set = legacyEntry(0, { offset: 102n, key: null, value, attributes: 3 })
  expect(repacked(entriesOf(set))?.records).toEqual(asLegacy(0, records))
})

test.each([
  ['without a value', { value: null }],
  ['without records', { value: compressionsAlgorithms.gzip.compressSync(Buffer.alloc(0)) }],
  [
    'with a set inside',
    { value: compressionsAlgorithms.gzip.compressSync(legacySet(1, testRecords(0n, 2), 'gzip')) },
  ],
  ['with a codec that came later', { value: Buffer.alloc(9), attributes: 4 }],
])('a compressed entry %s is refused', (_, fields) => {
  const set = legacyEntry(1, { offset: 1n, key: null, attributes: 1, ...fields })
  expect(() => repacked(entriesOf(set))).toThrow(DecodeError)
})

describe('what Kafka 4.3.1 itself writes in the old formats', () => {
  // By its MemoryRecordsBuilder, base64: offsets 100, 103 and 104, a missing key, a missing value.
  const sets: Record<string, string> = JSON.parse(
    readFileSync(new URL('legacy-sets.json', import.meta.url), 'utf8'),
  )
  const contents = [
    testRecord(100n),
    testRecord(103n, { key: null }),
    testRecord(104n, { value: null }),
  ]

  test.each(['none', ...codecs].flatMap(codec => magics.map(magic => [magic, codec] as const)))(
    'records that Kafka writes in format %i with %s are the same after repacking',
    (magic, codec) => {
      const set = Buffer.from(sets[`format ${magic} ${codec}`] ?? '', 'base64')
      const found = repacked(entriesOf(set))
      expect(found?.records).toEqual(withoutHoles(asLegacy(magic, contents)))
      expect(found?.batch.recordOffsets).toEqual([100n, 103n, 104n])
    },
  )
})
