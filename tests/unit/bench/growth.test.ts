import { expect, test } from 'vitest'
import { growthCases } from '../../../bench/compare/report/growth-chart.ts'
import { plainCase } from '../../support/made-up-results.ts'

const cases = [
  [10_000_000, 4],
  [1_000_000, 4],
  [1_000_000, 400],
  [1_000_000, 40],
].map(([records = 0, partitions = 0]) => ({
  ...plainCase,
  name: `${records}/${partitions}`,
  records,
  partitions,
}))

const namesAlong = (along: 'records' | 'partitions') =>
  growthCases(cases, along).map(each => each.name)

test('growth is drawn along the cases that differ in one dimension, in its order', () => {
  expect(namesAlong('records')).toEqual(['1000000/4', '10000000/4'])
  expect(namesAlong('partitions')).toEqual(['1000000/4', '1000000/40', '1000000/400'])
})

test('a single case gives no growth chart', () => {
  expect(growthCases([plainCase], 'records')).toEqual([])
})
