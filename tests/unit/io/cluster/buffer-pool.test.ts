import { expect, test } from 'vitest'
import { createBufferPool } from '../../../../lib/io/cluster/buffer-pool.ts'

const LARGE = 1_000_000

test('a buffer that was released is used for the next response, and not before', () => {
  const memory = createBufferPool()
  const first = memory.allocate(LARGE)
  const second = memory.allocate(LARGE)
  expect(second.buffer).not.toBe(first.buffer)
  // Any part of a response stands for its whole buffer.
  memory.release(first.subarray(100, 200))
  const third = memory.allocate(LARGE - 5)
  expect(third).toHaveLength(LARGE - 5)
  expect(third.buffer).toBe(first.buffer)
})

test('a buffer that is released twice is handed out once', () => {
  const memory = createBufferPool()
  const first = memory.allocate(LARGE)
  memory.release(first)
  memory.release(first)
  const again = [memory.allocate(LARGE), memory.allocate(LARGE)]
  expect(again[0]?.buffer).toBe(first.buffer)
  expect(again[1]?.buffer).not.toBe(first.buffer)
})

test('a small response takes no large buffer, and no buffer is kept for it', () => {
  const memory = createBufferPool()
  const large = memory.allocate(LARGE)
  memory.release(large)
  expect(memory.allocate(LARGE / 4).buffer).not.toBe(large.buffer)
  const small = memory.allocate(100)
  memory.release(small)
  expect(memory.allocate(100)).toHaveLength(100)
  expect(memory.allocate(LARGE).buffer).toBe(large.buffer)
})

test('a pool keeps at most four free buffers', () => {
  const memory = createBufferPool()
  const lent = Array.from({ length: 6 }, () => memory.allocate(LARGE))
  for (const each of lent) memory.release(each)
  const known = new Set(lent.map(each => each.buffer))
  const again = Array.from({ length: 6 }, () => memory.allocate(LARGE))
  expect(again.filter(each => known.has(each.buffer))).toHaveLength(4)
})
