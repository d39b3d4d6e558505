// Batches that are coalesced in place keep their records, and no byte of any other batch changes.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CoalescedInPlace, coalesceInPlace } from '../../../lib/kafka/coalesce-plain.ts'
import { readRecordBatches } from '../../../lib/kafka/record-batch.ts'
import { CONTROL, LOG_APPEND_TIME, plainCrc32c, viewOf } from './batches.ts'
import { drawnFields, seenIn } from './drawn-records.ts'
import { batchOf, type TestRecord, testRecord, testRecords } from './record-bytes.ts'

const limits = { smallBytes: 4_096, coalescedBytesMax: 65_536, batchesMax: 256 }
const start = { from: 0, fromOffset: 0n }

/** One record each, offsets from 0 on. */
const singles = (count: number) =>
  testRecords(0n, count).map(record => batchOf([record], { partitionLeaderEpoch: 3 }))

function coalesce(batches: readonly Buffer[], at = start, changed = {}): CoalescedInPlace | null {
  return coalesceInPlace(Buffer.concat(batches), at, { ...limits, ...changed })
}

/** What a consumer of `bytes` sees, batch by batch, coalesced where that is possible. */
function seenCoalesced(bytes: Buffer): ReturnType<typeof seenIn> {
  const seen: ReturnType<typeof seenIn> = []
  for (let from = 0; from < bytes.length; ) {
    const coalesced = coalesceInPlace(bytes, { from, fromOffset: 0n }, limits)
    const [view] = readRecordBatches(bytes, { from, batchesMax: 1 }).batches
    if (coalesced !== null) seen.push(...seenIn(viewOf(coalesced.batch.bytes)))
    else if (view?.kind === 'v2') seen.push(...seenIn(view))
    from = coalesced?.end ?? from + (view?.bytes.length ?? bytes.length)
  }
  return seen
}

const fields = drawnFields({ keyLength: 100, valueLength: 2_000 })
const tinyFields: typeof fields = fc.record({
  timestamp: fc.constant(1_700_000_000_000n),
  key: fc.constant(null),
  value: fc.constant('v'),
  headers: fc.constant([]),
})
const drawnBatches = fc.array(
  fc.record({
    // Often single, and now and then so many that their longer numbers do not fit in a header.
    records: fc.oneof(
      { weight: 5, arbitrary: fc.array(fields, { minLength: 1, maxLength: 2 }) },
      {
        weight: 1,
        arbitrary: fc.array(tinyFields, { minLength: 60, maxLength: 90 }),
      },
    ),
    gap: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(2)),
    epoch: fc.oneof({ weight: 8, arbitrary: fc.constant(3) }, fc.constant(4)),
    codec: fc.oneof(
      { weight: 12, arbitrary: fc.constant('none' as const) },
      fc.constant('lz4' as const),
    ),
  }),
  { minLength: 1, maxLength: 40 },
)

test('coalescing any batches of a response in place keeps every record', () => {
  let coalescedOnes = 0
  fc.assert(
    fc.property(drawnBatches, drawn => {
      let offset = 0n
      const batches = drawn.map(({ records, gap, epoch, codec }) => {
        const own = records.map((each, index): TestRecord => {
          return testRecord(offset + BigInt(index), each)
        })
        offset += BigInt(records.length + gap)
        return batchOf(own, { codec, partitionLeaderEpoch: epoch })
      })
      const expected = batches.flatMap(each => seenIn(viewOf(each)))
      const bytes = Buffer.concat(batches)
      expect(seenCoalesced(bytes)).toEqual(expected)
      if (coalesceInPlace(Buffer.concat(batches), start, limits) !== null) coalescedOnes += 1
    }),
    { numRuns: 200 },
  )
  expect(coalescedOnes).toBeGreaterThan(50)
})

test('a coalesced batch has its first offset, the next source offset and its newest timestamp', () => {
  const coalesced = coalesce(singles(5))
  expect(coalesced).toMatchObject({
    nextOffset: 5n,
    batch: {
      baseOffset: 0n,
      recordsCount: 5,
      partitionLeaderEpoch: 3,
      maxTimestamp: 1_700_000_000_004n,
    },
  })
  expect(coalesced?.end).toBe(Buffer.concat(singles(5)).length)
})

describe('coalescing in place ends in front of', () => {
  const next = testRecord(2n)
  const damaged = () => {
    const bytes = batchOf([next], { partitionLeaderEpoch: 3 })
    bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70)
    return bytes
  }
  const malformed = () => {
    const bytes = batchOf([next], { partitionLeaderEpoch: 3 })
    // A length that leaves a byte behind the record.
    bytes.writeUInt8(bytes.readUInt8(61) - 2, 61)
    bytes.writeUInt32BE(plainCrc32c(bytes.subarray(21)), 17)
    return bytes
  }
  test.each<[string, () => Buffer]>([
    ['a missing offset', () => batchOf([testRecord(3n)], { partitionLeaderEpoch: 3 })],
    ['another leader epoch', () => batchOf([next], { partitionLeaderEpoch: 4 })],
    ['a codec', () => batchOf([next], { partitionLeaderEpoch: 3, codec: 'lz4' })],
    [
      'the broker’s time',
      () => batchOf([next], { partitionLeaderEpoch: 3, attributes: LOG_APPEND_TIME }),
    ],
    ['a control batch', () => batchOf([next], { partitionLeaderEpoch: 3, attributes: CONTROL })],
    ['holes', () => batchOf([next], { partitionLeaderEpoch: 3, lastOffset: 3n })],
    [
      'a large one',
      () => batchOf([testRecord(2n, { value: 'v'.repeat(5_000) })], { partitionLeaderEpoch: 3 }),
    ],
    ['a damaged one', damaged],
    ['one that is not as a producer writes it', malformed],
    ['one that is cut off', () => batchOf([next], { partitionLeaderEpoch: 3 }).subarray(0, 70)],
  ])('coalescing in place ends in front of %s, which keeps its bytes', (_, other) => {
    const bytes = Buffer.concat([...singles(2), other()])
    const coalesced = coalesceInPlace(bytes, start, limits)
    expect(coalesced?.nextOffset).toBe(2n)
    expect(bytes.subarray(coalesced?.end)).toEqual(other())
    const alone = Buffer.concat([other(), ...singles(2)])
    const before = Buffer.from(alone)
    expect(coalesceInPlace(alone, start, limits)).toBeNull()
    expect(alone).toEqual(before)
  })

  test('coalescing in place ends before one batch or one byte more than its limits', () => {
    const [first, second, ...others] = singles(4)
    if (first === undefined || second === undefined) throw new Error('there are four')
    const all = [first, second, ...others]
    const two = first.length + second.length
    expect(coalesce(all, start, { batchesMax: 2 })?.nextOffset).toBe(2n)
    expect(coalesce(all, start, { coalescedBytesMax: two })?.nextOffset).toBe(2n)
    expect(coalesce(all, start, { coalescedBytesMax: two - 1 })).toBeNull()
  })
})

describe('a batch that is not coalesced', () => {
  test('a batch below the position is not coalesced, and no byte changes', () => {
    const bytes = Buffer.concat(singles(3))
    const before = Buffer.from(bytes)
    expect(coalesceInPlace(bytes, { from: 0, fromOffset: 1n }, limits)).toBeNull()
    expect(bytes).toEqual(before)
  })

  test('a batch without a neighbour is not coalesced', () => {
    expect(coalesce(singles(1))).toBeNull()
  })

  test('no byte changes behind a batch whose varints are longer than needed', () => {
    const [first, second] = singles(2)
    if (first === undefined || second === undefined) throw new Error('there are two')
    // The timestamp delta 0 in two bytes.
    const long = Buffer.concat([first.subarray(0, 63), Buffer.of(0x80, 0x00), first.subarray(64)])
    long.writeUInt8(long.readUInt8(61) + 2, 61)
    long.writeInt32BE(long.length - 12, 8)
    long.writeUInt32BE(plainCrc32c(long.subarray(21)), 17)
    expect(seenIn(viewOf(long))).toEqual(seenIn(viewOf(first)))
    const bytes = Buffer.concat([long, second])
    const before = Buffer.from(bytes)
    expect(coalesceInPlace(bytes, start, limits)).toBeNull()
    expect(bytes).toEqual(before)
  })
})
