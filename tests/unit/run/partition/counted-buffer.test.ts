import { expect, test } from 'vitest'
import { createCountedBuffer } from '../../../../lib/run/partition/counted-buffer.ts'

test('the memory of a buffer is released once, by the last of its holders', () => {
  let times = 0
  const memory = createCountedBuffer(() => {
    times += 1
  })
  memory.hold()
  memory.hold()
  memory.release()
  memory.release()
  expect(times).toBe(0)
  memory.release()
  expect(times).toBe(1)
})
