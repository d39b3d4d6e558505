import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createLatencySample,
  sampleSizeMax,
} from '../../../../lib/core/monitoring/latency-sample.ts'

function sampleOf(values: readonly number[]): number[] {
  const sample = createLatencySample()
  for (const value of values) sample.add(value)
  return sample.take()
}

test('a sample of few values holds all of them, in order', () => {
  expect(sampleOf([3, 1, 2])).toEqual([3, 1, 2])
  expect(sampleOf([])).toEqual([])
})

test('a sample of many values holds every k-th, and never more than fit into a line', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), count => {
      const sample = sampleOf(Array.from({ length: count }, (_, index) => index))
      expect(sample.length).toBeLessThanOrEqual(sampleSizeMax)
      expect(sample.length).toBeGreaterThanOrEqual(Math.min(count, sampleSizeMax / 2))
      const stride = sample[1] ?? 1
      expect(sample).toEqual(sample.map((_, index) => index * stride))
    }),
  )
})

test('values that were taken are not in the next sample', () => {
  const sample = createLatencySample()
  sample.add(1)
  sample.take()
  sample.add(2)
  expect(sample.take()).toEqual([2])
})
