import { createRecordsBatch } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../../lib/kafka/decode-error.ts'
import {
  compressionCodec,
  coordinatorEpochOf,
  hasHoles,
  hasLogAppendTime,
  isControlBatch,
  isTransactional,
  lastOffset,
  nextOffsetAfter,
  readEndTransactionMarker,
  readRecordBatches,
} from '../../../lib/kafka/record-batch.ts'
import {
  buildBatch,
  buildMarker,
  CONTROL,
  DELETE_HORIZON,
  LOG_APPEND_TIME,
  TRANSACTIONAL,
  viewOf,
} from './batches.ts'

// Written by Kafka 4.3.1 itself (MemoryRecords): not one byte of them comes from this repository.
const writtenByKafka = {
  transactional:
    '0000000000000028000000420000000702047561f50010000000010000018bcfe568000000018bcfe5680500000000' +
    '00000fa10003000000090000000210000000026b0276000e000a0201027700',
  abort:
    '000000000000002a000000420000000702bf229f1c0030000000000000018bcfe568000000018bcfe5680000000000' +
    '00000fa10003ffffffff000000012000000008000000000c00000000000500',
  commit:
    '000000000000002b0000004200000007024b1c49540030000000000000018bcfe568000000018bcfe5680000000000' +
    '00000fa10003ffffffff000000012000000008000000010c00000000000500',
  leaderChange:
    '000000000000002c00000045000000070213d27a030020000000000000018bcfe568000000018bcfe56800ffffffff' +
    'ffffffffffffffffffff000000012600000008000000021200000000000101010000',
  magic1: '00000000000000000000001839268c3301000000018bcfe56800000000016b0000000176',
}

function kafkaBatch(name: keyof typeof writtenByKafka): Buffer {
  return Buffer.from(writtenByKafka[name], 'hex')
}

function decodeErrorOf(action: () => unknown): DecodeError {
  try {
    action()
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('readRecordBatches', () => {
  test("a batch that Kafka's own classes wrote is read field by field", () => {
    const batch = viewOf(kafkaBatch('transactional'))
    expect(batch).toMatchObject({
      baseOffset: 40n,
      lastOffsetDelta: 1,
      recordsCount: 2,
      partitionLeaderEpoch: 7,
      producerId: 4001n,
      baseTimestamp: 1_700_000_000_000n,
      maxTimestamp: 1_700_000_000_005n,
    })
    expect(batch.bytes.toString('hex')).toBe(writtenByKafka.transactional)
    expect(isTransactional(batch)).toBe(true)
    expect(isControlBatch(batch)).toBe(false)
    expect(hasLogAppendTime(batch)).toBe(false)
    expect(lastOffset(batch)).toBe(41n)
    expect(nextOffsetAfter(batch)).toBe(42n)
  })

  const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
  test.each(codecs)('a batch that another client encodes with codec %s is read', codec => {
    const timestamps = [1_700_000_000_000n, 1_700_000_000_123n, 1_600_000_000_000n]
    const records = timestamps.map((timestamp, at) => {
      const text = Buffer.from(`record ${at}`)
      return { topic: 't', key: text, value: text, timestamp }
    })
    const written = createRecordsBatch(records, {
      compression: codec,
      producerId: 9n,
      producerEpoch: 2,
      partitionLeaderEpoch: 11,
    })
    const batch = viewOf(written.buffer)
    expect(compressionCodec(batch)).toBe(codec)
    expect(batch).toMatchObject({
      baseOffset: 0n,
      lastOffsetDelta: 2,
      recordsCount: 3,
      partitionLeaderEpoch: 11,
      producerId: 9n,
      baseTimestamp: 1_700_000_000_000n,
      maxTimestamp: 1_700_000_000_123n,
    })
  })

  test('a producer id of -1 is null, and offsets beyond 2^53 stay exact', () => {
    const batch = viewOf(buildBatch({ baseOffset: 2n ** 62n + 1n, producerId: -1n }))
    expect(batch.producerId).toBeNull()
    expect(nextOffsetAfter(batch)).toBe(2n ** 62n + 2n)
  })

  test('a batch shares memory with the response', () => {
    const records = Buffer.concat([buildBatch(), buildBatch({ baseOffset: 1n })])
    const { batches } = readRecordBatches(records)
    const second = batches[1]
    expect(second?.kind === 'v2' && second.bytes.buffer === records.buffer).toBe(true)
  })

  test('a last batch cut off at any byte is left out, and its bytes are counted', () => {
    const whole = kafkaBatch('transactional')
    const cut = kafkaBatch('abort')
    for (let kept = 0; kept < cut.length; kept++) {
      const found = readRecordBatches(Buffer.concat([whole, cut.subarray(0, kept)]))
      expect(found.batches).toHaveLength(1)
      expect(found.trailingBytes).toBe(kept)
    }
    expect(readRecordBatches(Buffer.alloc(0))).toEqual({ batches: [], trailingBytes: 0 })
  })

  test('a batch of an older format is answered as its bytes, and the next batch is read', () => {
    const records = Buffer.concat([buildBatch(), kafkaBatch('magic1'), buildBatch()])
    records.writeBigInt64BE(77n, 61)
    const { batches } = readRecordBatches(records)
    expect(batches).toHaveLength(3)
    const bytes = records.subarray(61, records.length - 61)
    expect(batches[1]).toEqual({ kind: 'legacy', magic: 1, bytes, lastOffset: 77n })
  })

  test.each([
    ['batchLength', 'a length of -1', (b: Buffer) => b.writeInt32BE(-1, 8), 108],
    ['batchLength', 'a length below a header', (b: Buffer) => b.writeInt32BE(48, 8), 108],
    ['magic', 'magic 3', (b: Buffer) => b.writeInt8(3, 16), 116],
    ['magic', 'magic -1', (b: Buffer) => b.writeInt8(-1, 16), 116],
    ['baseOffset', 'a negative offset', (b: Buffer) => b.writeBigInt64BE(-1n, 0), 100],
    ['lastOffsetDelta', 'a negative delta', (b: Buffer) => b.writeInt32BE(-1, 23), 123],
    ['recordsCount', 'a negative count', (b: Buffer) => b.writeInt32BE(-1, 57), 157],
    ['recordsCount', 'more records than offsets', (b: Buffer) => b.writeInt32BE(2, 57), 157],
    ['attributes', 'a codec that does not exist', (b: Buffer) => b.writeInt16BE(5, 21), 121],
  ])('a damaged %s in a second batch is refused: %s', (field, _what, damage, at) => {
    const second = buildBatch()
    damage(second)
    const records = Buffer.concat([buildBatch({ payload: new Uint8Array(39) }), second])
    const error = decodeErrorOf(() => readRecordBatches(records))
    expect(error).toMatchObject({ api: 'RecordBatch', field, at })
  })

  test('any bytes give batches or a DecodeError', () => {
    const noise = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
    const damaged = fc.tuple(fc.nat(2), fc.nat(400), fc.nat(255)).map(([copies, at, value]) => {
      const records = Buffer.concat(Array(copies + 1).fill(kafkaBatch('transactional')))
      records[at % records.length] = value
      return records
    })
    fc.assert(
      fc.property(fc.oneof(noise, damaged), records => {
        try {
          const { batches, trailingBytes } = readRecordBatches(records)
          let bytes = trailingBytes
          for (const batch of batches) bytes += batch.bytes.length
          expect(bytes).toBe(records.length)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('what a batch says of itself', () => {
  test('each attribute bit of a batch is read alone', () => {
    const flags = (attributes: number) => {
      const batch = viewOf(buildBatch({ attributes }))
      return [hasLogAppendTime(batch), isTransactional(batch), isControlBatch(batch)]
    }
    expect(flags(0x07 & 4)).toEqual([false, false, false])
    expect(flags(LOG_APPEND_TIME)).toEqual([true, false, false])
    expect(flags(TRANSACTIONAL)).toEqual([false, true, false])
    expect(flags(CONTROL)).toEqual([false, false, true])
    expect(flags(DELETE_HORIZON)).toEqual([false, false, false])
  })

  test('holes are offsets without a record: in the middle, at the end, or all of them', () => {
    expect(hasHoles(viewOf(buildBatch({ recordsCount: 3, lastOffsetDelta: 2 })))).toBe(false)
    expect(hasHoles(viewOf(buildBatch({ recordsCount: 2, lastOffsetDelta: 2 })))).toBe(true)
    expect(hasHoles(viewOf(buildBatch({ recordsCount: 0, lastOffsetDelta: 2 })))).toBe(true)
    expect(hasHoles(viewOf(buildBatch({ recordsCount: 0, lastOffsetDelta: 0 })))).toBe(true)
  })
})

describe('coordinatorEpochOf', () => {
  test("the coordinator epoch in a marker is read, also of Kafka's own", () => {
    expect(coordinatorEpochOf(viewOf(kafkaBatch('abort')))).toBe(5)
    const marker = viewOf(buildMarker({ producerId: 1n, type: 1, baseOffset: 0n }))
    expect(coordinatorEpochOf(marker)).toBe(5)
  })

  test('a control batch without a marker has none, and a marker cut off before it is refused', () => {
    expect(coordinatorEpochOf(viewOf(kafkaBatch('leaderChange')))).toBeNull()
    for (const value of ['0400000000', '0cffff0000000500', '0c0000']) {
      const payload = Buffer.from(`200000000800000000${value}`, 'hex')
      const batch = viewOf(buildBatch({ attributes: CONTROL, payload }))
      decodeErrorOf(() => coordinatorEpochOf(batch))
    }
  })
})

describe('readEndTransactionMarker', () => {
  test("the transaction markers that Kafka's own classes wrote are read", () => {
    expect(readEndTransactionMarker(viewOf(kafkaBatch('abort')))).toBe('abort')
    expect(readEndTransactionMarker(viewOf(kafkaBatch('commit')))).toBe('commit')
    expect(readEndTransactionMarker(viewOf(kafkaBatch('leaderChange')))).toBe('other')
  })

  test('an emptied control batch and an unknown type end no transaction', () => {
    const emptied = viewOf(buildBatch({ attributes: CONTROL, recordsCount: 0, lastOffsetDelta: 0 }))
    expect(readEndTransactionMarker(emptied)).toBe('other')
    const unknown = viewOf(buildMarker({ producerId: 1n, type: 0x7f, baseOffset: 0n }))
    expect(readEndTransactionMarker(unknown)).toBe('other')
  })

  test('a marker with a timestamp delta of any length is read', () => {
    // Delta -2^63: ten bytes, where a broker writes one.
    const payload = Buffer.from('3200ffffffffffffffffff01000800000001000000', 'hex')
    const batch = viewOf(buildBatch({ attributes: CONTROL, payload }))
    expect(readEndTransactionMarker(batch)).toBe('commit')
  })

  test('a control record cut off before the end of its key is refused', () => {
    const marker = kafkaBatch('abort')
    for (let kept = 61; kept < 70; kept++) {
      const cut = Buffer.from(marker.subarray(0, kept))
      cut.writeInt32BE(kept - 12, 8)
      decodeErrorOf(() => readEndTransactionMarker(viewOf(cut)))
    }
  })

  test('a marker whose key is too short, negative in version or compressed is refused', () => {
    const withRecord = (hex: string, attributes = CONTROL) =>
      viewOf(buildBatch({ attributes, payload: Buffer.from(hex, 'hex') }))
    const short = withRecord('0a00000004000001')
    const negative = withRecord('1000000008ffff00010100')
    const noKey = withRecord('0a00000001')
    const gzipped = withRecord('200000000800000000', CONTROL | 1)
    for (const batch of [short, negative, noKey, gzipped]) {
      decodeErrorOf(() => readEndTransactionMarker(batch))
    }
  })
})
