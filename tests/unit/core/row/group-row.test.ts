// The row of a consumer group: what is written is read back, compactly, and a row in another form
// is refused.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import {
  groupAttributes,
  groupKey,
  type OwnAt,
  readGroupRow,
  readOffsets,
  writeOffsets,
} from '../../../../lib/core/row/group-row.ts'
import { CorruptRowError } from '../../../../lib/core/row/row.ts'

const rowWith = (text: string) => ({
  ...groupKey({ flow: 'orders', group: 'a/b c' }),
  ...groupAttributes({ version: 3, writtenAtMs: 1_700_000_000_000, text, expiresAtMs: 1 }),
})

const INT64_MAX = 2n ** 63n - 1n
const own = fc.record({
  sourceOffset: fc.bigInt({ min: 0n, max: INT64_MAX }).map(sourceOffset),
  targetOffset: fc.bigInt({ min: 0n, max: INT64_MAX }).map(targetOffset),
  // Stored in seconds.
  committedAtMs: fc.nat(2_000_000_000).map(seconds => seconds * 1000),
})
const partition = fc.record({
  topic: fc.stringMatching(/^[a-zA-Z0-9._-]{1,249}$/),
  partition: fc.nat(1_000_000),
  own: fc.array(own, { minLength: 1, maxLength: 3 }),
})

test('whatever is written is read back, in the order of topics and partitions', () => {
  const name = ({ topic, partition }: OwnAt) => `${topic}/${partition}`
  fc.assert(
    fc.property(fc.uniqueArray(partition, { selector: name }), partitions => {
      const row = readGroupRow(rowWith(writeOffsets(partitions)))
      const read = readOffsets(row.text)
      expect(new Map(read.map(each => [name(each), each.own]))).toEqual(
        new Map(partitions.map(each => [name(each), each.own])),
      )
    }),
  )
})

test('the key has any group id, and the version and time are read back', () => {
  expect(readGroupRow(rowWith(''))).toEqual({
    ...{ flow: 'orders', group: 'a/b c', version: 3, writtenAtMs: 1_700_000_000_000, text: '' },
  })
})

test('a hundred partitions with two offsets each need less than 6 KB', () => {
  const at = (offset: bigint) => ({
    sourceOffset: sourceOffset(offset),
    targetOffset: targetOffset(offset - 123n),
    committedAtMs: 1_700_000_000_000,
  })
  const partitions = Array.from({ length: 100 }, (_, partition) => {
    const offset = 10_000_000_000n + BigInt(partition)
    return { topic: 'orders', partition, own: [at(offset), at(offset + 60_000n)] }
  })
  expect(writeOffsets(partitions).length).toBeLessThan(6_000)
})

describe('a row in another form is refused with its key and attribute', () => {
  test.each([
    'orders',
    'orders:0',
    'orders:0=1.2',
    'orders:0=1.2.3|',
    'orders:0=1.2.3,',
    'orders:x=1.2.3',
    'orders:0=-1.2.3',
    ';',
  ])('%s', text => {
    expect(() => readGroupRow(rowWith(text))).toThrow(CorruptRowError)
    expect(() => readGroupRow(rowWith(text))).toThrow('Row "orders" "group/a/b c"')
  })
})
