import { expect, test } from 'vitest'
import {
  paddingRecordsMax,
  paddingRecordsMin,
} from '../../../../lib/core/offsets/padding-limits.ts'
import { decompress } from '../../../../lib/kafka/compression.ts'
import {
  compressionCodec,
  hasHoles,
  hasValidChecksum,
  readRecordBatches,
  recordBytes,
} from '../../../../lib/kafka/record-batch.ts'
import { fillerForm, stampedFillers } from '../../../../lib/run/pad/fillers.ts'

const built = () => ({ fillers: new Map(), clock: { nowMs: () => 1_700_000_000_000 } })
const owner = { producerId: 5n, producerEpoch: 2, baseSequence: 2 ** 31 - 8 }

test.each([
  { isKeyed: false, record: [12, 0, 0, 0, 1, 1, 0], what: 'no key' },
  { isKeyed: true, record: [12, 0, 0, 0, 0, 1, 0], what: 'an empty key' },
])('a filler has $what, no value and no headers', ({ isKeyed, record }) => {
  const bytes = stampedFillers(built(), { isKeyed }, { ...owner, count: 16 })
  const [batch] = readRecordBatches(bytes).batches
  if (batch?.kind !== 'v2') throw new Error('no batch')
  expect(batch).toMatchObject({ recordsCount: 16, lastOffsetDelta: 15, producerId: 5n })
  expect(hasHoles(batch)).toBe(false)
  expect(hasValidChecksum(batch)).toBe(true)
  const first = decompress(compressionCodec(batch), recordBytes(batch)).subarray(0, 7)
  expect([...first]).toEqual(record)
})

test('batches of a size are built once, and each request has bytes of its own', () => {
  const shard = built()
  const first = stampedFillers(shard, { isKeyed: false }, { ...owner, count: 8 })
  const copy = Buffer.from(first)
  stampedFillers(shard, { isKeyed: false }, { ...owner, baseSequence: 0, count: 8 })
  expect(first).toEqual(copy)
  expect(shard.fillers.size).toBe(1)
})

test('the largest batch fits what brokers take by default, and a small topic gets smaller ones', () => {
  const shard = built()
  expect(fillerForm(shard, true, 1_048_588)).toEqual({
    isKeyed: true,
    recordsMax: paddingRecordsMax,
  })
  expect(fillerForm(shard, false, 300_000)).toEqual({ isKeyed: false, recordsMax: 2 ** 18 })
  expect(fillerForm(shard, false, 1_000)).toBe(null)
  expect(fillerForm(shard, false, 20_000)?.recordsMax).toBeGreaterThanOrEqual(paddingRecordsMin)
})
