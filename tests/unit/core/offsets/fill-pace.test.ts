import { expect, test } from 'vitest'
import { fillSampleMin } from '../../../../lib/core/offsets/fill-limits.ts'
import { fillingMs } from '../../../../lib/core/offsets/fill-pace.ts'

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
