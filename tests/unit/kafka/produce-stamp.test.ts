import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../lib/kafka/crc32c.ts'
import { stampForProduce } from '../../../lib/kafka/produce-stamp.ts'
import {
  type BatchFields,
  buildBatch,
  CONTROL,
  DELETE_HORIZON,
  LOG_APPEND_TIME,
  plainCrc32c,
  TRANSACTIONAL,
  viewOf,
} from './batches.ts'

const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const owners = fc.record({
  producerId: int64,
  producerEpoch: fc.nat(0x7fff),
  baseSequence: fc.nat(0x7fff_ffff),
})

/** Any batch that may be passed: each codec, in a transaction or not, seen by a cleaner or not. */
function passableBatches(payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<BatchFields> {
  const bits = fc.tuple(
    fc.nat(4),
    fc.constantFrom(0, TRANSACTIONAL),
    fc.constantFrom(0, DELETE_HORIZON),
  )
  return fc.record({
    baseOffset: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    partitionLeaderEpoch: fc.nat(0x7fff_ffff),
    attributes: bits.map(([codec, transactional, horizon]) => codec | transactional | horizon),
    recordsCount: fc.integer({ min: 1, max: 0x7fff_ffff }),
    baseTimestamp: int64,
    maxTimestamp: int64,
    producerId: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
    producerEpoch: fc.integer({ min: -1, max: 0x7fff }),
    baseSequence: fc.integer({ min: -1, max: 0x7fff_ffff }),
    payload,
  })
}

const owner = { producerId: 4001n, producerEpoch: 3, baseSequence: 17 }

describe('stampForProduce', () => {
  test('the checksum of a stamped batch is its plain CRC-32C', () => {
    const payloads = fc.uint8Array({ maxLength: 2_000 })
    fc.assert(
      fc.property(passableBatches(payloads), owners, (fields, by) => {
        const stamped = stampForProduce(viewOf(buildBatch(fields)), by)
        expect(stamped.readUInt32BE(17)).toBe(plainCrc32c(stamped.subarray(21)))
      }),
      { numRuns: 300 },
    )
  })

  test('the checksum of a stamped batch is right for every size from a bare header to 1 MB', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 61, max: 20_000 }),
      fc.integer({ min: 61, max: 1 << 20 }),
    )
    fc.assert(
      fc.property(sizes, owners, (size, by) => {
        const bytes = buildBatch({ payload: randomBytes(0) })
        const grown = Buffer.concat([bytes, randomBytes(size - 61)])
        grown.writeInt32BE(size - 12, 8)
        grown.writeUInt32BE(crc32c(grown, 21, size), 17)
        const stamped = stampForProduce(viewOf(grown), by)
        expect(stamped.readUInt32BE(17)).toBe(crc32c(stamped, 21, size))
      }),
      {
        examples: [
          [61, owner],
          [1 << 20, owner],
        ],
      },
    )
  })

  test('stamping changes the fields it names and not one byte more', () => {
    fc.assert(
      fc.property(passableBatches(fc.uint8Array({ maxLength: 200 })), owners, (fields, by) => {
        const expected = buildBatch({
          ...fields,
          ...by,
          baseOffset: 0n,
          partitionLeaderEpoch: -1,
          attributes: (fields.attributes ?? 0) & 0x07,
        })
        const bytes = buildBatch(fields)
        expect(stampForProduce(viewOf(bytes), by).equals(expected)).toBe(true)
      }),
    )
  })

  test('stamping happens in place, and the view keeps the fields of the batch that was read', () => {
    const bytes = buildBatch({ baseOffset: 55n, attributes: TRANSACTIONAL, producerId: 8n })
    const batch = viewOf(bytes)
    const stamped = stampForProduce(batch, owner)
    expect(stamped.buffer).toBe(bytes.buffer)
    expect(batch).toMatchObject({ baseOffset: 55n, attributes: TRANSACTIONAL, producerId: 8n })
  })

  test('a stamped batch can be stamped for another owner and back', () => {
    fc.assert(
      fc.property(passableBatches(fc.uint8Array()), owners, owners, (fields, first, second) => {
        const batch = viewOf(buildBatch(fields))
        const once = Buffer.from(stampForProduce(batch, first))
        const other = stampForProduce(batch, second)
        expect(other.readUInt32BE(17)).toBe(plainCrc32c(other.subarray(21)))
        expect(stampForProduce(batch, first).equals(once)).toBe(true)
      }),
    )
  })

  test('stamping changes no neighbour in the same memory', () => {
    const [before, own, after] = [buildBatch(), buildBatch({ baseOffset: 1n }), buildBatch()]
    const memory = Buffer.concat([before, own, after])
    stampForProduce(viewOf(memory.subarray(61, 122)), owner)
    expect(memory.subarray(0, 61).equals(before)).toBe(true)
    expect(memory.subarray(122).equals(after)).toBe(true)
  })

  test('a payload damaged before the stamp is still damaged after it', () => {
    const payload = fc.uint8Array({ minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(passableBatches(payload), owners, fc.nat(), (fields, by, at) => {
        const bytes = buildBatch(fields)
        const damaged = 61 + (at % (bytes.length - 61))
        bytes[damaged] = (bytes[damaged] ?? 0) ^ 0x01
        const stamped = stampForProduce(viewOf(bytes), by)
        expect(stamped.readUInt32BE(17)).not.toBe(plainCrc32c(stamped.subarray(21)))
      }),
    )
  })

  test.each([
    ['a control batch', { attributes: CONTROL }],
    ['a batch dated by the broker', { attributes: LOG_APPEND_TIME }],
    ['a batch with holes', { recordsCount: 2, lastOffsetDelta: 4 }],
    ['an emptied batch', { recordsCount: 0, lastOffsetDelta: 4 }],
  ])('stamping refuses %s and changes no byte', (_what, fields) => {
    const bytes = buildBatch(fields)
    const before = Buffer.from(bytes)
    expect(() => stampForProduce(viewOf(bytes), owner)).toThrow()
    expect(bytes.equals(before)).toBe(true)
  })

  test.each([
    ['producer id', { ...owner, producerId: -1n }],
    ['producer epoch', { ...owner, producerEpoch: -1 }],
    ['base sequence', { ...owner, baseSequence: -1 }],
    ['producer epoch above int16', { ...owner, producerEpoch: 0x8000 }],
    ['base sequence above int32', { ...owner, baseSequence: 0x8000_0000 }],
  ])('stamping refuses an owner without a valid %s and changes no byte', (_what, by) => {
    const bytes = buildBatch()
    const before = Buffer.from(bytes)
    expect(() => stampForProduce(viewOf(bytes), by)).toThrow()
    expect(bytes.equals(before)).toBe(true)
  })
})
