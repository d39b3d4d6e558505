// What an operator reads about the offsets of a partition.

import { describe, expect, test } from 'vitest'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import { offsetsOf, shiftText } from '../../../../lib/core/offsets/offsets-text.ts'
import type { SameOffsets, ShiftReason } from '../../../../lib/core/offsets/same-offsets.ts'

const about = {
  ...{ flow: 'flow', topic: 'orders', partition: 3 },
  ...{ targetTopic: 'primary.orders', cluster: 'standby' },
}

function at(distance: bigint, since: bigint, reason: ShiftReason = 'foreign-records') {
  const sameOffsets: SameOffsets = { distance, since: sourceOffset(since), atMs: 0, reason }
  return { nextSourceOffset: 5_000n, producer: null, sameOffsets }
}

const denied = { nextSourceOffset: 5_000n, producer: { fencing: 'none' as const } }
const translated = { nextSourceOffset: 5_000n, producer: null }

describe('the log line of a shift', () => {
  test('names cluster, topics, partition, offsets, distance, why, and what to run', () => {
    expect(shiftText(about, at(0n, 0n), at(9n, 4_000n))).toBe(
      'Offsets of orders-3 (flow flow) are shifted: from source offset 4000 on, records lie at their own offset +9 ' +
        '(source offset 4000 at standby offset 4009 of primary.orders on cluster standby), because records of ' +
        'another producer stand on the standby where copies were to go. Records before it have their own offsets. ' +
        'To see where an offset lies: gapless translate orders:3@OFFSET --flow flow',
    )
  })

  test('of a standby that denies transactional ids says from where on offsets are translated', () => {
    expect(shiftText(about, at(0n, 0n), denied)).toBe(
      'Offsets of orders-3 (flow flow) are translated from source offset 5000 on: the standby denies transactional ' +
        'ids, which fill the holes of the source. To see where an offset lies: gapless translate orders:3@OFFSET ' +
        '--flow flow',
    )
  })

  test.each([
    ['a partition that begins with the same offsets', null, at(0n, 0n, 'start')],
    ['a recreated topic with the same offsets as before', at(0n, 0n), at(0n, 20n, 'reset')],
    ['a position that only moved', at(9n, 4_000n), at(9n, 4_000n)],
    ['translated offsets', translated, translated],
    ['a partition that is not there', at(9n, 0n), null],
  ])('there is none about %s', (_, before, after) => {
    expect(shiftText(about, before, after)).toBeNull()
  })

  test('a partition that begins elsewhere is shifted from the start', () => {
    expect(shiftText(about, null, at(-7n, 7n, 'start'))).toMatch(
      /shifted: from source offset 7 on, .* -7 .* copying began there/,
    )
  })
})

test.each([
  ['preserve', at(0n, 0n), 'same since 0', 0n],
  ['preserve', at(0n, 1_234_567n), 'same since 1,234,567', 0n],
  [
    'preserve',
    at(-12_345n, 70_000n, 'large-hole'),
    'shifted by -12,345 since source offset 70,000 because the hole of the source in front of it is larger than is filled',
    -12_345n,
  ],
  ['translate', translated, 'translated', null],
  ['translate', denied, 'translated', null],
  [
    'preserve',
    translated,
    'translated because the partition began while the flow had "offsets: translate"',
    null,
  ],
  [
    'preserve',
    denied,
    'translated because the standby denies transactional ids, which fill the holes of the source',
    null,
  ],
] as const)('status with offsets: %s', (wanted, position, text, distance) => {
  expect(offsetsOf(wanted, position)).toEqual({ text, distance })
})

test('status says nothing of offsets before the first copy', () => {
  expect(offsetsOf('preserve', null)).toBeNull()
})
