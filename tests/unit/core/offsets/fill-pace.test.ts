import { expect, test } from 'vitest'
import {
  fillSampleMin,
  growthSampleMs,
  outrunSecondsMax,
} from '../../../../lib/core/offsets/fill-limits.ts'
import {
  fillingMs,
  fillingShare,
  fillSecondsBound,
} from '../../../../lib/core/offsets/fill-pace.ts'

test('a backlog takes as long to fill per offset as what was copied so far', () => {
  const pace = { places: fillSampleMin, tookMs: 2_000, offsets: 4_000n }
  expect(fillingMs(pace, 0n)).toBe(0)
  expect(fillingMs(pace, 8_000n)).toBe(4_000)
})

test('nothing is predicted from a few places, nor before an offset was passed', () => {
  const pace = { places: fillSampleMin - 1, tookMs: 2_000, offsets: 4_000n }
  expect(fillingMs(pace, 8_000n)).toBeNull()
  expect(fillingMs({ places: fillSampleMin, tookMs: 2_000, offsets: 0n }, 8_000n)).toBeNull()
})

test('the share of filling in a second of the source is what its new offsets cost', () => {
  const pace = { places: fillSampleMin, tookMs: 2_000, offsets: 4_000n }
  expect(fillingShare(pace, { offsets: 30_000n, tookMs: growthSampleMs })).toBe(0.5)
  expect(fillingShare(pace, { offsets: 120_000n, tookMs: growthSampleMs })).toBe(2)
  for (const growth of [
    { offsets: 120_000n, tookMs: growthSampleMs - 1 },
    { offsets: 0n, tookMs: growthSampleMs },
  ]) {
    expect(fillingShare(pace, growth)).toBeNull()
  }
  expect(fillingShare({ ...pace, places: 1 }, { offsets: 9n, tookMs: growthSampleMs })).toBeNull()
})

test('a source that makes holes faster than they are filled has a smaller bound', () => {
  expect(fillSecondsBound(null, 1_800)).toBe(1_800)
  expect(fillSecondsBound(1, 1_800)).toBe(1_800)
  expect(fillSecondsBound(1.1, 1_800)).toBe(outrunSecondsMax)
  expect(fillSecondsBound(1.1, 10)).toBe(10)
})
