import { expect, test } from 'vitest'
import { doInSlices } from '../../../lib/run/in-slices.ts'

function* counted(slices: number, seen: string[]) {
  for (let slice = 1; slice < slices; slice += 1) {
    seen.push('slice')
    yield
  }
  seen.push('slice')
  return slices
}

test('work of one slice is done at once, and no pause is made', () => {
  const seen: string[] = []
  expect(doInSlices(counted(1, seen), async () => seen.push('pause'))).toBe(1)
  expect(seen).toEqual(['slice'])
})

test('a pause is made between any two slices', async () => {
  const seen: string[] = []
  expect(await doInSlices(counted(3, seen), async () => seen.push('pause'))).toBe(3)
  expect(seen).toEqual(['slice', 'pause', 'slice', 'pause', 'slice'])
})

test('what the work throws in a later slice rejects', async () => {
  function* work() {
    yield
    throw new Error('damaged')
  }
  await expect(Promise.resolve(doInSlices(work(), async () => undefined))).rejects.toThrow(
    'damaged',
  )
})
