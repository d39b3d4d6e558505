import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssertionError } from '../../../lib/core/assert.ts'
import {
  isBefore,
  laterOf,
  offsetsBetween,
  sourceOffset,
  targetOffset,
  targetOffsetAfter,
} from '../../../lib/core/offset.ts'

const MAX = 2n ** 63n - 1n
const int64 = fc.bigInt({ min: 0n, max: MAX })

describe('an offset', () => {
  test('an offset is any INT64 that is not negative', () => {
    for (const brand of [sourceOffset, targetOffset]) {
      for (const value of [0n, 2n ** 53n + 1n, MAX]) expect(brand(value)).toBe(value)
      for (const value of [-1n, MAX + 1n]) expect(() => brand(value)).toThrow(AssertionError)
    }
  })

  test('offsets beyond 2^53 are exact', () => {
    const from = sourceOffset(2n ** 60n)
    expect(offsetsBetween(from, sourceOffset(2n ** 60n + 1n))).toBe(1n)
    expect(targetOffsetAfter(targetOffset(2n ** 60n), 1)).toBe(2n ** 60n + 1n)
  })

  test('offsets between two offsets are counted, and are none up to an earlier one', () => {
    fc.assert(
      fc.property(int64, int64, (left, right) => {
        const between = offsetsBetween(sourceOffset(left), sourceOffset(right))
        expect(between).toBe(right > left ? right - left : 0n)
      }),
    )
  })

  test('an offset is before a larger one only', () => {
    fc.assert(
      fc.property(int64, int64, (left, right) => {
        const [one, two] = [targetOffset(left), targetOffset(right)]
        expect(isBefore(one, two)).toBe(left < right)
        expect(laterOf(one, two)).toBe(left > right ? left : right)
      }),
    )
  })

  test('there is no offset behind the largest one', () => {
    expect(() => targetOffsetAfter(targetOffset(MAX), 1)).toThrow(AssertionError)
  })
})
