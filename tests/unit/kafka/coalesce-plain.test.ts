// Batches that are coalesced without being decoded keep their records; malformed batches are left
// to the code that decodes them.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coalescePlainBatches } from '../../../lib/kafka/coalesce-plain.ts'
import type { RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { plainCrc32c, viewOf } from './batches.ts'
import { drawnFields, seenIn } from './drawn-records.ts'
import { batchOf, type TestRecord, testRecord, testRecords } from './record-bytes.ts'

const contentBytesMax = 1024 * 1024

function coalesce(batches: readonly Buffer[]): RecordBatch | null {
  const [first, ...others] = batches.map(viewOf)
  if (first === undefined) throw new Error('nothing to coalesce')
  return coalescePlainBatches([first, ...others], { contentBytesMax })
}

const fields = drawnFields({ keyLength: 200, valueLength: 9_000 })

const parts = fc.array(
  fc.record({ records: fc.array(fields, { minLength: 1, maxLength: 70 }), gap: fc.nat(2) }),
  { minLength: 1, maxLength: 6 },
)

function written(of: typeof parts extends fc.Arbitrary<infer P> ? P : never): Buffer[] {
  let offset = 0n
  return of.map(({ records, gap }) => {
    const own = records.map((each, index): TestRecord => {
      return testRecord(offset + BigInt(index), each)
    })
    offset += BigInt(records.length + gap)
    return batchOf(own)
  })
}

test('coalescing any uncompressed batches keeps every record and sets the newest timestamp', () => {
  fc.assert(
    fc.property(parts, drawn => {
      const batches = written(drawn)
      const expected = batches.flatMap(each => seenIn(viewOf(each)))
      const coalesced = coalesce(batches)
      if (coalesced === null) throw new Error('was left to others')
      expect(seenIn(coalesced)).toEqual(expected)
      expect(coalesced.recordsCount).toBe(expected.length)
      const newest = expected.reduce(
        (max, { timestamp }) => (timestamp > max ? timestamp : max),
        -1n,
      )
      expect(coalesced.maxTimestamp).toBe(newest)
    }),
    { numRuns: 200 },
  )
})

test('a changed byte in uncompressed batches throws no error and turns no record into another', () => {
  const change = fc.record({ at: fc.nat(10_000), to: fc.integer({ min: 0, max: 255 }) })
  let kept = 0
  fc.assert(
    fc.property(change, ({ at, to }) => {
      const batches = [batchOf(testRecords(0n, 3)), batchOf(testRecords(3n, 4))]
      const [, second] = batches
      if (second === undefined) throw new Error('there are two')
      second[61 + (at % (second.length - 61))] = to
      second.writeUInt32BE(plainCrc32c(second.subarray(21)), 17)
      const coalesced = coalesce(batches)
      if (coalesced === null) return
      kept += 1
      const raw = coalesced.bytes.subarray(61).toString('latin1')
      for (const batch of batches) {
        // What it cannot tell apart, whoever opens it finds where it was: the keys and values.
        let records: ReturnType<typeof seenIn>
        try {
          records = seenIn(viewOf(batch))
        } catch {
          continue
        }
        for (const { body } of records) expect(raw).toContain(body)
      }
    }),
    { numRuns: 2_000 },
  )
  expect(kept).toBeGreaterThan(100)
})

describe('batches that must be decoded', () => {
  const plain = () => batchOf(testRecords(0n, 2))
  const damaged = () => {
    const bytes = batchOf(testRecords(2n, 2))
    bytes.writeUInt8(0xff, bytes.length - 1)
    return bytes
  }
  const countless = () => {
    const bytes = batchOf(testRecords(2n, 2))
    bytes.writeInt32BE(2 ** 30 - 1, 23)
    bytes.writeInt32BE(2 ** 30, 57)
    bytes.writeUInt32BE(plainCrc32c(bytes.subarray(21)), 17)
    return bytes
  }
  test.each<[string, () => Buffer]>([
    ['compressed', () => batchOf(testRecords(2n, 2), { codec: 'lz4' })],
    ['damaged', damaged],
    ['with holes', () => batchOf(testRecords(2n, 3, [3n]))],
    ['with a count that no bytes are there for', countless],
    [
      'centuries apart',
      () => batchOf([testRecord(2n, { timestamp: 0n }), testRecord(3n, { timestamp: 2n ** 60n })]),
    ],
  ])('an uncompressed batch is not coalesced with another one: %s', (_, other) => {
    expect(coalesce([plain(), other()])).toBeNull()
    expect(coalesce([plain(), batchOf(testRecords(2n, 2))])).not.toBeNull()
  })

  test('batches larger together than the limit are not coalesced', () => {
    const batches = [viewOf(plain()), viewOf(batchOf(testRecords(2n, 2)))] as const
    const bytes = batches[0].bytes.length + batches[1].bytes.length
    expect(coalescePlainBatches(batches, { contentBytesMax: bytes - 1 })).toBeNull()
    expect(coalescePlainBatches(batches, { contentBytesMax: bytes })).not.toBeNull()
  })
})
