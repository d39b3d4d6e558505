import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { stampForProduce } from '../../../lib/kafka/produce-stamp.ts'
import {
  compressionCodec,
  hasHoles,
  hasLogAppendTime,
  nextOffsetAfter,
  type RecordBatch,
} from '../../../lib/kafka/record-batch.ts'
import { openedRecordsMax } from '../../../lib/kafka/record-cursor.ts'
import { openInSlices, repackBatch, repackInSlices, splitBatch } from '../../../lib/kafka/repack.ts'
import type { Steps } from '../../../lib/kafka/slices.ts'
import {
  type BatchFields,
  buildBatch,
  DELETE_HORIZON,
  LOG_APPEND_TIME,
  plainCrc32c,
  TRANSACTIONAL,
  viewOf,
} from './batches.ts'
import {
  batchOf,
  codecs,
  recordsOf,
  type TestRecord,
  testRecord,
  testRecords,
  withoutHoles,
} from './record-bytes.ts'
import { tinyRecords } from './tiny-records.ts'

const owner = { producerId: 9n, producerEpoch: 1, baseSequence: 5 }

function repacked(bytes: Buffer, fromOffset = 0n): RecordBatch {
  const batch = repackBatch(viewOf(bytes), { fromOffset })
  if (batch === null) throw new Error('nothing was left')
  return batch
}

/** Sound as any broker would have it. */
function expectSound(batch: RecordBatch): void {
  expect(batch.bytes.readUInt32BE(17)).toBe(plainCrc32c(batch.bytes.subarray(21)))
  expect({ ...batch, recordOffsets: undefined }).toEqual({
    ...viewOf(Buffer.from(batch.bytes)),
    recordOffsets: undefined,
  })
  expect([hasHoles(batch), hasLogAppendTime(batch)]).toEqual([false, false])
  const timestamps = recordsOf(batch).map(each => each.timestamp)
  expect(batch.baseTimestamp).toBe(timestamps[0])
  expect(batch.maxTimestamp).toBe(timestamps.reduce((max, each) => (each > max ? each : max), -1n))
}

describe.each(codecs)('a batch compressed with %s', codec => {
  test('a repacked batch loses its holes and nothing else', () => {
    const left = testRecords(100n, 10, [100n, 103n, 104n, 109n])
    const source = batchOf(left, { codec, baseOffset: 100n, lastOffset: 109n })

    const batch = repacked(source)

    expectSound(batch)
    expect(recordsOf(batch)).toEqual(withoutHoles(left))
    expect(compressionCodec(batch)).toBe(codec)
    expect(batch.recordOffsets).toEqual(left.map(each => each.offset))
  })

  test('a repacked batch that straddles the position keeps the records from the position on', () => {
    const batch = repacked(batchOf(testRecords(100n, 10), { codec }), 107n)

    expectSound(batch)
    expect(recordsOf(batch)).toEqual(testRecords(107n, 3))
    expect(batch.baseOffset).toBe(107n)
  })

  test('a repacked batch with LogAppendTime has the append time in every record', () => {
    const source = batchOf(testRecords(100n, 4), {
      codec,
      attributes: LOG_APPEND_TIME,
      maxTimestamp: 1_800_000_000_000n,
    })

    const batch = repacked(source)

    expectSound(batch)
    expect(recordsOf(batch)).toEqual(
      testRecords(100n, 4).map(each => ({ ...each, timestamp: 1_800_000_000_000n })),
    )
  })

  test('repacking the same batch gives the same bytes', () => {
    const source = batchOf(testRecords(100n, 50, [120n]), { codec })
    expect(repacked(Buffer.from(source)).bytes).toEqual(repacked(source).bytes)
  })

  test('repacking refuses a batch whose payload was damaged', () => {
    const source = batchOf(testRecords(100n, 4), { codec })
    source.writeUInt8(source.readUInt8(source.length - 3) ^ 1, source.length - 3)
    expect(() => repacked(source)).toThrow(DecodeError)
  })

  test('repacking a truncated or random batch gives a DecodeError', () => {
    const whole = batchOf(testRecords(100n, 5), { codec }).subarray(61)
    const cut = fc.nat(whole.length - 1).map(length => whole.subarray(0, length))
    const flipped = fc
      .tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, mask]) => {
        const bytes = Buffer.from(whole)
        bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at)
        return bytes
      })
    const random = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
    fc.assert(
      fc.property(
        fc.oneof(cut, flipped, random),
        fc.integer({ min: 1, max: 9 }),
        (payload, count) => {
          // With a checksum that fits: only what lies inside can tell.
          const source = frameOf(payload, { codec, count })
          try {
            expectSound(repacked(source))
          } catch (error) {
            if (!(error instanceof DecodeError)) throw error
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

function frameOf(
  payload: Buffer,
  { codec, count }: { codec: (typeof codecs)[number]; count: number },
) {
  const empty = batchOf([], { codec: 'none', attributes: codecs.indexOf(codec) })
  const bytes = Buffer.concat([empty, payload])
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(count + 2, 23)
  bytes.writeInt32BE(count, 57)
  bytes.writeUInt32BE(plainCrc32c(bytes.subarray(21)), 17)
  return bytes
}

const anyTimestamp = fc.oneof(
  fc.constant(-1n),
  fc.bigInt({ min: 0n, max: 4_000_000_000_000n }),
  fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
)
const anyText = fc.option(fc.string({ maxLength: 200 }))
const anyRecords = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 1, max: 4 }),
      timestamp: anyTimestamp,
      key: anyText,
      value: anyText,
      headers: fc.array(fc.tuple(fc.string({ maxLength: 9 }), anyText), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map(parts => {
    let offset = 1000n
    return parts.map(({ gap, ...rest }): TestRecord => {
      offset += BigInt(gap)
      return { ...rest, offset }
    })
  })

describe('whatever records a batch holds', () => {
  test('repacked records from the position on are unchanged and in order', () => {
    const input = fc.record({
      records: anyRecords,
      codec: fc.constantFrom(...codecs),
      skip: fc.nat(60),
      behind: fc.nat(5),
    })
    fc.assert(
      fc.property(input, ({ records, codec, skip, behind }) => {
        const lastOffset = (records.at(-1)?.offset ?? 0n) + BigInt(behind)
        const source = viewOf(batchOf(records, { codec, baseOffset: 1000n, lastOffset }))
        const fromOffset = 1000n + BigInt(skip)
        const wanted = records.filter(each => each.offset >= fromOffset)

        const batch = repackBatch(source, { fromOffset })

        expect(batch === null).toBe(wanted.length === 0)
        if (batch === null) return
        expectSound(batch)
        expect(recordsOf(batch)).toEqual(withoutHoles(wanted))
        expect(batch.bytes.buffer).not.toBe(source.bytes.buffer)
      }),
    )
  })

  test('two halves hold the records of the whole, down to single records, also of a stamped or repacked batch', () => {
    fc.assert(
      fc.property(anyRecords, fc.boolean(), (records, isStamped) => {
        // A single record is its own half.
        fc.pre(records.length > 1)
        const whole = repacked(batchOf(records, { codec: 'zstd', baseOffset: 1000n }))
        if (isStamped) stampForProduce(whole, owner)
        const pieces = splitFully(whole)
        for (const piece of pieces) expectSound(piece)
        expect(pieces.map(each => each.baseOffset)).toEqual(records.map(each => each.offset))
        expect(pieces.flatMap(recordsOf)).toEqual(records)
      }),
    )
  })
})

describe('a batch of very many records', () => {
  const COUNT = 150_000
  const large = (fields: BatchFields, step = 1) =>
    viewOf(buildBatch({ payload: tinyRecords(COUNT, step), recordsCount: COUNT, ...fields }))
  const slicesOf = <T>(steps: Steps<T>): { slices: number; result: T } => {
    for (let slices = 1; ; slices += 1) {
      const step = steps.next()
      if (step.done) return { slices, result: step.value }
    }
  }

  test('repacking and opening it takes several slices', () => {
    const batch = large({ baseOffset: 100n })
    const rewritten = slicesOf(repackInSlices(batch, { fromOffset: 101n }))
    const opened = slicesOf(openInSlices(batch))
    expect([rewritten.slices, opened.slices]).toEqual([3, 3])
    expect(rewritten.result).toMatchObject({ baseOffset: 101n, recordsCount: COUNT - 1 })
    expect(rewritten.result?.bytes.subarray(61).length).toBeLessThan(batch.bytes.length)
    expect(opened.result.length).toBe(COUNT)
  })

  test('each of its records keeps its source offset, also when every other offset is a hole', () => {
    const lastOffsetDelta = (COUNT - 1) * 2
    const batch = repacked(large({ baseOffset: 100n, lastOffsetDelta }, 2).bytes)
    const halves = splitBatch(batch, COUNT - 1)
    expect(batch.recordOffsets?.length).toBe(COUNT)
    for (const index of [0, 1, 65_536, COUNT - 1]) {
      expect(batch.recordOffsets?.[index]).toBe(100n + 2n * BigInt(index))
    }
    expect(halves?.map(({ baseOffset }) => baseOffset)).toEqual([
      100n,
      100n + BigInt(lastOffsetDelta),
    ])
    expect(hasHoles(batch)).toBe(false)
  })

  test.each([
    ['more than are opened', openedRecordsMax + 1, /at most 4194304 are opened/],
    ['more than its bytes have room for', 4_000_000, /do not fit into/],
    ['one more than it has', COUNT + 1, /Record v2/],
    ['one less than it has', COUNT - 1, /behind the last record/],
  ])('a record count of %s is refused', (_, recordsCount, says) => {
    const batch = large({ recordsCount, lastOffsetDelta: recordsCount - 1 + COUNT })
    expect(() => repackBatch(batch, { fromOffset: 0n })).toThrow(says)
    expect(() => slicesOf(openInSlices(batch))).toThrow(DecodeError)
    expect(() => splitBatch(batch)).toThrow(DecodeError)
  })
})

test('a varint that is longer than it must be is read as any consumer reads it', () => {
  // A length of 8 and a timestamp delta of 3 in more bytes than they need.
  const payload = Buffer.from([0x92, 0x00, 0x00, 0x86, 0x80, 0x00, 0x80, 0x00, 0x01, 0x01, 0x00])
  const batch = repacked(buildBatch({ baseOffset: 5n, baseTimestamp: 10n, payload }))
  expect(recordsOf(batch)).toEqual([
    { offset: 5n, timestamp: 13n, key: null, value: null, headers: [] },
  ])
  const tooLong = Buffer.concat([
    Buffer.of(0x92, 0x80, 0x80, 0x80, 0x80, 0x00),
    payload.subarray(2),
  ])
  expect(() => repacked(buildBatch({ payload: tooLong }))).toThrow(DecodeError)
})

function splitFully(batch: RecordBatch): RecordBatch[] {
  const halves = splitBatch(batch)
  return halves === null ? [batch] : halves.flatMap(splitFully)
}

describe('a batch', () => {
  test('a batch without records from the position on repacks to none', () => {
    const left = batchOf(testRecords(100n, 3), { lastOffset: 120n })
    expect(repackBatch(viewOf(left), { fromOffset: 110n })).toBeNull()
  })

  test('a repacked batch keeps its leader epoch and has no producer, transaction or delete horizon', () => {
    const attributes = TRANSACTIONAL | DELETE_HORIZON
    const fields = { attributes, producerId: 7n, partitionLeaderEpoch: 12, baseTimestamp: 5n }
    const batch = repacked(batchOf(testRecords(100n, 3), fields), 101n)
    expect(batch).toMatchObject({ partitionLeaderEpoch: 12, attributes: 0, producerId: null })
    // The base timestamp was the delete horizon, to which the deltas relate (KIP-534).
    expect(recordsOf(batch)).toEqual(testRecords(101n, 2))
  })

  test('a batch of one record is not split', () => {
    expect(splitBatch(viewOf(batchOf(testRecords(100n, 1))))).toBeNull()
  })

  test('a batch is split in the middle, and each half keeps its offset and epoch', () => {
    const whole = viewOf(batchOf(testRecords(100n, 5), { partitionLeaderEpoch: 3 }))
    const halves = splitBatch(whole)
    expect(
      halves?.map(each => [each.baseOffset, nextOffsetAfter(each), each.partitionLeaderEpoch]),
    ).toEqual([
      [100n, 103n, 3],
      [103n, 105n, 3],
    ])
  })

  test('a batch whose offset deltas do not grow or exceed the last one is refused', () => {
    const twice = batchOf([testRecord(100n), testRecord(100n)], { lastOffset: 105n })
    const beyond = batchOf([testRecord(100n), testRecord(109n)], { lastOffset: 105n })
    expect(() => repacked(twice)).toThrow(/offsetDelta/)
    expect(() => repacked(beyond)).toThrow(/offsetDelta/)
  })
})
