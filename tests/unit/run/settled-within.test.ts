// Work is awaited for a bounded time, and what becomes of it is told without a rejection.

import { expect, test } from 'vitest'
import { settledWithin } from '../../../lib/run/settled-within.ts'
import { createVirtualClock } from '../../support/doubles/virtual-clock.ts'

test('work that ends in time gives its value, and the wait ends with it', async () => {
  const clock = createVirtualClock()
  const startedAtMs = clock.nowMs()
  expect(await settledWithin(clock, 1_000, Promise.resolve(7))).toEqual({ kind: 'done', value: 7 })
  expect(clock.nowMs()).toBe(startedAtMs)
})

test('work that fails in time gives its error', async () => {
  const error = new Error('refused')
  const settled = await settledWithin(createVirtualClock(), 1_000, Promise.reject(error))
  expect(settled).toEqual({ kind: 'failed', error })
})

test("work that does not end in time is late, and a failure of it afterwards is nobody's", async () => {
  const clock = createVirtualClock()
  const work = Promise.withResolvers<never>()
  expect(await settledWithin(clock, 1_000, work.promise)).toEqual({ kind: 'late' })
  work.reject(new Error('too late'))
  await clock.wait(0)
})
