// The wait before a Fetch to a broker that throttles this connection (KIP-219).

import { expect, test } from 'vitest'
import { createFetchThrottle } from '../../../../lib/io/cluster/fetch-throttle.ts'
import { createVirtualClock } from '../../../support/doubles/virtual-clock.ts'

test('a fetch waits until the throttle time of its broker is over, and no other broker is waited for', async () => {
  const clock = createVirtualClock()
  const throttle = createFetchThrottle('primary', clock)
  const startMs = clock.nowMs()
  throttle.begins(1, 4_000)
  throttle.begins(1, 1_000)

  await throttle.over(2)
  expect(clock.nowMs()).toBe(startMs)
  await throttle.over(1)
  expect(clock.nowMs()).toBe(startMs + 4_000)
  await throttle.over(1)
  expect(clock.nowMs()).toBe(startMs + 4_000)
})

test('a broker that throttles for longer than five minutes is named, and not waited for', async () => {
  const throttle = createFetchThrottle('primary', createVirtualClock())
  throttle.begins(1, 301_000)
  await expect(throttle.over(1)).rejects.toThrow(
    'broker 1 throttles fetches by a quota for another 301000 ms',
  )
})
