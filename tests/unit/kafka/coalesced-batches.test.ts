// Batches that are coalesced keep their records, whatever their codec.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import { compressionCodec, type RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { coalesceBatches, readSourceRecords } from '../../../lib/kafka/repack.ts'
import { viewOf } from './batches.ts'
import { batchOf, codecs, testRecord, testRecords } from './record-bytes.ts'

const contentBytesMax = 1024 * 1024

function coalesce(batches: readonly Buffer[], bytesMax = contentBytesMax): RecordBatch {
  const [first, ...others] = batches.map(viewOf)
  if (first === undefined) throw new Error('nothing to coalesce')
  return coalesceBatches([first, ...others], { contentBytesMax: bytesMax })
}

/** Batches of one record each, from offset 0 on. */
function singles(count: number, fields: Parameters<typeof batchOf>[1] = {}) {
  return testRecords(0n, count).map(each => batchOf([each], fields))
}

function seenIn(batch: RecordBatch) {
  return readSourceRecords(batch).map(({ offset, timestamp, body }) => {
    return { offset, timestamp, body: body.toString('latin1') }
  })
}

test.each(codecs)('coalesced batches compressed with %s keep their codec', codec => {
  const coalesced = coalesce(singles(20, { codec }))

  expect(compressionCodec(coalesced)).toBe(codec)
  expect(coalesced.recordsCount).toBe(20)
})

test('coalesced records keep their source offsets across offsets that are not copied', () => {
  const coalesced = coalesce([
    batchOf([testRecord(0n)]),
    batchOf([testRecord(2n), testRecord(5n)], { lastOffset: 6n }),
  ])

  expect(seenIn(coalesced).map(each => each.offset)).toEqual([0n, 2n, 5n])
})

test('coalescing throws a DecodeError when one of the batches is damaged', () => {
  const batches = singles(3)
  batches[1]?.writeUInt8(0xff, batches[1].length - 1)

  expect(() => coalesce(batches)).toThrow(DecodeError)
})

test('coalescing throws a DecodeError when the decompressed records exceed the limit', () => {
  const value = 'x'.repeat(1000)
  const large = testRecords(0n, 5).map(each => batchOf([{ ...each, value }], { codec: 'gzip' }))

  expect(() => coalesce(large, 4000)).toThrow(DecodeError)
  expect(coalesce(large, 6000).recordsCount).toBe(5)
})

test('coalescing batches of any sizes keeps the same records in the same order', () => {
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
      const expected = batches.flatMap(each => seenIn(viewOf(each)))
      expect(seenIn(coalesce(batches))).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})
