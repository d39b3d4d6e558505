// Small batches are joined where that saves requests, and nothing else of them changes.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admitBatches } from '../../../lib/core/batch-admission.ts'
import { joinedBytesMax } from '../../../lib/core/defaults.ts'
import { sourceOffset } from '../../../lib/core/offset.ts'
import { compressionCodec, type RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../lib/kafka/repack.ts'
import { buildMarker, TRANSACTIONAL } from '../kafka/batches.ts'
import { batchOf, codecs, testRecord, testRecords } from '../kafka/record-bytes.ts'

const NOBODY_ABORTED = { abortedTransactions: [] }

function admit(...batches: Buffer[]) {
  return admitBatches({ ...NOBODY_ABORTED, records: Buffer.concat(batches) }, sourceOffset(0n))
}

/** Batches of one record each, from `offset` on. */
function singles(offset: bigint, count: number, fields: Parameters<typeof batchOf>[1] = {}) {
  return testRecords(offset, count).map(each => batchOf([each], fields))
}

function seenIn(batches: readonly RecordBatch[]) {
  return batches.flatMap(batch =>
    readSourceRecords(batch).map(({ offset, timestamp, body }) => {
      return { offset, timestamp, body: body.toString('latin1') }
    }),
  )
}

describe('small batches that follow each other', () => {
  test.each(codecs)('compressed with %s go as one, with the same codec', codec => {
    const { copied, nextFetchOffset } = admit(...singles(0n, 20, { codec }))

    expect(copied).toHaveLength(1)
    expect(copied.map(each => compressionCodec(each.batch))).toEqual([codec])
    expect(copied[0]).toMatchObject({ nextSourceOffset: 20n, batch: { recordsCount: 20 } })
    expect(nextFetchOffset).toBe(20n)
  })

  test('keep the offset of each record across what is not copied', () => {
    const producerId = 7n
    const transactional = { attributes: TRANSACTIONAL, producerId }
    const { copied } = admit(
      batchOf([testRecord(0n)], transactional),
      buildMarker({ type: 1, baseOffset: 1n, producerId }),
      batchOf([testRecord(2n), testRecord(5n)], { lastOffset: 6n }),
      buildMarker({ type: 1, baseOffset: 7n, producerId }),
    )

    expect(copied).toMatchObject([{ nextSourceOffset: 8n, batch: { recordsCount: 3 } }])
    expect(seenIn(copied.map(each => each.batch)).map(each => each.offset)).toEqual([0n, 2n, 5n])
  })

  test('stay apart where the codec or the leader epoch changes', () => {
    const { copied } = admit(
      ...singles(0n, 2),
      ...singles(2n, 2, { codec: 'gzip' }),
      ...singles(4n, 2, { codec: 'gzip', partitionLeaderEpoch: 9 }),
    )

    expect(copied.map(each => each.batch.recordsCount)).toEqual([2, 2, 2])
    expect(copied.map(each => each.nextSourceOffset)).toEqual([2n, 4n, 6n])
  })

  test('never become larger than joined batches may be', () => {
    const value = 'x'.repeat(1000)
    const { copied } = admit(
      ...testRecords(0n, 200).map(each => batchOf([{ ...each, value }], { codec: 'none' })),
    )

    expect(copied.length).toBeGreaterThan(1)
    expect(copied.length).toBeLessThan(10)
    expect(copied.every(each => each.batch.bytes.length <= joinedBytesMax)).toBe(true)
    expect(seenIn(copied.map(each => each.batch))).toHaveLength(200)
  })

  test('stay apart when they would hold too much once decompressed', () => {
    const value = 'x'.repeat(300_000)
    const large = testRecords(0n, 5).map(each => batchOf([{ ...each, value }], { codec: 'gzip' }))

    const { copied } = admit(...large)

    expect(copied.map(each => each.batch.bytes)).toEqual(large)
  })
})

test('a large batch goes as it is, and so does one between large ones', () => {
  const value = 'x'.repeat(5000)
  const large = (offset: bigint) => batchOf([{ ...testRecord(offset), value }])
  const batches = [large(0n), batchOf([testRecord(1n)]), large(2n)]

  const { copied } = admit(...batches)

  expect(copied.map(each => each.batch.bytes)).toEqual(batches)
})

test('a damaged batch is passed on for the target to refuse, and its neighbours as they are', () => {
  const batches = singles(0n, 3)
  batches[1]?.writeUInt8(0xff, batches[1].length - 1)

  const { copied, refusal } = admit(...batches)

  expect(refusal).toBeNull()
  expect(copied.map(each => each.batch.bytes)).toEqual(batches)
})

test('however batches are cut, the same records arrive in the same order', () => {
  const cuts = fc.array(fc.record({ count: fc.integer({ min: 1, max: 9 }), gap: fc.nat(2) }), {
    minLength: 1,
    maxLength: 30,
  })
  fc.assert(
    fc.property(cuts, fc.constantFrom(...codecs), (parts, codec) => {
      let offset = 0n
      const batches = parts.map(({ count, gap }) => {
        const records = testRecords(offset, count)
        offset += BigInt(count + gap)
        return batchOf(records, { codec, lastOffset: offset - 1n })
      })
      const { copied } = admit(...batches)
      const expected = batches.flatMap(each => seenIn(admit(each).copied.map(one => one.batch)))
      expect(seenIn(copied.map(each => each.batch))).toEqual(expected)
      expect(copied.at(-1)?.nextSourceOffset).toBe(offset)
    }),
    { numRuns: 60 },
  )
}, 30_000)
